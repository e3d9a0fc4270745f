"""A residual codebook of frequent words beside the network: what the student misses of them, product-quantized."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..characters import PAD_ID, UNKNOWN_ID
from ..encoder import DistillEmb
from ..errors import DistillEmbError, require
from ..inference.students import row_hashes
from ..persistence import EncoderFiles
from ..quantization import Storage, dequantize, quantize
from ..teachers import Teacher
from ..vectors import Floats, unit_rows

CODEBOOK = 256  # short vectors a codebook, so that a code is a byte
_ROUNDS = 15  # of k-means
_PREFIX = "memory"  # of its tensors and of its sizes in the configuration of an encoder


def fit_residual_codebook(
    files: EncoderFiles,
    teacher: Teacher,
    words: int,
    codes: int,
    *,
    dims: int | None = None,
    storage: Storage = "int8",
    seed: int = 0,
) -> EncoderFiles:
    """Add a residual codebook of the teacher's most frequent words to an encoder.

    The residual of a word is the difference between the teacher's direction, at the length of the student's vector,
    and the student's vector. Its coordinates in the `dims` directions of greatest variance are dealt to `codes`
    groups of about equal variance product (eigenvalue allocation, Ge et al. 2013, section 4), and in each group
    replaced by the nearest of 256 centroids of k-means (product quantization, Jegou et al. 2011). In int8 storage it
    costs ``words * (codes + 4) + 256 * dims + dims * dim`` bytes.

    Args:
        files: An encoder without a residual codebook. Its weights are first rounded as `storage` rounds them, so that
            the codebook also mends what rounding cost.
        teacher: Vectors ``[n, dim]``, cleaned as the student's targets were.
        words: How many of its first words; those that the character table cannot tell apart are left out.
        codes: Bytes of a word.
        dims: A multiple of `codes`; eight times `codes`, at most two thirds of the width, when not given.
        storage: How the weights will be stored.
        seed: Of k-means.

    Returns:
        New files.

    Raises:
        DistillEmbError: `dims` is not a multiple of `codes`, the widths differ, or there are fewer than 256 words to
            learn from.
    """
    dim = files.config["dim"]
    if dims is None:
        dims = max(codes, min(8 * codes, 2 * dim // 3 // max(codes, 1) * codes))
    if files.config.get(_PREFIX):
        raise DistillEmbError("The encoder has a residual codebook already: start from the one without.")
    if teacher.dim != dim:
        raise DistillEmbError(
            f"The teacher's vectors are {teacher.dim} wide, the encoder's {dim}: give its own teacher."
        )
    if codes < 1 or dims % codes or not codes <= dims <= dim:
        raise DistillEmbError(
            f"codes is {codes} and dims {dims}: dims has to be a multiple of codes, at most the width, {dim}."
        )
    files = replace(files, tensors=dequantize(quantize(files.tensors, storage)))
    rows, keys = _distinct_rows(files, teacher.words[:words])
    if len(rows) < CODEBOOK:
        raise DistillEmbError(f"A residual codebook needs at least {CODEBOOK} words, and {len(rows)} are given.")
    student = DistillEmb(files, cache_size=0).encode([teacher.words[row] for row in rows])
    residuals = unit_rows(teacher.vectors[rows]) * np.linalg.norm(student, axis=1, keepdims=True) - student
    basis = _balanced_basis(residuals, codes, dims)
    codebooks, chosen = _product_quantize(residuals @ basis.T, codes, seed)
    fitted: dict[str, NDArray[Any]] = {"keys": keys, "codes": chosen, "codebooks": codebooks, "basis": basis}
    return replace(
        files,
        config={**files.config, _PREFIX: {"words": len(keys), "codes": codes, "dims": dims}},
        tensors={**files.tensors, **{f"{_PREFIX}.{name}": tensor for name, tensor in fitted.items()}},
    )


def _balanced_basis(vectors: Floats, codes: int, dims: int) -> Floats:
    """Principal directions float32 ``[dims, dim]`` in `codes` groups of one size and similar variance product."""
    variance, directions = np.linalg.eigh((vectors.T @ vectors / len(vectors)).astype(np.float64))
    strongest = np.argsort(-variance)[:dims]
    groups: list[list[int]] = [[] for _ in range(codes)]
    filled = np.zeros(codes)
    for direction in strongest:
        open_groups = [number for number in range(codes) if len(groups[number]) < dims // codes]
        group = min(open_groups, key=lambda number: filled[number])
        groups[group].append(int(direction))
        # Log variance above the weakest kept, so that every direction dealt fills its group a little.
        filled[group] += np.log(variance[direction] / max(variance[strongest[-1]], 1e-12) + 1e-12) + 0.1
    return np.ascontiguousarray(directions[:, np.concatenate(groups)].T, dtype=np.float32)


def _distinct_rows(files: EncoderFiles, words: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Positions of the words that have a hash of their own, and the hashes, in ascending order.

    A word as long as the row may be the beginning of a longer one, and a word with an unknown character may be any:
    those are left to the network.
    """
    ids = files.characters.encode(words)
    unknown = (ids == UNKNOWN_ID) | (ids >= files.characters.first_hashed)
    own = ((ids != PAD_ID).sum(1) < files.characters.max_chars) & ~unknown.any(1)
    positions = np.flatnonzero(own)
    keys, first = np.unique(row_hashes(ids[positions]), return_index=True)
    return positions[first], keys.astype(np.int32)


def _product_quantize(vectors: Floats, codes: int, seed: int) -> tuple[Floats, NDArray[np.uint8]]:
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
