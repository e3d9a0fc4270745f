"""Each loss against its formula, written out with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from distillemb_plugins.distill import losses


@pytest.fixture(scope="module")
def vectors() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    predicted, targets = (torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return predicted, targets, torch.randn(6, 4, 5, generator=generator, dtype=torch.float64)


def cos(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_triplet_is_the_mean_hinge_of_distances(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    s, t, n = (v.numpy() for v in vectors)
    hinges = [
        max(0.0, float(np.linalg.norm(s[i] - t[i]) - np.linalg.norm(s[i] - n[i, k])) + 1.0)
        for i in range(6)
        for k in range(4)
    ]
    assert float(losses.triplet(*vectors, margin=1.0)) == pytest.approx(np.mean(hinges), abs=1e-5)


def test_info_nce_counts_the_batch_and_the_hard_negatives(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    s, t, n = (v.numpy() for v in vectors)
    expected = []
    for i in range(6):
        others = [cos(s[i], t[j]) for j in range(6)] + [cos(s[i], n[i, k]) for k in range(4)]
        scores = np.exp(np.array(others) / 0.2)
        expected.append(-np.log(scores[i] / scores.sum()))
    value = losses.info_nce(vectors[0], vectors[1], torch.arange(6), negatives=vectors[2], temperature=0.2)
    assert float(value) == pytest.approx(np.mean(expected), rel=1e-5)


def test_info_nce_does_not_take_a_word_as_its_own_negative(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    predicted, targets, _ = vectors
    twice = torch.cat([targets[:3], targets[:1]])
    words = torch.tensor([7, 8, 9, 7])
    own = torch.tensor([0])
    once = losses.info_nce(predicted[:1], targets[:3], own, temperature=0.2)
    assert torch.allclose(losses.info_nce(predicted[:1], twice, own, temperature=0.2, batch_words=words), once)
    assert not torch.allclose(losses.info_nce(predicted[:1], twice, own, temperature=0.2), once)


def test_local_is_the_mean_squared_difference(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    s, t, _ = (v.numpy() for v in vectors)
    assert float(losses.local(*vectors[:2])) == pytest.approx(((s - t) ** 2).mean())


def test_global_compares_the_cosines_to_other_words(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    s, t, v = (x.numpy() for x in vectors)
    expected = [(cos(s[i], v[i, k]) - cos(t[i], v[i, k])) ** 2 for i in range(6) for k in range(4)]
    assert float(losses.global_(*vectors)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_cosine_is_one_less_the_cosine(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    s, t, _ = (v.numpy() for v in vectors)
    assert float(losses.cosine(*vectors[:2])) == pytest.approx(np.mean([1 - cos(s[i], t[i]) for i in range(6)]))


def test_similarity_and_structure_compare_matrices(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    s, t, _ = (v.numpy() for v in vectors)
    pairs = [(i, j) for i in range(6) for j in range(6)]
    teacher = [cos(t[i], t[j]) for i, j in pairs]
    mixed = np.mean([(cos(s[i], t[j]) - one) ** 2 for (i, j), one in zip(pairs, teacher, strict=True)])
    own = np.mean([(cos(s[i], s[j]) - one) ** 2 for (i, j), one in zip(pairs, teacher, strict=True)])
    predicted, targets, _ = vectors
    assert float(losses.similarity(predicted, targets, targets)) == pytest.approx(mixed, rel=1e-5)
    assert float(losses.structure(predicted, targets, predicted, targets)) == pytest.approx(own, rel=1e-5)


def test_a_perfect_student_has_no_loss(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    targets = vectors[1]
    others = targets[torch.tensor([[1, 2], [2, 3], [3, 4], [4, 5], [5, 0], [0, 1]])]
    for value in (
        losses.local(targets, targets),
        losses.cosine(targets, targets),
        losses.global_(targets, targets, others),
        losses.similarity(targets, targets, targets),
        losses.structure(targets, targets, targets, targets),
    ):
        assert float(value) == pytest.approx(0.0, abs=1e-6)


def test_a_share_of_the_batch_gives_its_share_of_the_loss(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    predicted, targets, negatives = vectors
    halves = [torch.arange(3), torch.arange(3, 6)]
    split = [
        losses.info_nce(predicted[own], targets, own, negatives=negatives[own])
        + losses.similarity(predicted[own], targets[own], targets)
        + losses.structure(predicted[own], targets[own], predicted, targets)
        for own in halves
    ]
    whole = (
        losses.info_nce(predicted, targets, torch.arange(6), negatives=negatives)
        + losses.similarity(predicted, targets, targets)
        + losses.structure(predicted, targets, predicted, targets)
    )
    assert torch.allclose(torch.stack(split).mean(), whole)
