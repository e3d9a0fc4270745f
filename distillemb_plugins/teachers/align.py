"""One table from the tables of several languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .combine import check_given, check_one_width
from .table import Floats, Teacher, unit_rows

_LEAST_SHARE = 1e-12  # of a word that is counted 0 times: its vector counts too


def merge_languages(teachers: Sequence[Teacher], name: str = "merged") -> Teacher:
    """One table of all words of several languages' tables, in one space: the most frequent words first.

    Each table after the first is rotated so that the words which it shares with those before it (names, numbers,
    loans) lie where they lie there: orthogonal Procrustes (Schönemann 1966), each word weighted by the root of its
    share of the text. Distances within a language stay as they are. A word of several languages gets the mean of its
    vectors, weighted by its share of each language's text; its counts are added.

    teachers: at least one, of one width, with counts or the most frequent words first. n-grams are left out.
    Raises `DistillEmbError` for no teacher or for different widths.
    """
    check_given(teachers)
    check_one_width(teachers, "give teachers of one width.")
    merged = _Merged(teachers[0].dim)
    for teacher in teachers:
        merged.add(teacher)
    return merged.teacher(name)


class _Merged:
    """The table so far: sums of weighted vectors, float32 ``[n, d]``, and of weights and counts, ``[n]``."""

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
