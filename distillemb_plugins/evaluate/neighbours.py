"""Nearest neighbours by cosine, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from .subjects import Subject, embed_in_batches, unit_rows

BLOCK_FLOATS = 16_000_000
"""Similarities held at once (64 MB): bounds the memory, whatever the vocabulary."""


def similarity_blocks(
    queries: NDArray[np.float32], candidates: NDArray[np.float32]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield ``(rows, cosines [rows, candidates])`` over all queries.

    queries float32 [q, dim] and candidates float32 [n, dim] have unit rows.
    """
    step = max(1, BLOCK_FLOATS // max(1, len(candidates)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        yield rows, queries[rows] @ candidates.T


def nearest(
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    n: int = 10,
    exclude: Sequence[int] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The n candidates nearest to each query, best first.

    queries float32 [q, dim]; candidates float32 [m, dim]; exclude: one candidate row to pass over for each
    query, -1 for none. Returns rows intp [q, k] and cosines float32 [q, k], k = min(n, m, less any passed over).
    """
    unit_queries, unit_candidates = unit_rows(queries), unit_rows(candidates)
    passed_over = np.asarray(exclude if exclude is not None else [-1] * len(queries), dtype=np.intp)
    k = min(n, len(candidates) - int((passed_over >= 0).any()))
    if k < 1:
        return np.zeros((len(queries), 0), dtype=np.intp), np.zeros((len(queries), 0), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.intp)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    for rows, block in similarity_blocks(unit_queries, unit_candidates):
        hidden = passed_over[rows]
        block[np.flatnonzero(hidden >= 0), hidden[hidden >= 0]] = -np.inf
        indices[rows], cosines[rows] = _top(block, k)
    return indices, cosines


def _top(block: NDArray[np.float32], k: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The k largest of each row, in order, equal values by the lower column."""
    part = np.sort(np.argpartition(-block, k - 1, axis=1)[:, :k], axis=1)
    values = np.take_along_axis(block, part, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1), np.take_along_axis(values, order, axis=1)


def nearest_words(
    subject: Subject,
    words: Sequence[str],
    candidates: Sequence[str],
    n: int = 10,
    *,
    vectors: NDArray[np.float32] | None = None,
    progress: bool = False,
) -> dict[str, list[tuple[str, float]]]:
    """The n candidates nearest to each word, as ``{word: [(candidate, cosine), ...]}``; the word itself is left out.

    vectors: the candidates' vectors float32 [m, dim] when they are at hand. A word that a table does not know
    gets an empty list. Raises `DistillEmbError` when there are no candidates.
    """
    if not candidates:
        raise DistillEmbError("There are no candidate words to look for neighbours in: give a vocabulary.")
    if vectors is None:
        vectors = embed_in_batches(subject, candidates, progress)
    queries, known = subject.lookup(words)
    row = {subject.fold(candidate): i for i, candidate in reversed(list(enumerate(candidates)))}
    indices, cosines = nearest(queries, vectors, n, [row.get(subject.fold(word), -1) for word in words])
    return {
        word: [(candidates[i], round(float(c), 4)) for i, c in zip(indices[q], cosines[q], strict=True)]
        if known[q]
        else []
        for q, word in enumerate(words)
    }
