"""What can be scored: anything that turns words into vectors, with a name and a size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import DistillEmbError
from ..teachers.table import unit_rows

if TYPE_CHECKING:
    from ..distill import DistillSettings
    from ..encoder import DistillEmb
    from ..teachers import Teacher

__all__ = [
    "Embed",
    "Lookup",
    "Subject",
    "always_known",
    "embed_in_batches",
    "progress_bar",
    "subject_from_encoder",
    "subject_from_teacher",
    "unit_rows",
]

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Words to vectors, float32 [n, dim]; every word has one."""

Lookup = Callable[[Sequence[str]], tuple[NDArray[np.float32], NDArray[np.bool_]]]
"""Words to vectors, float32 [n, dim] (zero when unknown), and whether each word is known, bool [n]."""

ENCODE_BATCH = 4096


@dataclass(frozen=True)
class Subject:
    """An encoder or a table under evaluation.

    nbytes: what has to be stored to use it. lowercase: it knows lower-case words only, so words are
    lower-cased before they are looked up. reset: forgets cached vectors (for timing), if it caches.
    words: the words of a table, most frequent first; empty for an encoder. settings: how it was distilled, if known.
    """

    name: str
    kind: Literal["encoder", "table"]
    dim: int
    nbytes: int
    lookup_exact: Lookup
    lowercase: bool = False
    reset: Callable[[], None] | None = None
    words: Sequence[str] = ()
    settings: DistillSettings | None = None

    def lookup(self, words: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors float32 [n, dim] and known bool [n] of `words`, in the case the subject knows."""
        return self.lookup_exact([self.fold(word) for word in words])

    def fold(self, word: str) -> str:
        """The word in the case the subject knows."""
        return word.lower() if self.lowercase else word

    def embed(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Vectors float32 [n, dim]; unknown words are zero."""
        return self.lookup(words)[0]


def always_known(embed: Embed) -> Lookup:
    """A `Lookup` from an `Embed` that has a vector for any word."""

    def lookup(words: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return embed(words), np.ones(len(words), dtype=bool)

    return lookup


def has_upper_case(texts: Iterable[str]) -> bool:
    """Whether any of the texts holds a letter that lower-casing would change."""
    return any(text != text.lower() for text in texts)


def subject_from_encoder(encoder: DistillEmb, name: str, nbytes: int, lowercase: bool | None = None) -> Subject:
    """Wrap a loaded encoder. lowercase: ``None`` asks its character table (no capital: lower-case only)."""
    from .card_facts import distill_settings

    if lowercase is None:
        lowercase = not has_upper_case(encoder.characters.characters)
    return Subject(
        name=name,
        kind="encoder",
        dim=encoder.dim,
        nbytes=nbytes,
        lookup_exact=always_known(encoder.encode),
        lowercase=lowercase,
        reset=encoder.cache_clear,
        settings=distill_settings(encoder.files.card),
    )


def subject_from_teacher(teacher: Teacher, extra: Teacher | None = None, lowercase: bool | None = None) -> Subject:
    """Wrap a table. extra: a second table of the same model, asked for the words that the first lacks.

    The extra table is for scoring only (words of a test set through the teacher's own n-grams), so its
    size is not counted.
    """
    if extra is not None and extra.dim != teacher.dim:
        raise DistillEmbError(
            f"The extra table {extra.name} has {extra.dim} dimensions and {teacher.name} has {teacher.dim}: "
            "give two tables of the same model."
        )
    return Subject(
        name=teacher.name,
        kind="table",
        dim=teacher.dim,
        nbytes=teacher.nbytes,
        lookup_exact=teacher.lookup if extra is None else _first_of(teacher.lookup, extra.lookup),
        lowercase=not has_upper_case(teacher.words) if lowercase is None else lowercase,
        words=teacher.words,
    )


def _first_of(first: Lookup, second: Lookup) -> Lookup:
    """A lookup that asks `second` for the words `first` does not know."""

    def lookup(words: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        vectors, known = first(words)
        missing = np.flatnonzero(~known)
        if not len(missing):
            return vectors, known
        more, found = second([words[i] for i in missing.tolist()])
        vectors, known = vectors.copy(), known.copy()
        vectors[missing[found]] = more[found]
        known[missing] = found
        return vectors, known

    return lookup


def embed_in_batches(subject: Subject, words: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
    """Vectors float32 [n, dim] of many words, a batch at a time, with a progress bar on standard error."""
    vectors = np.zeros((len(words), subject.dim), dtype=np.float32)
    with progress_bar(len(words), f"{subject.name}: vectors", "word", progress) as bar:
        for start in range(0, len(words), ENCODE_BATCH):
            batch = words[start : start + ENCODE_BATCH]
            vectors[start : start + len(batch)] = subject.embed(batch)
            bar.update(len(batch))
    return vectors


def progress_bar(total: int, what: str, unit: str, show: bool) -> tqdm:
    """A bar on standard error that appears after a second, and only on a terminal."""
    return tqdm(total=total, desc=what, unit=unit, delay=1, leave=False, disable=None if show else True)
