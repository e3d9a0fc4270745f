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

_FORMAT = 2
_MAP_WORDS = 200


@dataclass(frozen=True)
class Tasks:
    """What to score; an empty field leaves its score out.

    Attributes:
        similarity: Sets of word pairs.
        every_pair: Whether a pair with an unknown word counts, with similarity 0. Otherwise only the pairs count that
            the teacher (without one, each model) knows.
        analogies: Questions by section.
        neighbors: Words whose neighbors are listed.
        n_neighbors: How many of each.
        vocabulary: Candidates of analogies and neighbors, and the words that are timed, the most frequent first.
        held_out: By a student's name, the words that it was not trained on.
        map_words: Words of the report's map.
        speed: Whether to measure words a second.
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
    """Vectors for the map of the report: float32 ``[n, dim]`` for each of `names`."""

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
            "format": _FORMAT,
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

    Args:
        students: Encoders or tables, under names that differ.
        teacher: What they are compared with.
        tasks: What to score.
        teacher_table: The teacher's own table, needed for held-out words.
        progress: Whether to show bars on standard error.
    """
    models = ([teacher] if teacher else []) + list(students)
    keep = known_pairs(teacher.lookup, tasks.similarity) if teacher and not tasks.every_pair else None
    scores = []
    with progress_bar(len(models), "evaluate", "model", progress and len(models) > 1) as bar:
        for model in models:
            scores.append(_score(model, tasks, keep, teacher_table if model is not teacher else None, progress))
            bar.update()
    first = scores.pop(0) if teacher else None
    rated = [replace(score, retention=retention(_mean(score), _mean(first))) for score in scores]
    words = list(tasks.map_words)[:_MAP_WORDS]
    word_map = WordMap(words, [s.name for s in models], [s.embed(words) for s in models]) if words else None
    return Evaluation(rated, first, tasks.every_pair, word_map)


def _mean(score: ModelScore | None) -> float | None:
    return score.similarity.mean if score and score.similarity else None


def _score(
    model: EmbeddingModel, tasks: Tasks, keep: Sequence[NDArray[np.bool_]] | None, table: Teacher | None, progress: bool
) -> ModelScore:
    scores: dict[str, Any] = {}
    if tasks.similarity:
        if keep is None and not tasks.every_pair:
            keep = known_pairs(model.lookup, tasks.similarity)
        scores["similarity"] = score_similarity(model.lookup, tasks.similarity, keep)
    words = tasks.vocabulary
    vectors = model.embed_in_batches(words, progress) if tasks.analogies or tasks.neighbors else None
    if tasks.analogies:
        scores["analogies"] = score_analogies(model.lookup, tasks.analogies, words, vectors, progress=progress)
    if tasks.neighbors:
        scores["neighbors"] = nearest_words(model, tasks.neighbors, words, tasks.n_neighbors, vectors=vectors)
    held_out = tasks.held_out.get(model.name)
    if held_out and table is not None:
        scores["held_out"] = score_held_out(model, table, held_out, progress=progress)
    timed = words[:SPEED_WORDS] or [word for one in tasks.similarity for pair in one.pairs for word in pair]
    if tasks.speed and timed:
        scores["speed"] = words_per_second(model.embed, timed, model.reset, progress=progress)
    return ModelScore(model.name, model.kind, model.dim, model.nbytes, **scores)
