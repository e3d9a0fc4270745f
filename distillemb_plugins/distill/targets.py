"""From teachers to what a student is trained on: common words, cleaned vectors, and the words held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..teachers import Teacher, combine_teachers
from .settings import DistillSettings

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
_MIN_TRAINING_WORDS = 2


@dataclass(frozen=True)
class Targets:
    """The vectors to be learnt.

    names: of the teachers. words: n of them. vectors: one float32 ``[n, dim]`` a teacher. frequencies: float64
    ``[n]``, summing to 1. counts: int64 ``[n]`` where the first teacher has them. train, held_out: int64 row
    numbers, ascending. lowercase: whether words are to be lower-cased before they are read.
    """

    names: tuple[str, ...]
    words: list[str]
    vectors: tuple[Floats, ...]
    frequencies: NDArray[np.float64]
    counts: NDArray[np.int64] | None
    train: Rows
    held_out: Rows
    lowercase: bool

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.vectors[0].shape[1])


def build_targets(teachers: Sequence[Teacher], settings: DistillSettings) -> Targets:
    """Restrict the teachers to their common words, clean and combine them, and hold words out.

    Raises `DistillEmbError` for no teacher, no common word, different widths where one is needed, or more words held
    out than there are.
    """
    same_width = settings.combine in ("losses", "average")
    common = combine_teachers(list(teachers), same_width=same_width)
    cleaned = [_cleaned(teacher, settings) for teacher in common]
    vectors = _combined([teacher.vectors for teacher in cleaned], settings)
    words = common[0].words
    train, held_out = split_words(len(words), settings.held_out)
    lowercase = settings.lowercase
    if lowercase is None:
        lowercase = not any(word != word.lower() for word in words)
    return Targets(
        names=tuple(teacher.name for teacher in common),
        words=words,
        vectors=tuple(np.ascontiguousarray(table, dtype=np.float32) for table in vectors),
        frequencies=common[0].frequencies(),
        counts=common[0].counts,
        train=train,
        held_out=held_out,
        lowercase=lowercase,
    )


def split_words(n: int, held_out: int | float) -> tuple[Rows, Rows]:
    """Row numbers of the training and of the held-out words among n, both ascending int64.

    held_out: a number of words (int) or a share (float). The choice depends on n and held_out alone, so that runs
    of different seeds and students are scored on the same words.
    Raises `DistillEmbError` when fewer than two words would be left to train on.
    """
    wanted = held_out if isinstance(held_out, int) else round(n * held_out)
    if n - wanted < _MIN_TRAINING_WORDS:
        raise DistillEmbError(
            f"held_out asks for {wanted} of the {n} words that the teachers share: hold out fewer, or give more words."
        )
    order = np.random.default_rng(0).permutation(n)
    return np.sort(order[wanted:]), np.sort(order[:wanted])


def _cleaned(teacher: Teacher, settings: DistillSettings) -> Teacher:
    if settings.centre or settings.remove_top:
        teacher = teacher.centred(settings.remove_top)
    return teacher.normalised() if settings.normalise else teacher


def _combined(tables: list[Floats], settings: DistillSettings) -> list[Floats]:
    """One table a teacher, or the one that stands for all of them."""
    if settings.combine == "losses":
        _check_dim(settings, tables[0].shape[1])
        return tables
    units = [_unit(table) for table in tables]
    if settings.combine == "average":  # Coates & Bollegala 2018: as good as the concatenation
        joined: Floats = np.stack(units).mean(axis=0)
    else:
        joined = np.concatenate(units, axis=1)
    if settings.combine == "svd":
        joined = _main_columns(joined, settings.dim or max(table.shape[1] for table in tables))
    else:
        _check_dim(settings, joined.shape[1])
    return [_unit(joined) if settings.normalise else joined]


def _check_dim(settings: DistillSettings, width: int) -> None:
    if settings.dim not in (None, width):
        raise DistillEmbError(
            f"dim is {settings.dim}, but the teachers' vectors are {width} wide: "
            "leave dim out, or set combine to 'svd'."
        )


def _main_columns(table: Floats, dim: int) -> Floats:
    """The table in its `dim` directions of greatest length, U S of its SVD (Yin & Schütze 2016, section 5)."""
    if dim > table.shape[1]:
        raise DistillEmbError(f"dim is {dim}, but the teachers together have {table.shape[1]} columns: lower dim.")
    directions = np.linalg.eigh((table.T @ table).astype(np.float64))[1][:, ::-1][:, :dim]
    result: Floats = table @ directions.astype(np.float32)
    return result


def _unit(table: Floats) -> Floats:
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    result: Floats = (table / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)
    return result
