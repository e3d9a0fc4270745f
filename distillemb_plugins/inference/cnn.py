"""The default student, `cnn`, in NumPy: the features of the characters, and the dense head behind them.

The head is apart, so that another runtime can compute it (see `onnx_runtime`).
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..characters import PAD_ID
from .hashing import (
    FEW_WORDS,
    HASH_MASK,
    HASH_STEP,
    ONE,
    Rows,
    as_columns,
    mix_hash,
    ngram_hashes,
    ngram_validity,
    remainder,
)

Array = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]

_NOWHERE = np.float32(-1e30)  # what no maximum takes
_LEAST_STEPS = 127  # of a rounded table; where the words are too long for it, it is not rounded
_SMALL = 1 << 16  # values, fewer than which need no array that is kept
EPSILON = 1e-5  # of torch's normalization layers
_SPREAD = np.float32(EPSILON)


def zero_padding(weights: Tensors) -> Tensors:
    """Row 0 of the n-grams' table stands for none."""
    table = weights["table.weight"]
    if table[PAD_ID].any():
        table = table.copy()
        table[PAD_ID] = 0
    return {**weights, "table.weight": table}


def _number_of_ngrams(min_n: int, max_n: int, length: int) -> int:
    return sum(length - n + 1 for n in range(min_n, min(max_n, length) + 1))


_kept = threading.local()  # of each thread its arrays that are written anew at every call


def scratch(name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
    """An array with whatever in it, until the thread asks for this name again: new memory costs more than a sum."""
    size = math.prod(shape)
    if size < _SMALL:
        return np.empty(shape, dtype)
    arrays: dict[Any, NDArray[Any]] = _kept.__dict__
    flat = arrays.get((name, dtype))
    if flat is None or len(flat) < size:
        flat = arrays[name, dtype] = np.empty(size, dtype)
    found: NDArray[Any] = flat[:size].reshape(shape)
    return found


@lru_cache(maxsize=64)
def _kernel_places(length: int, kernel: int) -> NDArray[np.intp]:
    """What stands under each place of a kernel in each of its positions, ``[kernel, length]``."""
    return np.add.outer(np.arange(kernel), np.arange(length))


class CnnFeatures:
    """The features of words: summed n-grams beside the convolution's maximum, not yet normalized.

    args, weights: sizes and tensors of the student. rounded: keep the n-grams' table in int16, as fine as the sum over
    the longest word leaves room for. That is half as many bytes to fetch.
    """

    def __init__(self, args: dict[str, Any], weights: Tensors, max_chars: int, rounded: bool = False) -> None:
        self.min_n, self.max_n, self.buckets, self.hashes = (
            args[name] for name in ("min_n", "max_n", "buckets", "hashes")
        )
        self.kernel = args["kernel"]
        convolution = weights["convolution.weight"].copy()
        convolution.reshape(self.kernel, -1, convolution.shape[1])[self.kernel // 2, PAD_ID] = _NOWHERE
        places = np.arange(self.hashes, dtype=np.uint32)[:, None, None]
        self.table = zero_padding(weights)["table.weight"]
        self.scale: np.float32 | None = None  # of the table, when it is rounded
        if rounded:
            self._round(_number_of_ngrams(self.min_n, self.max_n, max_chars + 2))
        self.convolution, self.bias = convolution, weights["convolution_bias"]
        self._steps, self._first_rows = places * HASH_STEP, places * np.uint32(self.buckets) + ONE
        self._offsets = (np.arange(self.kernel) * (len(convolution) // self.kernel))[:, None, None]
        self._split = self.hashes * self.table.shape[1]
        self.width = self._split + convolution.shape[1]

    def __call__(self, rows: Rows) -> Array:
        """Features float32 ``[n, width]`` of rows of character ids int32 ``[n, max_chars]``."""
        columns, words = as_columns(rows), len(rows)
        x = np.empty((words, self.width), np.float32)
        self._ngrams(columns, x[:, : self._split].reshape(words, self.hashes, -1))
        self._positions(columns, x[:, self._split :])
        return x

    def _ngrams(self, columns: Rows, out: Array) -> None:
        """Write the summed rows of all n-grams over the root of their number into `out`, ``[n, hashes, width]``."""
        hashes = ngram_hashes(columns, self.min_n, self.max_n)
        rows = remainder(mix_hash((hashes + self._steps) & HASH_MASK), self.buckets)
        rows += self._first_rows
        number: Any = np.float32(max(len(hashes), 1))
        if np.count_nonzero(columns) < columns.size:  # words of several lengths
            valid = ngram_validity(columns, self.min_n, self.max_n)
            rows *= valid
            number = np.maximum(np.add.reduce(valid, axis=0, dtype=np.float32), 1)[:, None]
        found = scratch("ngrams", (*rows.shape, self.table.shape[1]), self.table.dtype)
        self.table.take(rows, axis=0, out=found, mode="clip")  # all are there; the default mode would copy
        summed = np.add.reduce(found, axis=1, dtype=self.table.dtype)
        if self.scale is None:
            np.divide(summed, np.sqrt(number), out=out.transpose(1, 0, 2))
        else:
            np.multiply(summed, self.scale / np.sqrt(number), out=out.transpose(1, 0, 2))

    def _round(self, ngrams: int) -> None:
        limit = np.iinfo(np.int16).max // max(ngrams, 1)
        if limit >= _LEAST_STEPS:
            self.scale = np.float32((np.abs(self.table).max() or 1) / limit)
            self.table = np.rint(self.table / self.scale).astype(np.int16)

    def _positions(self, columns: Rows, out: Array) -> None:
        """Write the convolution's maximum over the places of each word into `out`, ``[n, channels]``."""
        kernel, (length, words) = self.kernel, columns.shape
        framed = np.zeros((length + kernel // 2 * 2, words), np.intp)
        framed[kernel // 2 : kernel // 2 + length] = columns
        shape = (length, words, self.convolution.shape[1])
        if words <= FEW_WORDS:  # one call for all places of the kernel, which are added in the same order
            places = framed.take(_kernel_places(length, kernel), axis=0)
            places += self._offsets
            x = np.add.reduce(self.convolution.take(places, axis=0), axis=0)
        else:
            x, more = scratch("places", shape), scratch("more places", shape)
            self.convolution.take(framed[:length], axis=0, out=x, mode="clip")
            for place in range(1, kernel):
                framed += len(self.convolution) // kernel
                x += self.convolution.take(framed[place : place + length], axis=0, out=more, mode="clip")
        np.add(np.maximum.reduce(x, axis=0), self.bias, out=out)
        np.maximum(out, 0, out=out)  # both keep the order, so that they can come last


class DenseWeights:
    """The hidden and the output layer, matrices transposed, the norm's scale and shift within the hidden layer."""

    def __init__(self, weights: Tensors) -> None:
        hidden = weights["hidden.weight"]
        self.hidden: Array = np.ascontiguousarray((hidden * weights["norm.weight"]).T)  # [width, hidden]
        self.hidden_bias: Array = hidden @ weights["norm.bias"] + weights["hidden.bias"]
        self.output: Array = np.ascontiguousarray(weights["output.weight"].T)  # [hidden, dim]
        self.output_bias: Array = weights["output.bias"]


class NumpyHead:
    """LayerNorm, hidden layer, ReLU and output layer. The basis of a residual codebook is part of the output layer."""

    def __init__(self, layers: DenseWeights, basis: Array | None) -> None:
        self.layers = layers
        self.both = layers.output if basis is None else np.concatenate([layers.output, basis])
        layers.output = self.both[: len(layers.output)]

    def tables(self, codebooks: Array) -> Array:
        """The codebooks in the form in which `parts` come from them, ``[codes, 256, width]``."""
        return codebooks

    def __call__(self, x: Array, parts: Array | None) -> Array:
        """Compute vectors float32 ``[n, dim]``.

        x: features float32 ``[n, width]``, which may be overwritten. parts: coordinates of the first words in the
        residual codebook's basis, ``[k, dims]`` from `tables`, or None.
        """
        layers = self.layers
        normalize(x)
        inner = scratch("inner", (len(x), len(self.both)))
        hidden = inner[:, : len(layers.hidden_bias)]
        np.matmul(x, layers.hidden, out=hidden)
        hidden += layers.hidden_bias
        np.maximum(hidden, 0, out=hidden)
        if parts is None:
            result: Array = hidden @ layers.output
        else:
            held = len(parts)
            inner[:held, hidden.shape[1] :] = parts
            result = np.empty((len(x), self.both.shape[1]), np.float32)
            np.matmul(inner[:held], self.both, out=result[:held])
            if held < len(x):
                np.matmul(hidden[held:], layers.output, out=result[held:])
        result += layers.output_bias
        return result


def normalize(x: Array) -> None:
    """LayerNorm without scale and shift, in place."""
    width = np.float32(x.shape[1])
    if len(x) == 1:  # a single word, for which every call counts
        word = x[0]
        word -= np.add.reduce(word) / width
        word /= np.sqrt(word.dot(word) / width + _SPREAD)
        return
    x -= np.add.reduce(x, axis=1, keepdims=True) / width
    x /= np.sqrt(np.einsum("nf,nf->n", x, x) / width + _SPREAD)[:, None]
