"""Scores on held-out words, against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest

from distillemb_plugins.distill import held_out_scores
from distillemb_plugins.distill.loop import rate_factor
from distillemb_plugins.errors import DistillEmbError


def plain_scores(predicted: np.ndarray, table: np.ndarray, held: np.ndarray) -> dict[str, float]:
    def unit(x: np.ndarray) -> np.ndarray:
        units: np.ndarray = x / np.linalg.norm(x, axis=1, keepdims=True)
        return units

    student, teacher = unit(predicted) @ unit(table).T, unit(table[held]) @ unit(table).T
    cosines, ranks, overlaps = [], [], []
    for i, word in enumerate(held):
        cosines.append(student[i, word])
        ranks.append(int((student[i] > student[i, word]).sum()))
        near = [[w for w in np.argsort(-row) if w != word][:10] for row in (student[i], teacher[i])]
        overlaps.append(len(set(near[0]) & set(near[1])) / 10)
    return {
        "cosine": float(np.mean(cosines)),
        "p_at_1": float(np.mean(np.array(ranks) < 1)),
        "p_at_10": float(np.mean(np.array(ranks) < 10)),
        "overlap_at_10": float(np.mean(overlaps)),
    }


def test_scores_equal_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distillemb_plugins.vectors.BLOCK_VALUES", 300)  # several blocks
    random = np.random.default_rng(0)
    table = random.normal(size=(80, 6)).astype(np.float32)
    held = random.permutation(80)[:17]
    predicted = (table[held] + random.normal(size=(17, 6))).astype(np.float32)
    assert held_out_scores(predicted, table, held) == pytest.approx(plain_scores(predicted, table, held), abs=1e-6)


def test_a_perfect_student_scores_one_and_few_words_are_enough() -> None:
    table = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    scores = held_out_scores(3 * table[[1, 2]], table, np.array([1, 2]))
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0))


def test_shapes_that_do_not_fit_are_refused() -> None:
    table = np.eye(4, dtype=np.float32)
    with pytest.raises(DistillEmbError, match="one row of 4 numbers"):
        held_out_scores(table[:2], table, np.array([1]))
    with pytest.raises(DistillEmbError, match="0 held-out words"):
        held_out_scores(table[:0], table, np.array([], dtype=int))


def test_learning_rates() -> None:
    assert rate_factor("constant", 0.7, 3) == 1
    assert rate_factor("step", 0.5, 3, gamma=0.5) == 0.125
    assert rate_factor("linear", 0.55, 0, warmup=0.1) == pytest.approx(0.5)
    assert rate_factor("cosine", 0.05, 0, warmup=0.1) == pytest.approx(0.5)
    assert rate_factor("cosine", 1.0, 0, warmup=0.1) == pytest.approx(0)
    cycle = [rate_factor("one_cycle", p, 0, warmup=0.3) for p in (0.0, 0.3, 1.0)]
    assert cycle == pytest.approx([1 / 25, 1, 4e-6])
