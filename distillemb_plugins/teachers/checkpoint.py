"""The work directory of a training run: settings, tokenised corpus and the last checkpoint (no pickle)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError, brief
from ..files import atomic_file, remove_directory

Matrices = dict[str, NDArray[np.float32]]


def work_path(out: Path) -> Path:
    """Where a run that writes `out` keeps its work."""
    return out.with_name(out.name + ".work")


class WorkDirectory:
    """``<out>.work/``: removed when the run succeeds, reused by ``resume=True`` when it does not."""

    def __init__(self, out: Path, settings: dict[str, Any], resume: bool) -> None:
        self.path = work_path(out)
        if self._is_foreign():
            raise DistillEmbError(f"{self.path} is no work directory of a training run: move it out of the way.")
        if self.path.exists() and not resume:
            self._empty()
        self.path.mkdir(parents=True, exist_ok=True)
        self._agree(settings)

    def _is_foreign(self) -> bool:
        """Whether something else stands there; what begins with a dot may be left of a process that was killed."""
        if not self.path.exists() or (self.path / "settings.json").is_file():
            return False
        return not self.path.is_dir() or any(not file.name.startswith(".") for file in self.path.iterdir())

    def _empty(self) -> None:
        """Remove what is in it (the directory itself is locked): first what says that the rest is complete, and last
        what says that it is ours.
        """
        order = {"state.json": 0, "corpus.json": 0, "settings.json": 2}
        for file in sorted(self.path.iterdir(), key=lambda file: order.get(file.name, 1)):
            file.unlink()

    def _agree(self, settings: dict[str, Any]) -> None:
        """Record the settings, or refuse to go on with others."""
        record = self.path / "settings.json"
        settings = json.loads(json.dumps(settings))
        if not record.is_file():
            with atomic_file(record, "w") as stream:
                json.dump(settings, stream, indent=1, ensure_ascii=False)
            return
        before = read_record(record)
        changed = sorted(key for key in settings | before if settings.get(key) != before.get(key))
        if changed:
            raise DistillEmbError(
                f"{self.path} was begun with other settings ({', '.join(changed)}): "
                "resume with the same ones, or start anew without resume."
            )

    def save(self, step: int, matrices: Matrices) -> None:
        """Keep the matrices after `step` steps; the older checkpoint goes once the new one is complete."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        name = f"step-{step:06d}.safetensors"
        try:
            save_file(matrices, self.path / name)
        except SafetensorError as error:  # its own name for a full disk
            raise OSError(f"{self.path / name} could not be written: {brief(error)}") from error
        with (self.path / name).open("rb") as stream:
            os.fsync(stream.fileno())
        with atomic_file(self.path / "state.json", "w") as stream:
            json.dump({"step": step, "matrices": name}, stream)
        for old in self.path.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()

    def load(self, into: Matrices) -> int:
        """Fill the matrices from the last checkpoint, if there is one; returns the number of steps done."""
        from safetensors import SafetensorError, safe_open

        state = self.path / "state.json"
        if not state.is_file():
            return 0
        record = read_record(state)
        try:
            with safe_open(str(self.path / Path(record["matrices"]).name), framework="np") as tensors:
                for name, matrix in into.items():
                    matrix[:] = tensors.get_tensor(name)
            return int(record["step"])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise damaged(state, error) from error

    def remove(self) -> None:
        """Delete everything; the result is safe elsewhere."""
        remove_directory(self.path)


def read_record(file: Path) -> dict[str, Any]:
    """A JSON object of the work directory. Raises `DistillEmbError` when it is damaged."""
    try:
        record = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    if not isinstance(record, dict):
        raise damaged(file, "no JSON object")
    return record


def damaged(file: Path, reason: object) -> DistillEmbError:
    """What to say of a file of the work directory that cannot be gone on from."""
    return DistillEmbError(f"{file} is damaged ({brief(reason)}): start anew without resume.")
