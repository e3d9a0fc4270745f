"""Distinct words with their counts, kept on disk: any number of words in constant memory."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from ..errors import DistillEmbError

_FLUSH = 100_000


class WordSpool:
    """Words in the order of their first occurrence, each once, with counts, in SQLite's own temporary file."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)  # "": on disk, deleted when it is closed
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute("PRAGMA cache_size = -16000")  # kibibytes
        self._base.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT UNIQUE, n INTEGER)")

    def __enter__(self) -> WordSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def add(self, words: Iterable[str]) -> None:
        """Count further words."""
        batch: Counter[str] = Counter()
        for word in words:
            batch[word] += 1
            if len(batch) >= _FLUSH:
                self._flush(batch)
                batch.clear()
        self._flush(batch)

    def _flush(self, batch: Counter[str]) -> None:
        self._base.execute("BEGIN")
        self._base.executemany(
            "INSERT INTO words (word, n) VALUES (?, ?) ON CONFLICT (word) DO UPDATE SET n = n + excluded.n",
            batch.items(),
        )
        self._base.execute("COMMIT")

    def count(self, min_count: int = 1) -> int:
        """Number of distinct words that occurred at least `min_count` times."""
        return int(self._base.execute("SELECT count(*) FROM words WHERE n >= ?", (min_count,)).fetchone()[0])

    def batches(self, size: int, min_count: int = 1) -> Iterator[list[str]]:
        """Lists of at most `size` words that occurred at least `min_count` times."""
        rows = self._base.execute("SELECT word FROM words WHERE n >= ? ORDER BY id", (min_count,))
        while batch := rows.fetchmany(size):
            yield [word for (word,) in batch]


def listed_words(path: Path) -> Iterator[str]:
    """The words of a list, one a line; what follows a tab is ignored. ``-`` is standard input.

    Raises `DistillEmbError` naming the line of a word with white space in it: a text table cannot hold it.
    """
    for number, line in _lines(path):
        word = line.split("\t", 1)[0].strip()
        if len(word.split()) > 1:
            raise DistillEmbError(
                f"{path}, line {number} is more than one word ({word[:40]!r}): add --text for running text."
            )
        if word:
            yield word


def text_words(path: Path) -> Iterator[str]:
    """The words of running text. ``-`` is standard input."""
    from ..text import tokenize

    for _, line in _lines(path):
        yield from tokenize(line)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if str(path) != "-":
        from ..files import numbered_lines

        yield from numbered_lines(path)
        return
    number = 0
    try:
        for number, raw in enumerate(sys.stdin.buffer, start=1):
            yield number, raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DistillEmbError(
            f"Standard input, line {number} is not UTF-8: convert it first, e.g. with iconv."
        ) from error
