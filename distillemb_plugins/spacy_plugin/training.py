"""Train a spaCy pipeline from a config and return the checkpoint that is best on dev."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import atomic_directory, directory_bytes

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language


@dataclass(frozen=True)
class TrainedPipeline:
    """A trained pipeline.

    Attributes:
        nlp: The pipeline with the weights that were best on dev.
        seconds: Processor seconds of the training.
        bytes: Size of the pipeline on disk.
    """

    nlp: Language
    seconds: float
    bytes: int


@contextmanager
def numpy_matmul() -> Iterator[None]:
    """Let thinc multiply matrices with NumPy's BLAS instead of its own: several times faster on some CPUs."""
    from thinc.api import NumpyOps, get_current_ops, set_current_ops

    before = get_current_ops()
    set_current_ops(NumpyOps(use_blis=False))
    try:
        yield
    finally:
        set_current_ops(before)


def train_pipeline(config: Config, keep: Path | None = None) -> TrainedPipeline:
    """Train a config on the CPU with spaCy's own loop, and print spaCy's log of the run.

    Args:
        config: A complete training config.
        keep: A directory for the best pipeline. Without it, the pipeline is held in memory alone.

    Returns:
        The checkpoint that was best on dev, with the time and the size of it.
    """
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train

    with tempfile.TemporaryDirectory() as folder, numpy_matmul():
        start = time.process_time()
        train(init_nlp(config.interpolate()), Path(folder), use_gpu=-1)
        seconds = time.process_time() - start
        best = Path(folder) / "model-best"
        nlp = spacy.load(best)
        if keep is not None:
            with atomic_directory(keep, overwrite=True) as out:
                nlp.to_disk(out)
        return TrainedPipeline(nlp, seconds, directory_bytes(best))
