"""The losses, each a pure function of tensors.

Notation: ``predicted`` float ``[b, d]`` are the student's vectors of the words of a batch (of this process's share
of it), ``targets`` float ``[b, d]`` the teacher's. Every function returns the mean over the batch, a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_EPSILON = 1e-8


def triplet(predicted: Tensor, targets: Tensor, negatives: Tensor, margin: float = 1.0) -> Tensor:
    """max(0, |s - t| - |s - n| + margin), Euclidean; the mean over several negatives.

    Mersha & Wu 2022 (DistillEmb): the student's vector s is the anchor, the teacher's vector t of the word the
    positive, the teacher's vector n of a mined word the negative. negatives: ``[b, k, d]``.
    """
    count = negatives.shape[1]
    return functional.triplet_margin_loss(
        predicted.repeat_interleave(count, 0),
        targets.repeat_interleave(count, 0),
        negatives.flatten(0, 1),
        margin=margin,
        p=2.0,
    )


def info_nce(
    predicted: Tensor,
    batch_targets: Tensor,
    own: Tensor,
    *,
    negatives: Tensor | None = None,
    temperature: float = 0.05,
    batch_words: Tensor | None = None,
) -> Tensor:
    """-log of the share of exp(cos(s, t) / T) among the same of all teacher vectors of the batch.

    van den Oord et al. 2018, equation 4, with the similarity of Chen et al. 2020 (NT-Xent). batch_targets ``[g, d]``
    are the teacher's vectors of the whole batch (of all processes), own int64 ``[b]`` the row of each example in it.
    negatives ``[b, k, d]``: hard negatives, each counted for its own example. batch_words int64 ``[g]``: word
    numbers, so that a word drawn twice is no negative of itself.
    """
    anchors = functional.normalize(predicted, dim=1) / temperature  # fewer numbers to divide than the scores
    scores = anchors @ functional.normalize(batch_targets, dim=1).T
    if batch_words is not None and len(batch_words.unique()) < len(batch_words):
        twin = batch_words[own][:, None] == batch_words[None, :]
        twin[torch.arange(len(own), device=own.device), own] = False
        scores = scores.masked_fill(twin, -torch.inf)
    if negatives is not None:
        hard = torch.einsum("bd,bkd->bk", anchors, functional.normalize(negatives, dim=2))
        scores = torch.cat([scores, hard.to(scores.dtype)], dim=1)
    return functional.cross_entropy(scores.float(), own)


def local(predicted: Tensor, targets: Tensor) -> Tensor:
    """(1 / d) |s - t|^2: Ohashi et al. 2020, equation of L_local."""
    return (predicted - targets).square().mean(1).mean()


def global_(predicted: Tensor, targets: Tensor, others: Tensor) -> Tensor:
    """The mean over v in W of (cos(s, t_v) - cos(t, t_v))^2: Ohashi et al. 2020, equation of L_global.

    others ``[b, w, d]``: the teacher's vectors of W, half nearest neighbours of the word, half random words.
    """
    gap = functional.normalize(predicted, dim=1) - functional.normalize(targets, dim=1)
    # cos(s, v) - cos(t, v) is linear in the unit vectors, so one product serves both cosines
    return torch.einsum("bd,bwd->bw", gap, functional.normalize(others, dim=2)).float().square().mean()


def cosine(predicted: Tensor, targets: Tensor) -> Tensor:
    """1 - cos(s, t)."""
    return 1 - functional.cosine_similarity(predicted, targets, dim=1, eps=_EPSILON).mean()


def similarity(predicted: Tensor, targets: Tensor, batch_targets: Tensor) -> Tensor:
    """The mean squared difference of the similarity matrices student-teacher and teacher-teacher of the batch.

    The global loss of Ohashi et al. 2020 with the whole batch as W. batch_targets ``[g, d]``: as in `info_nce`.
    """
    gap = functional.normalize(predicted, dim=1) - functional.normalize(targets, dim=1)
    return (gap @ functional.normalize(batch_targets, dim=1).T).float().square().mean()


def structure(predicted: Tensor, targets: Tensor, batch_predicted: Tensor, batch_targets: Tensor) -> Tensor:
    """The mean squared difference of the similarity matrices student-student and teacher-teacher of the batch.

    Similarity-preserving distillation (Tung & Mori 2019, equation 4, on unit vectors). batch_predicted ``[g, d]``:
    the student's vectors of the whole batch, gathered from all processes with their gradients.
    """
    student = functional.normalize(predicted, dim=1) @ functional.normalize(batch_predicted, dim=1).T
    teacher = functional.normalize(targets, dim=1) @ functional.normalize(batch_targets, dim=1).T
    return (student - teacher).float().square().mean()
