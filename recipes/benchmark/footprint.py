"""Memory, opening time and bytes on disk, each in a fresh process with the core dependencies only."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins.persistence import WEIGHTS_FILE, EncoderFiles, write_encoder
from distillemb_plugins.quantization import Storage
from recipes.benchmark.fixtures import Sizes
from recipes.benchmark.timing import Figure, row, spread

_RESIDENT = """
import json, sys, time
import psutil
def resident(): return psutil.Process().memory_info().rss / 1e6
"""
_ENCODER = (
    _RESIDENT
    + """
start = time.perf_counter()
import numpy
before, imported = resident(), time.perf_counter() - start
from distillemb_plugins import DistillEmb
encoder = DistillEmb.from_pretrained(sys.argv[1])
seconds, opened = time.perf_counter() - start, resident()
encoder.encode([f"neno{place}" for place in range(1000)])
heavy = sorted({"torch", "spacy", "transformers", "gensim"} & set(sys.modules))
print(json.dumps({"opened": opened - before, "used": resident() - before, "seconds": seconds,
                  "numpy": imported, "heavy": heavy}))
"""
)
_TABLE = (
    _RESIDENT
    + """
import numpy
before, start = resident(), time.perf_counter()
table = numpy.load(sys.argv[1] + "/table.npy")
with open(sys.argv[1] + "/words.txt", encoding="utf-8") as stream:
    rows = {line.rstrip("\\n"): place for place, line in enumerate(stream)}
print(json.dumps({"opened": resident() - before, "seconds": time.perf_counter() - start}))
"""
)


def footprint_rows(files: EncoderFiles, sizes: Sizes) -> list[dict[str, Any]]:
    """Resident megabytes and seconds of the encoder and of a table, and the encoder's bytes in each storage."""
    with tempfile.TemporaryDirectory() as folder:
        encoder, table = Path(folder) / "encoder", Path(folder) / "table"
        as_stored: Storage = files.config.get("storage", "float32")
        write_encoder(encoder, files.config, files.tensors, files.characters, storage=as_stored)
        _write_table(table, sizes)
        ours = [_fresh(_ENCODER, encoder) for _ in range(sizes.rounds)]
        theirs = [_fresh(_TABLE, table) for _ in range(min(3, sizes.rounds))]
        heavy = ours[0]["heavy"]
        mb, name = "MB resident", f"table of {sizes.table_rows:,} x {sizes.dim}"
        rows = [
            row("memory", "encoder, opened", mb, _spread(ours, "opened"), at_most=20, imported=heavy),
            row("memory", "encoder, after 1,000 words", mb, _spread(ours, "used")),
            row("memory", name, mb, _spread(theirs, "opened")),
            row("opening", "import, NumPy's with it, and open", "seconds", _spread(ours, "seconds"), at_most=0.3),
            row("opening", "of which NumPy", "seconds", _spread(ours, "numpy")),
            row("opening", name, "seconds", _spread(theirs, "seconds")),
        ]
        return rows + _on_disk(files, Path(folder), as_stored)


def _spread(found: list[dict[str, Any]], name: str) -> Figure:
    return spread([each[name] for each in found])


def _on_disk(files: EncoderFiles, folder: Path, as_stored: str) -> list[dict[str, Any]]:
    kinds: tuple[Storage, ...] = ("float32", "float16", "int8")
    rows = []
    for kind in kinds:
        path = write_encoder(folder / kind, files.config, files.tensors, files.characters, storage=kind)
        size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        target = {"at_most": 3} if kind == as_stored else {}
        weights = round((path / WEIGHTS_FILE).stat().st_size / 1e6, 3)
        rows.append(row("disk", f"encoder directory, {kind}", "MB", spread([size]), weights_mb=weights, **target))
    return rows


def _write_table(folder: Path, sizes: Sizes) -> None:
    folder.mkdir()
    vectors = np.random.default_rng(0).standard_normal((sizes.table_rows, sizes.dim), dtype=np.float32)
    np.save(folder / "table.npy", vectors)
    (folder / "words.txt").write_text("".join(f"neno{place}\n" for place in range(sizes.table_rows)), "utf-8")


def _fresh(script: str, argument: Path) -> dict[str, Any]:
    """What a new Python process prints as JSON."""
    done = subprocess.run([sys.executable, "-c", script, str(argument)], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result
