"""The losses, each a pure function of tensors, and their weighted sum over one or several teachers.

Notation: ``predicted`` float ``[b, d]`` are the student's vectors of the words of a batch (of this process's share
of it), ``targets`` float ``[b, d]`` the teacher's. Every loss returns the mean over the batch, a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import embedding

from .sampling import build_miner, load_neighbors
from .settings import DistillSettings
from .targets import Targets


def triplet(predicted: Tensor, targets: Tensor, negatives: Tensor, margin: float = 1.0) -> Tensor:
    """Compute max(0, |s - t| - |s - n| + margin), Euclidean; the mean over several negatives.

    Mersha & Wu 2022 (DistillEmb): the student's vector s is the anchor, the teacher's vector t of the word the
    positive, and the teacher's vector n of a mined word the negative. negatives is ``[b, k, d]``.
    """
    anchors, positives = (vectors.repeat_interleave(negatives.shape[1], 0) for vectors in (predicted, targets))
    return functional.triplet_margin_loss(anchors, positives, negatives.flatten(0, 1), margin=margin)


def info_nce(
    predicted: Tensor,
    batch_targets: Tensor,
    own: Tensor,
    *,
    negatives: Tensor | None = None,
    temperature: float = 0.05,
    batch_words: Tensor | None = None,
) -> Tensor:
    """Compute -log of the share of exp(cos(s, t) / T) among the same of all teacher vectors of the batch.

    van den Oord et al. 2018, equation 4, with the similarity of Chen et al. 2020 (NT-Xent). batch_targets ``[g, d]``
    are the teacher's vectors of the whole batch (of all processes), own int64 ``[b]`` the row of each example in it.
    negatives ``[b, k, d]`` count for their own example. With the word numbers batch_words int64 ``[g]``, a word drawn
    twice is not a negative of itself.
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
    """Compute (1 / d) |s - t|^2: Ohashi et al. 2020, equation of L_local."""
    return (predicted - targets).square().mean(1).mean()


def global_(predicted: Tensor, targets: Tensor, others: Tensor) -> Tensor:
    """Compute the mean over v in W of (cos(s, t_v) - cos(t, t_v))^2: Ohashi et al. 2020, equation of L_global.

    others is ``[b, w, d]``: the teacher's vectors of W, half nearest neighbors of the word, half random words.
    """
    gap = functional.normalize(predicted, dim=1) - functional.normalize(targets, dim=1)
    # cos(s, v) - cos(t, v) is linear in the unit vectors, so one product serves both cosines
    return torch.einsum("bd,bwd->bw", gap, functional.normalize(others, dim=2)).float().square().mean()


def cosine(predicted: Tensor, targets: Tensor) -> Tensor:
    """Compute 1 - cos(s, t)."""
    return 1 - functional.cosine_similarity(predicted, targets, dim=1).mean()


def similarity(predicted: Tensor, targets: Tensor, batch_targets: Tensor) -> Tensor:
    """Compute the mean squared difference of the similarities student-teacher and teacher-teacher of the batch.

    The global loss of Ohashi et al. 2020 with the whole batch as W. batch_targets is ``[g, d]``, as in `info_nce`.
    """
    gap = functional.normalize(predicted, dim=1) - functional.normalize(targets, dim=1)
    return (gap @ functional.normalize(batch_targets, dim=1).T).float().square().mean()


def structure(predicted: Tensor, targets: Tensor, batch_predicted: Tensor, batch_targets: Tensor) -> Tensor:
    """Compute the mean squared difference of the similarities student-student and teacher-teacher of the batch.

    Similarity-preserving distillation (Tung & Mori 2019, equation 4, on unit vectors). batch_predicted is ``[g, d]``:
    the student's vectors of the whole batch, gathered from all processes with their gradients.
    """
    student = functional.normalize(predicted, dim=1) @ functional.normalize(batch_predicted, dim=1).T
    teacher = functional.normalize(targets, dim=1) @ functional.normalize(batch_targets, dim=1).T
    return (student - teacher).float().square().mean()


class Objective:
    """The weighted sum of the losses that the settings name. `gather` joins the student's vectors of all processes."""

    def __init__(
        self,
        settings: DistillSettings,
        targets: Targets,
        tables: tuple[Tensor, ...],
        corpus: Sequence[str | Path],
        work: Path,
        progress: bool,
        gather: Callable[[Tensor], Tensor],
    ) -> None:
        self.settings, self.tables, self.gather = settings, tables, gather
        self.neighbors = load_neighbors(work / f"neighbors-{targets.digest}.npy", tables, targets.train, settings)
        self.miner = build_miner(settings, targets, tables, self.neighbors, corpus, work, progress)
        self.words = torch.from_numpy(targets.train).to(tables[0].device)
        self.bf16 = uses_bf16(settings.bf16, tables[0].device)
        self.weights = {name: weight for name, weight in settings.losses.items() if weight > 0}

    def __call__(
        self, predicted: Tensor, batch: Tensor, own: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a step: the weighted sum, and its parts (unweighted, the mean over the teachers).

        `batch` int64 ``[g]`` are the words of the whole batch, `own` int64 ``[b]`` the positions in it of `predicted`.
        """
        for_miner, for_others = rng.spawn(2)
        negatives = self.miner.draw(batch, own, for_miner) if self.miner else None
        others = self._others(batch, own, for_others)
        gathered = self.gather(predicted) if "structure" in self.weights else predicted

        def against(table: Tensor) -> dict[str, Tensor]:
            """Every wanted loss against one teacher."""
            batch_targets = embedding(batch, table)  # faster than indexing
            targets = embedding(own, batch_targets)
            mined = None if negatives is None else embedding(negatives, table)
            margin, temperature = self.settings.margin, self.settings.temperature
            computed: dict[str, Callable[[], Tensor]] = {
                "triplet": lambda: triplet(predicted, targets, cast(Tensor, mined), margin),
                "info_nce": lambda: info_nce(
                    predicted, batch_targets, own, negatives=mined, temperature=temperature, batch_words=batch
                ),
                "local": lambda: local(predicted, targets),
                "global": lambda: global_(predicted, targets, embedding(others, table)),
                "cosine": lambda: cosine(predicted, targets),
                "similarity": lambda: similarity(predicted, targets, batch_targets),
                "structure": lambda: structure(predicted, targets, gathered, batch_targets),
            }
            return {name: compute() for name, compute in computed.items() if name in self.weights}

        with torch.autocast(predicted.device.type, torch.bfloat16, enabled=self.bf16):
            each = [against(table) for table in self.tables]
        parts = {name: torch.stack([one[name] for one in each]).mean() for name in self.weights}
        total = torch.stack([weight * parts[name] for name, weight in self.weights.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    def _others(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """W of the global loss, int64 ``[b, global_words]``: the nearest neighbors, then random training words."""
        if "global" not in self.weights or self.neighbors is None:
            return batch.new_zeros(0)
        near = self.neighbors[batch[own], : self.settings.global_words // 2].long()
        count = self.settings.global_words - near.shape[1]
        drawn = torch.from_numpy(rng.integers(0, len(self.words), size=(len(batch), count))[own.cpu().numpy()])
        return torch.cat([near, self.words[drawn.to(self.words.device)]], dim=1)


def uses_bf16(choice: str, device: torch.device) -> bool:
    """Whether the losses multiply in bfloat16. ``"auto"``: if the hardware does so."""
    if choice != "auto":
        return choice != "off"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not in every version of torch
    return any(getattr(torch.cpu, name)() for name in probes if hasattr(torch.cpu, name))


def student_uses_bf16(choice: str, student: str, device: torch.device) -> bool:
    """Whether the student computes in bfloat16. ``"auto"``: the default student's two dense layers, on such a CPU."""
    if choice == "auto":
        return student == "cnn" and device.type == "cpu" and uses_bf16(choice, device)
    return choice == "all"
