"""The one form in which the rest of the package meets a teacher: words, their vectors, perhaps n-grams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..vectors import Floats, unit_rows

Subwords = Callable[[Sequence[str]], Floats]
# Rows handled at once where a whole-table temporary would double the memory.
_BLOCK = 16384


@dataclass(eq=False, repr=False)
class Teacher:
    """A table of word vectors.

    Args:
        name: For messages and reports.
        words: The most frequent first, as a rule. floret's tables have none, only `subwords`.
        vectors: float32 ``[n, dim]``.
        counts: int64 ``[n]`` occurrences in the training text, if known.
        subwords: Computes float32 ``[k, dim]`` for k words that are not in the table (fastText's n-grams). A zero row
            means that it could not.

    Raises:
        DistillEmbError: The shapes do not agree, the table is empty, a number is not finite, or a count is negative.

    Examples:
        >>> teacher = Teacher("mine", ["moja", "mbili"], np.eye(2))
        >>> vectors, known = teacher.lookup(["mbili", "tatu"])
        >>> known.tolist()
        [True, False]
    """

    name: str
    words: list[str]
    vectors: Floats
    counts: NDArray[np.int64] | None = None
    subwords: Subwords | None = None
    _rows: dict[str, int] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.words = list(self.words)
        self.vectors = np.asarray(self.vectors, dtype=np.float32)
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise DistillEmbError(
                f"Teacher {self.name}: {len(self.words)} words do not fit vectors of shape {self.vectors.shape}: "
                "give one row of numbers a word."
            )
        if self.vectors.shape[1] == 0 or (not self.words and self.subwords is None):
            missing = "columns (its vectors have zero width)" if self.words else "words"
            raise DistillEmbError(f"Teacher {self.name} has no {missing}: give another table.")
        if self.counts is not None:
            self.counts = np.asarray(self.counts, dtype=np.int64)
            self._check_counts(self.counts)
        for start in range(0, len(self.words), _BLOCK):
            bad = ~np.isfinite(self.vectors[start : start + _BLOCK]).all(axis=1)
            if bad.any():
                word = self.words[start + int(bad.argmax())]
                raise DistillEmbError(
                    f"Teacher {self.name}: the vector of {word!r} holds NaN or infinity: remove that word."
                )

    def _check_counts(self, counts: NDArray[np.int64]) -> None:
        if counts.shape != (len(self.words),):
            raise DistillEmbError(
                f"Teacher {self.name}: counts have shape {counts.shape}, but there are {len(self.words)} words: "
                "give one count a word, or none at all."
            )
        if (counts < 0).any():
            word = self.words[int(counts.argmin())]
            raise DistillEmbError(
                f"Teacher {self.name}: {word!r} is counted {counts.min()} times: mend the counts, or leave them out."
            )

    def __repr__(self) -> str:
        ngrams = ", with n-grams" if self.subwords else ""
        return f"Teacher({self.name!r}, {len(self)} words, dim {self.dim}{ngrams})"

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.rows

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.vectors.shape[1])

    @property
    def rows(self) -> dict[str, int]:
        """Word to row number, made at first use. The first of equal words counts."""
        if self._rows is None:
            self._rows = {word: row for row, word in reversed(list(enumerate(self.words)))}
        return self._rows

    @property
    def nbytes(self) -> int:
        """Bytes of everything that answers a lookup: vectors, words (UTF-8) and n-gram vectors."""
        text = sum(len(word.encode("utf-8", "surrogatepass")) for word in self.words)
        return int(self.vectors.nbytes) + text + int(getattr(self.subwords, "nbytes", 0))

    def lookup(self, words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        """Look words up.

        Args:
            words: k words, known or not.

        Returns:
            Vectors float32 ``[k, dim]``, and whether each word is known, bool ``[k]``. A word of the table gets its
            row. Another word gets its n-gram vector, when the teacher has n-grams and the word has one; else zeros
            and False.

        Raises:
            DistillEmbError: The n-grams hold NaN or infinity.
        """
        index = self.rows
        rows = np.fromiter((index.get(word, -1) for word in words), dtype=np.int64, count=len(words))
        found = rows >= 0
        vectors = np.zeros((len(words), self.dim), dtype=np.float32)
        vectors[found] = self.vectors[rows[found]]
        if self.subwords is not None and not found.all():
            unseen = np.flatnonzero(~found)
            vectors[unseen] = self.subwords([words[position] for position in unseen.tolist()])
            if not np.isfinite(vectors[unseen]).all():  # the n-grams are too many to look at when a file is opened
                raise DistillEmbError(f"Teacher {self.name}: its n-grams hold NaN or infinity: is the file damaged?")
            found[unseen] = vectors[unseen].any(axis=1)
        return vectors, found

    def with_words(self, words: Sequence[str]) -> Teacher:
        """Look words up and make a table of those that are known, for tables that hold no word list (floret's).

        Raises:
            DistillEmbError: None is known.
        """
        words = list(dict.fromkeys(words))
        vectors, found = self.lookup(words)
        known = [word for word, is_known in zip(words, found.tolist(), strict=True) if is_known]
        if not known:
            raise DistillEmbError(f"Teacher {self.name} knows none of the {len(words)} words: give other words.")
        return replace(self, words=known, vectors=vectors[found], counts=None)

    def head(self, n: int) -> Teacher:
        """Keep the first `n` words. The n-grams stay."""
        return self.select(np.arange(min(n, len(self))))

    def select(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Teacher:
        """Keep the words of the given row numbers, in that order. The n-grams stay."""
        chosen = np.asarray(rows, dtype=np.int64)
        counts = None if self.counts is None else self.counts[chosen]
        words = [self.words[row] for row in chosen.tolist()]
        return replace(self, words=words, vectors=self.vectors[chosen], counts=counts)

    def frequencies(self) -> NDArray[np.float64]:
        """Share of running text of each word.

        Returns:
            float64 ``[n]`` that sums to 1: from the counts, or without them by Zipf's law, 1 / rank, which supposes
            that the most frequent words come first.
        """
        weights: NDArray[np.float64]
        if self.counts is not None and self.counts.sum() > 0:
            weights = self.counts.astype(np.float64)
        else:
            weights = 1.0 / np.arange(1, len(self) + 1, dtype=np.float64)
        return weights / weights.sum()

    def center(self, remove_top: int = 0) -> Teacher:
        """Subtract the mean vector, then the projections on the main directions.

        This is "All-but-the-Top" (Mu & Viswanath 2018, algorithm 1; they use about dim / 100 directions). N-gram
        vectors of unseen words are moved in the same way.

        Args:
            remove_top: How many main directions to remove.

        Returns:
            A new teacher.

        Raises:
            DistillEmbError: `remove_top` is negative or not below the width, or there are no words to take the mean of.
        """
        if not self.words:
            raise no_word_list(self.name)
        if not 0 <= remove_top < self.dim:
            raise DistillEmbError(f"remove_top={remove_top} must be from 0 to {self.dim - 1}, the width less one.")
        mean = self.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        top = _main_directions(self.vectors, mean, remove_top)

        def move(vectors: Floats) -> Floats:
            moved: Floats = vectors - mean
            moved -= (moved @ top) @ top.T
            return moved

        return self._move(move)

    def normalize(self) -> Teacher:
        """Scale every vector to length 1. Zero vectors stay zero.

        Returns:
            A new teacher.
        """
        return self._move(unit_rows)

    def _move(self, move: Callable[[Floats], Floats]) -> Teacher:
        subwords = None if self.subwords is None else _MovedSubwords(self.subwords, move)
        return replace(self, vectors=move(self.vectors), subwords=subwords)


def no_word_list(name: str) -> DistillEmbError:
    """The error for what needs words of a table that has none."""
    return DistillEmbError(
        f"Teacher {name} holds no word list (floret's vectors have none): give a table with words beside it, or the "
        "words, load_teacher(path).with_words(words)."
    )


@dataclass(frozen=True, eq=False)
class _MovedSubwords:
    """N-gram vectors after a change of the space. A word that has none keeps its zero row."""

    inner: Subwords
    move: Callable[[Floats], Floats]

    def __call__(self, words: Sequence[str]) -> Floats:
        vectors = self.inner(words)
        known = vectors.any(axis=1)
        vectors[known] = self.move(vectors[known])
        return vectors

    @property
    def nbytes(self) -> int:
        return int(getattr(self.inner, "nbytes", 0))


def _main_directions(vectors: Floats, mean: Floats, k: int) -> Floats:
    """The k directions of greatest variance, float32 ``[dim, k]``, from the scatter matrix."""
    scatter = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors) if k else 0, _BLOCK):
        block = vectors[start : start + _BLOCK] - mean
        scatter += block.T @ block
    directions: Floats = np.linalg.eigh(scatter)[1][:, ::-1][:, :k].astype(np.float32)
    return directions
