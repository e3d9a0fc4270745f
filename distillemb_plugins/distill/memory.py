"""A memory of frequent words beside the network: what the student misses of them, product-quantised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..characters import PAD_ID, UNKNOWN_ID
from ..encoder import DistillEmb
from ..errors import DistillEmbError, require
from ..inference.students import fingerprints
from ..persistence import EncoderFiles
from ..quantization import Storage, Tensors, dequantize, quantize
from ..teachers import Teacher
from ..vectors import unit_rows

CODEBOOK = 256  # short vectors a codebook, so that a code is a byte
_ROUNDS = 15  # of k-means
_BYTES_A_KEY = 4

Floats = NDArray[np.float32]


def fit_memory(
    files: EncoderFiles,
    teacher: Teacher,
    words: int,
    codes: int,
    *,
    dims: int | None = None,
    storage: Storage = "int8",
    seed: int = 0,
) -> EncoderFiles:
    """Add a memory of the teacher's most frequent words to an encoder.

    For each of the first `words` words of the teacher that the character table can tell apart, take the difference
    between the teacher's direction, at the length of the student's vector, and the student's vector. Its coordinates
    in the `dims` directions of greatest variance are dealt to `codes` groups of about equal variance product
    (eigenvalue allocation, Ge et al. 2013, section 4), and in each group replaced by the nearest of 256 centroids of
    k-means (product quantisation, Jegou et al. 2011). `memory_bytes` says what it costs.

    files: an encoder without a memory; its weights are first rounded as `storage` rounds them, so that the memory
    also mends what rounding cost. teacher: vectors ``[n, dim]``, cleaned as the student's targets were. dims: a
    multiple of `codes`, `default_dims` when not given.
    Returns new files. Raises `DistillEmbError` when dims is no multiple of `codes`, when the widths differ, or when
    there are fewer than 256 words to learn from.
    """
    dim = files.config["dim"]
    dims = default_dims(codes, dim) if dims is None else dims
    _check(files, teacher, words, codes, dims)
    files = replace(files, tensors=dequantize(quantize(files.tensors, storage)))
    rows, keys = _distinct_rows(files, teacher.words[:words])
    if len(rows) < CODEBOOK:
        raise DistillEmbError(f"A memory needs at least {CODEBOOK} words, the teacher gives {len(rows)}: give more.")
    student = DistillEmb(files, cache_size=0).encode([teacher.words[row] for row in rows])
    wanted = unit_rows(teacher.vectors[rows]) * np.linalg.norm(student, axis=1, keepdims=True)
    missing = wanted - student
    basis = balanced_basis(missing, codes, dims)
    codebooks, chosen = _quantise(missing @ basis.T, codes, seed)
    tensors: Tensors = {"keys": keys, "codes": chosen, "codebooks": codebooks, "basis": basis}
    return replace(
        files,
        config={**files.config, "memory": {"words": len(keys), "codes": codes, "dims": dims}},
        tensors={**files.tensors, **{f"memory.{name}": tensor for name, tensor in tensors.items()}},
    )


def default_dims(codes: int, dim: int) -> int:
    """Directions that are kept when nothing else is said: eight a code, at most two thirds of the width."""
    return max(codes, min(8 * codes, 2 * dim // 3 // max(codes, 1) * codes))


def memory_bytes(words: int, codes: int, dims: int, dim: int) -> int:
    """Bytes on disk of a memory in int8 storage, but for a few scales: keys and codes, codebooks, basis."""
    return words * (codes + _BYTES_A_KEY) + CODEBOOK * dims + dims * dim


def balanced_basis(vectors: Floats, codes: int, dims: int) -> Floats:
    """Principal directions float32 ``[dims, dim]`` in `codes` groups of equal size and about equal variance product."""
    variance, directions = np.linalg.eigh((vectors.T @ vectors / len(vectors)).astype(np.float64))
    strongest = np.argsort(-variance)[:dims]
    groups: list[list[int]] = [[] for _ in range(codes)]
    filled = np.zeros(codes)
    for place in strongest:
        open_groups = [number for number in range(codes) if len(groups[number]) < dims // codes]
        group = min(open_groups, key=lambda number: filled[number])
        groups[group].append(int(place))
        # Log variance above the weakest kept, so that every direction dealt fills its group a little.
        filled[group] += np.log(variance[place] / max(variance[strongest[-1]], 1e-12) + 1e-12) + 0.1
    order = [place for group in groups for place in group]
    result: Floats = np.ascontiguousarray(directions[:, order].T, dtype=np.float32)
    return result


def _check(files: EncoderFiles, teacher: Teacher, words: int, codes: int, dims: int) -> None:
    dim = files.config["dim"]
    if files.config.get("memory"):
        raise DistillEmbError("The encoder has a memory already: start from the one without.")
    if teacher.dim != dim:
        raise DistillEmbError(
            f"The teacher's vectors are {teacher.dim} wide, the encoder's {dim}: give its own teacher."
        )
    if codes < 1 or dims % codes or not codes <= dims <= dim:
        raise DistillEmbError(
            f"memory codes is {codes} and dims {dims}: dims has to be a multiple of codes, at most the width, {dim}."
        )
    if words < CODEBOOK:
        raise DistillEmbError(f"memory words is {words}: give at least {CODEBOOK}.")


def _distinct_rows(files: EncoderFiles, words: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Places of the words that have a fingerprint of their own, and the fingerprints, in ascending order.

    A word as long as the row may be the beginning of a longer one, and a word with an unknown character may be any:
    those are left to the network.
    """
    ids = files.characters.encode(words)
    own = ((ids != PAD_ID).sum(1) < files.characters.max_chars) & ~(ids == UNKNOWN_ID).any(1)
    places = np.flatnonzero(own)
    keys, first = np.unique(fingerprints(ids[places]), return_index=True)
    return places[first], keys.astype(np.int32)


def _quantise(vectors: Floats, codes: int, seed: int) -> tuple[Floats, NDArray[np.uint8]]:
    """Codebooks float32 ``[codes, 256, width]`` and codes uint8 ``[n, codes]`` of vectors ``[n, codes * width]``."""
    vq: Any = require("scipy.cluster.vq", "train")
    random = np.random.default_rng(seed)
    books, chosen = [], []
    for part in np.split(vectors, codes, axis=1):
        start = part[random.choice(len(part), CODEBOOK, replace=False)]
        book, _ = vq.kmeans2(part, start, iter=_ROUNDS, minit="matrix", missing="warn")
        code, _ = vq.vq(part, book)
        books.append(book.astype(np.float32))
        chosen.append(code.astype(np.uint8))
    return np.stack(books), np.stack(chosen, axis=1)
