"""Speed and memory, as ratios to the published way within the same run.

    python recipes/benchmark/measure.py all                 # everything, then the tables and the plot
    python recipes/benchmark/measure.py words --encoder DIR # one part
    python recipes/benchmark/measure.py write               # the tables and the plot from results.jsonl

Each part replaces its own rows in results.jsonl.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.distill.trainer import training_speed
from distillemb_plugins.evaluate.plots import line_plots
from distillemb_plugins.files import directory_bytes
from distillemb_plugins.persistence import WEIGHTS_FILE, read_encoder, resolve
from distillemb_plugins.quantization import STORAGES
from distillemb_plugins.workflow.packages import fresh_process
from recipes import results as shared
from recipes.benchmark import encoding, harness
from recipes.benchmark.encoding import GROWTH, PUBLISHED
from recipes.benchmark.harness import SIZES, Bench, Rates, ratio_row, running_text, threads
from recipes.benchmark.pipelines import spacy_rows
from recipes.benchmark.taggers import tagging_rows
from recipes.results import Row, markdown_table, pick

HERE = Path(__file__).resolve().parent
TAGGERS = HERE.parent / "tagging" / "training"
EXTRA: dict[str, str] = harness.SETTINGS["columns"]
RESIDENT = """
import json, sys, time
import psutil
def resident(): return psutil.Process().memory_info().rss / 1e6
"""
ENCODER = f"""{RESIDENT}
start = time.perf_counter()
import numpy
before, imported = resident(), time.perf_counter() - start
from distillemb_plugins import DistillEmb
encoder = DistillEmb.from_pretrained(sys.argv[1])
seconds, opened = time.perf_counter() - start, resident()
encoder.encode([f"neno{{place}}" for place in range(1000)])
heavy = sorted({{"torch", "spacy", "transformers", "gensim"}} & set(sys.modules))
print(json.dumps({{"opened": opened - before, "used": resident() - before, "seconds": seconds,
                  "numpy": imported, "heavy": heavy}}))
"""
TABLE = f"""{RESIDENT}
import numpy
before, start = resident(), time.perf_counter()
table = numpy.load(sys.argv[1] + "/table.npy")
with open(sys.argv[1] + "/words.txt", encoding="utf-8") as stream:
    rows = {{line.rstrip("\\n"): place for place, line in enumerate(stream)}}
print(json.dumps({{"opened": resident() - before, "seconds": time.perf_counter() - start}}))
"""
# The peak of the process and of its children together, read while it runs.
WATCH = """
import json, subprocess, sys, time
import psutil
start, peak = time.perf_counter(), 0
job = psutil.Popen([sys.executable, "-m", "distillemb_plugins.cli", "vectors", *sys.argv[1:]])
while job.poll() is None:
    try:
        peak = max(peak, sum(each.memory_info().rss for each in [job, *job.children(recursive=True)]))
    except psutil.NoSuchProcess:
        pass
    time.sleep(0.02)
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak / 1e6}))
sys.exit(job.returncode)
"""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def training_rows(bench: Bench) -> list[Row]:
    """Examples a second of the published training and of three of ours, interleaved, one thread, processor time."""
    teacher, seconds = bench.teacher, bench.sizes.seconds
    # The character set of the same network is the published way's: every character of the words.
    same = partial(DistillSettings, preset="distillemb", min_char_count=1, device="cpu", epochs=10_000)
    ours = {
        "same network and loss, batches of 1,024, bfloat16": same(batch_size=1024, bf16="all"),
        "same network, loss and batch of 64, float32": same(),
        "default cnn and loss": DistillSettings(device="cpu", epochs=10_000),
    }
    with tempfile.TemporaryDirectory() as folder, threads(1):
        corpus = Path(folder) / "corpus.txt"
        text = running_text(teacher.words, bench.sizes.tokens)
        corpus.write_text("\n".join(" ".join(text[i : i + 50]) for i in range(0, len(text), 50)), "utf-8")
        rates: Rates = {name: [] for name in (PUBLISHED, *ours)}
        for _ in range(bench.sizes.rounds):
            rates[PUBLISHED].append(encoding.published_training_speed(teacher, corpus, seconds))
            for name, settings in ours.items():
                speed = training_speed([teacher], settings, [corpus], seconds=seconds, clock=time.process_time)
                rates[name].append(speed)
    targets: dict[str, Row] = dict(zip(rates, ({}, {"at_least": 3}, {}, {"at_least": 10}), strict=True))
    base, unit = rates[PUBLISHED], "times the published way"
    return [
        ratio_row("distillation", name, unit, each, base, "examples_per_second", **targets[name])
        for name, each in rates.items()
    ]


def footprint_rows(bench: Bench) -> list[Row]:
    """Resident megabytes and seconds of the encoder and of a table, and the encoder's bytes in each storage."""
    sizes, as_stored, disk = bench.sizes, bench.files.config.get("storage", "float32"), []
    with tempfile.TemporaryDirectory() as folder:
        for kind in STORAGES:
            path = bench.write(Path(folder) / kind, kind)
            size, weights = directory_bytes(path) / 1e6, round((path / WEIGHTS_FILE).stat().st_size / 1e6, 3)
            target = {"at_most": 3} if kind == as_stored else {}
            disk.append(harness.row("disk", f"encoder directory, {kind}", "MB", [size], weights_mb=weights, **target))
        table = Path(folder) / "table"
        table.mkdir()
        np.save(table / "table.npy", harness.random_rows(sizes.table_rows, bench.dim))
        (table / "words.txt").write_text("".join(f"neno{place}\n" for place in range(sizes.table_rows)), "utf-8")
        ours = [fresh_process(ENCODER, f"{folder}/{as_stored}") for _ in range(sizes.rounds)]
        theirs = [fresh_process(TABLE, str(table)) for _ in range(min(3, sizes.rounds))]
    name, mb = f"table of {sizes.table_rows:,} x {bench.dim}", "MB resident"
    opened, used, seconds, numpy = ([each[key] for each in ours] for key in ("opened", "used", "seconds", "numpy"))
    return [
        harness.row("memory", "encoder, opened", mb, opened, at_most=20, imported=ours[0]["heavy"]),
        harness.row("memory", "encoder, after 1,000 words", mb, used),
        harness.row("memory", name, mb, [each["opened"] for each in theirs]),
        harness.row("opening", "import, NumPy's with it, and open", "seconds", seconds, at_most=0.3),
        harness.row("opening", "of which NumPy", "seconds", numpy),
        harness.row("opening", name, "seconds", [each["seconds"] for each in theirs]),
        *disk,
    ]


def bulk_rows(bench: Bench) -> list[Row]:
    """Words a second and peak memory of `distillemb vectors` for two lengths of the list."""
    rows, unit = [], "words/s, start included"
    with tempfile.TemporaryDirectory() as folder:
        encoder = bench.write(Path(folder) / "encoder")
        for count in (bench.sizes.bulk_words // 4, bench.sizes.bulk_words):
            words = Path(folder) / f"{count}.txt"
            words.write_text("".join(f"{word}\n" for word in harness.made_up_words(count)), "utf-8")
            for processes in sorted({1, os.cpu_count() or 1}):
                for kind in (".npz", ".vec"):
                    out = Path(folder) / f"{processes}{kind}"
                    found = fresh_process(WATCH, *map(str, (encoder, words, "-o", out, "--processes", processes)))
                    name = f"{count:,} words, {kind}, {processes} process" + ("es" if processes > 1 else "")
                    rows.append(
                        harness.row("bulk", name, unit, [count / found["seconds"]], peak_mb=round(found["peak"]))
                    )
    return rows


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "memory": footprint_rows,
    "words": lambda bench: encoding.one_word_rows(bench) + encoding.word_rows(bench),
    "train": training_rows,
    "spacy": spacy_rows,
    "tagging": tagging_rows,
    "bulk": bulk_rows,
    "scaling": encoding.scaling_rows,
    "threads": encoding.thread_rows,  # by the clock of the wall: last, for it needs a quiet machine
}


def machine() -> str:
    """The kind of machine: processor and cores."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.is_file() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    model = next(named, platform.processor() or platform.machine())
    return f"{model}, {os.cpu_count()} cores"


def write(results: Path, readme: Path) -> None:
    """Write the tables into the README (the targets, then one a section), and draw scaling.svg beside it."""
    rows = shared.read_results(results)
    said = {name: "; ".join(dict.fromkeys(row[name] for row in rows)) for name in ("machine", "encoder")}
    parts = [f"Machine: {said['machine']}. Encoder: {said['encoder']}.", "### Targets", _targets(rows)]
    for section in dict.fromkeys(row["section"] for row in rows):
        parts += [f"### {section}", _table(pick(rows, section=section))]
    shared.write_blocks(readme, {"tables": "\n\n".join(parts)})
    grown = {what: sorted(pick(rows, what=what), key=lambda row: row["value"]) for what in GROWTH}
    lines = {w: {"median": {f"{row['value']:,}": [row["median"] / 1e3] for row in found}} for w, found in grown.items()}
    shared.write_text(readme.with_name("scaling.svg"), line_plots(lines, "", "thousand words/s"))


def _targets(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if row.get("met") is not None:
            kind = "at_least" if "at_least" in row else "at_most"
            verdict = "met" if row["met"] else f"missed: {abs(row['median'] / row[kind] - 1):.0%} off"
            limit = f"{kind.replace('_', ' ')} {row[kind]:g}"
            lines.append([f"{row['section']}: {row['name']}", row["unit"], limit, _number(row["median"]), verdict])
    return markdown_table(["what", "unit", "target", "measured", ""], lines)


def _table(rows: list[Row]) -> str:
    """The rows of a section, as they grow where something grows, else the largest first."""
    extra = [name for name in EXTRA if any(name in row for row in rows)]
    grows = all("value" in row for row in rows)
    lines = []
    for row in sorted(rows, key=lambda row: (row["what"], row["value"]) if grows else -row["median"]):
        figures = [_number(row["median"]), f"{_number(row['low'])} - {_number(row['high'])}"]
        lines.append([row["name"], *figures, *(_number(row[name]) if name in row else "" for name in extra)])
    units = " or ".join(dict.fromkeys(row["unit"] for row in rows))
    return markdown_table(["", units, "quartiles", *(EXTRA[name] for name in extra)], lines)


def _number(value: float) -> str:
    if value != 0 and abs(value) < 0.01:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


@app.command(help=__doc__)
def measure(
    part: Annotated[str, typer.Argument(help=f"all, write, or one of {', '.join(PARTS)}.")],
    data: shared.Data = shared.DEFAULT_DATA,
    encoder: Annotated[str, typer.Option(help="Encoder to measure; default: afro11.")] = "",
    size: Annotated[str, typer.Option(help="full, or tiny to see that all works.")] = "full",
    results: shared.Results = HERE / "results.jsonl",
    readme: shared.Readme = HERE / "README.md",
    taggers: Annotated[Path, typer.Option(help="Where recipes/tagging keeps its taggers.")] = TAGGERS,
) -> None:
    shared.check_choice("part", [part], ["all", "write", *PARTS])
    shared.check_choice("--size", [size], SIZES)
    if part != "write":
        bench = Bench(data, read_encoder(encoder or resolve("afro11")), SIZES[size], taggers)
    for name in PARTS if part == "all" else [part] if part in PARTS else []:
        for row in PARTS[name](bench):
            more = f"{row['low']:,.4g} to {row['high']:,.4g}"
            typer.echo(f"{row['section']}: {row['name']}: {row['median']:,.4g} {row['unit']} ({more})")
            about = {"machine": machine(), "encoder": bench.describe()}
            shared.add_result(results, {**row, **about}, ("section", "name"))
    if part in ("all", "write"):
        write(results, readme)


if __name__ == "__main__":
    shared.run_app(app)
