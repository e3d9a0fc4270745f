"""How the cost grows: words a second against words a call, length of the words, vocabulary and threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins.evaluate.plots import figure_of, svg_text
from distillemb_plugins.files import atomic_file
from distillemb_plugins.persistence import EncoderFiles
from recipes.benchmark.encoding import cold, distinct, in_calls
from recipes.benchmark.fixtures import Sizes, encoder_of, running_text
from recipes.benchmark.timing import Work, interleaved, row, spread, threads

CALLS, LENGTH, VOCABULARY, THREADS = (
    "words a call",
    "characters a word",
    "vocabulary of 200k tokens, cold cache",
    "threads",
)
_WORDS = 8192
_COLOUR, _FAINT = "#0072B2", "#8a8a8a"
Case = tuple[str, int, Work]


def scaling_rows(files: EncoderFiles, words: list[str], sizes: Sizes) -> list[dict[str, Any]]:
    """The rows of the results; one thread (processor time) but for the threads themselves (wall clock)."""
    few = words[-_WORDS:]
    cases = [*_calls(files, few), *_lengths(files, sizes), *_vocabularies(files, words, sizes)]
    rows = _rows(cases, sizes, 1)
    work = distinct(encoder_of(files).encode, few)
    for count in (1, 2):
        rows += _rows([(THREADS, count, work)], sizes, count, processor_time=False)
    return rows


def _rows(cases: list[Case], sizes: Sizes, count: int, *, processor_time: bool = True) -> list[dict[str, Any]]:
    with threads(count):
        rates = interleaved(
            {f"{what}: {value:,}": work for what, value, work in cases}, sizes.rounds, processor_time=processor_time
        )
    return [
        row("scaling", name, "words/s", spread(list(rates[name].values)), what=what, value=value)
        for name, (what, value, _) in zip(rates, cases, strict=True)
    ]


def _calls(files: EncoderFiles, words: list[str]) -> Iterator[Case]:
    encoder = encoder_of(files)
    for size in (1, 8, 64, 512, 4096):
        yield CALLS, size, partial(in_calls, encoder.encode, words[: 256 * size], size)


def _lengths(files: EncoderFiles, sizes: Sizes) -> Iterator[Case]:
    encoder, random = encoder_of(files), np.random.default_rng(0)
    known = files.characters.characters
    for length in (2, 4, 8, 12, 16):
        letters = random.integers(0, len(known), (min(_WORDS // 2, sizes.words), length)).tolist()
        made = list(dict.fromkeys("".join(known[letter] for letter in word) for word in letters))
        yield LENGTH, length, distinct(encoder.encode, made)


def _vocabularies(files: EncoderFiles, words: list[str], sizes: Sizes) -> Iterator[Case]:
    for size in (len(words) // 100, len(words) // 10, len(words)):
        text = running_text(words[:size], sizes.tokens)
        yield VOCABULARY, size, partial(cold, encoder_of(files, len(text)), text)


def plot(rows: list[dict[str, Any]], out: Path) -> None:
    """One small picture for each way in which the cost grows, as SVG."""
    with figure_of(10, 2.6, 4) as (figure, panels):
        for axes, what in zip(panels, (CALLS, LENGTH, VOCABULARY, THREADS), strict=True):
            _draw(axes, what, [each for each in rows if each.get("what") == what])
        with atomic_file(out, "w") as stream:
            stream.write(svg_text(figure))


def _draw(axes: Any, what: str, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows))
    axes.fill_between(places, [r["low"] / 1e3 for r in rows], [r["high"] / 1e3 for r in rows], color=_COLOUR, alpha=0.2)
    axes.plot(places, [r["median"] / 1e3 for r in rows], marker="o", markersize=3, color=_COLOUR)
    axes.set_xticks(places, [f"{r['value']:,}" for r in rows])
    axes.set_xlabel(what)
    axes.set_ylabel("thousand words/s")
    axes.set_ylim(bottom=0)
    axes.grid(color=_FAINT, alpha=0.3)
