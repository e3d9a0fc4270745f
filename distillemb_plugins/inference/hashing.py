"""Hashes of character rows in NumPy: n-grams and whole words, the same numbers as in the torch encoders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import mul

import numpy as np
from numpy.typing import NDArray

from ..characters import PAD_ID

Rows = NDArray[np.int32]
Hashes = NDArray[np.uint32]

_MASK, _MIX = 0x7FFFFFFF, 0x2C1B3C6D
HASH_MASK = np.uint32(_MASK)
HASH_STEP = np.uint32(0x3C6EF35F)
ONE = np.uint32(1)
_HASH_FACTOR = np.uint32(0x5BD1E995)
_HASH_MIX = np.uint32(_MIX)
_13, _15 = np.uint32(13), np.uint32(15)
_FEW = 512  # numbers, for which one call matters more than vectors
FEW_WORDS = 4  # for which the same holds


def mix_hash(value: Hashes) -> Hashes:
    """The same finalizer as in the torch encoders."""
    value = value ^ (value >> _15)
    value *= _HASH_MIX
    value &= HASH_MASK
    value ^= value >> _13
    return value


@lru_cache(maxsize=256)
def _gram_ends(min_n: int, max_n: int, width: int) -> NDArray[np.int32]:
    """Where each n-gram of a frame of `width` characters ends, shorter n-grams first: int32 ``[grams, 1]``."""
    orders = range(min_n, min(max_n, width) + 1)
    ends = [np.arange(n, width + 1, dtype=np.int32) for n in orders]
    return np.concatenate([np.zeros(0, np.int32), *ends])[:, None]


def ngram_hashes(columns: Rows, min_n: int, max_n: int) -> Hashes:
    """31-bit hashes of all n-grams of the framed words, ``[grams, n]``, the shorter n-grams first.

    columns: int32 ``[characters, n]``, a word a column, so that every step works on long runs of memory. The torch
    encoders hash in int64 and keep 31 bits at each step; uint32 that overflows keeps the same bits.
    """
    length, words = columns.shape
    if words <= FEW_WORDS:
        factors, frame = _gram_factors(min_n, max_n, length)
        joined = factors @ columns.view(np.uint32)
        joined += frame
        joined &= HASH_MASK
        return mix_hash(joined)
    framed = np.zeros((length + 2, words), np.uint32)
    framed[1:-1] = columns
    framed += ONE
    rolling = framed
    hashes = [framed] if min_n == 1 else []
    for n in range(2, min(max_n, length + 2) + 1):
        rolling = rolling[:-1] * _HASH_FACTOR
        rolling += framed[n - 1 :]
        if n >= min_n:
            hashes.append(rolling)
    joined = np.concatenate(hashes) if hashes else framed[:0]
    joined &= HASH_MASK
    return mix_hash(joined)


@lru_cache(maxsize=64)
def _gram_factors(min_n: int, max_n: int, length: int) -> tuple[Hashes, Hashes]:
    """The rolling hash as a matrix product, which is one call instead of many.

    Returns what each n-gram's hash has of each character, uint32 ``[grams, length]``, and what it has of the frame and
    of the one that is added to every character, ``[grams, 1]``.
    """
    powers = [pow(int(_HASH_FACTOR), k, 1 << 32) for k in range(max_n)]
    places = [(n, start) for n in range(min_n, min(max_n, length + 2) + 1) for start in range(length + 3 - n)]
    factors = np.zeros((len(places), length + 2), np.uint32)
    for gram, (n, start) in enumerate(places):
        factors[gram, start : start + n] = powers[:n][::-1]
    frame = np.add.reduce(factors, axis=1, keepdims=True, dtype=np.uint32)
    return np.ascontiguousarray(factors[:, 1:-1]), frame


def ngram_validity(columns: Rows, min_n: int, max_n: int) -> NDArray[np.bool_]:
    """Which n-grams lie within their framed word, bool ``[grams, n]``."""
    ends = (columns != PAD_ID).sum(0, dtype=np.int32) + 2
    valid: NDArray[np.bool_] = _gram_ends(min_n, max_n, len(columns) + 2) <= ends
    return valid


def remainder(value: Hashes, divisor: int) -> Hashes:
    """``value % divisor``: NumPy divides by one number in vectors, but has no such remainder."""
    if value.size < _FEW:
        return value % np.uint32(divisor)
    whole = value // np.uint32(divisor)
    whole *= np.uint32(divisor)
    result: Hashes = np.subtract(value, whole, out=whole)
    return result


def ngram_buckets(rows: Rows, min_n: int, max_n: int, buckets: int) -> Hashes:
    """Bucket of each character n-gram from 1 to `buckets`, 0 where there is none: uint32 ``[grams, n]``."""
    columns = as_columns(rows)
    hashes, valid = ngram_hashes(columns, min_n, max_n), ngram_validity(columns, min_n, max_n)
    return (remainder(hashes, buckets) + ONE) * valid


def as_columns(rows: Rows) -> Rows:
    """``[n, max_chars]`` to ``[characters of the longest word, n]``, contiguous."""
    return np.ascontiguousarray(without_padding(rows).T)


def without_padding(rows: Rows) -> Rows:
    """The columns up to the longest word: for students that padding at the end does not change."""
    used = rows.nonzero()[1] if len(rows) == 1 else np.flatnonzero(rows.any(axis=0))
    return rows[:, : used[-1] + 1 if len(used) else 1]


@lru_cache(maxsize=64)
def _position_factors(length: int) -> Hashes:
    """A number for each place of a row, uint32 ``[length]``, unrelated to each other."""
    places = np.arange(1, length + 1, dtype=np.uint32)
    return mix_hash(mix_hash((places * _HASH_FACTOR) & HASH_MASK))


def row_hashes(rows: Rows) -> NDArray[np.int32]:
    """31-bit hash of each row, int32 ``[n]``; the same as in the torch encoders."""
    total = np.add.reduce(rows.astype(np.uint32) * _position_factors(rows.shape[1]), axis=1, dtype=np.uint32)
    total &= HASH_MASK
    return mix_hash(total).view(np.int32)


@lru_cache(maxsize=64)
def _factor_list(length: int) -> list[int]:
    return [int(factor) for factor in _position_factors(length)]


def row_hash(row: Sequence[int]) -> int:
    """The same of a single row, in Python's numbers: arrays of one element cost more."""
    value = sum(map(mul, row, _factor_list(len(row)))) & _MASK
    value = ((value ^ value >> 15) * _MIX) & _MASK
    return value ^ value >> 13
