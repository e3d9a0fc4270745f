"""Distillation: examples a second of our trainer to the published way's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillemb_plugins import Teacher
from recipes.benchmark.fixtures import Sizes, running_text
from recipes.benchmark.published import published_training_speed
from recipes.benchmark.timing import Rates, ratio, row, threads

SAME, DEFAULT = "same network and loss, batches of 1,024, bfloat16", "default cnn and loss"
STRICT = "same network, loss and batch of 64, float32"
_TARGETS = {SAME: {"at_least": 3}, DEFAULT: {"at_least": 10}}


def training_rows(teacher: Teacher, sizes: Sizes) -> list[dict[str, Any]]:
    """The published training and three of ours, interleaved, one thread, processor time."""
    with tempfile.TemporaryDirectory() as folder, threads(1):
        corpus = Path(folder) / "corpus.txt"
        text = running_text(teacher.words, sizes.tokens)
        corpus.write_text("\n".join(" ".join(text[i : i + 50]) for i in range(0, len(text), 50)), "utf-8")
        cases = _cases(teacher, corpus, sizes)
        values: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(sizes.rounds):
            for name, measure in cases.items():
                values[name].append(measure())
    rates = {name: Rates(name, tuple(each)) for name, each in values.items()}
    yardstick = next(iter(rates.values()))
    return [
        row(
            "distillation",
            name,
            "times the published way",
            ratio(each, yardstick),
            examples_per_second=round(each.median),
            **_TARGETS.get(name, {}),
        )
        for name, each in rates.items()
    ]


def _cases(teacher: Teacher, corpus: Path, sizes: Sizes) -> dict[str, Callable[[], float]]:
    from distillemb_plugins.distill import DistillSettings
    from distillemb_plugins.distill.trainer import training_speed

    common: dict[str, Any] = {"device": "cpu", "epochs": 10_000}
    # The character set is the published way's: every character of the words.
    ours = {
        SAME: DistillSettings(preset="distillemb", batch_size=1024, bf16="all", min_char_count=1, **common),
        STRICT: DistillSettings(preset="distillemb", min_char_count=1, **common),
        DEFAULT: DistillSettings(**common),
    }
    cases: dict[str, Callable[[], float]] = {
        "published way": lambda: published_training_speed(teacher, corpus, sizes.seconds)
    }
    for name, settings in ours.items():
        cases[name] = lambda settings=settings: training_speed(  # type: ignore[misc]
            [teacher], settings, [corpus], seconds=sizes.seconds, clock=time.process_time
        )
    return cases
