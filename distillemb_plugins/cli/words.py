"""What users name: lists of words (read whole, streamed, kept distinct on disk), encoders and tables."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..characters import without_invisible
from ..errors import DistillEmbError
from ..files import iter_lines, text_lines

if TYPE_CHECKING:
    from ..evaluate.models import EmbeddingModel

_LIST_SUFFIXES = (".txt", ".lst", ".words", "")
_PACKED = (".gz", ".xz", ".bz2")
_FLUSH = 100_000  # words counted in memory


def read_words(path: Path, limit: int | None = None) -> list[str]:
    """Read the distinct words of a list (one a line, further tab-separated columns ignored) or of a table."""
    if not _is_list(path):
        from ..teachers import load_teacher

        return load_teacher(path, limit).words
    words: dict[str, None] = {}
    for word in filter(without_invisible, map(_first_column, iter_lines([path]))):
        words[word] = None
        if limit is not None and len(words) >= limit:
            break
    if not words:
        raise DistillEmbError(f"{path} holds no words: write one word a line.")
    return list(words)


def _is_list(path: Path) -> bool:
    """Whether a file is a plain list, by its suffix; word2vec text is often called .txt too and begins with counts."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    if (suffixes[-1] if suffixes else "") not in _LIST_SUFFIXES:
        return False
    lines = [line.split() for line in islice(iter_lines([path]), 2)]
    return not (len(lines) == 2 and len(lines[0]) == 2 and all(n.isdigit() for n in lines[0]) and len(lines[1]) > 3)


def _first_column(line: str) -> str:
    return line.split("\t", 1)[0].replace("\ufeff", "").strip()


def _is_table(name: str) -> bool:
    """Whether `name` is a table (a file, a spaCy pipeline, a hub file) rather than an encoder."""
    path = Path(name)
    return path.is_file() or name.startswith("hf://") or (path / "meta.json").is_file()


def open_model(name: str, lowercase: bool | None = None, format: str | None = None) -> EmbeddingModel:
    """Open an encoder directory, bundled name or hub id, or a table; see `EmbeddingModel` and `load_teacher`."""
    from ..evaluate.models import EmbeddingModel
    from ..files import encoder_bytes

    if _is_table(name):
        from ..teachers import load_teacher

        return EmbeddingModel.from_table(load_teacher(name, format=format), lowercase=lowercase)
    from ..encoder import DistillEmb
    from ..persistence import resolve

    path = resolve(name)
    encoder = DistillEmb.from_pretrained(path, cache_size=0)  # every word is asked for once
    return EmbeddingModel.from_encoder(encoder, path.resolve().name, encoder_bytes(path), lowercase)


def stored_words(name: str, kind: str) -> list[str] | None:
    """Return a word list (``"held_out"`` or ``"vocabulary"``) that is stored with an encoder, or None."""
    from ..persistence import find_word_list

    file = None if _is_table(name) else find_word_list(name, kind)
    return read_words(file) if file else None


def listed_words(path: Path) -> Iterator[str]:
    """Stream the words of a list, one a line, as they are spelled there; what follows a tab is ignored.

    ``-`` is standard input. A word with a space in it is an error, since a text table cannot hold it.
    """
    for number, line in _lines(path):
        word = _first_column(line)
        if " " in word or len(word.splitlines()) > 1:  # a no-break space may stand in a table, a line separator not
            raise DistillEmbError(
                f"{path}, line {number} is more than one word ({word[:40]!r}): add --text for running text."
            )
        if without_invisible(word):
            yield word


def text_words(path: Path) -> Iterator[str]:
    """Stream the words of running text, normalized. ``-`` is standard input."""
    from ..text import normalize, tokenize

    for _, line in _lines(path):
        yield from tokenize(normalize(line))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return text_lines(sys.stdin.buffer if str(path) == "-" else path)


class WordSpool:
    """Distinct words in the order of their first occurrence, with counts, in constant memory.

    They are kept in SQLite's own temporary file. Use it as a context manager.
    """

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)  # "": on disk, deleted when it is closed
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute("PRAGMA cache_size = -16000")  # kibibytes
        self._base.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT UNIQUE, n INTEGER)")

    def __enter__(self) -> WordSpool:
        return self

    def __exit__(self, *error: Any) -> None:
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
        """The number of distinct words that occurred at least `min_count` times."""
        return int(self._base.execute("SELECT count(*) FROM words WHERE n >= ?", (min_count,)).fetchone()[0])

    def batches(self, size: int, min_count: int = 1) -> Iterator[list[str]]:
        """Lists of at most `size` words that occurred at least `min_count` times."""
        rows = self._base.execute("SELECT word FROM words WHERE n >= ? ORDER BY id", (min_count,))
        while batch := rows.fetchmany(size):
            yield [word for (word,) in batch]
