"""The settings of a training. Nothing heavy is imported here: the command line lists the algorithms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from ..errors import DistillEmbError
from .amount import fitted_settings

Algorithm = Literal["fasttext", "word2vec", "ppmi-svd"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_WINDOWS = {"ppmi-svd": 2}
_FITTED = ("min_count", "epochs", "skipgram", "min_n", "buckets")
_READ = {  # settings that some algorithm reads and others do not
    "fasttext": {"negative", "epochs", "skipgram", "learning_rate", "sample", "min_n", "max_n", "buckets"},
    "word2vec": {"negative", "epochs", "skipgram", "learning_rate", "sample"},
    "ppmi-svd": {"contexts"},
}
_POSITIVE = ("dim", "window", "negative", "min_count", "epochs", "contexts", "learning_rate")


def default_window(algorithm: str) -> int:
    """Words on each side that an algorithm reads when nothing is said."""
    return _WINDOWS.get(algorithm, 5)


def unread_settings(algorithm: str) -> frozenset[str]:
    """The settings that an algorithm does not read, and another one does."""
    return frozenset().union(*_READ.values()) - _READ[algorithm]


@dataclass(frozen=True)
class TeacherSettings:
    """What makes two trainings the same; see `train_teacher`. Threads do not belong here.

    What is None is fitted to the text (`fitted`). A setting that has no sense is told before hours of work.
    """

    algorithm: Algorithm
    dim: int
    window: int
    negative: int
    min_count: int | None
    epochs: int | None
    skipgram: bool | None
    min_n: int | None
    max_n: int
    buckets: int | None
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
            if self.min_n is not None and self.max_n < self.min_n:
                raise DistillEmbError(
                    f"max_n={self.max_n} is below min_n={self.min_n}: raise it, or use word2vec for no n-grams."
                )
        if self.limit is not None:
            positive["limit"] = self.limit
        for name, value in positive.items():
            if value is not None and value <= 0:
                raise DistillEmbError(f"{name}={value} must be positive.")

    def going_on_from(self, begun: Mapping[str, Any]) -> TeacherSettings:
        """These settings, with what is None as an interrupted run had it."""
        before: dict[str, Any] = {n: begun.get(n) for n in _FITTED if getattr(self, n) is None}
        return replace(self, **before)

    def fitted(self, words: int) -> FittedSettings:
        """These settings for a text of so many words."""
        given, fitted = {one.name: getattr(self, one.name) for one in fields(self)}, fitted_settings(words)
        fitted["min_n"] = min(fitted["min_n"], self.max_n)
        return FittedSettings(**given | {name: value for name, value in fitted.items() if given[name] is None})


@dataclass(frozen=True)
class FittedSettings(TeacherSettings):
    """Settings of which none is left open."""

    min_count: int
    epochs: int
    skipgram: bool
    min_n: int
    buckets: int
