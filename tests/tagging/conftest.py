"""Tiny taggers of every face, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..hf.conftest import make_tagger

KINDS = {
    "linear": {"head": "linear"},
    "bilstm": {"head": "bilstm", "head_cell": "gru", "id2label": {0: "NOUN", 1: "VERB", 2: "PUNCT"}},
    "bilstm-crf": {"head": "bilstm-crf", "shape_features": True, "head_layers": 2},
    "context": {"head": "linear", "shape_features": True},
    "context-bilstm-crf": {"head": "bilstm-crf", "head_activation": "gelu"},
    "context-static": {"head": "bilstm-crf", "static_vectors": True},
}


@pytest.fixture(scope="session")
def tagger_dirs(tiny_encoder_dir: Path, tiny_context_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a saved Hugging Face tagger of each kind."""
    root = tmp_path_factory.mktemp("taggers")
    for name, settings in KINDS.items():
        source = tiny_context_dir if name.startswith("context") else tiny_encoder_dir
        make_tagger(source, **settings).save_pretrained(root / name)
    return root


@pytest.fixture(scope="session")
def pipeline_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spaCy pipeline that knows a person, and that tags every word as the same part of speech."""
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("xx")
    ruler = nlp.add_pipe("entity_ruler")
    nlp.add_pipe("morphologizer")
    example = Example.from_dict(nlp.make_doc("Rais"), {"pos": ["NOUN"]})
    nlp.initialize(lambda: [example])
    ruler.add_patterns([{"label": "PER", "pattern": "Rais Samia"}])
    path = tmp_path_factory.mktemp("pipeline") / "tagger"
    nlp.to_disk(path)
    return path
