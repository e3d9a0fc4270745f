"""Pretrained context layers in spaCy: they train, stay when frozen, survive saving and processes, and need no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.training import Example
from spacy.util import registry
from thinc.api import Config

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.hf import DistillEmbModel
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.spacy_plugin import contextual

CONFIG = """
[nlp]
lang = "xx"
pipeline = ["tok2vec", "ner"]

[components]

[components.tok2vec]
factory = "tok2vec"

[components.tok2vec.model]
@architectures = "distillemb.Tok2Vec.v1"
width = 16
context = "pretrained"

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
extra_state_tokens = false
hidden_width = 16
maxout_pieces = 2

[components.ner.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 16
"""
TEXTS = [("Juma anaishi Nairobi .", [(13, 20, "LOC")]), ("Asha yupo Mombasa", [(10, 17, "LOC")]), ("kita soma", [])]


def pipeline(pretrained: Path, **settings: Any) -> tuple[Any, list[Example]]:
    config = Config().from_str(CONFIG)
    config["components"]["tok2vec"]["model"].update({"pretrained": str(pretrained), **settings})
    nlp = spacy.util.load_model_from_config(config, auto_fill=True)
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": entities}) for text, entities in TEXTS]
    nlp.initialize(lambda: examples)
    return nlp, examples


def shim_of(nlp: Any) -> contextual.ContextShim:
    return next(n for n in nlp.get_pipe("tok2vec").model.walk() if n.name == "distillemb_context").shims[0]


def vectors(nlp: Any, text: str) -> Any:
    return nlp.get_pipe("tok2vec").predict([nlp.make_doc(text)])[0]


def test_the_states_are_those_of_the_hugging_face_model(tiny_context_dir: Path) -> None:
    nlp, _ = pipeline(tiny_context_dir)
    words = ["Kita", "soma", "MJI", ",", "kita"]
    model = DistillEmbModel.from_pretrained(tiny_context_dir).eval()
    ids = read_encoder(tiny_context_dir).characters.encode(words)
    with torch.inference_mode():
        wanted = model(torch.from_numpy(ids[None]).long()).last_hidden_state[0].numpy()
    found, _ = shim_of(nlp)([words], False)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


CNN = {"context": "pretrained-cnn", "depth": 2, "attrs": ["NORM"], "rows": [50]}


def test_below_a_cnn_the_word_vectors_stand_beside_the_states(tiny_context_dir: Path) -> None:
    sentences = [["Kita", "soma"], [], ["MJI"]]
    plain, wide = (shim_of(pipeline(tiny_context_dir, **settings)[0]) for settings in ({}, CNN))
    found, _ = wide(sentences, False)
    vectors = DistillEmb.from_pretrained(tiny_context_dir).encode(["Kita", "soma", "MJI"])
    np.testing.assert_allclose(found, np.concatenate([plain(sentences, False)[0], vectors], 1), atol=1e-6)
    nlp, _ = pipeline(tiny_context_dir, **CNN)
    assert any("expand_window" in node.name for node in nlp.get_pipe("tok2vec").model.walk())


@pytest.mark.parametrize("settings", [{}, {"attrs": ["NORM", "SHAPE"], "rows": [50, 50]}, {"dropout": 0.1}, CNN])
def test_it_learns(tiny_context_dir: Path, settings: dict[str, Any]) -> None:
    nlp, examples = pipeline(tiny_context_dir, **settings)
    before = {name: tensor.copy() for name, tensor in shim_of(nlp).files.context.items()}
    losses: list[float] = []
    optimizer = nlp.resume_training()
    for _ in range(40):
        found: dict[str, float] = {}
        nlp.update(examples, sgd=optimizer, losses=found)
        losses.append(found["ner"])
    assert losses[-1] < 0.6 * losses[0]
    after = shim_of(nlp).files.context
    assert (after["layers.0.attention_in.weight"] != before["layers.0.attention_in.weight"]).any()


@pytest.mark.parametrize("settings", [{}, CNN])
def test_what_learning_sees_is_what_predicting_gives(tiny_context_dir: Path, settings: dict[str, Any]) -> None:
    nlp, _ = pipeline(tiny_context_dir, **settings)
    shim = shim_of(nlp)
    sentences = [["kita", "soma", "kita"], [], ["mji"]]
    module = shim.module()
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    module["encoder"].ngram_dropout = 0.0  # type: ignore[index, union-attr]
    learned, _ = shim(sentences, True)
    predicted, _ = shim(sentences, False)
    np.testing.assert_allclose(learned, predicted, atol=2e-5)


def test_frozen_layers_stay_to_the_last_bit_and_what_follows_learns(tiny_context_dir: Path) -> None:
    nlp, examples = pipeline(tiny_context_dir, freeze=True)
    before = shim_of(nlp).to_bytes()
    text = vectors(nlp, "kita soma").copy()
    optimizer = nlp.resume_training()
    for _ in range(3):
        nlp.update(examples, sgd=optimizer)
    assert shim_of(nlp).to_bytes() == before
    assert (vectors(nlp, "kita soma") != text).any()
    assert shim_of(nlp)._model is None, "torch was not needed"


def test_a_slower_rate_moves_the_layers_less(tiny_context_dir: Path) -> None:
    moved = []
    for factor in (1.0, 0.1):
        nlp, examples = pipeline(tiny_context_dir, grad_factor=factor)
        before = shim_of(nlp).files.context["input.weight"].copy()
        optimizer = nlp.resume_training()
        for _ in range(3):  # a new parser's gradient reaches the layers from the second step on
            nlp.update(examples, sgd=optimizer)
        moved.append(np.abs(shim_of(nlp).files.context["input.weight"] - before).mean())
    assert 0.05 < moved[1] / moved[0] < 0.3


@pytest.mark.parametrize("settings", [{}, CNN])
def test_saved_pipelines_need_neither_the_directory_nor_torch(
    tiny_context_dir: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    nlp, examples = pipeline(tiny_context_dir, **settings)
    nlp.update(examples, sgd=nlp.resume_training())
    nlp.config["components"]["tok2vec"]["model"]["pretrained"] = str(tmp_path / "gone")
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    np.testing.assert_allclose(vectors(again, "kita soma mji"), vectors(nlp, "kita soma mji"), atol=1e-5)
    assert shim_of(again).to_bytes() == shim_of(nlp).to_bytes()
    program = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        f"import spacy; nlp = spacy.load({str(tmp_path / 'saved')!r}); print(len(nlp('kita soma mji')))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "3", found.stderr


def test_training_needs_no_transformers(tiny_context_dir: Path, tmp_path: Path) -> None:
    pipeline(tiny_context_dir)[0].to_disk(tmp_path / "saved")
    program = (
        "import sys; sys.modules['transformers'] = None\n"
        "import spacy; from spacy.training import Example\n"
        f"nlp = spacy.load({str(tmp_path / 'saved')!r})\n"
        "example = Example.from_dict(nlp.make_doc('kita soma'), {'entities': [(0, 4, 'PER')]})\n"
        "nlp.update([example], sgd=nlp.resume_training())\n"
        "print('torch' in sys.modules, 'distillemb_plugins.hf' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["True", "False"], found.stderr


def test_several_processes_give_the_same(tiny_context_dir: Path) -> None:
    nlp, examples = pipeline(tiny_context_dir)
    nlp.update(examples, sgd=nlp.resume_training())
    texts = ["kita soma", "mji", "ndege rafiki nyota"] * 3
    one = [[token.ent_type_ for token in doc] for doc in nlp.pipe(texts)]
    assert [[token.ent_type_ for token in doc] for doc in nlp.pipe(texts, n_process=2, batch_size=3)] == one


def test_long_documents_are_cut_into_overlapping_windows(
    tiny_context_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nlp, _ = pipeline(tiny_context_dir)
    shim = shim_of(nlp)
    words = [f"w{n % 17}" for n in range(120)]
    whole, _ = shim([words], False)
    monkeypatch.setattr(contextual, "LONGEST", 84)
    short, _ = shim([words[:84]], False)
    np.testing.assert_allclose(short[:40], whole[:40], atol=1e-5)
    cut, _ = shim([words], False)
    assert cut.shape == whole.shape
    np.testing.assert_allclose(cut[:40], whole[:40], atol=1e-5)


@pytest.mark.parametrize("settings", [{}, CNN])
def test_empty_documents_are_no_trouble(tiny_context_dir: Path, settings: dict[str, Any]) -> None:
    nlp, examples = pipeline(tiny_context_dir, **settings)
    empty = Example.from_dict(nlp.make_doc(""), {"entities": []})
    for batch in ([empty], [empty, examples[0]]):
        nlp.update(batch, sgd=nlp.resume_training())
    assert [len(doc) for doc in nlp.pipe(["", "kita"])] == [0, 1]


def test_a_directory_without_context_is_refused(tiny_encoder_dir: Path) -> None:
    with pytest.raises(DistillEmbError, match="has no context layers: make some with distillemb pretrain"):
        pipeline(tiny_encoder_dir)
    with pytest.raises(DistillEmbError, match="say cnn, bilstm, pretrained, pretrained-cnn"):
        registry.architectures.get("distillemb.Tok2Vec.v1")(width=8, pretrained=None, context="lstm")
