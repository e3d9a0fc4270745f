"""The vectors of a word list on Ray Data: the job of `distillemb vectors` past one machine.

    python recipes/benchmark/ray_vectors.py afro11 words.txt out/          # on this machine
    RAY_ADDRESS=auto python recipes/benchmark/ray_vectors.py ...           # on the cluster that it belongs to

Writes Parquet files with the columns word and vector. Needs `pip install "ray[data]"`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins import DistillEmb
from distillemb_plugins.errors import DistillEmbError, require


class Embed:
    """One of Ray's actors: opens the encoder once, then turns batches of words into batches of vectors."""

    def __init__(self, encoder: str) -> None:
        self.encoder = DistillEmb.from_pretrained(encoder, cache_size=0)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        words = batch["text"].tolist()
        return {"word": words, "vector": list(self.encoder.encode(words))}


def embed_on_ray(encoder: str, words: Path, out: Path, actors: int | None = None) -> Path:
    """Embed a word list, one word a line, into Parquet files in `out`; the words stream through `actors` actors.

    Starts Ray on this machine unless it runs or RAY_ADDRESS is set. actors: the machine's cores if not given.
    """
    ray, data = require("ray", "ray"), require("ray.data", "ray")
    if out.exists():
        raise DistillEmbError(f"{out} already exists: choose another name.")
    cores = actors or os.cpu_count() or 1
    if not ray.is_initialized():
        alone = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": cores + 1, "include_dashboard": False}
        ray.init(log_to_driver=False, **alone)
    lines = data.read_text(str(words.resolve()))
    pool = data.ActorPoolStrategy(size=cores)
    vectors = lines.map_batches(Embed, fn_constructor_args=(encoder,), batch_size=4096, compute=pool)
    vectors.write_parquet(str(out.resolve()))
    return out


def read_parts(out: Path) -> Mapping[str, np.ndarray]:
    """The vectors by word, from the Parquet files."""
    table = require("pyarrow.parquet", "ray").read_table(str(out)).to_pydict()
    return {word: np.asarray(vector, np.float32) for word, vector in zip(table["word"], table["vector"], strict=True)}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("Use: ray_vectors.py ENCODER WORDS OUT")
    try:
        embed_on_ray(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    except DistillEmbError as error:
        sys.exit(f"error: {error}")
