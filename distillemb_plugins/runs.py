"""Long runs: their identity, a work directory that survives an interruption, checkpoints, and steps not done twice."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DistillEmbError, brief
from .files import atomic_file, locked, read_json_object, remove_directory, replace

SETTINGS_FILE = "settings.json"
CHECKPOINT_FILE = "checkpoint.safetensors"
Facts = dict[str, Any]
Tensors = Mapping[str, NDArray[Any]]
_OLD_STATE = "state.json"  # beside step-*.safetensors: a teacher's checkpoint in earlier versions
_OLD_FILES = (
    "checkpoint.safetensors",
    "distill_log.jsonl",
    "neighbours-*.npy",
    "tokens-*.int32",
)  # a distillation's, before settings.json
_PROGRESS, _RUN = "progress", "run"


def is_main_process() -> bool:
    """Whether this is the process that writes and prints; under torchrun, the first one."""
    return int(os.environ.get("RANK", "0")) == 0


def run_id(values: Any) -> str:
    """16 hexadecimal digits that tell one run from another, by the JSON values that its result depends on."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_identity(paths: Sequence[str | Path]) -> list[list[Any]]:
    """Name, size and time of change of each file: equal as long as the files are the same."""
    found = []
    for path in map(Path, paths):
        if not path.is_file():
            raise DistillEmbError(f"There is no file {brief(path)}: check the path.")
        status = path.stat()
        found.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
    return found


def work_path(out: Path) -> Path:
    """The directory where a run that writes `out` keeps its work."""
    return out.with_name(out.name + ".work")


def write_json(file: Path, values: Any) -> None:
    """Write JSON under a temporary name and rename it."""
    with atomic_file(file, "w") as stream:
        json.dump(values, stream, indent=1, ensure_ascii=False)


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object of a work directory."""
    return read_json_object(file, f"delete {file.parent} and start again")


def damaged(file: Path, reason: object) -> DistillEmbError:
    """The error for a file of a work directory that a run cannot go on from."""
    return DistillEmbError(f"{file} is damaged ({brief(reason)}): delete {file.parent} and start again.")


def check_same_settings(before: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with other settings than a run was begun with; the first that differs is named."""
    now = json.loads(json.dumps(now, default=str))
    for name in now:
        if before.get(name) != now[name]:
            raise DistillEmbError(
                f"{where} belongs to a run with {name} = {brief(repr(before.get(name)))}, this one has "
                f"{brief(repr(now[name]))}: resume with the same settings and data, or delete {where}."
            )


@contextmanager
def work_directory(
    out: Path,
    settings: Mapping[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    read: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> Iterator[Path]:
    """Open ``<out>.work``, locked, for a run that writes `out`. The caller removes it when `out` is written.

    A run that goes on may replace `out`: it was allowed to when it began. The directory holds ``settings.json`` and
    what earlier calls left. settings: what makes two runs the same, as JSON values. resume: go on with what an
    interrupted run left there; without such a run, begin. overwrite: replace what stands at `out`, and without `resume`
    forget an interrupted run. read: gives the settings of an interrupted run their present names, if an earlier version
    wrote others.
    """
    work = work_path(out)
    check_output(out, resume=resume, overwrite=overwrite)
    with locked(work):
        if has_run(work) and not resume:
            if not overwrite:
                raise _interrupted(work)
            _empty(work)
        elif before := begun_settings(work):
            check_same_settings(read(before), settings, work)
        if not (work / SETTINGS_FILE).is_file():
            write_json(work / SETTINGS_FILE, dict(settings))
        yield work


def check_output(out: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse to replace what stands at `out` (an empty directory does not count), or to forget an interrupted run."""
    work = work_path(out)
    begun = has_run(work)
    if overwrite or (resume and begun):
        return
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        if begun:
            raise _interrupted(work)
        return
    hint = ", or --resume to go on with the interrupted run" if begun else ""
    raise DistillEmbError(f"{out} already exists: choose another name, or say --overwrite (overwrite=True){hint}.")


def _interrupted(work: Path) -> DistillEmbError:
    return DistillEmbError(
        f"{work} holds an interrupted run: say --resume (resume=True) to go on with it, or --overwrite "
        "(overwrite=True) to start again."
    )


def has_run(work: Path) -> bool:
    """Whether an interrupted run left something in a work directory. Anything else that stands there is an error."""
    left = _left(work)
    if (work.exists() and not work.is_dir()) or not (
        (work / SETTINGS_FILE).is_file() or all(any(file.match(name) for name in _OLD_FILES) for file in left)
    ):
        raise DistillEmbError(f"{work} is not a work directory of a run: move it out of the way.")
    return bool(left)


def begun_settings(work: Path) -> Facts:
    """The settings that the run of a work directory was begun with; none where nobody knows.

    Earlier versions of `distill` kept them in the checkpoint, and nowhere before the first one.
    """
    if (work / SETTINGS_FILE).is_file():
        return read_json(work / SETTINGS_FILE)
    return _metadata(work / CHECKPOINT_FILE)[_RUN] if (work / CHECKPOINT_FILE).is_file() else {}


def _left(work: Path) -> list[Path]:
    """What is in a work directory. What begins with a dot may be left of a process that was killed."""
    return [file for file in sorted(work.iterdir()) if not file.name.startswith(".")] if work.is_dir() else []


def _empty(work: Path) -> None:
    """Remove what is in it (the directory itself is locked), last the file that says that it is ours."""
    for file in sorted(_left(work), key=lambda file: file.name == SETTINGS_FILE):
        remove_directory(file)


def save_checkpoint(work: Path, tensors: Tensors, progress: Mapping[str, Any]) -> None:
    """Write the checkpoint of a run, complete or not at all. The one before is replaced.

    tensors: arrays of plain types by name (NumPy has no bfloat16); contiguous ones are written from where they lie,
    without a copy. progress: how far the run is, as JSON values. Raises OSError when the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    for name, tensor in tensors.items():
        if tensor.dtype.name not in _DTYPES.values():
            raise DistillEmbError(f"The tensor {name} is of type {tensor.dtype}: give float32, or another plain type.")
    settings = read_json(work / SETTINGS_FILE) if (work / SETTINGS_FILE).is_file() else {}
    metadata = {_PROGRESS: json.dumps(progress), _RUN: json.dumps(settings)}
    file, temporary = work / CHECKPOINT_FILE, work / f".{CHECKPOINT_FILE}.tmp"
    try:
        save_file({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, temporary, metadata)
        with temporary.open("r+b") as stream:  # Windows flushes no file that is open for reading only
            os.fsync(stream.fileno())
        replace(temporary, file)
    except SafetensorError as error:  # its own name for a full disk
        raise OSError(f"{file} could not be written: {brief(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(work: Path) -> tuple[Tensors, Facts] | None:
    """Open the checkpoint of a run: the tensors and the progress; None where there is none.

    A tensor is read when it is asked for, into an array of its own. Make a ``dict`` of them before the next checkpoint.
    """
    file = work / CHECKPOINT_FILE
    if file.is_file():
        return _StoredTensors(file), _metadata(file)[_PROGRESS]
    if (work / _OLD_STATE).is_file():
        return _old_checkpoint(work / _OLD_STATE)
    return None


def _old_checkpoint(state: Path) -> tuple[Tensors, Facts]:
    """A teacher's checkpoint in two files, as earlier versions wrote it."""
    record = read_json(state)
    try:
        step, file = int(record["step"]), state.with_name(Path(record["matrices"]).name)
    except (KeyError, ValueError, TypeError) as error:
        raise damaged(state, error) from error
    return _StoredTensors(file), {"step": step}


def _metadata(file: Path) -> dict[str, Facts]:
    """The settings and the progress that stand in a checkpoint."""
    with _opened(file) as stored:
        texts = stored.metadata() or {}
    try:
        found = {name: json.loads(texts[name]) for name in (_PROGRESS, _RUN)}
    except (KeyError, ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    if not all(isinstance(values, dict) for values in found.values()):
        raise damaged(file, "no JSON object")
    return found


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="np") as stored:
            yield stored
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


class _StoredTensors(Mapping[str, NDArray[Any]]):
    """Tensors of a safetensors file, each read when it is asked for."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with _opened(file) as stored:
            self.names = list(stored.keys())
            for name in self.names:
                if (dtype := stored.get_slice(name).get_dtype()) not in _DTYPES:
                    raise damaged(file, f"{name} is of type {dtype}")

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.names:
            raise KeyError(name)
        with _opened(self.file) as stored:
            tensor: NDArray[Any] = stored.get_tensor(name)
            return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


_DTYPES = {
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "BOOL": "bool",
}


class Steps:
    """Runs named steps and keeps what they found in a JSON file, so that a second run does only what is missing.

    A step is not run again while its settings, the steps before it, and the files that it made are what they were. A
    step that was interrupted goes on from ``<output>.work``, unless its settings have changed. number: how many steps
    the run has, for the line that is printed.
    """

    def __init__(self, file: Path, number: int, quiet: bool = False) -> None:
        self.file, self.number, self.quiet = file, number, quiet
        self.records: dict[str, Facts] = read_json(file) if file.is_file() else {}
        self.done: list[str] = []

    def step(
        self,
        name: str,
        what: str,
        settings: Facts,
        make: Callable[[], Facts],
        *,
        after: Sequence[str] = (),
        outputs: Sequence[Path] = (),
    ) -> Facts:
        """Run a step, or return what it found in an earlier run.

        what: what it does, printed to standard error. settings: what the result depends on, as JSON values. make: does
        the work and returns what it found, as JSON values. after: the steps whose results it uses. outputs: what it
        leaves.
        """
        self.done.append(name)
        key = run_id([settings, *(self.records[other]["key"] for other in after)])
        record = self.records.get(name, {})
        if record.get("key") == key and all(path.exists() for path in outputs):
            self._say(f"{what}: done before ({record['seconds']:.0f} s)")
            return dict(record["facts"])
        self._say(what)
        if record.get("begun") != key:
            self._begin(name, key, outputs)
        start = time.perf_counter()
        facts = json.loads(json.dumps(make(), default=str))  # equal whether made now or read
        seconds = round(time.perf_counter() - start, 1)
        self.records[name] = {"key": key, "begun": key, "seconds": seconds, "facts": facts}
        write_json(self.file, self.records)
        return dict(facts)

    def _begin(self, name: str, key: str, outputs: Sequence[Path]) -> None:
        """Remove what was made with other settings, whole or half, and remember what is being made now."""
        for path in outputs:
            for old in (path, work_path(path)):
                if old.exists():
                    remove_directory(old)
        self.records[name] = {"begun": key}
        write_json(self.file, self.records)

    def seconds(self) -> dict[str, float]:
        """The seconds that each step of this run took when it was made."""
        return {name: float(self.records[name]["seconds"]) for name in self.done}

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(f"[{len(self.done)}/{self.number}] {text}", file=sys.stderr, flush=True)
