"""Train a spaCy pipeline from a config and return the checkpoint that is best on dev."""

from __future__ import annotations

import io
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..files import atomic_directory, directory_bytes
from ..inference import threads

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language


@dataclass(frozen=True)
class TrainedPipeline:
    """The pipeline with the weights that were best on dev, processor seconds of the training, bytes on disk."""

    nlp: Language
    seconds: float
    bytes: int


@contextmanager
def numpy_matmul() -> Iterator[None]:
    """Let thinc multiply matrices with NumPy's BLAS instead of its own: several times faster on some CPUs.

    On one thread: more would wait for each other over small products, and cost processor time without a gain.
    """
    from thinc.api import NumpyOps, get_current_ops, set_current_ops

    before = get_current_ops()
    set_current_ops(NumpyOps(use_blis=False))
    try:
        with threads.one_blas_thread:
            yield
    finally:
        set_current_ops(before)


class _LogToBar(io.StringIO):
    """Takes spaCy's log and moves a progress bar by it. A row is epoch, step, losses, scores."""

    def __init__(self, bar: tqdm) -> None:
        super().__init__()
        self.bar = bar

    def write(self, text: str) -> int:
        row = re.match(r"\s*\d+\s+(\d+)\s.*?([\d.]+)\s*$", text)
        if row:
            self.bar.update(int(row[1]) - self.bar.n)
            self.bar.set_postfix_str(f"dev {100 * float(row[2]):.1f}", refresh=False)
        return len(text)


def train_pipeline(config: Config, keep: Path | None = None, *, bar: tqdm | None = None) -> TrainedPipeline:
    """Train a complete config on the CPU with spaCy's own loop, and print spaCy's log of the run.

    keep: a directory for the best pipeline; without it, the pipeline is held in memory alone. bar: a progress bar that
    counts steps, in the place of the log.
    """
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train

    # `nlp.resume_training()` makes the optimizer of a saved pipeline from this section alone, without its variables.
    config = config.copy()
    config["training"]["optimizer"] = config.interpolate()["training"]["optimizer"]
    with tempfile.TemporaryDirectory() as folder, numpy_matmul():
        start = time.process_time()
        output = {"stdout": _LogToBar(bar), "stderr": io.StringIO()} if bar is not None else {}
        train(init_nlp(config), Path(folder), use_gpu=-1, **output)
        seconds = time.process_time() - start
        best = Path(folder) / "model-best"
        nlp = spacy.load(best)
        if keep is not None:
            with atomic_directory(keep, overwrite=True) as out:
                nlp.to_disk(out)
        return TrainedPipeline(nlp, seconds, directory_bytes(best))
