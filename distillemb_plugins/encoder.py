"""DistillEmb: a loaded encoder that computes word vectors with NumPy alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .characters import PAD_ID, CharTable
from .errors import DistillEmbError
from .numpy_encoders import build_forward
from .persistence import EncoderFiles, Storage, read_encoder, write_encoder

Vectors = NDArray[np.float32]
_BATCH = 256  # words a forward call: enough for good matrix products, few enough for the processor's cache


class DistillEmb:
    """Word vectors computed from characters.

    >>> encoder = DistillEmb.from_pretrained("afro11")
    >>> encoder.encode(["habari", "ሰላም"]).shape
    (2, 300)

    Every string has a vector; equal words have equal vectors, whatever is encoded beside them. Computed vectors are
    kept in a cache of at most `cache_size` words. One encoder may be used by several threads.
    """

    def __init__(self, files: EncoderFiles, cache_size: int = 200_000) -> None:
        if cache_size < 0:
            raise DistillEmbError(f"cache_size is {cache_size}: give 0 (no cache) or more words.")
        self.files = files
        self._forward = build_forward(files.config, files.tensors)
        self._cache = _WordCache(cache_size, self.dim)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, cache_size: int = 200_000) -> DistillEmb:
        """Open an encoder directory, a bundled encoder by name, or one from the Hugging Face hub.

        cache_size: the most words whose vectors are kept (``dim * 4`` bytes each, taken as they come).
        Raises `DistillEmbError` when there is none or it is damaged.
        """
        return cls(read_encoder(name_or_path), cache_size)

    @classmethod
    def from_files(cls, files: EncoderFiles, cache_size: int = 200_000) -> DistillEmb:
        """An encoder from what `read_encoder` or `encoder_from_bytes` returned."""
        return cls(files, cache_size)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.files.config["dim"])

    @property
    def characters(self) -> CharTable:
        return self.files.characters

    @property
    def config(self) -> dict[str, Any]:
        return self.files.config

    @property
    def num_parameters(self) -> int:
        """Number of weights of the network."""
        return sum(tensor.size for tensor in self.files.tensors.values())

    @overload
    def encode(self, words: str, *, normalize: bool = ...) -> Vectors: ...
    @overload
    def encode(self, words: Sequence[str], *, normalize: bool = ...) -> Vectors: ...
    def encode(self, words: str | Sequence[str], *, normalize: bool = False) -> Vectors:
        """Vectors of words: float32 ``[len(words), dim]``, or ``[dim]`` for a single string.

        normalize: scale each vector to length 1.
        Raises `DistillEmbError` when something other than strings is given.
        """
        if isinstance(words, str):
            vector = self._cache.row(words)
            if vector is None:
                computed = self._compute([words])
                self._cache.add([words], computed)
                vector = computed[0]
            return unit_rows(vector[None])[0] if normalize else vector
        try:
            vectors = self._vectors(words if isinstance(words, list) else list(words))
        except TypeError as error:
            raise DistillEmbError(f"encode takes a word or a sequence of words ({error}).") from error
        return unit_rows(vectors) if normalize else vectors

    def _vectors(self, words: list[str]) -> Vectors:
        """Vectors of words: from the cache, or computed once for each distinct word and kept."""
        places, stored = self._cache.places(words)
        missing = np.flatnonzero(places < 0)
        if not len(missing):
            return stored.take(places, axis=0)
        number: dict[str, int] = {}
        numbers = [number.setdefault(words[place], len(number)) for place in missing.tolist()]
        distinct = list(number)
        computed = self._compute(distinct)
        self._cache.add(distinct, computed)
        if len(missing) == len(words):
            return computed if len(distinct) == len(words) else computed.take(numbers, axis=0)
        vectors = stored.take(places, axis=0, mode="clip")  # whatever row for those that are not there
        vectors[missing] = computed.take(numbers, axis=0)
        return vectors

    def _compute(self, words: list[str]) -> Vectors:
        rows = self.characters.encode(words)
        if len(words) <= _BATCH:
            return self._forward(rows)
        vectors = np.empty((len(words), self.dim), dtype=np.float32)
        order = np.argsort((rows != PAD_ID).sum(axis=1), kind="stable")  # short words cost less among themselves
        for start in range(0, len(words), _BATCH):
            chunk = order[start : start + _BATCH]
            vectors[chunk] = self._forward(rows[chunk])
        return vectors

    def similarity(self, first: str, second: str) -> float:
        """Cosine of two words' vectors, from -1 to 1."""
        a, b = self.encode([first, second], normalize=True)
        return float(a @ b)

    def most_similar(self, word: str, candidates: Sequence[str], n: int = 10) -> list[tuple[str, float]]:
        """The `n` candidates nearest to `word` by cosine, best first, the word itself left out.

        Raises `DistillEmbError` when `candidates` is empty.
        """
        others = [candidate for candidate in dict.fromkeys(candidates) if candidate != word]
        if not others:
            raise DistillEmbError("most_similar has no candidates to choose from: give a list of words.")
        scores = self.encode(others, normalize=True) @ self.encode(word, normalize=True)
        best = np.argsort(-scores, kind="stable")[:n]
        return [(others[place], float(scores[place])) for place in best]

    def save_pretrained(self, path: str | Path, *, storage: Storage | None = None, overwrite: bool = False) -> Path:
        """Write an encoder directory. storage: ``float32``, ``float16`` or ``int8``; as it was when not given.

        Raises `DistillEmbError` when `path` exists and `overwrite` is false.
        """
        storage = storage or self.config.get("storage", "float32")
        self.files = replace(self.files, config={**self.config, "storage": storage})
        return write_encoder(
            path,
            self.config,
            self.files.tensors,
            self.characters,
            storage=storage,
            card=self.files.card,
            overwrite=overwrite,
        )

    def cache_clear(self) -> None:
        """Forget all computed vectors."""
        self._cache = _WordCache(self._cache.size, self.dim)

    @property
    def cache_bytes(self) -> int:
        """Memory of the cached vectors, in bytes."""
        return self._cache.nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "cache_size": self._cache.size}  # the cache is not worth sending

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"DistillEmb({self.config['encoder_type']!r}, dim={self.dim}, parameters={self.num_parameters:,})"


class _WordCache:
    """The vectors of the words last computed, as rows of one array that grows up to `size` words.

    When it is full it starts anew: cheaper than any bookkeeping of use, and running text refills it at once.
    Reading takes no lock: a row is written before its word is entered, and whoever grows or empties the table makes
    a new pair of dictionary and array, so that a reader's pair always fits together.
    """

    def __init__(self, size: int, dim: int) -> None:
        self.size, self.dim = size, dim
        self._lock = threading.Lock()
        self._table: tuple[dict[str, int], Vectors] = ({}, np.empty((0, dim), np.float32))

    @property
    def nbytes(self) -> int:
        return self._table[1].nbytes

    def row(self, word: str) -> Vectors | None:
        """A copy of one word's vector ``[dim]``, or None."""
        rows, stored = self._table
        place = rows.get(word)
        return None if place is None else stored[place].copy()

    def places(self, words: list[str]) -> tuple[NDArray[np.intp], Vectors]:
        """The row of each word, -1 where there is none, and the array ``[rows, dim]`` that they point into."""
        rows, stored = self._table
        if not rows:
            return np.full(len(words), -1, np.intp), stored
        return np.fromiter(map(rows.get, words, repeat(-1)), np.intp, len(words)), stored

    def add(self, words: list[str], vectors: Vectors) -> None:
        """Keep the vectors of distinct words, as many as there is room for."""
        if not self.size:
            return
        with self._lock:
            rows, stored = self._table
            fresh = [place for place, word in enumerate(words) if word not in rows][: self.size]
            if len(fresh) < len(words):  # another thread was faster, or there are more than the cache may hold
                words, vectors = [words[place] for place in fresh], vectors[fresh]
            if len(rows) + len(words) > self.size:
                rows, stored = {}, np.empty((0, self.dim), np.float32)
            used = len(rows)
            if used + len(words) > len(stored):
                grown = np.empty((min(self.size, max(256, 2 * (used + len(words)))), self.dim), np.float32)
                grown[:used] = stored[:used]
                rows, stored = dict(rows), grown
            stored[used : used + len(words)] = vectors
            rows.update(zip(words, range(used, used + len(words)), strict=True))
            self._table = (rows, stored)


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    result: Vectors = vectors / lengths
    return result
