"""Writing a table of vectors a batch at a time: .vec text or .npz, complete or not at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_file
from ..teachers.writers import table_format

Pack = Callable[[Sequence[str], NDArray[np.float32]], bytes]
Write = Callable[[Sequence[str], bytes], None]
_COMPRESSORS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def packer(out: Path | None) -> Pack:
    """What turns a batch into the bytes that `table_writer` takes: a function that another process can run."""
    return npz_rows if out is not None and out.suffix.lower() == ".npz" else text_rows


def text_rows(words: Sequence[str], vectors: NDArray[np.float32]) -> bytes:
    """Lines of a .vec file, six significant digits."""
    form = " ".join(["%.6g"] * vectors.shape[1])
    return "".join(
        [f"{word} {form % tuple(row)}\n" for word, row in zip(words, vectors.tolist(), strict=True)]
    ).encode()


def npz_rows(words: Sequence[str], vectors: NDArray[np.float32]) -> bytes:
    """Rows of ``vectors.npy``."""
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


@contextmanager
def table_writer(out: Path | None, count: int, dim: int, stdout: IO[bytes]) -> Iterator[Write]:
    """Yield ``write(words, what packer(out) made of them)``, to be called until `count` rows are written.

    out: the format is told by the suffix, .vec (also packed) or .npz, and the file appears only when the block
    succeeds; None writes .vec to `stdout`. Raises `DistillEmbError` for another suffix.
    """
    if out is None:
        yield _text_writer(stdout, count, dim)
        return
    kind = table_format(out)
    if kind == ".safetensors":
        from ..errors import DistillEmbError

        raise DistillEmbError(f"{out}: vectors are written as .vec (also .vec.gz) or .npz: name it so.")
    with atomic_file(out) as stream:
        if kind == ".npz":
            with _npz_writer(stream, count, dim) as write:
                yield write
        else:
            compress = _COMPRESSORS.get(out.suffix.lower())
            with compress(stream, "wb") if compress else nullcontext(stream) as packed:
                yield _text_writer(packed, count, dim)


def _text_writer(stream: IO[bytes], count: int, dim: int) -> Write:
    stream.write(f"{count} {dim}\n".encode())

    def write(words: Sequence[str], rows: bytes) -> None:
        stream.write(rows)

    return write


@contextmanager
def _npz_writer(stream: IO[bytes], count: int, dim: int) -> Iterator[Write]:
    """Stream ``vectors.npy`` into the archive; the words wait in a temporary file, as members follow each other."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive, TemporaryFile() as text:
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            _npy_header(member, "<f4", (count, dim))

            def write(words: Sequence[str], rows: bytes) -> None:
                text.write("".join(f"{word}\n" for word in words).encode("utf-8"))
                member.write(rows)

            yield write
        size = text.tell()
        text.seek(0)
        with archive.open("words.npy", "w", force_zip64=True) as member:
            _npy_header(member, "|u1", (size,))
            shutil.copyfileobj(text, member)


def _npy_header(member: IO[bytes], kind: str, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(member, {"descr": kind, "fortran_order": False, "shape": shape})
