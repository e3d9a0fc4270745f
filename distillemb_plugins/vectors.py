"""Rows of vectors: scaling them to length 1, and finding the nearest ones by cosine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
BLOCK_VALUES = 1 << 24
"""Similarities held at once (64 MiB). This bounds the memory, whatever the vocabulary."""


def unit_rows(vectors: Floats) -> Floats:
    """Scale rows float32 ``[n, dim]`` to length 1. A zero row stays zero."""
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32, copy=False)
    lengths[lengths == 0] = 1
    result: Floats = vectors / lengths
    return result


def similarity_blocks(queries: Floats, candidates: Floats) -> Iterator[tuple[slice, Floats]]:
    """Compute all cosines of unit rows float32 ``[q, dim]`` and ``[n, dim]``, one block of queries at a time.

    Yields the rows of the block, and its cosines float32 ``[rows, n]``.
    """
    step = max(1, BLOCK_VALUES // max(1, len(candidates)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        yield rows, queries[rows] @ candidates.T


def nearest(
    queries: Floats, candidates: Floats, n: int = 10, exclude: Sequence[int] | NDArray[np.integer] | None = None
) -> tuple[NDArray[np.intp], Floats]:
    """Find the `n` nearest candidates ``[m, dim]`` of each query ``[q, dim]`` by cosine, whatever their lengths.

    exclude: for each query one row of `candidates` to leave out, -1 for none. Returns rows of `candidates` intp ``[q,
    k]`` and cosines float32 ``[q, k]``, the nearest first, equal cosines by the lower row. ``k`` is `n`, or the number
    of candidates that can be chosen from, if that is less.
    """
    left_out = np.asarray(exclude if exclude is not None else [-1] * len(queries), dtype=np.intp)
    k = min(n, len(candidates) - int((left_out >= 0).any()))
    if k < 1:
        return np.zeros((len(queries), 0), dtype=np.intp), np.zeros((len(queries), 0), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.intp)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    for rows, block in similarity_blocks(unit_rows(queries), unit_rows(candidates)):
        hidden = left_out[rows]
        block[np.flatnonzero(hidden >= 0), hidden[hidden >= 0]] = -np.inf
        indices[rows], cosines[rows] = top(block, k)
    return indices, cosines


def top(block: Floats, k: int) -> tuple[NDArray[np.intp], Floats]:
    """Find the k (at most n) largest values of each row of float32 ``[rows, n]``.

    Returns columns intp ``[rows, k]`` and values float32 ``[rows, k]``, the largest first, equal ones by the lower
    column.
    """
    part = np.sort(np.argpartition(-block, k - 1, axis=1)[:, :k], axis=1)
    values = np.take_along_axis(block, part, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1), np.take_along_axis(values, order, axis=1)
