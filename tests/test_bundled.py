"""The encoder that ships: it opens in all three faces, offline, and gives the same vectors."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, bundled
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import directory_bytes
from distillemb_plugins.hf_files import remote_code_files
from distillemb_plugins.persistence import BUNDLED, resolve

WORDS = ["mwanafunzi", "ኢትዮጵያውያን", "ọmọdé", "gidaje", "neverseenbefore", ""]
LANGUAGES = {"am", "ti", "ha", "ig", "rw", "lg", "luo", "pcm", "sw", "wo", "yo"}


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return DistillEmb.from_pretrained("afro11").encode(WORDS)


def test_it_is_small_and_says_what_it_was_made_from() -> None:
    folder = BUNDLED / "afro11"
    assert directory_bytes(folder) <= 3_000_000
    card = (folder / "README.md").read_text("utf-8")
    assert all(f"- {code}\n" in card for code in LANGUAGES)
    assert "license: cc-by-sa-4.0" in card
    assert "enh-corpus" in card and "afro11.py distill" in card and "cosine" in card
    assert not {file.suffix for file in folder.iterdir() if file.is_file()} - {
        ".json",
        ".md",
        ".safetensors",
        ".gz",
        ".py",
    }


def test_it_knows_words_and_their_neighbours() -> None:
    encoder = DistillEmb.from_pretrained("afro11")
    assert encoder.similarity("mwanafunzi", "wanafunzi") > encoder.similarity("mwanafunzi", "mvua")
    assert encoder.similarity("ኢትዮጵያ", "ከኢትዮጵያ") > encoder.similarity("ኢትዮጵያ", "ውሃ")


def test_words_in_context_ship_too() -> None:
    """Both faces give the same, and a word differs from sentence to sentence."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    import distillemb_plugins.hf  # noqa: F401
    from distillemb_plugins.inference.context import ContextForward
    from distillemb_plugins.persistence import read_encoder

    folder = BUNDLED / "afro11-context"
    assert directory_bytes(folder) <= 6_000_000
    card = (folder / "README.md").read_text("utf-8")
    assert "afro11.py context" in card and "transformer layers" in card and "lines were left out" in card
    sentences = [["mto", "wa", "Yordani"], ["Michael", "Yordani", "alisema"]]
    batch = AutoTokenizer.from_pretrained(folder)(sentences, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder).eval()(**batch).last_hidden_state
    assert torch.cosine_similarity(states[0, 2], states[1, 1], dim=0) < 0.95
    files = read_encoder(folder)
    encoder, numpy = DistillEmb.from_files(files), ContextForward(files.config, files.context)
    rows = [files.characters.encode(words) for words in sentences]
    found = numpy([encoder.encode(words) for words in sentences], rows)
    for sentence, expected in zip(found, states.numpy(), strict=True):
        np.testing.assert_allclose(sentence, expected[: len(sentence)], atol=1e-4)


def test_its_directory_is_found_by_its_name_alone() -> None:
    assert bundled("afro11") == resolve("afro11") == BUNDLED / "afro11"
    for other in ("afro12", "../bundled/afro11", "afro11/", ""):
        with pytest.raises(DistillEmbError, match=r"No encoder .* comes with the package: give one of .*afro11"):
            bundled(other)


def test_hugging_face_opens_it(vectors: np.ndarray) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    import distillemb_plugins.hf  # noqa: F401

    path = bundled("afro11")
    batch = AutoTokenizer.from_pretrained(path)([WORDS[:-1]], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        found = AutoModel.from_pretrained(path).eval()(**batch).last_hidden_state[0].numpy()
    np.testing.assert_allclose(found, vectors[:-1], rtol=1e-6, atol=1e-5)  # they reach 17


REMOTE = """
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification, AutoTokenizer
path, out, words = given
trust = {"trust_remote_code": True}
tokenizer = AutoTokenizer.from_pretrained(path, **trust)
model = AutoModel.from_pretrained(path, **trust).eval()
AutoConfig.from_pretrained(path, **trust)
AutoModelForTokenClassification.from_pretrained(path, num_labels=3, **trust)
model.save_pretrained(out)
tokenizer.save_pretrained(out)
batch = tokenizer([words], is_split_into_words=True, return_tensors="pt")
result = model(**batch).last_hidden_state[0].tolist()
"""


def test_hugging_face_opens_it_as_any_directory_with_remote_code(
    vectors: np.ndarray, tmp_path: Path, fresh_process: Callable[..., Any]
) -> None:
    """In a process that did not import us; what it saves there is complete, with the whole code."""
    found = fresh_process(REMOTE, [str(resolve("afro11")), str(tmp_path / "saved"), WORDS[:-1]], package=True)
    np.testing.assert_allclose(found, vectors[:-1], rtol=1e-6, atol=1e-5)  # they reach 17
    np.testing.assert_array_equal(DistillEmb.from_pretrained(tmp_path / "saved").encode(WORDS), vectors)
    for name, code in remote_code_files().items():
        assert (tmp_path / "saved" / name).read_text("utf-8") == code


def test_its_code_is_the_packages_own() -> None:
    """Every class that its ``auto_map`` names."""
    config = json.loads((BUNDLED / "afro11" / "config.json").read_text("utf-8"))
    for reference in [*config["auto_map"].values(), "tokenization_distillemb.DistillEmbTokenizer"]:
        module, _, name = reference.partition(".")
        assert f"hf.{module} import *" in (BUNDLED / "afro11" / f"{module}.py").read_text("utf-8")
        assert hasattr(import_module(f"distillemb_plugins.hf.{module}"), name)


def test_spacy_opens_it_as_vectors_and_as_a_trainable_layer(vectors: np.ndarray) -> None:
    import spacy
    from spacy.tokens import Doc

    from distillemb_plugins.spacy_plugin import set_vectors
    from distillemb_plugins.spacy_plugin.layers import pipeline_encoder

    nlp = set_vectors(spacy.blank("xx"), "afro11")
    doc = Doc(nlp.vocab, words=WORDS[:-1])
    np.testing.assert_allclose(np.stack([token.vector for token in doc]), vectors[:-1], atol=1e-5)
    model = {"@architectures": "distillemb.Tok2Vec.v1", "width": 8, "depth": 1, "pretrained": "afro11"}
    trainable = spacy.blank("xx")
    trainable.add_pipe("tok2vec", config={"model": model})
    trainable.initialize()
    np.testing.assert_allclose(pipeline_encoder(trainable).encode(WORDS), vectors, atol=1e-5)


def test_the_word_list_serves_neighbours() -> None:
    from distillemb_plugins.cli.words import stored_words

    words = stored_words("afro11", "vocabulary")
    assert words is not None and len(words) > 10_000
    assert Path(resolve("afro11") / "vocabulary.txt.gz").is_file()
