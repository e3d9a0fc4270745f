"""A table of word vectors in the encoder's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from distillemb_plugins.finetune.table import table_model


@pytest.mark.parametrize("tagger", [True, False])
def test_the_model_reads_its_table_and_leaves_it_alone(tagger: bool, tmp_path: Path) -> None:
    vectors = np.array([[0.6, 0.8], [0.0, 1.0]], dtype=np.float32)
    words, head = ["moja", "mbili"], {"head": "bilstm", "head_hidden_size": 4}
    model, tokenizer = table_model(words, vectors, ["a", "b"], tagger=tagger, **head)
    assert model.config.id2label == {0: "a", 1: "b"}
    ids = tokenizer([["mbili", "kumi", "moja"]], is_split_into_words=True, return_tensors="pt")["char_ids"]
    expected = torch.tensor([[[0.0, 1.0], [0.0, 0.0], [0.6, 0.8]]])  # unknown words are zero
    assert torch.allclose(model.distillemb(ids).last_hidden_state, expected)
    assert not any(p.requires_grad for p in model.distillemb.parameters())
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert torch.allclose(again.distillemb(ids).last_hidden_state, expected)
    assert not any(p.requires_grad for p in again.distillemb.parameters())
