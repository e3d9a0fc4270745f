"""word2vec's two formats: text (.vec, .txt; GloVe's too, without a header) and binary (.bin, .w2v)."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import DistillEmbError
from ...files import numbered_lines, open_bytes
from ...vectors import Floats
from ..table import Teacher
from .rows import MAX_WORD, RowCollector, check_dim

_HEADER = re.compile(rb"\s*(-?\d+)[ \t]+(-?\d+)\s*$")
_IN_NUMBERS = frozenset(b"0123456789+-.eE \t\r\nnaifNAIF")
_CHUNK = 1 << 22


def read_word2vec_text(path: str | Path, limit: int | None = None) -> Teacher:
    """Read lines ``word number number ...``, with or without a line ``n dim`` before them.

    Args:
        path: The file, plain or .gz/.xz/.bz2.
        limit: Most words to keep. Lines after them are not read.

    Raises:
        DistillEmbError: Naming the line.
    """
    rows = RowCollector(path, limit, unit="line")
    with closing(_filled_lines(path)) as lines:
        first = next(lines, None)
        if first is None:
            raise DistillEmbError(f"{path} is empty: give a table with one word and its numbers a line.")
        declared, dim = _text_header(path, first[1])
        pending = [] if declared is not None else [first]
        while rows.room > 0 and (block := pending + list(islice(lines, rows.room - len(pending)))):
            pending = []
            words, vectors = _parse_block(path, block, dim)
            rows.add(words, vectors, 0, numbers=[number for number, _ in block])
        exhausted = rows.room > 0
    if exhausted and declared is not None:
        _check_declared(path, declared, len(rows.words) + rows.repeated + rows.empty)
    return rows.teacher()


def _filled_lines(path: str | Path) -> Generator[tuple[int, str], None, None]:
    for number, line in numbered_lines(path):
        if line and not line.isspace():
            yield number, line


def _text_header(path: str | Path, line: str) -> tuple[int | None, int]:
    """Number of words (None without a header) and width, from the first line."""
    header = _HEADER.match(line.encode("utf-8"))
    if header is None:
        dim = len(line.replace("\t", " ").rstrip(" ").split(" ")) - 1
        check_dim(path, dim)
        return None, dim
    return _checked_header(path, int(header[1]), int(header[2]))


def _checked_header(path: str | Path, n: int, dim: int) -> tuple[int, int]:
    if n < 1 or dim < 1:
        raise DistillEmbError(
            f"{path}, line 1: the header says {n} words of {dim} numbers: "
            "correct it to the number of words and the width, both at least 1."
        )
    check_dim(path, dim)
    return n, dim


def _check_declared(path: str | Path, declared: int, rows: int) -> None:
    if declared != rows:
        raise DistillEmbError(
            f"{path}, line 1: the header says {declared} words, but {rows} follow: "
            "correct its first number, or fetch the whole file again."
        )


def _parse_block(path: str | Path, block: list[tuple[int, str]], dim: int) -> tuple[list[str], Floats]:
    """Words and float32 ``[k, dim]`` of k lines: fast where all is well, else line by line to find the fault."""
    words, numbers = [], []
    for _, line in block:
        word, _, rest = (line.replace("\t", " ") if "\t" in line else line).partition(" ")
        words.append(word)
        numbers.append(rest)
    try:
        if dim > 0 and all(numbers):
            vectors = np.loadtxt(numbers, dtype=np.float32, comments=None, ndmin=2)
            if vectors.shape == (len(block), dim):
                return words, vectors
    except ValueError:
        pass
    parsed = [_parse_line(path, number, line, dim) for number, line in block]
    return [word for word, _ in parsed], np.stack([row for _, row in parsed])


def _parse_line(path: str | Path, number: int, line: str, dim: int) -> tuple[str, Floats]:
    fields = line.replace("\t", " ").rstrip(" ").split(" ")
    # GloVe's tables hold words with spaces (". . ."); a surplus that is numeric is a ragged row instead.
    surplus = fields[1 : len(fields) - dim]
    if dim < 1 or len(fields) - 1 < dim or any(map(_is_number, surplus)):
        raise DistillEmbError(
            f"{path}, line {number}: {len(fields) - 1} numbers after the word, but the table has "
            f"{max(dim, 0)} columns: remove or complete that line, or correct the header."
        )
    try:
        with np.errstate(over="ignore"):  # becomes infinity, which is refused by name
            row = np.array([float(value) for value in fields[-dim:]]).astype(np.float32)
    except ValueError as error:
        raise DistillEmbError(
            f"{path}, line {number}: {error}: write a word and {dim} numbers, separated by single spaces."
        ) from error
    return " ".join(fields[: len(fields) - dim]), row


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def looks_binary(path: str | Path) -> bool:
    """Whether a file is word2vec's binary: a header line, and after the first word bytes that no number has.

    Only the first row is looked at, so that a fault further on does not change the answer.
    """
    with open_bytes(path) as stream:
        header = _HEADER.match(stream.readline(200))
        if header is None:
            return False
        row = stream.read(MAX_WORD).lstrip(b"\n").partition(b" ")[2]
    dim = max(int(header[2]), 1)
    window, newline, _ = row[: min(4 * dim, 16)].partition(b"\n")
    if newline and len(window.split()) < dim:  # a short row of text, or by chance the bytes of a number
        return any(suffix in (".bin", ".w2v") for suffix in Path(path).suffixes)
    return not set(window) <= _IN_NUMBERS


def read_word2vec_binary(path: str | Path, limit: int | None = None) -> Teacher:
    """Read word2vec's binary format: a line ``n dim``, then for each word the word, a space and little-endian float32.

    Args:
        path: The file, plain or .gz/.xz/.bz2.
        limit: Most words to keep. Nothing after them is read.

    Raises:
        DistillEmbError: Naming the row.
    """
    rows = RowCollector(path, limit)
    with open_bytes(path) as stream:
        header = _HEADER.match(stream.readline(200))
        if header is None:
            raise DistillEmbError(f"{path} does not begin with a line 'words width': is it a word2vec table?")
        n, dim = _checked_header(path, int(header[1]), int(header[2]))
        reader = _BinaryRows(stream, path, 4 * dim)
        done = 0
        while done < n and rows.room > 0:
            pairs = [reader.next(done + offset + 1) for offset in range(min(rows.room, n - done))]
            vectors = np.frombuffer(b"".join(data for _, data in pairs), dtype="<f4").reshape(-1, dim)
            rows.add([word for word, _ in pairs], vectors, done + 1)
            done += len(pairs)
    return rows.teacher()


class _BinaryRows:
    """Cuts a byte stream into (word, bytes of the vector)."""

    def __init__(self, stream: IO[bytes], path: str | Path, row_bytes: int) -> None:
        self.stream = stream
        self.path = path
        self.row_bytes = row_bytes
        self.buffer = b""
        self.position = 0

    def next(self, number: int) -> tuple[str, bytes]:
        space = self.buffer.find(b" ", self.position)
        while space < 0 or space + 1 + self.row_bytes > len(self.buffer):
            self._fill(number, space)
            space = self.buffer.find(b" ", self.position)
        end = space + 1 + self.row_bytes
        raw, data = self.buffer[self.position : space].lstrip(b"\n"), self.buffer[space + 1 : end]
        self.position = end
        try:
            return raw.decode("utf-8"), data
        except UnicodeDecodeError as error:
            raise DistillEmbError(
                f"{self.path}, row {number}: the word is not UTF-8: is the header's width right, "
                "and the file a word2vec binary in UTF-8?"
            ) from error

    def _fill(self, number: int, space: int) -> None:
        more = self.stream.read(max(_CHUNK, self.row_bytes))
        if not more or (space < 0 and len(self.buffer) - self.position > MAX_WORD):
            raise DistillEmbError(
                f"{self.path} ends or is damaged in row {number}: fetch it again, or check the header's numbers."
            )
        self.buffer = self.buffer[self.position :] + more
        self.position = 0
