"""Several teachers: restricted to their common words for one student, or merged into one table of several languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..vectors import Floats, unit_rows
from .table import Teacher

_LEAST_SHARE = 1e-12  # of a word that is counted 0 times: its vector counts too


def common_words(teachers: Sequence[Teacher]) -> list[str]:
    """Find the words that every teacher's table holds, in the first one's order. There may be none.

    Raises:
        DistillEmbError: No teacher is given.
    """
    _check_given(teachers)
    first, *others = teachers
    return [word for word in dict.fromkeys(first.words) if all(word in other.rows for other in others)]


def combine_teachers(teachers: Sequence[Teacher], same_width: bool = False) -> list[Teacher]:
    """Restrict teachers to their common words, all in the first one's order.

    Args:
        teachers: At least one.
        same_width: Refuse teachers whose vectors differ in width. (A loss that compares distances within each teacher
            does not need one width.)

    Returns:
        One teacher for each, in the same order.

    Raises:
        DistillEmbError: No teacher is given, the widths differ and must not, or no word is common to all.
    """
    words = common_words(teachers)
    if same_width:
        _check_one_width(teachers, "give teachers of one width, or a loss that allows different ones.")
    if not words:
        names = ", ".join(teacher.name for teacher in teachers)
        raise DistillEmbError(
            f"The teachers {names} have no word in common: give teachers of the same language and casing."
        )
    return [teacher.select([teacher.rows[word] for word in words]) for teacher in teachers]


def merge_languages(teachers: Sequence[Teacher], name: str = "merged") -> Teacher:
    """Make one table of all words of several languages' tables, in one space, the most frequent words first.

    Each table after the first is rotated so that the words which it shares with those before it (names, numbers,
    loans) lie where they lie there: orthogonal Procrustes (Schönemann 1966), each word weighted by the root of its
    share of the text. Distances within a language stay as they are. A word of several languages gets the mean of its
    vectors, weighted by its share of each language's text. Its counts are added.

    Args:
        teachers: At least one, of one width, with counts or the most frequent words first.
        name: The name of the new teacher.

    Returns:
        A teacher without n-grams.

    Raises:
        DistillEmbError: No teacher is given, or the widths differ.
    """
    _check_given(teachers)
    _check_one_width(teachers, "give teachers of one width.")
    merged = _Merged(teachers[0].dim)
    for teacher in teachers:
        merged.add(teacher)
    return merged.teacher(name)


def _check_given(teachers: Sequence[Teacher]) -> None:
    if not teachers:
        raise DistillEmbError("No teacher was given: give at least one.")


def _check_one_width(teachers: Sequence[Teacher], mend: str) -> None:
    first, *others = teachers
    for other in others:
        if other.dim != first.dim:
            raise DistillEmbError(
                f"Teachers {first.name} and {other.name} have vectors of width {first.dim} and {other.dim}: {mend}"
            )


class _Merged:
    """The table so far: sums of weighted vectors, float32 ``[n, dim]``, and of weights and counts, ``[n]``."""

    def __init__(self, dim: int) -> None:
        self.rows: dict[str, int] = {}
        self.sums: Floats = np.zeros((0, dim), dtype=np.float32)
        self.weights: NDArray[np.float64] = np.zeros(0)
        self.counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, teacher: Teacher) -> None:
        shares = np.maximum(teacher.frequencies(), _LEAST_SHARE)
        vectors = teacher.vectors @ self.rotation(teacher, shares) if self.rows else teacher.vectors
        for word in teacher.words:
            self.rows.setdefault(word, len(self.rows))
        new = len(self.rows) - len(self.weights)
        self.sums = np.concatenate([self.sums, np.zeros((new, teacher.dim), dtype=np.float32)])
        self.weights = np.concatenate([self.weights, np.zeros(new)])
        self.counts = np.concatenate([self.counts, np.zeros(new, dtype=np.int64)])
        places = np.array([self.rows[word] for word in teacher.words])
        np.add.at(self.sums, places, vectors * shares[:, None].astype(np.float32))
        np.add.at(self.weights, places, shares)
        if teacher.counts is not None:
            np.add.at(self.counts, places, teacher.counts)

    def rotation(self, teacher: Teacher, shares: NDArray[np.float64]) -> Floats:
        """The orthogonal ``[d, d]`` that brings the teacher's vectors nearest to those of the same words here."""
        shared = np.array([row for row, word in enumerate(teacher.words) if word in self.rows], dtype=np.int64)
        here = np.array([self.rows[teacher.words[row]] for row in shared], dtype=np.int64)
        weights = np.sqrt(np.minimum(shares[shared], self.weights[here]))[:, None]
        theirs = unit_rows(teacher.vectors[shared]) * weights
        ours = unit_rows(self.sums[here]) * weights
        left, _, right = np.linalg.svd(theirs.T @ ours)
        turned: Floats = (left @ right).astype(np.float32)
        return turned

    def teacher(self, name: str) -> Teacher:
        order = np.argsort(-(self.counts if self.counts.any() else self.weights), kind="stable")
        words = list(self.rows)
        vectors = (self.sums / self.weights[:, None]).astype(np.float32)
        counts = self.counts[order] if self.counts.any() else None
        return Teacher(name, [words[row] for row in order.tolist()], vectors[order], counts)
