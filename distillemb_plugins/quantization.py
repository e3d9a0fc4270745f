"""Fewer bytes for the same weights: float16, or int8 with scales."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .settings import check_choice

Storage = Literal["float32", "float16", "int8"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
Tensors = dict[str, NDArray[Any]]
SCALE_SUFFIX = "_scale"
_LONG = 64  # times as many rows as columns make a long table
_SMALLEST = 256  # tensors of fewer values keep float32: their scales would cost more than they save


def quantize(tensors: Tensors, storage: Storage) -> Tensors:
    """Turn weights into what is stored, with the scales of ``name`` under ``name_scale``.

    ``"float16"`` rounds every float32 tensor. ``"int8"`` rounds those of two or more dimensions to int8 (symmetric, the
    largest magnitude is 127), with float16 scales that broadcast: one a row, or one a column of a long table. Small
    tensors keep float32, and tensors of integers stay as they are.
    """
    check_choice("storage", storage, STORAGES)
    result: Tensors = {}
    for name, tensor in tensors.items():
        if storage == "float32" or tensor.dtype != np.float32:
            result[name] = np.ascontiguousarray(tensor)
        elif storage == "float16":
            result[name] = tensor.astype(np.float16)
        elif tensor.ndim < 2 or tensor.size < _SMALLEST:
            result[name] = tensor
        else:
            result[name], result[name + SCALE_SUFFIX] = _to_int8(tensor)
    return result


def _to_int8(tensor: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    # A long table of short rows shares one scale a column: a scale for each row would add an eighth to its size.
    long_table = tensor.ndim == 2 and len(tensor) > _LONG * tensor.shape[1]
    axes = 0 if long_table else tuple(range(1, tensor.ndim))
    largest = np.abs(tensor).max(axis=axes, keepdims=True)
    scale = np.maximum(largest / 127, np.finfo(np.float16).tiny).astype(np.float16)
    codes = np.clip(np.rint(tensor / scale.astype(np.float32)), -127, 127).astype(np.int8)
    return codes, scale


def dequantize(stored: Tensors) -> Tensors:
    """Turn stored tensors (of any float type) back into float32 weights. Integers without a scale stay as they are."""
    result: Tensors = {}
    for name, tensor in stored.items():
        if name.endswith(SCALE_SUFFIX) and name.removesuffix(SCALE_SUFFIX) in stored:
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        if tensor.dtype == np.int8 and scale is not None:
            result[name] = tensor.astype(np.float32) * scale.astype(np.float32)
        else:
            with np.errstate(over="ignore"):  # becomes infinity, which whoever reads an encoder refuses by name
                result[name] = tensor.astype(np.float32, copy=False) if tensor.dtype.kind == "f" else tensor
    return result


def quantize_rows(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round float32 ``[n, dim]`` to int8 and float32 scales ``[n]``: the vector is about ``int8 * scale[:, None]``."""
    largest = np.abs(vectors).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(vectors / scale[:, None]).astype(np.int8), scale
