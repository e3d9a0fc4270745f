"""Fair ratios on a busy machine: every case runs once a round, and is compared with the yardstick of its round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from recipes.results import Row

Work = Callable[[], int]  # does a piece of work and returns how many words (or examples) it was
Rates = dict[str, list[float]]  # what each case did in each round, per second


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


def interleaved(cases: Mapping[str, Work], rounds: int, *, processor_time: bool = True) -> Rates:
    """Run all cases once a round, one after another, after a round to warm up; the rates by name.

    processor_time: per second of this process's processor time instead of the clock's: right for one thread, and
    untouched by what else the machine does.
    """
    clock = time.process_time if processor_time else time.perf_counter
    rates: Rates = {name: [] for name in cases}
    for round_number in range(rounds + 1):
        for name, work in cases.items():
            gc.collect()
            start = clock()
            done = work()
            seconds = clock() - start
            if round_number:
                rates[name].append(done / max(seconds, 1e-9))
    return rates


def ratio(rates: Sequence[float], yardstick: Sequence[float]) -> list[float]:
    """How many times the yardstick's rate, compared round by round."""
    return [mine / its for mine, its in zip(rates, yardstick, strict=True)]


def row(section: str, name: str, unit: str, values: Sequence[float], **more: Any) -> Row:
    """A line of the results file, with the median and the quartiles of the values (of two, their range).

    more: ``at_least`` or ``at_most`` for a target, and whatever describes the case.
    """
    several = len(values) > 1
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if several else [values[0]] * 3
    met = median >= more["at_least"] if "at_least" in more else median <= more["at_most"] if "at_most" in more else None
    rounded = {name: float(f"{value:.4g}") for name, value in {"median": median, "low": low, "high": high}.items()}
    return {"section": section, "name": name, "unit": unit, **rounded, "met": met, **more}


def ratio_rows(
    section: str, unit: str, rates: Rates, base: str, more: Mapping[str, Row], per_second: str = "words_per_second"
) -> list[Row]:
    """A line for each case, as a ratio to the case `base`. more: what is to be said of a case, by its name."""
    return [
        row(
            section,
            name,
            unit,
            ratio(each, rates[base]),
            **{per_second: round(statistics.median(each))},
            **more.get(name, {}),
        )
        for name, each in rates.items()
    ]
