"""The encoder that ships: it opens in all three faces, offline, and gives the same vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import DistillEmb
from distillemb_plugins.files import directory_bytes
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
    assert not {file.suffix for file in folder.iterdir()} - {".json", ".md", ".safetensors", ".gz"}


def test_it_knows_words_and_their_neighbours() -> None:
    encoder = DistillEmb.from_pretrained("afro11")
    assert encoder.similarity("mwanafunzi", "wanafunzi") > encoder.similarity("mwanafunzi", "mvua")
    assert encoder.similarity("ኢትዮጵያ", "ከኢትዮጵያ") > encoder.similarity("ኢትዮጵያ", "ውሃ")


def test_hugging_face_opens_it(vectors: np.ndarray) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    import distillemb_plugins.hf  # noqa: F401

    path = resolve("afro11")
    batch = AutoTokenizer.from_pretrained(path)([WORDS[:-1]], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        found = AutoModel.from_pretrained(path).eval()(**batch).last_hidden_state[0].numpy()
    np.testing.assert_allclose(found, vectors[:-1], atol=1e-5)


def test_spacy_opens_it_as_vectors_and_as_a_trainable_layer(vectors: np.ndarray) -> None:
    import spacy
    from spacy.tokens import Doc

    from distillemb_plugins.spacy_plugin import set_vectors
    from distillemb_plugins.spacy_plugin.layers import pipeline_encoder

    nlp = set_vectors(spacy.blank("xx"), "afro11")
    doc = Doc(nlp.vocab, words=WORDS[:-1])
    np.testing.assert_allclose(np.stack([token.vector for token in doc]), vectors[:-1], atol=1e-5)
    model = {
        "@architectures": "distillemb.Tok2Vec.v1",
        "width": 8,
        "depth": 1,
        "pretrained": "afro11",
    }
    trainable = spacy.blank("xx")
    trainable.add_pipe("tok2vec", config={"model": model})
    trainable.initialize()
    np.testing.assert_allclose(pipeline_encoder(trainable).encode(WORDS), vectors, atol=1e-5)


def test_the_word_list_serves_neighbours() -> None:
    from distillemb_plugins.cli.models import stored_words

    words = stored_words("afro11", "vocabulary")
    assert words is not None and len(words) > 10_000
    assert Path(resolve("afro11") / "vocabulary.txt.gz").is_file()
