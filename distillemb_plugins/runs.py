"""Long runs: their identity, a work directory that survives an interruption, and steps that are not done twice."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import DistillEmbError, brief
from .files import atomic_file, locked, remove_directory

SETTINGS_FILE = "settings.json"
Facts = dict[str, Any]


def run_id(values: Any) -> str:
    """16 hexadecimal digits that tell one run from another.

    Args:
        values: What the result depends on, as JSON values.
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_identity(paths: Sequence[str | Path]) -> list[list[Any]]:
    """Name, size and time of change of each file: equal as long as the files are the same.

    Raises:
        DistillEmbError: A file does not exist.
    """
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
    """Read a JSON object of a work directory.

    Raises:
        DistillEmbError: The file is damaged.
    """
    try:
        record = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    if not isinstance(record, dict):
        raise damaged(file, "no JSON object")
    return record


def damaged(file: Path, reason: object) -> DistillEmbError:
    """The error for a file of a work directory that a run cannot go on from."""
    return DistillEmbError(f"{file} is damaged ({brief(reason)}): delete {file.parent} and start again.")


def check_same_settings(before: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with other settings than a run was begun with.

    Raises:
        DistillEmbError: Naming the first setting that differs, with both values.
    """
    now = json.loads(json.dumps(now, default=str))
    for name in now:
        if before.get(name) != now[name]:
            raise DistillEmbError(
                f"{where} belongs to a run with {name} = {brief(repr(before.get(name)))}, this one has "
                f"{brief(repr(now[name]))}: resume with the same settings and data, or delete {where}."
            )


@contextmanager
def work_directory(
    out: Path, settings: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> Iterator[Path]:
    """Open ``<out>.work``, locked, for a run that writes `out`. The caller removes it when `out` is written.

    Args:
        out: The file or directory that the run writes.
        settings: What makes two runs the same, as JSON values.
        resume: Go on with what an interrupted run left there.
        overwrite: Forget what an interrupted run left there.

    Yields:
        The work directory. It holds ``settings.json`` and what earlier calls left.

    Raises:
        DistillEmbError: An interrupted run is there and neither `resume` nor `overwrite` is given; its settings are
            others; something else stands there; or another process is writing `out`.
    """
    work = work_path(out)
    if work.exists() and not work.is_dir():
        raise DistillEmbError(f"{work} is no work directory of a run: move it out of the way.")
    with locked(work):
        left = [file for file in sorted(work.iterdir()) if not file.name.startswith(".")]
        if left and not (work / SETTINGS_FILE).is_file():
            raise DistillEmbError(f"{work} is no work directory of a run: move it out of the way.")
        if left and not resume:
            if not overwrite:
                raise DistillEmbError(
                    f"{work} holds an interrupted run: say --resume (resume=True) to go on with it, or --overwrite "
                    "(overwrite=True) to start again."
                )
            for file in sorted(left, key=lambda file: file.name == SETTINGS_FILE):  # the one that says it is ours last
                remove_directory(file)
        if (work / SETTINGS_FILE).is_file():
            check_same_settings(read_json(work / SETTINGS_FILE), settings, work)
        else:
            write_json(work / SETTINGS_FILE, dict(settings))
        yield work


class Steps:
    """Runs named steps and keeps what they found in a JSON file, so that a second run does only what is missing.

    A step is not run again while its settings, the steps before it, and the files that it made are what they were. A
    step that was interrupted goes on from ``<output>.work``, unless its settings have changed.

    Args:
        file: The JSON file.
        number: How many steps the run has, for the line that is printed.
        quiet: Print nothing.
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

        Args:
            name: The step.
            what: What it does, printed to standard error.
            settings: What the result depends on, as JSON values.
            make: Does the work and returns what it found, as JSON values.
            after: Names of the steps whose results it uses.
            outputs: The files and directories that it leaves.
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
