"""DistillEmb: a loaded encoder that computes word vectors with NumPy alone."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from .characters import CharTable
from .characters import normalize as normal_form
from .errors import DistillEmbError, brief
from .facts import EncoderFacts
from .inference.students import build_forward, resolve_runtime
from .persistence import EncoderFiles, read_encoder, write_encoder
from .quantization import Storage
from .vectors import nearest, unit_rows

Vectors = NDArray[np.float32]
Runtime = Literal["numpy", "onnx", "onnx-int8", "auto"]
_GROWTH = 4  # times the words held, when the cache needs more room


class DistillEmb:
    """Word vectors computed from characters.

    Every string has a vector; equal words have equal vectors, whatever is encoded beside them. Computed vectors are
    kept in a cache of at most `cache_size` words. One encoder may be used by several threads.

    Examples:
        >>> encoder = DistillEmb.from_pretrained("afro11")
        >>> encoder.encode(["habari", "ሰላም"]).shape
        (2, 200)
        >>> encoder.encode("habari", normalize=True).shape
        (200,)
    """

    def __init__(self, files: EncoderFiles, cache_size: int = 200_000, runtime: Runtime = "numpy") -> None:
        if cache_size < 0:
            raise DistillEmbError(f"cache_size is {cache_size}: give 0 (no cache) or more words.")
        self.files = files
        self.requested_runtime: Runtime = runtime  # what is saved: "auto" may be another one elsewhere
        self.runtime = resolve_runtime(runtime, files.config)
        self._forward = build_forward(files.config, files.tensors, self.runtime)
        self._cache = _WordCache(cache_size, self.dim)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, cache_size: int = 200_000, runtime: Runtime = "numpy"
    ) -> DistillEmb:
        """Open an encoder directory, a bundled encoder by name, or one from the Hugging Face hub.

        Args:
            name_or_path: Directory, name, or hub id.
            cache_size: The most words whose vectors are kept (``dim * 4`` bytes each, taken as they come).
            runtime: What computes the matrix products of a `cnn`. ``"numpy"`` is always there. ``"onnx"`` gives the
                same vectors faster on processors with AVX-512. ``"onnx-int8"`` is faster still, at a cosine of about
                0.9995 to them. Both need the extra ``distillemb-plugins[onnx]``. ``"auto"`` is ``"onnx"`` where that is
                installed and the processor has AVX-512, else ``"numpy"``; the encoder's own `runtime` tells which. It
                is not the default, because importing ONNX Runtime takes longer than opening the encoder.

        Raises:
            DistillEmbError: There is no such encoder, it is damaged, or the runtime does not exist.
            MissingExtraError: The runtime is not installed.
        """
        return cls(read_encoder(name_or_path), cache_size, runtime)

    @classmethod
    def from_files(cls, files: EncoderFiles, cache_size: int = 200_000, runtime: Runtime = "numpy") -> DistillEmb:
        """Make an encoder from what `read_encoder` or `encoder_from_bytes` returned; see `from_pretrained`."""
        return cls(files, cache_size, runtime)

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
        """Number of weights that the network learned. The tables of a residual codebook do not count."""
        return self.files.num_parameters

    @property
    def facts(self) -> EncoderFacts:
        """What is known about the encoder: how it was distilled, from which texts, its scores."""
        return self.files.facts

    @overload
    def encode(self, words: str, *, normalize: bool = ...) -> Vectors: ...
    @overload
    def encode(self, words: Iterable[str], *, normalize: bool = ...) -> Vectors: ...
    def encode(self, words: str | Iterable[str], *, normalize: bool = False) -> Vectors:
        """Compute the vectors of words.

        Words are read in the normal form NFC and without invisible characters (`characters.INVISIBLE`), so that all
        spellings of a word have one vector. Apostrophes (U+0027, U+2019, U+02BC) are characters of their own each.

        Args:
            words: Any strings, or one string.
            normalize: Scale each vector to length 1.

        Returns:
            float32 ``[len(words), dim]``, or ``[dim]`` for a single string.

        Raises:
            DistillEmbError: Something other than strings is given.
        """
        if isinstance(words, str):
            vector = self._cache.row(words)
            if vector is None:
                computed = self._compute([words])
                self._cache.add([words], computed)
                vector = computed[0]
            return unit_rows(vector[None])[0] if normalize else vector
        try:
            words = words if isinstance(words, list) else list(words)
            vectors = self._vectors(words)
        except TypeError as error:
            raise _no_words(words, error) from error
        return unit_rows(vectors) if normalize else vectors

    def _vectors(self, words: list[str]) -> Vectors:
        """Vectors of words: from the cache, or computed once for each distinct word and kept."""
        table, places = self._cache.look_up(words)
        missing = np.flatnonzero(places < 0)
        if not len(missing):
            return table.vectors.take(places, axis=0)
        wanted = words if len(missing) == len(words) else [words[place] for place in missing.tolist()]
        number: dict[str, Any] = dict.fromkeys(wanted)
        distinct = list(number)
        computed = self._compute(distinct)
        grown = self._cache.add(distinct, computed, table)
        if len(distinct) == len(words):
            return computed
        number.update(zip(distinct, range(len(distinct)), strict=True))
        numbers = list(map(number.__getitem__, wanted))
        if grown is not None:  # all words stand in one array now
            places[missing] = np.array(numbers, np.intp) + grown.start
            return grown.vectors.take(places, axis=0)
        if len(missing) == len(words):
            return computed.take(numbers, axis=0)
        vectors = table.vectors.take(places, axis=0, mode="clip")  # whatever row for those that are not there
        vectors[missing] = computed.take(numbers, axis=0)
        return vectors

    def _compute(self, words: list[str]) -> Vectors:
        return self._forward(self.characters.encode(words))

    def similarity(self, first: str, second: str) -> float:
        """Return the cosine of two words' vectors, from -1 to 1.

        Raises:
            DistillEmbError: Something other than two words is given.
        """
        a, b = self.encode([first, second], normalize=True)
        return float(a @ b)

    def most_similar(
        self, words: str | Iterable[str], candidates: Iterable[str], n: int = 10
    ) -> list[tuple[str, float]]:
        """Find the candidates nearest to a word by cosine, or to several words together.

        Args:
            words: The word, or words: then the mean of their unit vectors is looked for. No word is its own neighbor.
            candidates: Words to choose from.
            n: How many to return, at most.

        Returns:
            Words and cosines, the nearest first.

        Raises:
            DistillEmbError: There is no word or no candidate.
        """
        if isinstance(candidates, str):
            raise DistillEmbError(f"most_similar has one candidate, {candidates!r}: give a list of words.")
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise DistillEmbError(f"n is {n!r}: give the number of neighbors.")
        queries, others = (
            [words] if isinstance(words, str) else _listed(words),
            list(dict.fromkeys(_listed(candidates))),
        )
        own = {normal_form(word) for word in queries if isinstance(word, str)}
        others = [other for other in others if not isinstance(other, str) or normal_form(other) not in own]
        if not queries or not others:
            missing = "candidates to choose from" if queries else "word to look for"
            raise DistillEmbError(f"most_similar has no {missing}: give a list of words.")
        mean = self.encode(queries, normalize=True).mean(axis=0, keepdims=True)
        (rows,), (cosines,) = nearest(mean, self.encode(others), int(n))
        return [(others[row], float(cosine)) for row, cosine in zip(rows, cosines, strict=True)]

    def save_pretrained(self, path: str | Path, *, storage: Storage | None = None, overwrite: bool = False) -> Path:
        """Write an encoder directory.

        Args:
            path: The directory.
            storage: ``float32``, ``float16`` or ``int8``; as it was when not given.
            overwrite: Replace what stands at `path`.

        Returns:
            `path`.

        Raises:
            DistillEmbError: `path` exists and `overwrite` is false.
        """
        storage = storage or self.config.get("storage", "float32")
        self.files = replace(self.files, config={**self.config, "storage": storage})
        return write_encoder(
            path,
            self.config,
            self.files.tensors,
            self.characters,
            storage=storage,
            context=self.files.context,
            facts=replace(self.facts, word_lists={}),  # the lists do not come along
            card=self.files.card or None,
            overwrite=overwrite,
        )

    def push_to_hub(self, repo_id: str, *, storage: Storage | None = None, **options: Any) -> str:
        """Save the encoder and upload it to the Hugging Face hub. It needs the extra "hf".

        Args:
            repo_id: ``user/name``, or a name alone for your own repositories. It is made where there is none.
            storage: As for `save_pretrained`.
            **options: Of `distillemb_plugins.hub.push_directory`: ``private``, ``revision``, ``create_pr``,
                ``message`` and ``token``.

        Returns:
            The address of the repository, or of the pull request.

        Raises:
            DistillEmbError: The hub refuses or cannot be reached.
            MissingExtraError: huggingface_hub is not installed.
        """
        from .hub import push_directory

        name = self.files.path.resolve().name if self.files.path else "encoder"
        with tempfile.TemporaryDirectory() as folder:
            path = self.save_pretrained(Path(folder) / name, storage=storage)
            return push_directory(path, repo_id, **options)

    def cache_clear(self) -> None:
        """Forget all computed vectors."""
        self._cache = _WordCache(self._cache.size, self.dim)

    @property
    def cache_bytes(self) -> int:
        """Memory of the cached vectors, in bytes."""
        return self._cache.nbytes

    def __getstate__(self) -> dict[str, Any]:
        # the cache is not worth sending
        return {"files": self.files, "cache_size": self._cache.size, "runtime": self.requested_runtime}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"DistillEmb({self.config['encoder_type']!r}, dim={self.dim}, parameters={self.num_parameters:,})"


def _listed(words: Any) -> list[Any]:
    try:
        return list(words)
    except TypeError as error:
        raise _no_words(words, error) from error


def _no_words(words: Any, error: TypeError) -> DistillEmbError:
    wrong = words
    if isinstance(words, list):
        wrong = next((word for word in words if not isinstance(word, str)), None)
        if wrong is None and None not in words:  # all are words: not the caller's fault
            raise error
    return DistillEmbError(f"Give a word or a sequence of words: {brief(repr(wrong))} is not a string.")


class _Rows(dict[str, int]):
    """The row of each word; -1 for a word that is not there."""

    def __missing__(self, word: str) -> int:
        return -1


class _Table(NamedTuple):
    """Words, their vectors ``[rows, dim]``, and how often the cache was emptied before.

    start: the first row of the words that were added last.
    """

    rows: _Rows
    vectors: Vectors
    emptied: int = 0
    start: int = 0


class _WordCache:
    """The vectors of the words last computed, as rows of one array that grows up to `size` words.

    When it is full it starts anew: cheaper than any bookkeeping of use, and running text refills it at once.
    Reading takes no lock: a row is written before its word is entered, and whoever grows or empties the table makes
    a new pair of dictionary and array, so that a reader's pair always fits together.
    """

    def __init__(self, size: int, dim: int) -> None:
        self.size, self.dim = size, dim
        self._lock = threading.Lock()
        self._table = _Table(_Rows(), np.empty((0, dim), np.float32))

    @property
    def nbytes(self) -> int:
        return len(self._table.rows) * self.dim * 4

    def row(self, word: str) -> Vectors | None:
        """A copy of one word's vector ``[dim]``, or None."""
        table = self._table
        place = table.rows[word]
        return None if place < 0 else table.vectors[place].copy()

    def look_up(self, words: list[str]) -> tuple[_Table, NDArray[np.intp]]:
        """The table as it is, and the row of each word in it, -1 where there is none."""
        table = self._table
        if not table.rows or len(words) < 2:
            return table, np.array([table.rows[word] for word in words] if table.rows else [-1] * len(words), np.intp)
        return table, np.array(itemgetter(*words)(table.rows), np.intp)  # the fastest way through a dictionary

    def add(self, words: list[str], vectors: Vectors, seen: _Table | None = None) -> _Table | None:
        """Keep the vectors of distinct words, as many as there is room for.

        seen: what `look_up` gave. Returns a table in which its rows still stand, and these words from row ``start``
        on; None when there is no such.
        """
        if not self.size:
            return None
        with self._lock:
            rows, stored, emptied, _ = self._table
            fresh = [place for place, word in enumerate(words) if word not in rows][: self.size]
            together = len(fresh) == len(words)
            if not together:  # another thread was faster, or there are more than the cache may hold
                words, vectors = [words[place] for place in fresh], vectors[fresh]
            if len(rows) + len(words) > self.size:
                rows, stored, emptied = _Rows(), np.empty((0, self.dim), np.float32), emptied + 1
            used = len(rows)
            if used + len(words) > len(stored):
                # memory that is never written to costs nothing, copying does
                grown = np.empty((min(self.size, max(256, _GROWTH * (used + len(words)))), self.dim), np.float32)
                grown[:used] = stored[:used]
                rows, stored = _Rows(rows), grown
            stored[used : used + len(words)] = vectors
            rows.update(zip(words, range(used, used + len(words)), strict=True))
            self._table = table = _Table(rows, stored, emptied, used)
        return table if together and seen is not None and emptied == seen.emptied else None
