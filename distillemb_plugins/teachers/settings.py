"""The settings of a training. Nothing heavy is imported here: the command line lists the algorithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import DistillEmbError

Algorithm = Literal["fasttext", "word2vec", "ppmi-svd"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_WINDOWS = {"ppmi-svd": 2}
_POSITIVE = ("dim", "window", "negative", "min_count", "epochs", "contexts", "learning_rate")


def default_window(algorithm: str) -> int:
    """Words on each side that an algorithm reads when nothing is said."""
    return _WINDOWS.get(algorithm, 5)


@dataclass(frozen=True)
class TeacherSettings:
    """What makes two trainings the same; see `train_teacher`. Threads do not belong here.

    Raises:
        DistillEmbError: A setting has no sense. It is told before hours of work.
    """

    algorithm: Algorithm
    dim: int
    window: int
    negative: int
    min_count: int
    epochs: int
    skipgram: bool
    min_n: int
    max_n: int
    buckets: int
    learning_rate: float
    sample: float
    seed: int
    limit: int | None
    contexts: int

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise DistillEmbError(f"algorithm={self.algorithm!r} is unknown: choose {', '.join(ALGORITHMS)}.")
        positive = {name: getattr(self, name) for name in _POSITIVE}
        if self.algorithm == "fasttext":
            positive |= {"min_n": self.min_n, "buckets": self.buckets}
            if self.max_n < self.min_n:
                raise DistillEmbError(
                    f"max_n={self.max_n} is below min_n={self.min_n}: raise it, or use word2vec for no n-grams."
                )
        if self.limit is not None:
            positive["limit"] = self.limit
        for name, value in positive.items():
            if value <= 0:
                raise DistillEmbError(f"{name}={value} must be positive.")
