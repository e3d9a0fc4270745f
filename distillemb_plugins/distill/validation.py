"""Scores on words that were never trained on. NumPy alone, so that any encoder can be scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..vectors import Floats, nearest, similarity_blocks, top, unit_rows

NEIGHBORS = 10


def held_out_scores(
    predicted: Floats, teacher_vectors: Floats, held_out_index: NDArray[np.integer]
) -> dict[str, float]:
    """Measure how well vectors of unseen words meet the teacher's.

    Args:
        predicted: float32 ``[h, d]``, the student's vectors of the held-out words.
        teacher_vectors: float32 ``[n, d]`` of all words.
        held_out_index: ``[h]``, row numbers of the held-out words.

    Returns:
        ``cosine`` (mean cosine to the teacher's own vector), ``p_at_1`` and ``p_at_10`` (share of words whose own
        vector is the nearest, or among the ten nearest, of all n), and ``overlap_at_10`` (mean share of the ten
        nearest words of the teacher's vector that are also among the ten nearest of the student's; the word itself
        does not count). All are by cosine, and from 0 to 1 (the cosine from -1).

    Raises:
        DistillEmbError: The shapes do not agree, or no word is held out.
    """
    return HeldOut(teacher_vectors, held_out_index).scores(predicted)


class HeldOut:
    """`held_out_scores` for one teacher again and again: the teacher's own neighbors are found once."""

    def __init__(self, teacher_vectors: Floats, held_out_index: NDArray[np.integer]) -> None:
        self.rows = np.asarray(held_out_index, dtype=np.int64)
        if not len(self.rows) or teacher_vectors.ndim != 2 or self.rows.max() >= len(teacher_vectors):
            raise DistillEmbError(
                f"{len(self.rows)} held-out words do not fit teacher vectors of shape {teacher_vectors.shape}: "
                "give at least one row number of the table."
            )
        self.units = unit_rows(teacher_vectors)
        self.teacher_nearest, _ = nearest(self.units[self.rows], self.units, NEIGHBORS, exclude=self.rows)

    def scores(self, predicted: Floats) -> dict[str, float]:
        """Compute the scores of vectors float32 ``[h, d]`` in the order of the held-out words."""
        if predicted.shape != (len(self.rows), self.units.shape[1]):
            raise DistillEmbError(
                f"The predicted vectors have shape {predicted.shape}: give one row of {self.units.shape[1]} numbers "
                f"for each of the {len(self.rows)} held-out words."
            )
        cosines, ranks, shared = [], [], []
        for block, similarities in similarity_blocks(unit_rows(predicted), self.units):
            own, wanted = (np.arange(len(similarities)), self.rows[block]), self.teacher_nearest[block]
            cosines.append(similarities[own])
            ranks.append((similarities > cosines[-1][:, None]).sum(axis=1))
            similarities[own] = -np.inf
            found, _ = top(similarities, wanted.shape[1])
            shared.append((found[:, :, None] == wanted[:, None, :]).sum(axis=(1, 2)) / max(1, wanted.shape[1]))
        rank = np.concatenate(ranks)
        return {
            "cosine": float(np.concatenate(cosines).mean(dtype=np.float64)),
            "p_at_1": float((rank < 1).mean()),
            "p_at_10": float((rank < NEIGHBORS).mean()),
            "overlap_at_10": float(np.concatenate(shared).mean()),
        }
