"""All intrinsic scores of one or several students beside their teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..vectors import Floats
from .analogies import AnalogyScore, Question, score_analogies
from .models import EmbeddingModel, Neighbors, nearest_words, progress_bar
from .retention import SPEED_WORDS, HeldOutScore, SpeedScore, retention, score_held_out, words_per_second
from .similarity import PairSet, SimilarityScore, known_pairs, score_similarity

if TYPE_CHECKING:
    from ..teachers import Teacher

FORMAT = 2
MAP_WORDS = 200


@dataclass(frozen=True)
class Tasks:
    """What to score; an empty field leaves its score out.

    every_pair: a similarity pair with an unknown word counts with similarity 0; otherwise only the pairs that
    the teacher (without one, each model) knows are counted. vocabulary: candidate words of analogies and
    neighbors, and the words that are timed, most frequent first. held_out: for a student's name the words that it
    was not trained on.
    """

    similarity: Sequence[PairSet] = ()
    every_pair: bool = True
    analogies: dict[str, list[Question]] = field(default_factory=dict)
    neighbors: Sequence[str] = ()
    n_neighbors: int = 10
    vocabulary: Sequence[str] = ()
    held_out: dict[str, list[str]] = field(default_factory=dict)
    map_words: Sequence[str] = ()
    speed: bool = True


@dataclass(frozen=True)
class ModelScore:
    """The scores of one encoder or table. bytes: what is stored. retention: mean similarity / the teacher's."""

    name: str
    kind: str
    dim: int
    bytes: int
    similarity: SimilarityScore | None = None
    retention: float | None = None
    analogies: AnalogyScore | None = None
    neighbors: dict[str, Neighbors] = field(default_factory=dict)
    held_out: HeldOutScore | None = None
    speed: SpeedScore | None = None


@dataclass(frozen=True)
class WordMap:
    """Vectors for the map of the report: float32 [n, dim] for each of `names`."""

    words: list[str]
    names: list[str]
    vectors: list[Floats]


@dataclass(frozen=True)
class Evaluation:
    """Scores of students and, when there is one, their teacher."""

    students: list[ModelScore]
    teacher: ModelScore | None = None
    every_pair: bool = True
    word_map: WordMap | None = None

    @property
    def models(self) -> list[ModelScore]:
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
    students: Sequence[EmbeddingModel],
    teacher: EmbeddingModel | None = None,
    tasks: Tasks = Tasks(),
    *,
    teacher_table: Teacher | None = None,
    progress: bool = False,
) -> Evaluation:
    """Score every student, and the teacher, on all tasks.

    teacher_table: the teacher's own table, needed for held-out words. progress: bars on standard error.
    """
    models = ([teacher] if teacher else []) + list(students)
    keep = None
    if teacher and not tasks.every_pair:
        keep = known_pairs(teacher.lookup, tasks.similarity)
    scores = []
    with progress_bar(len(models), "evaluate", "model", progress and len(models) > 1) as bar:
        for model in models:
            table = teacher_table if model is not teacher else None
            scores.append(_score(model, tasks, keep, table, progress))
            bar.update()
    first = scores[0] if teacher else None
    mean = first.similarity.mean if first and first.similarity else None
    rated = [_with_retention(score, mean) for score in scores[len(scores) - len(students) :]]
    words = list(tasks.map_words)[:MAP_WORDS]
    word_map = WordMap(words, [s.name for s in models], [s.embed(words) for s in models]) if words else None
    return Evaluation(rated, first, tasks.every_pair, word_map)


def _with_retention(score: ModelScore, teacher_mean: float | None) -> ModelScore:
    mean = score.similarity.mean if score.similarity else None
    return replace(score, retention=retention(mean, teacher_mean))


def _score(
    model: EmbeddingModel,
    tasks: Tasks,
    keep: Sequence[NDArray[np.bool_]] | None,
    teacher_table: Teacher | None,
    progress: bool,
) -> ModelScore:
    if keep is None and not tasks.every_pair:
        keep = known_pairs(model.lookup, tasks.similarity)
    similarity = score_similarity(model.lookup, tasks.similarity, keep) if tasks.similarity else None
    vectors = None
    if tasks.analogies or tasks.neighbors:
        vectors = model.embed_in_batches(tasks.vocabulary, progress)
    return ModelScore(
        name=model.name,
        kind=model.kind,
        dim=model.dim,
        bytes=model.nbytes,
        similarity=similarity,
        analogies=_analogies(model, tasks, vectors, progress),
        neighbors=_neighbors(model, tasks, vectors),
        held_out=_held_out(model, tasks, teacher_table, progress),
        speed=_speed(model, tasks, progress),
    )


def _analogies(model: EmbeddingModel, tasks: Tasks, vectors: Floats | None, progress: bool) -> AnalogyScore | None:
    if not tasks.analogies:
        return None
    return score_analogies(model.lookup, tasks.analogies, tasks.vocabulary, vectors, progress=progress)


def _neighbors(model: EmbeddingModel, tasks: Tasks, vectors: Floats | None) -> dict[str, Neighbors]:
    if not tasks.neighbors:
        return {}
    return nearest_words(model, tasks.neighbors, tasks.vocabulary, tasks.n_neighbors, vectors=vectors)


def _held_out(
    model: EmbeddingModel, tasks: Tasks, teacher_table: Teacher | None, progress: bool
) -> HeldOutScore | None:
    words = tasks.held_out.get(model.name)
    if not words or teacher_table is None:
        return None
    return score_held_out(model, teacher_table, words, progress=progress)


def _speed(model: EmbeddingModel, tasks: Tasks, progress: bool) -> SpeedScore | None:
    words = list(tasks.vocabulary[:SPEED_WORDS])
    words = words or [word for one in tasks.similarity for pair in one.pairs for word in pair]
    if not tasks.speed or not words:
        return None
    return words_per_second(model.embed, words, model.reset, progress=progress)
