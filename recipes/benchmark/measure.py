"""Speed and memory, as ratios to the published way within the same run.

    python recipes/benchmark/measure.py all                 # everything, then the tables and the plot
    python recipes/benchmark/measure.py words --encoder DIR # one section
    python recipes/benchmark/measure.py write               # the tables and the plot from results.jsonl

Each section replaces its own rows in results.jsonl.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.errors import DistillEmbError
from recipes.benchmark.bulk import bulk_rows
from recipes.benchmark.distillation import training_rows
from recipes.benchmark.encoding import one_word_rows, word_rows
from recipes.benchmark.fixtures import SIZES, Sizes, describe, open_encoder, read_teacher, read_words
from recipes.benchmark.footprint import footprint_rows
from recipes.benchmark.pipelines import spacy_rows
from recipes.benchmark.scaling import plot, scaling_rows
from recipes.benchmark.tables import write_tables
from recipes.results import DEFAULT_DATA, add_result, read_results, run_app

HERE = Path(__file__).resolve().parent
KEY = ("section", "name")
Rows = list[dict[str, Any]]
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with teachers/ and tasks/; without them made-up words are used.")]
Encoder = Annotated[str, typer.Option(help="Encoder to measure; default: afro11, else random weights.")]
Size = Annotated[str, typer.Option(help="full, or tiny to see that all works.")]
Results = Annotated[Path, typer.Option(help="Where the figures are kept (JSON lines).")]
Readme = Annotated[Path, typer.Option(help="Where the tables go.")]


def _words(data: Path, encoder: str, sizes: Sizes) -> Rows:
    words = read_words(data, sizes.words)
    files = open_encoder(encoder, words, sizes.dim)
    return one_word_rows(files, words, sizes) + word_rows(files, words, sizes, 1, data)


def _two_threads(data: Path, encoder: str, sizes: Sizes) -> Rows:
    words = read_words(data, sizes.words)
    return word_rows(open_encoder(encoder, words, sizes.dim), words, sizes, 2, data)


def _scaling(data: Path, encoder: str, sizes: Sizes) -> Rows:
    words = read_words(data, sizes.words)
    return scaling_rows(open_encoder(encoder, words, sizes.dim), words, sizes)


def _train(data: Path, encoder: str, sizes: Sizes) -> Rows:
    return training_rows(read_teacher(data, sizes.teacher_words, sizes.dim), sizes)


def _spacy(data: Path, encoder: str, sizes: Sizes) -> Rows:
    return spacy_rows(open_encoder(encoder, read_words(data, sizes.words), sizes.dim), data, sizes)


def _memory(data: Path, encoder: str, sizes: Sizes) -> Rows:
    return footprint_rows(open_encoder(encoder, read_words(data, sizes.words), sizes.dim), sizes)


def _bulk(data: Path, encoder: str, sizes: Sizes) -> Rows:
    return bulk_rows(open_encoder(encoder, read_words(data, sizes.words), sizes.dim), sizes)


PARTS: dict[str, Callable[[Path, str, Sizes], Rows]] = {
    "memory": _memory,
    "words": _words,
    "train": _train,
    "spacy": _spacy,
    "bulk": _bulk,
    "scaling": _scaling,
    "two-threads": _two_threads,  # the clock of the wall counts here: last, for it needs a quiet machine
}


def measure(part: str, data: Path, encoder: str, size: str, results: Path) -> None:
    """Run a part, print its rows, and put them into the results."""
    if size not in SIZES:
        raise DistillEmbError(f"--size is {size!r}: say {' or '.join(SIZES)}.")
    files = open_encoder(encoder, read_words(data, SIZES[size].words), SIZES[size].dim)
    sizes = replace(SIZES[size], dim=files.config["dim"])
    where = {"machine": machine(), "encoder": describe(files)}
    for row in PARTS[part](data, encoder, sizes):
        more = f"{row['low']:,.4g} to {row['high']:,.4g}"
        typer.echo(f"{row['section']}: {row['name']}: {row['median']:,.4g} {row['unit']} ({more})")
        add_result(results, {**row, **where}, KEY)


def machine() -> str:
    """The kind of machine: processor and cores."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text("utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores"


def _command(part: str) -> None:
    def run(
        data: Data = DEFAULT_DATA, encoder: Encoder = "", size: Size = "full", results: Results = HERE / "results.jsonl"
    ) -> None:
        measure(part, data, encoder, size, results)

    app.command(part, help=f"Measure one part: {part}.")(run)


for _part in PARTS:
    _command(_part)


@app.command()
def write(results: Results = HERE / "results.jsonl", readme: Readme = HERE / "README.md") -> None:
    """Write the tables into the README and draw scaling.svg beside it, from what was measured."""
    rows = read_results(results)
    write_tables(rows, readme)
    plot(rows, readme.with_name("scaling.svg"))


@app.command(name="all")
def everything(
    data: Data = DEFAULT_DATA,
    encoder: Encoder = "",
    size: Size = "full",
    results: Results = HERE / "results.jsonl",
    readme: Readme = HERE / "README.md",
) -> None:
    """Measure every part, and write the tables and the plot."""
    for part in PARTS:
        measure(part, data, encoder, size, results)
    write(results, readme)


def main() -> None:
    """Run the command; bad input ends in one sentence."""
    run_app(app)


if __name__ == "__main__":
    main()
