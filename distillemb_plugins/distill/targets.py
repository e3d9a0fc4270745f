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
    def train_words(self) -> list[str]:
        """The words that are trained on."""
        return [self.words[row] for row in self.train]

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
    vectors = _combined(common, settings)
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
    """All teachers as tables; what has no words of its own gets the common ones and the counts of the others."""
    named = [(one.name, one) if isinstance(one, Teacher) else one for one in opened]
    tables = [one for _, one in named if isinstance(one, Teacher) and one.words]
    if named and not tables:
        raise DistillEmbError(
            f"The teacher {' and '.join(name for name, _ in named)} is an encoder, or a floret table, which has no "
            "list of words to learn: give a table of word vectors beside it."
        )
    if len(tables) == len(named):
        return tables
    first = combine_teachers(tables)[0]

    def with_words(name: str, one: Teacher | DistillEmb) -> Teacher:
        if isinstance(one, Teacher) and one.words:
            return one
        vectors = one.lookup(first.words)[0] if isinstance(one, Teacher) else one.encode(first.words)
        return Teacher(name, first.words, vectors, first.counts)

    return [with_words(*one) for one in named]


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


def _combined(teachers: list[Teacher], settings: DistillSettings) -> list[Floats]:
    """One cleaned table a teacher, or the one that stands for all of them."""
    if settings.center or settings.remove_top:
        teachers = [teacher.center(settings.remove_top) for teacher in teachers]
    if settings.normalize:
        teachers = [teacher.normalize() for teacher in teachers]
    widths = [teacher.dim for teacher in teachers]
    width = sum(widths) if settings.combine == "concat" else widths[0]
    if settings.combine != "svd" and settings.dim not in (None, width):
        raise DistillEmbError(
            f"dim is {settings.dim}, but the teachers' vectors are {width} wide: "
            "leave dim out, or set combine to 'svd'."
        )
    if settings.combine == "losses":
        return [teacher.vectors for teacher in teachers]
    units = [unit_rows(teacher.vectors) for teacher in teachers]
    average = settings.combine == "average"  # Coates & Bollegala 2018: as good as the concatenation
    joined: Floats = np.stack(units).mean(axis=0) if average else np.concatenate(units, axis=1)
    if settings.combine == "svd":  # its directions of greatest length, U S: Yin & Schütze 2016, section 5
        dim = settings.dim or max(widths)
        if dim > sum(widths):
            raise DistillEmbError(f"dim is {dim}, but the teachers together have {sum(widths)} columns: lower dim.")
        directions = np.linalg.eigh((joined.T @ joined).astype(np.float64))[1][:, ::-1][:, :dim]
        joined = joined @ directions.astype(np.float32)
    return [unit_rows(joined) if settings.normalize else joined]
