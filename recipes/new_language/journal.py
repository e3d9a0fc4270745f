"""The steps of a run: what each was made from, so that a second run does only what is missing or has changed."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.files import atomic_file, remove_directory

Facts = dict[str, Any]


class Journal:
    """Runs steps by name and keeps what they found in a JSON file.

    A step is not run again while its settings, the steps that it follows, and the files that it made are what they
    were. One that was interrupted goes on (from what lies at its outputs' names with ``.work``) unless these changed
    meanwhile. number: how many steps the run has, for the line that is printed (to standard error).
    """

    def __init__(self, file: Path, number: int, quiet: bool = False) -> None:
        self.file, self.number, self.quiet = file, number, quiet
        self.records: dict[str, Facts] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
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
        """The facts of a step, JSON values: made now, or those of an earlier run.

        what: printed. settings: what the result depends on, with `after`, the names of the steps whose results are
        used. outputs: the files and directories that the step leaves.
        """
        self.done.append(name)
        key = self._key(settings, after)
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
        self._save()
        return dict(facts)

    def _begin(self, name: str, key: str, outputs: Sequence[Path]) -> None:
        """Remove what was made from something else, whole or half, and remember what is being made now."""
        for path in outputs:
            for old in (path, path.with_name(path.name + ".work")):
                if old.exists():
                    remove_directory(old)
        self.records[name] = {"begun": key}
        self._save()

    def _save(self) -> None:
        with atomic_file(self.file, "w") as stream:
            json.dump(self.records, stream, ensure_ascii=False, indent=1)

    def seconds(self) -> dict[str, float]:
        """The time that each step of this run took when it was made."""
        return {name: float(self.records[name]["seconds"]) for name in self.done}

    def _key(self, settings: Facts, after: Sequence[str]) -> str:
        parts = [json.dumps(settings, sort_keys=True, default=str), *(self.records[name]["key"] for name in after)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(f"[{len(self.done)}/{self.number}] {text}", file=sys.stderr, flush=True)


def identity(files: Sequence[Path]) -> list[list[Any]]:
    """What tells whether files are still the same: name, size and time of change."""
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
