"""Bulk work: `distillemb vectors` over a long list, on one core and on all, and the same job on Ray Data."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins import load_teacher
from distillemb_plugins.persistence import EncoderFiles, write_encoder
from recipes.benchmark.fixtures import Sizes, made_up_words
from recipes.benchmark.timing import row, spread

Rows = list[dict[str, Any]]
# The peak of the process and of its children together, read while it runs.
_WATCH = """
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
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak / 1e6, "code": job.returncode}))
"""


def bulk_rows(files: EncoderFiles, sizes: Sizes) -> Rows:
    """Words a second and peak memory of the command for two lengths of the list, and of Ray Data when it is there."""
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        encoder = Path(folder) / "encoder"
        write_encoder(encoder, files.config, files.tensors, files.characters)
        for count in (sizes.bulk_words // 4, sizes.bulk_words):
            words = Path(folder) / f"{count}.txt"
            words.write_text("".join(f"{word}\n" for word in made_up_words(count)), "utf-8")
            for processes in sorted({1, os.cpu_count() or 1}):
                for kind in (".npz", ".vec"):
                    out = Path(folder) / f"{processes}{kind}"
                    rows.append(_command(encoder, words, out, count=count, processes=processes))
            if importlib.util.find_spec("ray") is not None:
                rows.append(_on_ray(encoder, words, Path(folder), count))
    return rows


def _command(encoder: Path, words: Path, out: Path, *, count: int, processes: int) -> dict[str, Any]:
    import json

    options = [encoder, words, "-o", out, "--processes", processes]
    command = [sys.executable, "-c", _WATCH, *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    found = json.loads(done.stdout)
    if found["code"]:
        raise RuntimeError(f"distillemb vectors ended with {found['code']}")
    name = f"{count:,} words, {out.suffix}, {processes} process" + ("es" if processes > 1 else "")
    rate = count / found["seconds"]
    return row("bulk", name, "words/s, start included", spread([rate]), peak_mb=round(found["peak"]))


def _on_ray(encoder: Path, words: Path, folder: Path, count: int) -> dict[str, Any]:
    """The same words through Ray Data, compared with the command's table."""
    from recipes.benchmark.ray_vectors import embed_on_ray, read_parts

    start = time.perf_counter()
    out = embed_on_ray(str(encoder), words, folder / f"ray-{count}")
    rate = count / (time.perf_counter() - start)
    found, ours = read_parts(out), load_teacher(folder / "1.npz")
    theirs = np.stack([found[word] for word in ours.words])
    difference = float(f"{np.abs(theirs - ours.vectors).max():.2g}")
    name = f"{count:,} words, Ray Data, local"
    return row("bulk", name, "words/s, start included", spread([rate]), largest_difference=difference)
