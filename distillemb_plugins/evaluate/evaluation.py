"""All intrinsic scores of one or several students beside their teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .analogies import AnalogyScore, Question, score_analogies
from .neighbours import nearest_words
from .retention import SPEED_WORDS, SpeedScore, retention, words_per_second
from .retrieval import HeldOutScore, score_held_out
from .similarity import PairSet, SimilarityScore, known_pairs, score_similarity
from .subjects import Subject, embed_in_batches, progress_bar

if TYPE_CHECKING:
    from ..teachers import Teacher

FORMAT = 1
MAP_WORDS = 200


@dataclass(frozen=True)
class Tasks:
    """What to score; an empty field leaves its score out.

    every_pair: a similarity pair with an unknown word counts with similarity 0; otherwise only the pairs that
    the teacher (without one, each subject) knows are counted. vocabulary: candidate words of analogies and
    neighbours, and the words that are timed, most frequent first. held_out: for a student's name the words that it
    was not trained on.
    """

    similarity: Sequence[PairSet] = ()
    every_pair: bool = True
    analogies: dict[str, list[Question]] = field(default_factory=dict)
    neighbours: Sequence[str] = ()
    n_neighbours: int = 10
    vocabulary: Sequence[str] = ()
    held_out: dict[str, list[str]] = field(default_factory=dict)
    map_words: Sequence[str] = ()
    speed: bool = True


@dataclass(frozen=True)
class SubjectScore:
    """The scores of one encoder or table. bytes: what is stored. retention: mean similarity / the teacher's."""

    name: str
    kind: str
    dim: int
    bytes: int
    similarity: SimilarityScore | None = None
    retention: float | None = None
    analogies: AnalogyScore | None = None
    neighbours: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    held_out: HeldOutScore | None = None
    speed: SpeedScore | None = None


@dataclass(frozen=True)
class WordMap:
    """Vectors for the map of the report: float32 [n, dim] for each of `names`."""

    words: list[str]
    names: list[str]
    vectors: list[NDArray[np.float32]]


@dataclass(frozen=True)
class Evaluation:
    """Scores of students and, when there is one, their teacher."""

    students: list[SubjectScore]
    teacher: SubjectScore | None = None
    every_pair: bool = True
    word_map: WordMap | None = None

    @property
    def subjects(self) -> list[SubjectScore]:
        """The teacher first, then the students."""
        return ([self.teacher] if self.teacher else []) + self.students

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the map's vectors are left out."""
        from .. import __version__

        return {
            "format": FORMAT,
            "version": __version__,
            "pairs": "every" if self.every_pair else "known",
            "teacher": asdict(self.teacher) if self.teacher else None,
            "students": [asdict(student) for student in self.students],
        }


def evaluate(
    students: Sequence[Subject],
    teacher: Subject | None = None,
    tasks: Tasks = Tasks(),
    *,
    teacher_table: Teacher | None = None,
    progress: bool = False,
) -> Evaluation:
    """Score every student, and the teacher, on all tasks.

    teacher_table: the teacher's own table, needed for held-out words. progress: bars on standard error.
    """
    subjects = ([teacher] if teacher else []) + list(students)
    keep = None
    if teacher and not tasks.every_pair:
        keep = known_pairs(teacher.lookup, tasks.similarity)
    scores = []
    with progress_bar(len(subjects), "evaluate", "model", progress and len(subjects) > 1) as bar:
        for subject in subjects:
            table = teacher_table if subject is not teacher else None
            scores.append(_score(subject, tasks, keep, table, progress))
            bar.update()
    first = scores[0] if teacher else None
    mean = first.similarity.mean if first and first.similarity else None
    rated = [_with_retention(score, mean) for score in scores[len(scores) - len(students) :]]
    words = list(tasks.map_words)[:MAP_WORDS]
    word_map = WordMap(words, [s.name for s in subjects], [s.embed(words) for s in subjects]) if words else None
    return Evaluation(rated, first, tasks.every_pair, word_map)


def _with_retention(score: SubjectScore, teacher_mean: float | None) -> SubjectScore:
    mean = score.similarity.mean if score.similarity else None
    return replace(score, retention=retention(mean, teacher_mean))


def _score(
    subject: Subject,
    tasks: Tasks,
    keep: Sequence[NDArray[np.bool_]] | None,
    teacher_table: Teacher | None,
    progress: bool,
) -> SubjectScore:
    if keep is None and not tasks.every_pair:
        keep = known_pairs(subject.lookup, tasks.similarity)
    similarity = score_similarity(subject.lookup, tasks.similarity, keep) if tasks.similarity else None
    vectors = None
    if tasks.analogies or tasks.neighbours:
        vectors = embed_in_batches(subject, tasks.vocabulary, progress)
    return SubjectScore(
        name=subject.name,
        kind=subject.kind,
        dim=subject.dim,
        bytes=subject.nbytes,
        similarity=similarity,
        analogies=_analogies(subject, tasks, vectors, progress),
        neighbours=_neighbours(subject, tasks, vectors),
        held_out=_held_out(subject, tasks, teacher_table, progress),
        speed=_speed(subject, tasks, progress),
    )


def _analogies(
    subject: Subject, tasks: Tasks, vectors: NDArray[np.float32] | None, progress: bool
) -> AnalogyScore | None:
    if not tasks.analogies:
        return None
    return score_analogies(subject.lookup, tasks.analogies, tasks.vocabulary, vectors, progress=progress)


def _neighbours(
    subject: Subject, tasks: Tasks, vectors: NDArray[np.float32] | None
) -> dict[str, list[tuple[str, float]]]:
    if not tasks.neighbours:
        return {}
    return nearest_words(subject, tasks.neighbours, tasks.vocabulary, tasks.n_neighbours, vectors=vectors)


def _held_out(subject: Subject, tasks: Tasks, teacher_table: Teacher | None, progress: bool) -> HeldOutScore | None:
    words = tasks.held_out.get(subject.name)
    if not words or teacher_table is None:
        return None
    return score_held_out(subject, teacher_table, words, progress=progress)


def _speed(subject: Subject, tasks: Tasks, progress: bool) -> SpeedScore | None:
    words = list(tasks.vocabulary[:SPEED_WORDS])
    words = words or [word for one in tasks.similarity for pair in one.pairs for word in pair]
    if not tasks.speed or not words:
        return None
    return words_per_second(subject.embed, words, subject.reset, progress=progress)
