"""Writing tables: .npz, .safetensors and word2vec text. A file gets its final name only when it is complete.

`save_teacher` writes a table that is in memory; `table_writer` writes one that comes in batches.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DistillEmbError
from ...files import atomic_file
from ...quantization import STORAGES, quantize_rows
from ...settings import check_choice
from ...vectors import Floats
from ..table import Teacher
from .rows import BLOCK

TableFormat = Literal[".npz", ".safetensors", ".vec"]
Pack = Callable[[Sequence[str], Floats], bytes]
Write = Callable[[Sequence[str], bytes], None]
_COMPRESSORS: dict[str, Callable[..., Any]] = {
    ".gz": partial(gzip.open, compresslevel=5),
    ".xz": partial(lzma.open, preset=1),  # higher ones take minutes and gain little on digits
    ".bz2": bz2.open,
}
_HEADER_ROOM = 512  # bytes, a multiple of 8
_UNFIT = {".vec": re.compile(r"^$|[ \t\r\n\0]"), ".npz": re.compile(r"^$|[\n\0]")}
_UNFIT[".safetensors"] = _UNFIT[".npz"]


def table_format(path: str | Path) -> TableFormat:
    """The format that a file name asks for."""
    path = Path(path)
    packed = path.suffix.lower() in _COMPRESSORS
    suffix = (path.with_suffix("") if packed else path).suffix.lower()
    if suffix in (".vec", ".txt"):
        return ".vec"
    if suffix == ".npz" and not packed:
        return ".npz"
    if suffix == ".safetensors" and not packed:
        return ".safetensors"
    raise DistillEmbError(
        f"{path}: tables are written as .npz, .safetensors or .vec (also .vec.gz/.xz/.bz2): name it so."
    )


def save_teacher(teacher: Teacher, path: str | Path, storage: str = "float32") -> Path:
    """Write a table (not its n-grams). An existing file is replaced only when the new one is complete.

    Args:
        teacher: The table.
        path: The file; its suffix tells the format: .npz, .safetensors, .vec, or .vec.gz/.xz/.bz2.
        storage: ``"float32"``, ``"float16"`` or ``"int8"`` (with a scale a row; cosine to the original above 0.9999 at
            usual widths). Text is always decimal, 6 digits.

    Returns:
        The path.

    Raises:
        DistillEmbError: The suffix or the storage is unknown, or a word cannot stand in the format.
    """
    path = Path(path)
    kind = table_format(path)
    check_choice("storage", storage, STORAGES)
    if kind == ".vec":
        with table_writer(path, len(teacher), teacher.dim) as write:
            for start in range(0, len(teacher), BLOCK):
                words = teacher.words[start : start + BLOCK]
                write(words, text_rows(words, teacher.vectors[start : start + BLOCK]))
        return path
    _check_words(teacher.words, path, ".npz")
    arrays = _arrays(teacher, storage)
    with atomic_file(path) as stream:
        if kind == ".npz":
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        else:
            from safetensors.numpy import save

            stream.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    return path


def _arrays(teacher: Teacher, storage: str) -> dict[str, NDArray[Any]]:
    words = np.frombuffer("\n".join(teacher.words).encode("utf-8"), dtype=np.uint8)
    arrays: dict[str, NDArray[Any]] = {"words": words}
    if storage == "int8":
        arrays["vectors"], arrays["scale"] = quantize_rows(teacher.vectors)
    else:
        arrays["vectors"] = teacher.vectors.astype(storage, copy=False)
    if teacher.counts is not None:
        arrays["counts"] = teacher.counts
    return arrays


def _check_words(words: Sequence[str], path: Path | None, kind: TableFormat) -> None:
    unfit = _UNFIT[kind].search
    for word in words:
        if unfit(word):
            mend = "write .npz instead" if word and not _UNFIT[".npz"].search(word) else "leave that word out"
            raise DistillEmbError(f"{path or 'The table'}: the word {word!r} cannot stand in this format: {mend}.")


def text_rows(words: Sequence[str], vectors: Floats) -> bytes:
    """Lines of a .vec file, six significant digits."""
    form = " ".join(["%.6g"] * vectors.shape[1])
    lines = [f"{word} {form % tuple(row)}\n" for word, row in zip(words, vectors.tolist(), strict=True)]
    return "".join(lines).encode()


def npz_rows(words: Sequence[str], vectors: Floats) -> bytes:
    """Rows of the array ``vectors`` of .npz and .safetensors."""
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


def packer(path: Path | None) -> Pack:
    """The function that turns a batch into the bytes that `table_writer` takes. Another process can run it."""
    return text_rows if path is None or table_format(path) == ".vec" else npz_rows


@contextmanager
def table_writer(path: Path | None, n: int, dim: int, stdout: IO[bytes] | None = None) -> Iterator[Write]:
    """Write a float32 table of `n` words that comes in batches. Memory does not grow with its size.

    The file (.vec, also .vec.gz/.xz/.bz2, .npz or .safetensors) appears when the block succeeds. Without a path, a .vec
    table goes to `stdout`. Yields ``write(words, packer(path)(words, vectors))``, to be called until all are written.
    """
    kind = table_format(path) if path is not None else ".vec"
    with nullcontext(stdout) if path is None else atomic_file(path) as stream:
        assert stream is not None, "give a path or a stream"
        writer = {".npz": _npz_writer, ".safetensors": _safetensors_writer}.get(kind, partial(_text_writer, path))
        with writer(stream, n, dim) as write:

            def checked(words: Sequence[str], rows: bytes) -> None:
                _check_words(words, path, kind)
                write(words, rows)

            yield checked


@contextmanager
def _text_writer(path: Path | None, stream: IO[bytes], n: int, dim: int) -> Iterator[Write]:
    compress = _COMPRESSORS.get(path.suffix.lower()) if path is not None else None
    with compress(stream, "wb") if compress else nullcontext(stream) as packed:
        packed.write(f"{n} {dim}\n".encode())

        def write(words: Sequence[str], rows: bytes) -> None:
            packed.write(rows)

        yield write


@contextmanager
def _npz_writer(stream: IO[bytes], n: int, dim: int) -> Iterator[Write]:
    """Stream ``vectors.npy`` into the archive. The words wait in a temporary file, as members follow each other."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive, TemporaryFile() as text:
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            _npy_header(member, "<f4", (n, dim))

            def write(words: Sequence[str], rows: bytes) -> None:
                text.write("".join(f"{word}\n" for word in words).encode("utf-8"))
                member.write(rows)

            yield write
        size = text.tell()
        text.seek(0)
        with archive.open("words.npy", "w", force_zip64=True) as member:
            _npy_header(member, "|u1", (size,))
            shutil.copyfileobj(text, member)


@contextmanager
def _safetensors_writer(stream: IO[bytes], n: int, dim: int) -> Iterator[Write]:
    """Stream the tensor ``vectors``. The header, which knows the size of the words, is written last into its room."""
    stream.write(bytes(_HEADER_ROOM))
    with TemporaryFile() as text:

        def write(words: Sequence[str], rows: bytes) -> None:
            text.write("".join(f"{word}\n" for word in words).encode("utf-8"))
            stream.write(rows)

        yield write
        size, end = text.tell(), 4 * n * dim
        text.seek(0)
        shutil.copyfileobj(text, stream)
    header = json.dumps(
        {
            "vectors": {"dtype": "F32", "shape": [n, dim], "data_offsets": [0, end]},
            "words": {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]},
        }
    ).encode()
    stream.seek(0)
    stream.write(struct.pack("<Q", _HEADER_ROOM - 8) + header.ljust(_HEADER_ROOM - 8))


def _npy_header(member: IO[bytes], kind: str, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(member, {"descr": kind, "fortran_order": False, "shape": shape})
