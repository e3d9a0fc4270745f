"""Fair ratios on a busy machine: every case runs once a round, and is compared with the yardstick of its round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Work = Callable[[], int]  # does a piece of work and returns how many words (or examples) it was


@dataclass(frozen=True)
class Rates:
    """What an case did in each round, per second."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class Figure:
    """A median with the lower and upper quartile."""

    median: float
    low: float
    high: float


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let NumPy's matrix products and torch use `count` threads, and put things back."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def interleaved(cases: dict[str, Work], rounds: int, *, processor_time: bool = True) -> dict[str, Rates]:
    """Run all cases once a round, one after another, after a round to warm up; the rates by name.

    processor_time: per second of this process's processor time instead of the clock's: right for one thread, and
    untouched by what else the machine does.
    """
    clock = time.process_time if processor_time else time.perf_counter
    values: dict[str, list[float]] = {name: [] for name in cases}
    for round_number in range(rounds + 1):
        for name, work in cases.items():
            gc.collect()
            start = clock()
            done = work()
            seconds = clock() - start
            if round_number:
                values[name].append(done / max(seconds, 1e-9))
    return {name: Rates(name, tuple(each)) for name, each in values.items()}


def ratio(rates: Rates, yardstick: Rates) -> Figure:
    """How many times the yardstick's rate, compared round by round."""
    return spread([mine / its for mine, its in zip(rates.values, yardstick.values, strict=True)])


def spread(values: list[float]) -> Figure:
    """Median and quartiles of some figures (of two, their range)."""
    if len(values) < 2:
        return Figure(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(median, low, high)


def row(section: str, name: str, unit: str, figure: Figure, **more: Any) -> dict[str, Any]:
    """A line of the results file. more: ``at_least`` or ``at_most`` for a target, and whatever describes the case."""
    at_least, at_most = more.get("at_least"), more.get("at_most")
    met = None if at_least is at_most else figure.median >= at_least if at_least is not None else None
    if at_most is not None:
        met = figure.median <= at_most
    values = {"median": figure.median, "low": figure.low, "high": figure.high}
    rounded = {name: float(f"{value:.4g}") for name, value in values.items()}
    return {"section": section, "name": name, "unit": unit, **rounded, "met": met, **more}
