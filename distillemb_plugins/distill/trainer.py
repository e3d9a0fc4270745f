"""The two entries: distil a student, and measure how fast it trains.

Training goes through accelerate: one process or many, CPU or GPU, from the same settings.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from ..errors import DistillEmbError
from ..facts import EncoderFacts
from ..files import locked, remove_directory
from ..teachers import Teacher
from .checkpoints import CHECKPOINT_FILE
from .run import LOG_FILE, Callback, Distillation
from .settings import DistillSettings
from .targets import Targets

# Students of the first 2,500 and 6,000 words of the African fastText table, 20 epochs, held-out cosine: 0.418 after 40
# steps and 0.473 after 180; 0.599 after 100, 0.621 after 220 and 0.635 after 900. A smaller batch costs little time.
FEW_STEPS = 200
SMALL_BATCH = 32  # InfoNCE finds too few negatives in a smaller one


def distill(
    teachers: Sequence[Teacher],
    out: str | Path,
    settings: DistillSettings | None = None,
    corpus: Sequence[str | Path] = (),
    *,
    resume: bool = False,
    progress: bool = True,
    overwrite: bool = False,
    facts: EncoderFacts | None = None,
    callback: Callback | None = None,
    extra: Callable[[Targets], Mapping[str, bytes]] | None = None,
) -> Path:
    """Train a student on teachers and write its encoder directory.

    teachers: one or several tables. out: the directory to write; while training, ``<out>.work`` holds the log and the
    checkpoint, and it is removed at the end (the log goes into `out`). corpus: text files, plain or compressed, for
    the windows of ``hard_negatives="window"``. resume: go on from the checkpoint in ``<out>.work``, to the same
    result as without the interruption; without a checkpoint, start. progress: show a bar. overwrite: replace what
    stands at `out` and forget an interrupted run. facts: what is known besides. callback: called after every
    step. extra: makes further files (name to content) to lie in the directory. Returns `out`.
    Raises `DistillEmbError` for settings and data that do not fit together, and where another process writes `out`.
    """
    settings = settings or DistillSettings()
    out = Path(out)
    work = out.with_name(out.name + ".work")
    if not (resume and _is_written(out, work)):
        _check_places(out, work, resume, overwrite)
    with locked(work) if is_main_process() else nullcontext():
        if resume and _is_written(out, work):
            remove_directory(work)
            return out
        run = Distillation(teachers, work, settings, corpus, progress)
        if run.is_main and (warning := few_steps(len(run.targets.train), run.sampler.steps_per_epoch, settings)):
            warnings.warn(warning, stacklevel=2)
        if overwrite and not resume and run.is_main:
            (work / CHECKPOINT_FILE).unlink(missing_ok=True)
        run.train(resume=resume, progress=progress, callback=callback)
        if run.is_main:
            run.write(out, facts or EncoderFacts(), overwrite, extra(run.targets) if extra else {})
            remove_directory(work)
        run.accelerator.wait_for_everyone()
    return out


def few_steps(words: int, steps_per_epoch: int, settings: DistillSettings) -> str | None:
    """One sentence when a training is too short for its student to learn the words, with the mend; else None."""
    steps = settings.epochs * steps_per_epoch
    if steps >= FEW_STEPS:
        return None
    mends = [f"epochs to {-(-FEW_STEPS // steps_per_epoch):,}"]
    if (batch_size := words * settings.epochs // FEW_STEPS) >= SMALL_BATCH:
        mends.insert(0, f"batch_size to {batch_size:,}")
    return (
        f"The training comes to {steps:,} step{'s' * (steps != 1)} only ({settings.epochs} epochs over {words:,} words "
        f"in batches of {min(settings.batch_size, words):,}), too few to learn from: set {' or '.join(mends)}."
    )


def is_main_process() -> bool:
    """Whether this is the process that writes and speaks; under torchrun, the first one."""
    return int(os.environ.get("RANK", "0")) == 0


def _is_written(out: Path, work: Path) -> bool:
    """Whether an interrupted run had written its encoder already, and only its work directory is left."""
    logs = [folder / LOG_FILE for folder in (out, work)]
    return all(log.is_file() for log in logs) and logs[0].read_bytes() == logs[1].read_bytes()


def training_speed(
    teachers: Sequence[Teacher],
    settings: DistillSettings,
    corpus: Sequence[str | Path] = (),
    seconds: float = 10.0,
    warmup_steps: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Training examples a second of these settings, measured over about `seconds` after a few steps to warm up.

    Drawing the batch, mining negatives, forward, backward and the optimiser count; preparation does not.
    clock: ``time.process_time`` counts this process's processor time, whatever else the machine does.
    """
    with tempfile.TemporaryDirectory() as work:
        run = Distillation(teachers, Path(work), settings, corpus)
        steps = run.steps()
        for _ in range(warmup_steps):
            run.step(*next(steps, (0, 0)))
        start, before = clock(), run.state.progress.examples
        while clock() - start < seconds:
            run.step(*next(steps, (0, 0)))
        _synchronise(run.accelerator.device)
        return (run.state.progress.examples - before) / (clock() - start)


def _check_places(out: Path, work: Path, resume: bool, overwrite: bool) -> None:
    if out.exists() and not overwrite and not (out.is_dir() and not any(out.iterdir())):
        raise DistillEmbError(f"{out} already exists: choose another name, or say overwrite.")
    if (work / CHECKPOINT_FILE).is_file() and not resume and not overwrite:
        raise DistillEmbError(
            f"{work} holds an interrupted run: say resume to go on with it, or delete it to start anew."
        )


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
