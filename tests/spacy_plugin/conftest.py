"""Tiny corpora and pipelines for the spaCy face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.training import Example
from thinc.api import fix_random_seed

from distillemb_plugins.persistence import read_encoder, write_encoder

NER_LINES = [
    "Rafiki B-PER|kitani O|anasoma O|mjini B-LOC",
    "ndege O|ya O|Soma B-ORG|mjiko I-ORG|. O",
    "Nyota B-PER|gidani I-PER|ni O|mtu O|mjini B-LOC",
    "ሰላም O|በቤትው B-LOC|ልጅ O|። O",
]
POS_LINES = [
    "Rafiki PROPN|kitani NOUN|anasoma VERB|mjini NOUN",
    "ndege NOUN|ya ADP|Soma PROPN|mjiko NOUN|. PUNCT",
    "Nyota PROPN|gidani NOUN|ni AUX|mtu NOUN|mjini NOUN",
]


def write_columns(path: Path, sentences: list[str]) -> Path:
    """Sentences as ``word tag|word tag`` to a two-column file."""
    path.write_text("\n\n".join(s.replace("|", "\n") for s in sentences) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_encoder_dir(tiny_encoder_dirs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default student without its dropout, so that learning and predicting can be compared."""
    files = read_encoder(tiny_encoder_dirs["cnn"])
    config = {**files.config, "encoder_args": {**files.config["encoder_args"], "ngram_dropout": 0.0}}
    return write_encoder(tmp_path_factory.mktemp("encoder") / "cnn", config, files.tensors, files.characters)


@pytest.fixture(scope="session")
def ner_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_columns(tmp_path_factory.mktemp("ner") / "train.txt", NER_LINES)


@pytest.fixture(scope="session")
def pos_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_columns(tmp_path_factory.mktemp("pos") / "train.txt", POS_LINES)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    fix_random_seed(0)
    yield


WIDTH = 16


def embed_config(encoder: Path | str | None, **settings: Any) -> dict[str, Any]:
    return {"@architectures": "distillemb.Embed.v1", "width": WIDTH, "pretrained": encoder and str(encoder), **settings}


def tok2vec_config(embed: dict[str, Any]) -> dict[str, Any]:
    return {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": embed,
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2",
            "width": WIDTH,
            "depth": 1,
            "window_size": 1,
            "maxout_pieces": 2,
        },
    }


def listener(upstream: str = "tok2vec") -> dict[str, Any]:
    return {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH, "upstream": upstream}


def ner_config(tok2vec: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": "ner",
            "extra_state_tokens": False,
            "hidden_width": 8,
            "maxout_pieces": 2,
            "use_upper": True,
            "nO": None,
            "tok2vec": tok2vec,
        }
    }


def tagger_config(tok2vec: dict[str, Any]) -> dict[str, Any]:
    return {"model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": tok2vec}}


Build = Callable[..., Language]


def make_pipeline(encoder: Path | str | None, **settings: Any) -> Language:
    """A tok2vec with `distillemb.Embed.v1` and an NER component that listens to it, not initialised."""
    nlp = spacy.blank("xx")
    nlp.add_pipe("tok2vec", config={"model": tok2vec_config(embed_config(encoder, **settings))})
    nlp.add_pipe("ner", config=ner_config(listener()))
    return nlp


def examples_for(nlp: Language) -> list[Example]:
    from distillemb_plugins.data.conll import Sentence
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    corpus = ConllCorpus("unused")
    result = []
    for line in NER_LINES:
        pairs = [cell.split(" ") for cell in line.split("|")]
        words = [word for word, _ in pairs]
        result.append(corpus._example(nlp, Sentence(words, [True] * len(words), [tag for _, tag in pairs])))
    return result


def train(nlp: Language, optimizer: Any, steps: int = 3, **options: Any) -> None:
    examples = examples_for(nlp)
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer, **options)


def encoder_tensors(nlp: Language, component: str = "tok2vec") -> dict[str, np.ndarray[Any, Any]]:
    """Copies of the encoder's weights inside a component."""
    from distillemb_plugins.spacy_plugin.layers import pipeline_encoder

    return {name: tensor.copy() for name, tensor in pipeline_encoder(nlp, component).files.tensors.items()}


def distance(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Euclidean distance of two sets of weights."""
    assert a.keys() == b.keys()
    return float(np.sqrt(sum(((a[name].astype(np.float64) - b[name]) ** 2).sum() for name in a)))
