"""What a student keeps of its teacher, in how many bytes, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import DistillEmbError
from .subjects import ENCODE_BATCH, Embed, progress_bar

SPEED_WORDS = 20_000
SPEED_REPEATS = 5


@dataclass(frozen=True)
class SpeedScore:
    """Words a second over distinct words, none of them cached: the median of `repeats` passes.

    threads: 1 when the pass was held to one thread, None when that could not be done.
    """

    words: int
    repeats: int
    words_per_second: float
    threads: int | None


def retention(student: float | None, teacher: float | None) -> float | None:
    """The student's share of the teacher's mean score; None when one is missing or the teacher's is not above 0."""
    if student is None or teacher is None or teacher <= 0:
        return None
    return student / teacher


def words_per_second(
    embed: Embed,
    words: Sequence[str],
    reset: Callable[[], None] | None = None,
    repeats: int = SPEED_REPEATS,
    progress: bool = False,
) -> SpeedScore:
    """Time `embed` over the distinct words, in batches, on one thread.

    reset: called before each pass, to empty a cache. One short pass warms up first.
    Raises `DistillEmbError` when there are no words.
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

    Yields 1, or None where threadpoolctl (of the extra "report") is not installed and nothing is limited.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield None
        return
    with threadpool_limits(limits=1):
        yield 1


def encoder_bytes(path: str | Path) -> int:
    """Bytes of what an encoder directory needs to compute vectors: weights, configuration and character table.

    The card, and the code that is there for trust_remote_code, are not counted.
    """
    directory = Path(path)
    files = [
        *directory.glob("*.safetensors"),
        *directory.glob("config.json"),
        *directory.glob("tokenizer*.json"),
    ]
    return sum(file.stat().st_size for file in files)
