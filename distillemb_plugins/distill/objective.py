"""The weighted sum of the losses of a batch, over one or several teachers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from . import losses
from .sampling import Miner
from .settings import DistillSettings

Gather = Callable[[Tensor], Tensor]


@dataclass
class _Step:
    """What the losses of a step read: the student's vectors and word numbers; see `Objective.__call__`."""

    predicted: Tensor
    batch: Tensor
    own: Tensor
    negatives: Tensor | None = None
    others: Tensor | None = None
    gathered: Tensor | None = None


class Objective:
    """Computes the losses that the settings name.

    tables: one float ``[n, d]`` a teacher. miner: draws hard negatives, if a loss reads any. neighbours: int ``[n, k]``
    nearest neighbours for the global loss; words: int64 row numbers of the training words, for its random ones.
    gather: joins the student's vectors of all processes, with gradients; the identity for one process.
    """

    def __init__(
        self,
        settings: DistillSettings,
        tables: tuple[Tensor, ...],
        *,
        miner: Miner | None = None,
        neighbours: Tensor | None = None,
        words: Tensor | None = None,
        gather: Gather = lambda vectors: vectors,
    ) -> None:
        self.settings = settings
        self.bf16 = uses_bf16(settings.bf16, tables[0].device)
        self.weights = {name: weight for name, weight in settings.losses.items() if weight > 0}
        self.tables = tables
        self.miner = miner
        self.neighbours = neighbours
        self.words = words
        self.gather = gather

    def __call__(
        self, predicted: Tensor, batch: Tensor, own: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and its parts (unweighted, the mean over the teachers), all scalars.

        predicted: float ``[b, d]``. batch: int64 ``[g]``, the words of the whole batch. own: int64 ``[b]``, the places
        in it that `predicted` belongs to. rng gives the random numbers of the step, the same in every process.
        """
        for_miner, for_others = rng.spawn(2)
        step = _Step(predicted, batch, own)
        if self.miner is not None:
            step.negatives = self.miner.draw(batch, own, for_miner)
        if "global" in self.weights:
            step.others = self._others(batch, own, for_others)
        if "structure" in self.weights:
            step.gathered = self.gather(predicted)
        with torch.autocast(predicted.device.type, torch.bfloat16, enabled=self.bf16):
            each = [self._losses(step, table) for table in self.tables]
        parts = {name: torch.stack([one[name] for one in each]).mean() for name in self.weights}
        total = torch.stack([weight * parts[name] for name, weight in self.weights.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    def _losses(self, step: _Step, table: Tensor) -> dict[str, Tensor]:
        """Every wanted loss against one teacher."""
        settings, predicted, own = self.settings, step.predicted, step.own
        batch_targets = embedding(step.batch, table)  # faster than indexing
        targets = embedding(own, batch_targets)
        mined = embedding(step.negatives, table) if step.negatives is not None else None
        values: dict[str, Tensor] = {}
        if "triplet" in self.weights and mined is not None:
            values["triplet"] = losses.triplet(predicted, targets, mined, settings.margin)
        if "info_nce" in self.weights:
            values["info_nce"] = losses.info_nce(
                predicted,
                batch_targets,
                own,
                negatives=mined if settings.hard_negatives != "none" else None,
                temperature=settings.temperature,
                batch_words=step.batch,
            )
        if "local" in self.weights:
            values["local"] = losses.local(predicted, targets)
        if "global" in self.weights and step.others is not None:
            values["global"] = losses.global_(predicted, targets, embedding(step.others, table))
        if "cosine" in self.weights:
            values["cosine"] = losses.cosine(predicted, targets)
        if "similarity" in self.weights:
            values["similarity"] = losses.similarity(predicted, targets, batch_targets)
        if "structure" in self.weights and step.gathered is not None:
            values["structure"] = losses.structure(predicted, targets, step.gathered, batch_targets)
        return values

    def _others(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """W of the global loss, int64 ``[b, global_words]``: the nearest neighbours, then random training words."""
        if self.neighbours is None or self.words is None:
            raise ValueError("The global loss needs the neighbours and the words.")
        near = self.neighbours[batch[own], : self.settings.global_words // 2].long()
        count = self.settings.global_words - near.shape[1]
        drawn = torch.from_numpy(rng.integers(0, len(self.words), size=(len(batch), count))[own.cpu().numpy()])
        return torch.cat([near, self.words[drawn.to(self.words.device)]], dim=1)


def uses_bf16(choice: str, device: torch.device) -> bool:
    """Whether the products of the losses are in bfloat16. ``"auto"``: if the device multiplies it by itself."""
    if choice != "auto":
        return choice != "off"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not in every version of torch
    return any(getattr(torch.cpu, name)() for name in probes if hasattr(torch.cpu, name))


def student_uses_bf16(choice: str, student: str, device: torch.device) -> bool:
    """Whether the student computes in bfloat16. ``"auto"``: the default student's two dense layers, on such a CPU.

    Its tables and norm stay float32. Held-out scores are the same within the spread of seeds (recipes/benchmark).
    """
    if choice == "auto":
        return student == "cnn" and device.type == "cpu" and uses_bf16(choice, device)
    return choice == "all"
