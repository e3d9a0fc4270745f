"""Writing tables: .npz, .safetensors and word2vec text, under the final name only when complete."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..files import atomic_file
from .table import Floats, Teacher

STORAGES = ("float32", "float16", "int8")
_PACKERS: dict[str, Callable[..., Any]] = {
    ".gz": partial(gzip.open, compresslevel=5),
    ".xz": partial(lzma.open, preset=1),  # higher ones take minutes and gain little on digits
    ".bz2": bz2.open,
}
_TEXT = (".vec", ".txt")


def table_format(path: str | Path) -> str:
    """The format a file name asks for: ``.npz``, ``.safetensors`` or ``.vec``; raises `DistillEmbError`
    otherwise.
    """
    path = Path(path)
    packed = path.suffix.lower() in _PACKERS
    suffix = (path.with_suffix("") if packed else path).suffix.lower()
    if suffix in _TEXT:
        return ".vec"
    if suffix in (".npz", ".safetensors") and not packed:
        return suffix
    raise DistillEmbError(f"{path}: tables are written as .npz, .safetensors or .vec (also .vec.gz): name it so.")


def save_teacher(teacher: Teacher, path: str | Path, storage: str = "float32") -> Path:
    """Write the table (not its n-grams) in the format of the suffix; see `table_format`.

    storage: ``"float32"``, ``"float16"`` or ``"int8"`` (with a scale a row; cosine to the original above
    0.9999 at usual widths); text is always decimal, 6 digits. Replaces an existing file only once the new one
    is complete.
    """
    path = Path(path)
    kind = table_format(path)
    if storage not in STORAGES:
        raise DistillEmbError(f"storage={storage!r} is unknown: choose {', '.join(STORAGES)}.")
    _check_words(teacher, path, kind)
    if kind == ".vec":
        _save_text(teacher, path)
        return path
    arrays = _arrays(teacher, storage)
    with atomic_file(path) as stream:
        if kind == ".npz":
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        else:
            from safetensors.numpy import save

            stream.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    return path


def quantise(vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """int8 ``[n, d]`` and float32 scale ``[n]``: the vector is about ``int8 * scale[:, None]``."""
    largest = np.abs(vectors).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(vectors / scale[:, None]).astype(np.int8), scale


def _arrays(teacher: Teacher, storage: str) -> dict[str, NDArray[Any]]:
    words = np.frombuffer("\n".join(teacher.words).encode("utf-8"), dtype=np.uint8)
    arrays: dict[str, NDArray[Any]] = {"words": words}
    if storage == "int8":
        arrays["vectors"], arrays["scale"] = quantise(teacher.vectors)
    else:
        arrays["vectors"] = teacher.vectors.astype(storage, copy=False)
    if teacher.counts is not None:
        arrays["counts"] = teacher.counts
    return arrays


def _save_text(teacher: Teacher, path: Path) -> None:
    with atomic_file(path) as stream:
        packer = _PACKERS.get(path.suffix.lower())
        packed: IO[Any] = packer(stream, "wb") if packer else stream
        text = io.TextIOWrapper(packed, encoding="utf-8", newline="\n")
        text.write(f"{len(teacher)} {teacher.dim}\n")
        for word, vector in zip(teacher.words, teacher.vectors, strict=True):
            text.write(f"{word} {' '.join([f'{number:.6g}' for number in vector.tolist()])}\n")
        text.flush()
        text.detach()
        if packer:
            packed.close()


def _check_words(teacher: Teacher, path: Path, kind: str) -> None:
    forbidden = " \t\r\n" if kind == ".vec" else "\n"
    for word in teacher.words:
        if not word or any(character in word for character in forbidden):
            mend = "write .npz instead" if kind == ".vec" and "\n" not in word and word else "leave that word out"
            raise DistillEmbError(f"{path}: the word {word!r} cannot stand in this format: {mend}.")
