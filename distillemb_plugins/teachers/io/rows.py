"""Collecting a table row by row: what every reader checks in the same way."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DistillEmbError
from ...files import PACKED
from ...vectors import Floats
from ..table import Subwords, Teacher

# Rows parsed at once: large enough for NumPy, small enough not to count in memory.
BLOCK = 4096
# Most numbers of a vector, and most bytes of a word. More means a damaged header, which is refused before any memory is
# taken for it.
MAX_DIM = 1 << 16
MAX_WORD = 100_000


def check_dim(path: str | Path, dim: int) -> None:
    """Refuse a width that no table has."""
    if dim > MAX_DIM:
        raise DistillEmbError(f"{path} says that a vector has {dim} numbers, more than {MAX_DIM}: is it damaged?")


class Rows(NamedTuple):
    """k rows of a table: words, float32 ``[k, dim]``, int64 ``[k]`` if known, numbers where some were left out."""

    words: Sequence[str]
    vectors: Floats
    counts: NDArray[np.int64] | None = None
    numbers: Sequence[int] | None = None


class RowCollector:
    """Takes blocks of rows until `limit` distinct words are there, and makes the `Teacher`.

    Of equal words the first counts. Equal and empty words are left out with one warning. `unit` is what the file is
    counted in, for messages.
    """

    def __init__(self, path: str | Path, limit: int | None = None, unit: str = "row") -> None:
        if limit is not None and limit < 1:
            raise DistillEmbError(f"limit={limit} must be at least 1, or left out to read every word.")
        self.path = path
        self.unit = unit
        self.limit = limit if limit is not None else sys.maxsize
        self.words: list[str] = []
        self.seen: set[str] = set()
        self.repeated = 0
        self.empty = 0
        self.undecodable = 0  # counted by the reader
        self._vectors: Floats | None = None
        self._counts: list[NDArray[np.int64]] = []

    def fill(self, n: int, read: Callable[[slice], Rows]) -> int:
        """Read and add rows, a block at a time, until all `n` are read or enough are there. Returns those read."""
        done = 0
        while done < n and self.room > 0:
            chosen = slice(done, min(done + self.room, n))
            rows = read(chosen)
            self.add(rows.words, rows.vectors, done + 1, rows.counts, rows.numbers)
            done = chosen.stop
        return done

    @property
    def room(self) -> int:
        """How many rows to read next: never more than are still wanted."""
        return min(BLOCK, self.limit - len(self.words))

    def add(
        self,
        words: Sequence[str],
        vectors: Floats,
        first: int,
        counts: NDArray[np.int64] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        """Add k words with their vectors float32 ``[k, dim]`` and counts; NaN and infinity are refused.

        first: number of the first row, for messages. numbers: of all rows, where they do not follow one another.
        """
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            at = int((~finite).argmax())
            number = numbers[at] if numbers is not None else first + at
            raise DistillEmbError(
                f"{self.path}, {self.unit} {number}: the vector of {words[at]!r} holds NaN or infinity: "
                "remove that word from the file."
            )
        if "\0" in "".join(words):
            at = next(position for position, word in enumerate(words) if "\0" in word)
            number = numbers[at] if numbers is not None else first + at
            raise DistillEmbError(
                f"{self.path}, {self.unit} {number}: the word {words[at][:40]!r} holds a NUL byte: remove that word."
            )
        keep = self._new_positions(words)
        self._store(vectors if len(keep) == len(words) else vectors[keep])
        self.words.extend(words[position] for position in keep)
        if counts is not None:
            self._counts.append(np.asarray(counts, dtype=np.int64)[keep])

    def _new_positions(self, words: Sequence[str]) -> list[int]:
        keep = []
        for position, word in enumerate(words):
            if not word:
                self.empty += 1
            elif word in self.seen:
                self.repeated += 1
            else:
                self.seen.add(word)
                keep.append(position)
        return keep

    def _store(self, block: Floats) -> None:
        """Append to one array that grows by doubling, so that no second copy is ever made."""
        used, needed = len(self.words), len(self.words) + len(block)
        if self._vectors is None:
            self._vectors = np.empty((needed, block.shape[1]), dtype=np.float32)
        if needed > len(self._vectors):
            size = min(max(2 * len(self._vectors), needed), max(self.limit, needed))
            self._vectors.resize((size, block.shape[1]), refcheck=False)
        self._vectors[used:needed] = block

    def teacher(self, subwords: Subwords | None = None) -> Teacher:
        """Make the table of all that was added."""
        if self._vectors is None or not self.words:
            raise DistillEmbError(f"{self.path} holds no word: give a table with at least one.")
        if self.undecodable:
            warnings.warn(f"{self.path}: left out {self.undecodable} words that are not UTF-8.", stacklevel=2)
        self._vectors.resize((len(self.words), self._vectors.shape[1]), refcheck=False)
        if self.repeated or self.empty:
            warnings.warn(
                f"{self.path}: left out {self.repeated} repeated (the first row of a word counts) and "
                f"{self.empty} empty words.",
                stacklevel=2,
            )
        counts = np.concatenate(self._counts) if self._counts else None
        return Teacher(table_name(self.path), self.words, self._vectors, counts, subwords)


def table_name(path: str | Path) -> str:
    """A short name for messages: the file name without its suffixes."""
    name = Path(path).name
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return Path(name).stem or name
