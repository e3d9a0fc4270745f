"""Reading safetensors files as NumPy arrays, of every type that other libraries store weights in.

NumPy knows no bfloat16, so that safetensors' own NumPy reader fails on what PyTorch often writes. Here it becomes
float32, exactly. The whole layout is checked before a number is read, and nothing is taken from the file but numbers.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DistillEmbError, brief
from .files import is_file

# What the header calls a type, and how NumPy reads it.
TENSOR_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "<b1",
}
_LARGEST_HEADER = 100_000_000  # bytes; the format allows no more
_LFS_POINTER = b"version https://git-lfs"
_PREFIX = 8  # bytes of the length of the header


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file, not yet read: the type as the file calls it, and what stands there, bfloat16 as uint16."""

    stored: str
    raw: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of what `read` returns: float32 for bfloat16."""
        return np.dtype(np.float32) if self.stored == "BF16" else self.raw.dtype

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read the rows from `start` to `stop` into new memory; a tensor of no dimension is read whole."""
        rows = self.raw[start:stop] if self.shape else self.raw
        if self.stored == "BF16":  # the upper half of a float32
            return (rows.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return np.array(rows)


def open_safetensors(path: str | Path, mend: str = "fetch it again") -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Open a safetensors file without reading its tensors: tensors by name, and the metadata. mend: for messages."""
    path = Path(path)
    try:
        size = path.stat().st_size
        data = np.memmap(path, dtype=np.uint8, mode="r") if size else np.empty(0, np.uint8)
    except (OSError, ValueError, MemoryError) as error:
        raise DistillEmbError(f"{path} cannot be read ({brief(error)}): {mend}.") from error
    return _open(data, str(path), mend)


def read_safetensors(path: str | Path, mend: str = "fetch it again") -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a safetensors file whole, into memory of its own, bfloat16 as float32; see `open_safetensors`."""
    tensors, metadata = open_safetensors(path, mend)
    return _read_all(tensors, str(path), mend), metadata


def load_safetensors(
    blob: bytes, where: str, mend: str = "save it again"
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read the bytes of a safetensors file; see `read_safetensors`. where: what the message calls them."""
    tensors, metadata = _open(np.frombuffer(blob, dtype=np.uint8), where, mend)
    return _read_all(tensors, where, mend), metadata


def read_shards(index: str | Path, mend: str = "fetch it again") -> dict[str, NDArray[Any]]:
    """Read the tensors of a save in several files. index: the JSON file that says in which file each tensor stands."""
    index = Path(index)
    try:
        if index.stat().st_size > _LARGEST_HEADER:
            raise ValueError(f"larger than {_LARGEST_HEADER >> 20} MB")
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
        if any(Path(file).name != file for file in files):
            raise ValueError("a part lies elsewhere")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DistillEmbError(f"{index} is damaged ({brief(error)}): {mend}.") from error
    tensors: dict[str, NDArray[Any]] = {}
    for file in files:
        if not is_file(index.parent / file):
            raise DistillEmbError(f"{index.parent / file}, a part of the weights, is missing: {mend}.")
        part, _ = read_safetensors(index.parent / file, mend)
        if set(part) != {name for name, place in places.items() if place == file}:
            raise DistillEmbError(f"{index.parent / file} holds other weights than {index.name} says: {mend}.")
        tensors |= part
    return tensors


def _read_all(tensors: dict[str, StoredTensor], where: str, mend: str) -> dict[str, NDArray[Any]]:
    try:
        return {name: tensor.read() for name, tensor in tensors.items()}
    except MemoryError as error:
        raise DistillEmbError(f"{where} does not fit into memory: {mend}.") from error


def _open(data: NDArray[np.uint8], where: str, mend: str) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    if data[: len(_LFS_POINTER)].tobytes() == _LFS_POINTER:
        raise DistillEmbError(f"{where} is a pointer of Git LFS, not the file itself: run git lfs pull.")
    try:
        header, body = _header(data)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("the metadata are not text")
        tensors = {name: _tensor(name, entry, body) for name, entry in header.items()}
        _check_layout(tensors, header, len(body))
    except _OtherTypeError as error:
        raise DistillEmbError(
            f"{where} stores {error}, which cannot be read here: save it as float32, float16 or bfloat16."
        ) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise DistillEmbError(f"{where} is damaged or cut short ({brief(error)}): {mend}.") from error
    return tensors, metadata


class _OtherTypeError(Exception):
    """A type of number that is not read."""


def _header(data: NDArray[np.uint8]) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    size = int.from_bytes(data[:_PREFIX].tobytes(), "little")
    if len(data) < _PREFIX or size > min(_LARGEST_HEADER, len(data) - _PREFIX):
        raise ValueError(f"its header does not fit into {len(data)} bytes")
    header = json.loads(data[_PREFIX : _PREFIX + size].tobytes().decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header, data[_PREFIX + size :]


def _tensor(name: str, entry: dict[str, Any], body: NDArray[np.uint8]) -> StoredTensor:
    stored, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if stored not in TENSOR_DTYPES:
        raise _OtherTypeError(f"{brief(repr(name))} as {brief(stored)}")
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise ValueError(f"a size of {name!r} is no number")
    if end - start != math.prod(shape) * np.dtype(TENSOR_DTYPES[stored]).itemsize or end > len(body):
        raise ValueError(f"the size of {name!r} does not fit its shape or the file")
    return StoredTensor(stored, np.frombuffer(body[start:end], dtype=TENSOR_DTYPES[stored]).reshape(shape))


def _check_layout(tensors: dict[str, StoredTensor], header: dict[str, Any], size: int) -> None:
    """Every byte belongs to exactly one tensor."""
    end = 0
    for start, stop in sorted(header[name]["data_offsets"] for name in tensors):
        if start != end:
            raise ValueError("its tensors overlap or leave a gap")
        end = stop
    if end != size:
        raise ValueError(f"its tensors end at byte {end} of {size}")
