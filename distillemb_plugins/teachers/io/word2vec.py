"""word2vec's two formats: text (.vec, .txt; GloVe's too, without a header) and binary (.bin, .w2v)."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import DistillEmbError
from ...files import numbered_lines, open_bytes
from ...vectors import Floats
from ..table import Teacher
from .rows import MAX_DIM, MAX_WORD, RowCollector, Rows, check_dim

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?\s*(-?\d+)[ \t]+(-?\d+)\s*$")
_FIELD = re.compile(r"[^ \t]+")
_NOT_TEXT = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CHUNK = 1 << 22
_SAMPLE = 1 << 18  # bytes that the layout of a text table is guessed from; all lines are checked against the guess
_SAMPLE_LINES = 50
_LONGEST_ROW = MAX_WORD + 32 * MAX_DIM
_LONGEST_CUT_WORD = 1000  # bytes
_NO_HEADER = "say --format glove (format='glove') if line 1 is no header"
_SPACED = "write the table as text (.vec) or .npz if words hold spaces, which this format cannot hold"


def read_word2vec_text(path: str | Path, limit: int | None = None, header: bool = True) -> Teacher:
    """Read lines ``word number number ...``, with or without a line ``n dim`` before them.

    header: whether a first line of two integers is a header; else it is a word and its number. A word may hold
    spaces. Where its last part is a number too, a tab must stand after the word.
    """
    rows = RowCollector(path, limit, unit="line")
    with closing(_filled_lines(path)) as lines:
        first = next(lines, None)
        if first is None:
            raise DistillEmbError(f"{path} is empty: give a table with one word and its numbers a line.")
        declared, dim = _text_layout(path, first[1], header)
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


def _text_layout(path: str | Path, first: str, header: bool) -> tuple[int | None, int]:
    """Number of words (None without a header) and width, from the first line and a sample of those after it."""
    found = _HEADER.match(first.encode("utf-8")) if header else None
    sample = _sample_lines(path)[bool(found) :]
    if sample and all(line.count(",") > 1 for _, line in sample):
        raise DistillEmbError(
            f"{path}, line {sample[0][0]}: commas separate the numbers: write tabs or spaces instead."
        )
    if found is not None:
        declared, dim = _checked_header(path, int(found[1]), int(found[2]))
    else:
        widths = Counter(len(_numbers(line)) for _, line in sample)
        declared, dim = None, (widths.most_common(1)[0][0] if widths else 0) or len(_FIELD.findall(first)) - 1
        check_dim(path, dim)
    between = [
        _FIELD.findall(line)[1:-dim] if len(_numbers(line)) == dim and not _marked(line, dim) else []
        for _, line in sample
    ]
    if len(sample) > 1 and between[0] and len(set(map(len, between))) == 1:
        raise DistillEmbError(
            f"{path}, line {sample[0][0]}: {' '.join(between[0])[:40]!r} stands between the word and its {dim} "
            "numbers, and so on every line: remove these columns, or put a tab after words of several parts."
        )
    return declared, dim


def _sample_lines(path: str | Path) -> list[tuple[int, str]]:
    """The first filled lines with their numbers, whatever their bytes are."""
    with open_bytes(path) as stream:
        raw = stream.read(_SAMPLE)
    lines = raw.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    whole = lines[:-1] if len(raw) == _SAMPLE else lines
    return [(n, line.strip("\r")) for n, line in enumerate(whole, 1) if line and not line.isspace()][:_SAMPLE_LINES]


def _numbers(line: str) -> list[str]:
    """The fields at the end of a line that are numbers. What stands before a tab, or else the first field, is none."""
    _, tab, rest = line.partition("\t")
    fields = _FIELD.findall(rest)
    if not (tab and fields and all(map(_is_number, fields))):
        fields = _FIELD.findall(line)[1:]
    return list(takewhile(_is_number, reversed(fields)))[::-1]


def _marked(line: str, dim: int) -> bool:
    """Whether a tab ends the word."""
    _, tab, rest = line.partition("\t")
    return bool(tab) and len(_FIELD.findall(rest)) == dim


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
            f"correct its first number, fetch the whole file again, or {_NO_HEADER}."
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
    fields = list(_FIELD.finditer(line))
    values = [field[0] for field in fields[max(len(fields) - dim, 0) :]]
    if _marked(line, dim):
        word = line.partition("\t")[0]
    else:
        word = line[: fields[-dim].start()] if 0 < dim <= len(fields) else line
        # GloVe's and gensim's tables hold words with spaces (". . ."); a surplus that is numeric is a ragged row.
        if not 0 < dim <= len(fields) - (line[0] not in " \t") or any(map(_is_number, _FIELD.findall(word)[1:])):
            raise DistillEmbError(
                f"{path}, line {number}: {len(fields) - 1} numbers after the word, but the table has {max(dim, 0)} "
                "columns: write words and numbers separated by spaces, remove or complete that line, put a tab after "
                f"the word if it ends with a number, correct the header, or {_NO_HEADER}."
            )
    for value in values:
        if not _is_number(value):
            raise DistillEmbError(
                f"{path}, line {number}: could not convert {value[:40]!r} to a number: write a word and {dim} "
                "numbers with decimal points, separated by spaces."
            )
    with np.errstate(over="ignore"):  # becomes infinity, which is refused by name
        return word.strip(" \t").replace("\t", " "), np.array([float(value) for value in values]).astype(np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text  # Python reads other digits and 1_000 too


def looks_binary(path: str | Path) -> bool:
    """Whether a file is word2vec's binary: a header line, and after it no line of text with as many numbers.

    The reader that follows checks the answer to the end of the file.
    """
    with open_bytes(path) as stream:
        header = _HEADER.match(stream.readline(200))
        if header is None:
            return False
        row = b"\n"
        while row in (b"\n", b"\r\n"):
            row = stream.readline(_LONGEST_ROW)
        sample = row + stream.read(_SAMPLE)
    dim, fields = int(header[2]), row.split()
    if dim < 1 or (len(fields) >= dim and all(_is_number(field.decode("latin-1")) for field in fields[-dim:])):
        return False
    if _NOT_TEXT.search(sample):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return any(
        suffix.lower() in (".bin", ".w2v") for suffix in Path(path).suffixes
    )  # a short row, or letters by chance


def read_word2vec_binary(path: str | Path, limit: int | None = None) -> Teacher:
    """Read word2vec's binary format: a line ``n dim``, then for each word the word, a space and little-endian float32.

    Words that are not UTF-8 are left out with a warning: word2vec cuts long words between bytes.
    """
    rows = RowCollector(path, limit)
    with open_bytes(path) as stream:
        header = _HEADER.match(stream.readline(200))
        if header is None:
            raise DistillEmbError(f"{path} does not begin with a line 'words width': is it a word2vec table?")
        n, dim = _checked_header(path, int(header[1]), int(header[2]))
        reader = _BinaryRows(stream, path, 4 * dim)

        def read(chosen: slice) -> Rows:
            pairs = [reader.next(number + 1) for number in range(chosen.start, chosen.stop)]
            vectors = np.frombuffer(b"".join(data for _, data in pairs), dtype="<f4").reshape(-1, dim)
            kept = [offset for offset, (word, _) in enumerate(pairs) if word is not None]
            rows.undecodable += len(pairs) - len(kept)
            if len(kept) < len(pairs):
                vectors = vectors[kept]
            words = [word for word, _ in pairs if word is not None]
            return Rows(words, vectors, numbers=[chosen.start + offset + 1 for offset in kept])

        if rows.fill(n, read) == n and (limit is None or limit > n):
            reader.check_end(n)
    return rows.teacher()


class _BinaryRows:
    """Cuts a byte stream into (word, bytes of the vector)."""

    def __init__(self, stream: IO[bytes], path: str | Path, row_bytes: int) -> None:
        self.stream = stream
        self.path = path
        self.row_bytes = row_bytes
        self.buffer = b""
        self.position = 0
        self.newlines = False  # whether one stands after each row, as word2vec and gensim write; found out in row 2

    def next(self, number: int) -> tuple[str | None, bytes]:
        """The next row; no word where it is not UTF-8."""
        space = self.buffer.find(b" ", self.position)
        while space < 0 or space + 1 + self.row_bytes > len(self.buffer):
            self._fill(number, space)
            space = self.buffer.find(b" ", self.position)
        end = space + 1 + self.row_bytes
        raw, data = self.buffer[self.position : space], self.buffer[space + 1 : end]
        self.position = end
        if number == 2:
            self.newlines = raw.startswith(b"\n")
        word = raw.lstrip(b"\n")
        if (self.newlines and len(word) == len(raw) and number > 1) or b"\n" in word:
            raise self._misplaced(number)
        try:
            return word.decode("utf-8"), data
        except UnicodeDecodeError as error:
            if _NOT_TEXT.search(word) or len(word) > _LONGEST_CUT_WORD:
                raise self._misplaced(number) from error
            return None, data

    def _fill(self, number: int, space: int) -> None:
        more = self.stream.read(max(_CHUNK, self.row_bytes))
        if not more or (space < 0 and len(self.buffer) - self.position > MAX_WORD):
            raise DistillEmbError(
                f"{self.path} ends or is damaged in row {number}: fetch it again, or check the header's numbers."
            )
        self.buffer = self.buffer[self.position :] + more
        self.position = 0

    def check_end(self, n: int) -> None:
        """Refuse what stands after the last row."""
        rest = self.buffer[self.position :]
        if rest and self.newlines and not rest.startswith(b"\n"):
            raise self._misplaced(n)
        while rest or (rest := self.stream.read(_CHUNK)):
            if rest.strip(b"\r\n"):
                raise DistillEmbError(
                    f"{self.path}: more bytes follow the last of the {n} rows that the header says: {_SPACED}, or say "
                    f"a limit of {n} if only the header is wrong."
                )
            rest = b""

    def _misplaced(self, number: int) -> DistillEmbError:
        return DistillEmbError(
            f"{self.path}, row {number} does not end where it should: {_SPACED}, or correct the width in the header."
        )
