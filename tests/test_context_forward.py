"""The context layers in NumPy equal the torch module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distillemb_plugins.hf import DistillEmbConfig, DistillEmbModel
from distillemb_plugins.inference.context import ContextForward, windows
from distillemb_plugins.persistence import read_encoder

WORDS = ["Kita", "soma", "MJI", "3", ",", "ndege", "rafiki", "nyota", "Ọ́kọ̀", "ሰላም", "a2b", "wasoma"]


def test_equal_to_torch(tiny_context_dir: Path) -> None:
    files = read_encoder(tiny_context_dir)
    model = DistillEmbModel.from_pretrained(tiny_context_dir).eval()
    forward = ContextForward(files.config, files.context)
    assert isinstance(model.config, DistillEmbConfig)
    lengths = [3, 0, 12, model.config.context_range + 9, 1]
    random = np.random.default_rng(0)
    sentences = [[WORDS[n] for n in random.integers(0, len(WORDS), length)] for length in lengths]
    rows = [files.characters.encode(words) for words in sentences]
    with torch.inference_mode():
        alone = [model(torch.from_numpy(ids[None]).long(), output_hidden_states=True) for ids in rows]
    vectors = [one.hidden_states[0][0].numpy() for one in alone]
    for found, wanted in zip(forward(vectors, rows), alone, strict=True):
        np.testing.assert_allclose(found, wanted.last_hidden_state[0].numpy(), atol=2e-5)


@pytest.mark.parametrize("length", [0, 1, 10, 11, 25, 100])
def test_windows_keep_each_word_once(length: int) -> None:
    kept = [(start + first, start + last) for start, _, first, last in windows(length, 10, 3)]
    assert [place for begin, end in kept for place in range(begin, end)] == list(range(length))
    for start, end, first, last in windows(length, 10, 3):
        assert end - start <= 10
        assert first >= 3 or start == 0, "a word that is kept has its neighbors in the window"
        assert end - start - last >= 3 or end == length
