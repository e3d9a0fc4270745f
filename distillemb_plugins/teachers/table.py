"""The one form in which the rest of the package meets a teacher: words, their vectors, perhaps n-grams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError

Floats = NDArray[np.float32]
Subwords = Callable[[Sequence[str]], Floats]

# Rows handled at once where a whole-table temporary would double the memory.
_BLOCK = 16384


@dataclass(eq=False, repr=False)
class Teacher:
    """A table of word vectors.

    name: for messages and reports. words: the most frequent first, as a rule.
    vectors: float32 ``[n, d]``. counts: int64 ``[n]`` occurrences in the training text, if known.
    subwords: computes float32 ``[k, d]`` for k words that are not in the table (fastText's n-grams); a zero
    row means that it could not.
    Raises `DistillEmbError` when the shapes do not agree, the table is empty or a number is not finite.
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
                f"Teacher {self.name}: {len(self.words)} words do not fit vectors of shape "
                f"{self.vectors.shape}: give one row of numbers a word."
            )
        if 0 in self.vectors.shape:
            raise DistillEmbError(f"Teacher {self.name} has no {_empty(self.vectors)}: give another table.")
        if self.counts is not None:
            self.counts = np.asarray(self.counts, dtype=np.int64)
            if self.counts.shape != (len(self.words),):
                raise DistillEmbError(
                    f"Teacher {self.name}: counts have shape {self.counts.shape}, but there are "
                    f"{len(self.words)} words: give one count a word, or none at all."
                )
            if (self.counts < 0).any():
                word = self.words[int(self.counts.argmin())]
                raise DistillEmbError(
                    f"Teacher {self.name}: {word!r} is counted {self.counts.min()} times: mend the counts, or leave "
                    "them out."
                )
        for start in range(0, len(self.words), _BLOCK):
            bad = ~np.isfinite(self.vectors[start : start + _BLOCK]).all(axis=1)
            if bad.any():
                word = self.words[start + int(bad.argmax())]
                raise DistillEmbError(
                    f"Teacher {self.name}: the vector of {word!r} holds NaN or infinity: remove that word."
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
        """Word to row number; made at first use. The first of equal words counts."""
        if self._rows is None:
            self._rows = {word: row for row, word in reversed(list(enumerate(self.words)))}
        return self._rows

    @property
    def nbytes(self) -> int:
        """Bytes of everything that answers a lookup: vectors, words (UTF-8) and n-gram vectors."""
        text = sum(len(word.encode("utf-8", "surrogatepass")) for word in self.words)
        return int(self.vectors.nbytes) + text + int(getattr(self.subwords, "nbytes", 0))

    def lookup(self, words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        """Vectors of `words` and whether each is known.

        Returns float32 ``[k, d]`` and bool ``[k]``. A word of the table gets its row; another its n-gram
        vector when the teacher has n-grams and the word has one; else zeros and False.
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

    def head(self, n: int) -> Teacher:
        """The first `n` words. The n-grams stay."""
        return self.select(np.arange(min(n, len(self))))

    def select(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Teacher:
        """The words of the given row numbers, in that order. The n-grams stay."""
        chosen = np.asarray(rows, dtype=np.int64)
        counts = None if self.counts is None else self.counts[chosen]
        words = [self.words[row] for row in chosen.tolist()]
        return replace(self, words=words, vectors=self.vectors[chosen], counts=counts)

    def frequencies(self) -> NDArray[np.float64]:
        """Share of running text of each word, float64 ``[n]``, summing to 1.

        From the counts; without them by Zipf's law, 1 / rank, which supposes the most frequent words first.
        """
        weights: NDArray[np.float64]
        if self.counts is not None and self.counts.sum() > 0:
            weights = self.counts.astype(np.float64)
        else:
            weights = 1.0 / np.arange(1, len(self) + 1, dtype=np.float64)
        return weights / weights.sum()

    def centred(self, remove_top: int = 0) -> Teacher:
        """Subtract the mean vector, then the projections on the `remove_top` main directions.

        "All-but-the-Top" (Mu & Viswanath 2018, algorithm 1; they use about d / 100 directions). N-gram
        vectors of unseen words are moved in the same way.
        """
        if not 0 <= remove_top < self.dim:
            raise DistillEmbError(f"remove_top={remove_top} must be from 0 to {self.dim - 1}, the width less one.")
        mean = self.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        top = _main_directions(self.vectors, mean, remove_top)

        def move(vectors: Floats) -> Floats:
            moved: Floats = vectors - mean
            moved -= (moved @ top) @ top.T
            return moved

        return self._moved(move)

    def normalised(self) -> Teacher:
        """Every vector scaled to length 1; zero vectors stay zero."""
        return self._moved(unit_rows)

    def _moved(self, move: Callable[[Floats], Floats]) -> Teacher:
        subwords = None if self.subwords is None else _Moved(self.subwords, move)
        return replace(self, vectors=move(self.vectors), subwords=subwords)

    @classmethod
    def from_keyed_vectors(cls, keyed_vectors: Any, name: str = "KeyedVectors", limit: int | None = None) -> Teacher:
        """From a gensim ``KeyedVectors`` in memory (or a model's ``.wv``); a fastText one keeps its
        n-grams.
        """
        from .objects import from_keyed_vectors

        return from_keyed_vectors(keyed_vectors, name, limit)

    @classmethod
    def from_spacy(cls, nlp: Any, words: Sequence[str] | None = None, limit: int | None = None) -> Teacher:
        """From a loaded spaCy pipeline or ``Vocab``.

        words: what to take; needed for floret vectors, which hold no word list. Default: every word that has
        a row of its own and a known string.
        """
        from .objects import from_spacy

        return from_spacy(nlp, words, limit)


def unit_rows(vectors: Floats) -> Floats:
    """Rows of float32 ``[n, d]`` scaled to length 1; zero rows stay zero."""
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    return vectors / lengths


class _Moved:
    """N-gram vectors after a change of the space; a word that has none keeps its zero row."""

    def __init__(self, inner: Subwords, move: Callable[[Floats], Floats]) -> None:
        self.inner = inner
        self.move = move

    def __call__(self, words: Sequence[str]) -> Floats:
        vectors = self.inner(words)
        known = vectors.any(axis=1)
        vectors[known] = self.move(vectors[known])
        return vectors

    @property
    def nbytes(self) -> int:
        return int(getattr(self.inner, "nbytes", 0))


def _main_directions(vectors: Floats, mean: Floats, k: int) -> Floats:
    """The k directions of greatest variance, float32 ``[d, k]``, by the d x d scatter matrix."""
    scatter = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors) if k else 0, _BLOCK):
        block = vectors[start : start + _BLOCK] - mean
        scatter += block.T @ block
    directions: Floats = np.linalg.eigh(scatter)[1][:, ::-1][:, :k].astype(np.float32)
    return directions


def _empty(vectors: Floats) -> str:
    return "words" if vectors.shape[0] == 0 else "columns (its vectors have zero width)"
