"""Held-out words: does a student put a word it never saw where the teacher has it?

The numbers are those of `distillemb_plugins.distill.validation`, which training reports too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from .subjects import Subject, embed_in_batches

if TYPE_CHECKING:
    from ..distill import DistillSettings
    from ..teachers import Teacher


@dataclass(frozen=True)
class HeldOutScore:
    """Scores of `words` held-out words among `candidates` words of the teacher; see `held_out_scores`."""

    words: int
    candidates: int
    cosine: float
    p_at_1: float
    p_at_10: float
    overlap_at_10: float


def score_held_out(
    subject: Subject, teacher: Teacher, words: Sequence[str], progress: bool = False
) -> HeldOutScore | None:
    """Score a student on words it was not trained on.

    teacher: the table it was distilled from, with the same words as then (fewer or more candidates are easier or
    harder). The teacher's vectors are cleaned as `subject.settings` say before they are compared; without settings
    they are taken as they are. Returns None when the student does not live in this teacher's space: it has another
    width, or learnt an SVD of several teachers.
    Raises `DistillEmbError` when none of the words is in the teacher.
    """
    if subject.settings is not None and subject.settings.combine == "svd":
        return None
    names, vectors = _targets(teacher, subject.settings)
    place = {word: row for row, word in enumerate(names)}
    rows = np.array([place[word] for word in dict.fromkeys(words) if word in place], dtype=np.int64)
    if not len(rows):
        raise DistillEmbError(
            f"None of the {len(words)} held-out words is in the teacher {teacher.name}: check the list."
        )
    if vectors.shape[1] != subject.dim:
        return None
    from ..distill.validation import held_out_scores

    predicted = embed_in_batches(subject, [names[row] for row in rows], progress)
    scores = held_out_scores(predicted, vectors, rows)
    return HeldOutScore(words=len(rows), candidates=len(names), **scores)


def _targets(teacher: Teacher, settings: DistillSettings | None) -> tuple[list[str], NDArray[np.float32]]:
    """Words, and the vectors that a student of these settings learns from this teacher."""
    if settings is None:
        return teacher.words, teacher.vectors
    from ..distill.targets import build_targets

    targets = build_targets([teacher], settings)
    return targets.words, targets.vectors[0]
