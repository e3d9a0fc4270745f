"""What a student keeps of its teacher, also on words that it never saw, and how fast it is."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DistillEmbError
from ..vectors import Floats
from .models import ENCODE_BATCH, Embed, EmbeddingModel, progress_bar

if TYPE_CHECKING:
    from ..distill import DistillSettings
    from ..teachers import Teacher

SPEED_WORDS = 20_000
SPEED_REPEATS = 5
UNKNOWN_SETTINGS = (
    "does not say how it was distilled: its held-out words are compared with the teacher's vectors as they are, which "
    "may not be what it learned."
)


@dataclass(frozen=True)
class SpeedScore:
    """Words a second over distinct words, none of them cached: the median of `repeats` passes.

    threads: 1 when the pass was held to one thread, None when that could not be done.
    """

    words: int
    repeats: int
    words_per_second: float
    threads: int | None


@dataclass(frozen=True)
class HeldOutScore:
    """Scores of `words` held-out words among `candidates` words of the teacher; see `held_out_scores`.

    settings_known: whether the teacher's vectors were cleaned as they were for training.
    """

    words: int
    candidates: int
    cosine: float
    p_at_1: float
    p_at_10: float
    overlap_at_10: float
    settings_known: bool = True


def retention(student: float | None, teacher: float | None) -> float | None:
    """The student's share of the teacher's mean score; None when one is missing or the teacher's is not above 0."""
    if student is None or teacher is None or teacher <= 0:
        return None
    return student / teacher


def score_held_out(
    model: EmbeddingModel, teacher: Teacher, words: Sequence[str], progress: bool = False
) -> HeldOutScore | None:
    """Score a student on words that it was not trained on.

    The numbers are those of `distillemb_plugins.distill.validation`, which training reports too. The teacher's vectors
    are cleaned as `model.settings` say before they are compared. Without settings they are taken as they are, and a
    warning says so.

    Args:
        model: The student.
        teacher: The table that it was distilled from, with the same words as then (fewer or more candidates are easier
            or harder).
        words: The words.
        progress: Whether to show a bar on standard error.

    Returns:
        None when the student does not live in this teacher's space: it has another width, or learned an SVD of several
        teachers.

    Raises:
        DistillEmbError: When none of the words is in the teacher.
    """
    if model.settings is not None and model.settings.combine == "svd":
        return None
    names, vectors = _targets(teacher, model.settings)
    place = {word: row for row, word in enumerate(names)}
    rows = np.array([place[word] for word in dict.fromkeys(words) if word in place], dtype=np.int64)
    if not len(rows):
        raise DistillEmbError(
            f"None of the {len(words)} held-out words is in the teacher {teacher.name}: check the list."
        )
    if vectors.shape[1] != model.dim:
        return None
    from ..distill.validation import held_out_scores

    if model.settings is None and model.kind == "encoder":
        warnings.warn(f"{model.name} {UNKNOWN_SETTINGS}", UserWarning, stacklevel=2)
    predicted = model.embed_in_batches([names[row] for row in rows], progress)
    scores = held_out_scores(predicted, vectors, rows)
    return HeldOutScore(len(rows), len(names), **scores, settings_known=model.settings is not None)


def _targets(teacher: Teacher, settings: DistillSettings | None) -> tuple[list[str], Floats]:
    """Words, and the vectors that a student of these settings learns from this teacher."""
    if settings is None:
        return teacher.words, teacher.vectors
    from ..distill.targets import build_targets

    targets = build_targets([teacher], settings)
    return targets.words, targets.vectors[0]


def words_per_second(
    embed: Embed,
    words: Sequence[str],
    reset: Callable[[], None] | None = None,
    repeats: int = SPEED_REPEATS,
    progress: bool = False,
) -> SpeedScore:
    """Time `embed` over the distinct words, in batches, on one thread. One short pass warms up first.

    Args:
        embed: What is timed.
        words: The words.
        reset: Called before each pass, to empty a cache.
        repeats: Number of passes.
        progress: Whether to show a bar on standard error.

    Raises:
        DistillEmbError: When there are no words.
    """
    distinct = list(dict.fromkeys(words))
    if not distinct:
        raise DistillEmbError("There are no words to time: give a vocabulary.")
    batches = [distinct[i : i + ENCODE_BATCH] for i in range(0, len(distinct), ENCODE_BATCH)]
    seconds = []
    with one_thread() as threads, progress_bar(repeats, "speed", "pass", progress) as bar:
        embed(batches[0][:256])
        for _ in range(repeats):
            if reset is not None:
                reset()
            start = time.perf_counter()
            for batch in batches:
                embed(batch)
            seconds.append(time.perf_counter() - start)
            bar.update()
    middle = max(statistics.median(seconds), 1e-9)
    return SpeedScore(len(distinct), repeats, len(distinct) / middle, threads)


@contextmanager
def one_thread() -> Iterator[int | None]:
    """Hold NumPy's linear algebra to one thread while the block runs.

    Yields:
        1, or None where threadpoolctl (scikit-learn brings it) is not installed and nothing is limited.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield None
        return
    with threadpool_limits(limits=1):
        yield 1
