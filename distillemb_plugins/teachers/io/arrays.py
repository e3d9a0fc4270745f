"""Tables in array containers: .npz (our own layout, or a plain word array) and .safetensors."""

from __future__ import annotations

import json
import math
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DistillEmbError, brief
from ...tensor_files import StoredTensor, open_safetensors
from ..table import Teacher
from .rows import MAX_WORD, RowCollector, Rows, check_dim

# What NumPy raises for a damaged .npy header, which it reads as Python literals.
NPY_DAMAGE = (ValueError, EOFError, SyntaxError, TypeError, OverflowError, RecursionError, tokenize.TokenError)
_KINDS = {"f": "float32", "iu": "int64"}
_TEXT_CHUNK = 1 << 16  # bytes
_WORD_CHUNK = 256
# The last three: a method of compression that does not exist, an encrypted member, a member of another name.
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, KeyError)


def read_npz(path: str | Path, limit: int | None = None) -> Teacher:
    """Read the arrays ``words``, ``vectors`` and, when they are there, ``scale`` (for int8) and ``counts``.

    ``words`` are uint8, UTF-8 separated by newlines, or an array of strings. ``vectors`` ``[n, dim]`` are floats, or
    int8 with ``scale`` float32 ``[n]`` (the vector is ``vectors * scale[:, None]``). Rows after `limit` are not read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            _require_members(path, names)
            return _collect(path, limit, {name: _NpyColumn(path, archive, name) for name in _ours(names)})
    except _ZIP_DAMAGE as error:
        raise DistillEmbError(f"{path} is damaged or truncated ({brief(error)}): fetch it again.") from error


def read_safetensors(path: str | Path, limit: int | None = None) -> Teacher:
    """Read the tensors ``vectors``, ``scale`` and ``counts`` as `read_npz` does.

    The words are the tensor ``words`` (uint8, newline-separated) or the metadata entry ``words`` (a JSON list, or
    newline-separated).
    """
    tensors, metadata = open_safetensors(path)
    columns: dict[str, _Column] = {name: _sliced(tensors[name]) for name in _ours(set(tensors))}
    if "words" not in columns and "words" in metadata:
        words = _metadata_words(metadata["words"])  # as an array of strings, each would take the room of the longest
        columns["words"] = _Sliced((len(words),), np.dtype("U"), lambda start, end: np.array(words[start:end], object))
    _require_members(path, set(columns))
    return _collect(path, limit, columns)


def _sliced(tensor: StoredTensor) -> _Sliced:
    return _Sliced(tensor.shape, tensor.dtype, tensor.read)


def _ours(names: set[str]) -> set[str]:
    return names & {"words", "vectors", "scale", "counts"}


def _require_members(path: str | Path, names: set[str]) -> None:
    missing = sorted({"words", "vectors"} - names)
    if missing:
        raise DistillEmbError(
            f"{path} holds no {' and no '.join(missing)}: save the arrays under the names 'words' and 'vectors'."
        )


def _collect(path: str | Path, limit: int | None, columns: dict[str, Any]) -> Teacher:
    rows = RowCollector(path, limit)
    vectors, scale, counts = columns["vectors"], columns.get("scale"), columns.get("counts")
    _check_shapes(path, vectors, scale, counts)
    n = vectors.shape[0]
    words = _words(path, columns["words"])

    def read(chosen: slice) -> Rows:
        size = chosen.stop - chosen.start
        names = list(islice(words, size))
        if len(names) < size:
            total = chosen.start + len(names)
            raise DistillEmbError(f"{path} holds {total} words but {n} vectors: write one word a row.")
        with np.errstate(over="ignore", invalid="ignore"):  # becomes infinity or NaN, which is refused by name
            block = np.asarray(vectors.take(size)).astype(np.float32, copy=False)
        if scale is not None:
            block = block * np.asarray(scale.take(size), dtype=np.float32)[:, None]
        return Rows(names, block, None if counts is None else np.asarray(counts.take(size)))

    if rows.fill(n, read) == n and next(words, None) is not None:
        raise DistillEmbError(f"{path} holds more words than its {n} vectors: write one word a row.")
    return rows.teacher()


def _check_shapes(path: str | Path, vectors: _Column, scale: _Column | None, counts: _Column | None) -> None:
    if len(vectors.shape) != 2 or 0 in vectors.shape:
        raise DistillEmbError(f"{path}: vectors have shape {vectors.shape}: write them as [words, width].")
    check_dim(path, vectors.shape[1])
    if vectors.dtype.kind not in "fi":
        raise DistillEmbError(f"{path}: vectors are of type {vectors.dtype}: write float32, float16 or int8.")
    if vectors.dtype.kind == "i" and scale is None:
        raise DistillEmbError(f"{path}: integer vectors need the array 'scale', one number a word: add it.")
    for name, column, kinds in (("scale", scale, "f"), ("counts", counts, "iu")):
        if column is not None and column.dtype.kind not in kinds:
            raise DistillEmbError(f"{path}: {name} is of type {column.dtype}: write {_KINDS[kinds]}.")
        if column is not None and column.shape != vectors.shape[:1]:
            raise DistillEmbError(
                f"{path}: {name} has shape {column.shape}, but there are {vectors.shape[0]} words: "
                "write one number a word."
            )


def _words(path: str | Path, column: _Column) -> Iterator[str]:
    """The words one by one, taking no more of the column than needed."""
    kind = column.dtype.kind
    if len(column.shape) != 1 or kind not in "uUS" or column.dtype.itemsize > 4 * MAX_WORD:
        raise DistillEmbError(
            f"{path}: words are an array of type {column.dtype} and shape {column.shape}: write them as an "
            "array of strings, or as UTF-8 bytes (uint8) separated by newlines."
        )
    raw = _byte_words(column) if kind == "u" else _array_words(path, column)
    for number, word in enumerate(raw, start=1):
        try:
            text = word.decode("utf-8") if isinstance(word, bytes) else str(word)
            size = len(text.encode("utf-8"))  # refuses half a surrogate pair
        except ValueError as error:  # UnicodeError is one; so is NumPy's, for what is no code point
            raise DistillEmbError(f"{path}, word {number} is not UTF-8: write the words as UTF-8.") from error
        if size > MAX_WORD:
            raise DistillEmbError(f"{path}, word {number} is longer than {MAX_WORD} bytes: is the file damaged?")
        yield text.removeprefix("\ufeff") if number == 1 else text


def _byte_words(column: _Column) -> Iterator[bytes]:
    left, rest = column.shape[0], b""
    while left > 0:
        size = min(_TEXT_CHUNK, left)
        *whole, rest = (rest + column.take(size).tobytes()).split(b"\n")
        left -= size
        yield from whole
        if len(rest) > MAX_WORD:
            break  # the word so far is refused for its length
    if rest:
        yield rest


def _array_words(path: str | Path, column: _Column) -> Iterator[bytes | str]:
    for start in range(0, column.shape[0], _WORD_CHUNK):
        words = column.take(min(_WORD_CHUNK, column.shape[0] - start))
        if words.dtype.kind == "U" and (words.view(words.dtype.byteorder + "u4") > sys.maxunicode).any():
            raise DistillEmbError(f"{path}: its words hold what is no Unicode character: fetch it again.")
        yield from words


def _metadata_words(text: str) -> list[str]:
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None  # the first word is a bracket
        if isinstance(words, list):
            return [str(word) for word in words]
    return text.removesuffix("\n").split("\n")


class _NpyColumn:
    """One array of an .npz, read forwards: rows that are never asked for are never read."""

    def __init__(self, path: str | Path, archive: zipfile.ZipFile, name: str) -> None:
        self.path = path
        self.name = name
        self.stream: IO[bytes] = archive.open(f"{name}.npy")
        try:
            version = np.lib.format.read_magic(self.stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, fortran, self.dtype = read(self.stream)
        except NPY_DAMAGE as error:
            raise DistillEmbError(f"{path}: the array '{name}' is damaged ({brief(error)}): fetch it again.") from error
        size = archive.getinfo(f"{name}.npy").file_size - self.stream.tell()
        if self.dtype.hasobject:
            raise DistillEmbError(
                f"{path}: the array '{name}' holds Python objects (a pickle), which are not read: "
                "save the words with dtype str and the vectors with dtype float32."
            )
        if min(self.shape, default=0) < 0 or math.prod(self.shape) * self.dtype.itemsize != size:
            raise self._truncated()
        self._whole: NDArray[Any] | None = None
        if fortran and len(self.shape) > 1:  # stored column by column: rows cannot be taken one by one
            self._whole = self._read(math.prod(self.shape)).reshape(self.shape, order="F")
        self._width = math.prod(self.shape[1:])
        self._done = 0

    def take(self, n: int) -> NDArray[Any]:
        """The next `n` rows."""
        start, self._done = self._done, self._done + n
        if self._whole is not None:
            return self._whole[start : self._done]
        return self._read(n * self._width).reshape(n, *self.shape[1:])

    def _read(self, items: int) -> NDArray[Any]:
        data = self.stream.read(items * self.dtype.itemsize)
        if len(data) < items * self.dtype.itemsize:
            raise self._truncated()
        return np.frombuffer(data, dtype=self.dtype)

    def _truncated(self) -> DistillEmbError:
        return DistillEmbError(
            f"{self.path}: the array '{self.name}' does not fit its size, truncated or damaged: fetch the file again."
        )


class _Sliced:
    """Rows that can be had by their numbers, taken forwards."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], rows: Callable[[int, int], NDArray[Any]]) -> None:
        self.shape = shape
        self.dtype = dtype
        self._rows = rows
        self._done = 0

    def take(self, n: int) -> NDArray[Any]:
        """The next `n` rows."""
        start, self._done = self._done, self._done + n
        return self._rows(start, self._done)


_Column = _NpyColumn | _Sliced  # an array of which the next rows can be taken without reading the rest
