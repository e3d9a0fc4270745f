"""The two entries: distill a student, and measure how fast it trains, with one process or many, on CPU or GPU."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import DistillEmbError
from ..facts import HELD_OUT, EncoderFacts, current_versions
from ..files import locked, remove_directory
from ..persistence import EncoderFiles, write_encoder
from ..runs import CHECKPOINT_FILE, begun_settings, check_output, is_main_process, work_directory, work_path
from ..teachers import Teacher
from ..vectors import unit_rows
from .loop import LOG_FILE, Callback, Distillation
from .residual_codebook import fit_residual_codebook
from .settings import DistillSettings, current_names
from .targets import AnyTeacher, Targets, build_targets

# Students of the first 2,500 and 6,000 words of the African fastText table, 20 epochs, held-out cosine: 0.418 after 40
# steps and 0.473 after 180; 0.599 after 100, 0.621 after 220 and 0.635 after 900. A smaller batch costs little time.
FEW_STEPS = 200
SMALL_BATCH = 32  # InfoNCE finds too few negatives in a smaller one
_ADDED: dict[str, Any] = {"hashed_characters": 0, "more_characters": ""}  # what runs of earlier versions did
_MAY_CHANGE = ("checkpoint_seconds", "device", "storage", "max_seconds")  # while a run is interrupted


def distill(
    teachers: Sequence[AnyTeacher],
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

    While training, ``<out>.work`` holds the log and the checkpoint. It is removed at the end; the log goes into
    `out`.

    Args:
        teachers: One or several tables (`Teacher`, or a path that `load_teacher` reads). Encoders may stand beside
            them (`DistillEmb`, a directory, or a bundled name such as ``"afro11"``): they teach their vectors of the
            words that all tables have.
        out: The directory to write.
        settings: How the student is trained; the defaults when not given.
        corpus: Text files, plain or compressed, for the windows of ``hard_negatives="window"``.
        resume: Go on from the checkpoint in ``<out>.work``, to the same result as without the interruption. Without
            a checkpoint, begin.
        progress: Show a bar.
        overwrite: Replace what stands at `out` and, without `resume`, forget an interrupted run.
        facts: What is known about the encoder beyond the training.
        callback: Called after every step.
        extra: Makes further files (name to content) to lie in the directory.

    Returns:
        `out`.

    Raises:
        DistillEmbError: Settings and data do not fit together, `out` exists, or another process writes it.
    """
    settings, out = settings or DistillSettings(), Path(out)
    work = work_path(out)
    if resume and _is_written(out, work):
        if is_main_process():
            with locked(work):
                remove_directory(work)
        return out
    if is_main_process():  # the others may find what this one has begun
        check_output(out, resume=resume, overwrite=overwrite)
    if resume and (begun := begun_settings(work)) and not begun.keys() & _ADDED:
        settings = replace(settings, **_ADDED)
    overwrites = overwrite or out.exists()
    targets = build_targets(teachers, settings)
    kept = {name: value for name, value in settings.to_dict().items() if name not in _MAY_CHANGE}
    held = _work(out, kept | {"data": targets.digest}, resume, overwrite) if is_main_process() else nullcontext()
    with held:
        run = Distillation(targets, settings, work, corpus, progress)
        if run.is_main and (warning := few_steps(len(targets.train), run.sampler.steps_per_epoch, settings)):
            warnings.warn(warning, stacklevel=2)
        run.train(resume, callback)
        if run.is_main:
            files = {LOG_FILE: (work / LOG_FILE).read_bytes(), **(extra(targets) if extra else {})}
            _write_student(run, out, facts or EncoderFacts(), files, overwrites)
            remove_directory(work)
        run.accelerator.wait_for_everyone()
    return out


def _of_earlier(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an interrupted run under their present names, complete."""
    return _ADDED | current_names(values)


@contextmanager
def _work(out: Path, identity: dict[str, Any], resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the work directory. A run that fails before its first checkpoint leaves nothing."""
    with work_directory(out, identity, resume=resume, overwrite=overwrite, read=_of_earlier) as work:
        try:
            yield
        except Exception:
            if not (work / CHECKPOINT_FILE).exists():
                remove_directory(work)
            raise


def _write_student(
    run: Distillation, out: Path, facts: EncoderFacts, extra_files: Mapping[str, bytes], overwrite: bool
) -> None:
    """Write the encoder directory with its facts, and with a residual codebook where the settings ask for it."""
    settings, targets, characters = run.settings, run.targets, run.characters
    storage: Any = settings.storage
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in run.encoder.state_dict().items()}
    if broken := [name for name, array in weights.items() if not np.isfinite(array).all()]:
        raise DistillEmbError(
            f"The training diverged ({broken[0]} holds NaN or infinity): lower learning_rate or set clip."
        )
    names = ("encoder_type", "encoder_args", "dim", "vocab_size", "max_chars")
    files = EncoderFiles({name: getattr(run.config, name) for name in names}, weights, characters)
    if words := settings.codebook_words:
        vectors = np.mean([unit_rows(table[targets.train]) for table in targets.vectors], axis=0)
        teacher = Teacher("targets", targets.train_words, vectors)
        codes, seed = settings.codebook_bytes, settings.seed
        files = fit_residual_codebook(files, teacher, words, codes, storage=storage, seed=seed)
    facts = replace(
        facts,
        teachers=targets.names,
        settings=settings.to_dict(),
        scores={HELD_OUT: dict(run.state.progress.scores), **facts.scores},
        versions=current_versions(),
    )
    given: dict[str, Any] = {"facts": facts, "extra_files": extra_files, "overwrite": overwrite}
    write_encoder(out, files.config, files.tensors, characters, storage=storage, **given)


def few_steps(words: int, steps_per_epoch: int, settings: DistillSettings) -> str | None:
    """Say in one sentence that a training is too short for its student to learn the words, with the mend; else None."""
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


def _is_written(out: Path, work: Path) -> bool:
    """Whether an interrupted run had written its encoder already, and only its work directory is left."""
    logs = [folder / LOG_FILE for folder in (out, work)]
    return all(log.is_file() for log in logs) and logs[0].read_bytes() == logs[1].read_bytes()


def training_speed(
    teachers: Sequence[AnyTeacher],
    settings: DistillSettings,
    corpus: Sequence[str | Path] = (),
    seconds: float = 10.0,
    warmup_steps: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Measure training examples a second.

    Drawing the batch, mining negatives, forward, backward and the optimizer count; preparation does not.

    Args:
        teachers: See `distill`.
        settings: See `distill`.
        corpus: See `distill`.
        seconds: How long to measure.
        warmup_steps: Steps before that.
        clock: ``time.process_time`` counts this process's processor time, whatever else the machine does.

    Returns:
        Examples a second.
    """
    with tempfile.TemporaryDirectory() as work:
        run = Distillation(build_targets(teachers, settings), settings, Path(work), corpus)
        for _ in range(warmup_steps):
            run.step()
        start, before = clock(), run.state.progress.examples
        while clock() - start < seconds:
            run.step()
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        return (run.state.progress.examples - before) / (clock() - start)
