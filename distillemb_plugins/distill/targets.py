"""From teachers to what a student is trained on: common words, cleaned vectors, and the words held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..encoder import DistillEmb
from ..errors import DistillEmbError
from ..files import is_directory, is_file
from ..persistence import BUNDLED, CONFIG_FILE
from ..teachers import Teacher, combine_teachers, load_teacher
from ..vectors import Floats, unit_rows
from .settings import DistillSettings

Rows = NDArray[np.int64]
Opened = Teacher | tuple[str, DistillEmb]  # a table, or an encoder with the name by which the card calls it
AnyTeacher = Opened | DistillEmb | str | Path


@dataclass(frozen=True)
class Targets:
    """The vectors to be learned."""

    names: tuple[str, ...]  # of the teachers
    words: list[str]
    vectors: tuple[Floats, ...]  # float32 [n, dim] for each teacher, or for all of them, combined
    frequencies: NDArray[np.float64]  # [n], summing to 1
    counts: NDArray[np.int64] | None  # [n] where the first table has them
    train: Rows  # row numbers, ascending
    held_out: Rows
    lowercase: bool  # whether words are lower-cased before they are read

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.vectors[0].shape[1])

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that tell these words and vectors from others."""
        digest = hashlib.sha256("\n".join(self.words).encode("utf-8", "surrogatepass"))
        for table in self.vectors:
            digest.update(table.tobytes())
        return digest.hexdigest()[:16]

    def word_lists(self, vocabulary: int = 5000) -> dict[str, bytes]:
        """Return the files of held-out and of frequent words, which lie with an encoder for its evaluation."""
        held_out = [self.words[row] for row in self.held_out]
        lists = {"held_out.txt": held_out, "vocabulary.txt": self.words[:vocabulary]}
        return {name: "".join(f"{word}\n" for word in words).encode() for name, words in lists.items() if words}


def build_targets(teachers: Sequence[AnyTeacher], settings: DistillSettings) -> Targets:
    """Restrict the teachers to their common words, clean and combine them, and hold words out.

    An encoder teaches its vectors of the words that all tables have.
    """
    tables = _as_tables([open_teacher(one) for one in teachers])
    common = combine_teachers(tables, same_width=settings.combine in ("losses", "average"))
    vectors = _combined([_cleaned(teacher, settings) for teacher in common], settings)
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


def open_teacher(teacher: AnyTeacher, limit: int | None = None, format: str | None = None) -> Opened:
    """Open the directory or the bundled name of an encoder, or what `load_teacher` reads, its first `limit` words.

    Objects are returned as they are.
    """
    if isinstance(teacher, Teacher | tuple):
        return teacher
    if isinstance(teacher, DistillEmb):
        return "encoder", teacher
    path = Path(teacher)
    bundled = path == Path(path.name) and not is_directory(path) and not is_file(path)
    path = BUNDLED / path if bundled else path
    if not is_file(path / CONFIG_FILE):
        return load_teacher(teacher, limit, format)
    return path.resolve().name, DistillEmb.from_pretrained(path, cache_size=0)  # every word is asked for once


def _as_tables(opened: Sequence[Opened]) -> list[Teacher]:
    """All teachers as tables; an encoder's holds the common words of the others and the first one's counts."""
    tables = [one for one in opened if isinstance(one, Teacher) and one.words]
    wordless = [one.name if isinstance(one, Teacher) else one[0] for one in opened if one not in tables]
    if not wordless:
        return tables
    if not tables:
        raise DistillEmbError(
            f"The teacher {' and '.join(wordless)} is an encoder or a floret table, which has no list of words to "
            "learn: give a table of word vectors beside it."
        )
    first = combine_teachers(tables)[0]

    def with_words(one: Opened) -> Teacher:
        if isinstance(one, Teacher):
            return one if one.words else Teacher(one.name, first.words, one.lookup(first.words)[0], first.counts)
        return Teacher(one[0], first.words, one[1].encode(first.words), first.counts)

    return [with_words(one) for one in opened]


def split_words(n: int, held_out: int | float) -> tuple[Rows, Rows]:
    """Choose the training and the held-out words (a number or a share of n): their rows, ascending.

    The choice depends on the arguments alone, so that runs of different seeds and students are scored on the same
    words.
    """
    wanted = held_out if isinstance(held_out, int) else round(n * held_out)
    if n - wanted < 2:
        raise DistillEmbError(
            f"held_out asks for {wanted} of the {n} words that the teachers share: hold out fewer, or give more words."
        )
    order = np.random.default_rng(0).permutation(n)
    return np.sort(order[wanted:]), np.sort(order[:wanted])


def _cleaned(teacher: Teacher, settings: DistillSettings) -> Floats:
    if settings.center or settings.remove_top:
        teacher = teacher.center(settings.remove_top)
    return (teacher.normalize() if settings.normalize else teacher).vectors


def _combined(tables: list[Floats], settings: DistillSettings) -> list[Floats]:
    """One table a teacher, or the one that stands for all of them."""
    widths = [table.shape[1] for table in tables]
    width = sum(widths) if settings.combine == "concat" else widths[0]
    if settings.combine != "svd" and settings.dim not in (None, width):
        raise DistillEmbError(
            f"dim is {settings.dim}, but the teachers' vectors are {width} wide: "
            "leave dim out, or set combine to 'svd'."
        )
    if settings.combine == "losses":
        return tables
    units = [unit_rows(table) for table in tables]
    if settings.combine == "average":  # Coates & Bollegala 2018: as good as the concatenation
        joined: Floats = np.stack(units).mean(axis=0)
    else:
        joined = np.concatenate(units, axis=1)
    if settings.combine == "svd":
        joined = _main_columns(joined, settings.dim or max(widths))
    return [unit_rows(joined) if settings.normalize else joined]


def _main_columns(table: Floats, dim: int) -> Floats:
    """The table in its `dim` directions of greatest length, U S of its SVD (Yin & Schütze 2016, section 5)."""
    if dim > table.shape[1]:
        raise DistillEmbError(f"dim is {dim}, but the teachers together have {table.shape[1]} columns: lower dim.")
    directions = np.linalg.eigh((table.T @ table).astype(np.float64))[1][:, ::-1][:, :dim]
    result: Floats = table @ directions.astype(np.float32)
    return result
