"""Nearest neighbors, whole and in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from distillemb_plugins import vectors
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.models import EmbeddingModel, nearest_words
from distillemb_plugins.vectors import nearest


@pytest.mark.parametrize("block", [16_000_000, 130])
def test_equals_a_full_sort(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(vectors, "BLOCK_VALUES", block)
    random = np.random.default_rng(0)
    table = random.normal(size=(60, 7)).astype(np.float32)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    rows, values = nearest(table, table, 5, exclude=list(range(60)))
    np.testing.assert_array_equal(rows, np.argsort(-cosines, axis=1)[:, :5])
    np.testing.assert_allclose(values, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)


def test_words_leave_themselves_out_in_any_case(plane: EmbeddingModel) -> None:
    found = nearest_words(plane, ["Pear", "nobody"], ["Apple", "pear", "king"], n=9)
    assert [word for word, _ in found["Pear"]] == ["Apple", "king"]
    assert found["nobody"] == []


def test_bounds(plane: EmbeddingModel) -> None:
    one = np.ones((1, 2), np.float32)
    assert nearest(one, one, 3, exclude=[0])[0].shape == (1, 0)
    assert nearest(one, np.zeros((2, 2), np.float32), 3)[1].tolist() == [[0.0, 0.0]]
    with pytest.raises(DistillEmbError, match="vocabulary"):
        nearest_words(plane, ["man"], [])
