"""What needs processes of its own: memory, opening time and bytes on disk, and bulk work."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from distillemb_plugins import load_teacher
from distillemb_plugins.files import directory_bytes
from distillemb_plugins.persistence import WEIGHTS_FILE
from distillemb_plugins.quantization import STORAGES
from distillemb_plugins.workflow.packages import fresh_process
from recipes.benchmark.harness import Bench, installed, made_up_words, random_rows, row
from recipes.results import Row

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


def footprint_rows(bench: Bench) -> list[Row]:
    """Resident megabytes and seconds of the encoder and of a table, and the encoder's bytes in each storage."""
    sizes, as_stored, disk = bench.sizes, bench.files.config.get("storage", "float32"), []
    with tempfile.TemporaryDirectory() as folder:
        for kind in STORAGES:
            path = bench.write(Path(folder) / kind, kind)
            size, weights = directory_bytes(path) / 1e6, round((path / WEIGHTS_FILE).stat().st_size / 1e6, 3)
            target = {"at_most": 3} if kind == as_stored else {}
            disk.append(row("disk", f"encoder directory, {kind}", "MB", [size], weights_mb=weights, **target))
        table = Path(folder) / "table"
        table.mkdir()
        np.save(table / "table.npy", random_rows(sizes.table_rows, bench.dim))
        (table / "words.txt").write_text("".join(f"neno{place}\n" for place in range(sizes.table_rows)), "utf-8")
        ours = [fresh_process(ENCODER, f"{folder}/{as_stored}") for _ in range(sizes.rounds)]
        theirs = [fresh_process(TABLE, str(table)) for _ in range(min(3, sizes.rounds))]
    name, mb = f"table of {sizes.table_rows:,} x {bench.dim}", "MB resident"
    opened, used, seconds, numpy = ([each[key] for each in ours] for key in ("opened", "used", "seconds", "numpy"))
    return [
        row("memory", "encoder, opened", mb, opened, at_most=20, imported=ours[0]["heavy"]),
        row("memory", "encoder, after 1,000 words", mb, used),
        row("memory", name, mb, [each["opened"] for each in theirs]),
        row("opening", "import, NumPy's with it, and open", "seconds", seconds, at_most=0.3),
        row("opening", "of which NumPy", "seconds", numpy),
        row("opening", name, "seconds", [each["seconds"] for each in theirs]),
        *disk,
    ]


def bulk_rows(bench: Bench) -> list[Row]:
    """Words a second and peak memory of `distillemb vectors` for two lengths of the list, and of Ray Data if there."""
    rows, unit = [], "words/s, start included"
    with tempfile.TemporaryDirectory() as folder:
        encoder = bench.write(Path(folder) / "encoder")
        for count in (bench.sizes.bulk_words // 4, bench.sizes.bulk_words):
            words = Path(folder) / f"{count}.txt"
            words.write_text("".join(f"{word}\n" for word in made_up_words(count)), "utf-8")
            for processes in sorted({1, os.cpu_count() or 1}):
                for kind in (".npz", ".vec"):
                    out = Path(folder) / f"{processes}{kind}"
                    found = fresh_process(WATCH, *map(str, (encoder, words, "-o", out, "--processes", processes)))
                    name = f"{count:,} words, {kind}, {processes} process" + ("es" if processes > 1 else "")
                    rows.append(row("bulk", name, unit, [count / found["seconds"]], peak_mb=round(found["peak"])))
            if installed("ray"):
                from recipes.benchmark.ray_vectors import embed_on_ray, read_parts

                start = time.perf_counter()
                out = embed_on_ray(str(encoder), words, Path(folder) / f"ray-{count}")
                rate = count / (time.perf_counter() - start)
                theirs, ours = read_parts(out), load_teacher(Path(folder) / "1.npz")
                most = np.abs(np.stack([theirs[word] for word in ours.words]) - ours.vectors).max()
                name, largest = f"{count:,} words, Ray Data, local", float(f"{most:.2g}")
                rows.append(row("bulk", name, unit, [rate], largest_difference=largest))
    return rows
