"""Scores on words that were never trained on. NumPy alone, so that any encoder can be scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError

Floats = NDArray[np.float32]
NEIGHBOURS = 10
_VALUES_AT_ONCE = 1 << 24  # float32 values of a block of similarities (64 MiB)


def held_out_scores(
    predicted: Floats, teacher_vectors: Floats, held_out_index: NDArray[np.integer]
) -> dict[str, float]:
    """How well vectors of unseen words meet the teacher's.

    predicted: float32 ``[h, d]``, the student's vectors of the held-out words. teacher_vectors: float32 ``[n, d]``
    of all words. held_out_index: ``[h]`` row numbers of the held-out words.
    Returns ``cosine`` (mean cosine to the teacher's own vector), ``p_at_1`` and ``p_at_10`` (share of words whose
    own vector is the nearest, or among the ten nearest, of all n), and ``overlap_at_10`` (mean share of the ten
    nearest words of the teacher's vector that are also among the ten nearest of the student's; the word itself
    does not count). All by cosine, all from 0 to 1 (the cosine from -1). Computed in blocks.
    Raises `DistillEmbError` when the shapes do not agree or no word is held out.
    """
    return HeldOut(teacher_vectors, held_out_index).scores(predicted)


class HeldOut:
    """`held_out_scores` for one teacher again and again: the teacher's own neighbours are found once."""

    def __init__(self, teacher_vectors: Floats, held_out_index: NDArray[np.integer]) -> None:
        self.rows = np.asarray(held_out_index, dtype=np.int64)
        if not len(self.rows) or teacher_vectors.ndim != 2 or self.rows.max() >= len(teacher_vectors):
            raise DistillEmbError(
                f"{len(self.rows)} held-out words do not fit teacher vectors of shape {teacher_vectors.shape}: "
                "give at least one row number of the table."
            )
        self.units = _unit(teacher_vectors)
        self.neighbours = min(NEIGHBOURS, len(self.units) - 1)
        self._block = max(1, _VALUES_AT_ONCE // len(self.units))
        self._teacher_nearest = np.concatenate(
            [self._nearest(self.units[self.rows[block]] @ self.units.T, self.rows[block]) for block in self._blocks()]
        )

    def scores(self, predicted: Floats) -> dict[str, float]:
        """The scores of vectors float32 ``[h, d]`` in the order of the held-out words."""
        if predicted.shape != (len(self.rows), self.units.shape[1]):
            raise DistillEmbError(
                f"The predicted vectors have shape {predicted.shape}: give one row of {self.units.shape[1]} numbers "
                f"for each of the {len(self.rows)} held-out words."
            )
        units = _unit(predicted)
        parts = [self._block_scores(units[block], self.rows[block], block) for block in self._blocks()]
        cosines, ranks, overlaps = (np.concatenate(part) for part in zip(*parts, strict=True))
        return {
            "cosine": float(cosines.mean(dtype=np.float64)),
            "p_at_1": float((ranks < 1).mean()),
            "p_at_10": float((ranks < NEIGHBOURS).mean()),
            "overlap_at_10": float(overlaps.mean()),
        }

    def _blocks(self) -> list[slice]:
        return [slice(start, start + self._block) for start in range(0, len(self.rows), self._block)]

    def _block_scores(
        self, units: Floats, rows: NDArray[np.int64], block: slice
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.float64]]:
        similarities = units @ self.units.T
        own = similarities[np.arange(len(rows)), rows]
        ranks = (similarities > own[:, None]).sum(axis=1)
        nearest = self._nearest(similarities, rows)
        shared = (nearest[:, :, None] == self._teacher_nearest[block][:, None, :]).sum(axis=(1, 2))
        return own, ranks, shared / max(1, self.neighbours)

    def _nearest(self, similarities: Floats, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The most similar words other than the word itself, int64 ``[block, neighbours]``, in no order."""
        similarities[np.arange(len(rows)), rows] = -np.inf
        if not self.neighbours:
            return np.zeros((len(rows), 0), dtype=np.int64)
        order: NDArray[np.int64] = np.argpartition(similarities, -self.neighbours, axis=1)
        return order[:, -self.neighbours :].copy()  # a view would keep the whole block: gigabytes with a large teacher


def mean_scores(scores: list[dict[str, float]]) -> dict[str, float]:
    """The mean of several teachers' scores, name by name."""
    return {name: float(np.mean([one[name] for one in scores])) for name in scores[0]}


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Floats = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)
    return units
