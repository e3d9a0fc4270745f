"""What a student keeps of its teacher, also on words that it never saw, and how fast it is."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DistillEmbError
from .models import ENCODE_BATCH, Embed, EmbeddingModel, progress_bar

if TYPE_CHECKING:
    from ..teachers import Teacher

SPEED_WORDS = 20_000
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
    from ..distill.targets import build_targets
    from ..distill.validation import held_out_scores

    settings = model.settings
    if settings is None:
        names, vectors = teacher.words, teacher.vectors
    elif settings.combine == "svd":
        return None
    else:
        targets = build_targets([teacher], settings)
        names, vectors = targets.words, targets.vectors[0]
    place = {word: row for row, word in enumerate(names)}
    rows = np.array([place[word] for word in dict.fromkeys(words) if word in place], dtype=np.int64)
    if not len(rows):
        raise DistillEmbError(
            f"None of the {len(words)} held-out words is in the teacher {teacher.name}: check the list."
        )
    if vectors.shape[1] != model.dim:
        return None
    if settings is None and model.kind == "encoder":
        warnings.warn(f"{model.name} {UNKNOWN_SETTINGS}", UserWarning, stacklevel=2)
    predicted = model.embed_in_batches([names[row] for row in rows], progress)
    scores = held_out_scores(predicted, vectors, rows)
    return HeldOutScore(len(rows), len(names), **scores, settings_known=settings is not None)


def words_per_second(
    embed: Embed,
    words: Sequence[str],
    reset: Callable[[], None] | None = None,
    repeats: int = 5,
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
    limit, threads = _one_thread()
    with limit, progress_bar(repeats, "speed", "pass", progress) as bar:
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


def _one_thread() -> tuple[Any, int | None]:
    """What holds NumPy's linear algebra to one thread, where threadpoolctl (scikit-learn brings it) is installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext(), None
    return threadpool_limits(limits=1), 1
