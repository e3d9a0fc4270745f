"""The work directory of a training run: settings, tokenised corpus and the last checkpoint (no pickle)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..files import atomic_file

Matrices = dict[str, NDArray[np.float32]]


class WorkDirectory:
    """``<out>.work/``: removed when the run succeeds, reused by ``resume=True`` when it does not."""

    def __init__(self, out: Path, settings: dict[str, Any], resume: bool) -> None:
        self.path = out.with_name(out.name + ".work")
        if self.path.exists() and not (self.path / "settings.json").is_file() and any(self.path.iterdir()):
            raise DistillEmbError(f"{self.path} is no work directory of a training run: move it out of the way.")
        if self.path.exists() and not resume:
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._agree(settings)

    def _agree(self, settings: dict[str, Any]) -> None:
        """Record the settings, or refuse to go on with others."""
        record = self.path / "settings.json"
        settings = json.loads(json.dumps(settings))
        if not record.is_file():
            with atomic_file(record, "w") as stream:
                json.dump(settings, stream, indent=1, ensure_ascii=False)
            return
        before = json.loads(record.read_text("utf-8"))
        changed = sorted(key for key in settings | before if settings.get(key) != before.get(key))
        if changed:
            raise DistillEmbError(
                f"{self.path} was begun with other settings ({', '.join(changed)}): "
                "resume with the same ones, or start anew without resume."
            )

    def save(self, step: int, matrices: Matrices) -> None:
        """Keep the matrices after `step` steps; the older checkpoint goes once the new one is complete."""
        from safetensors.numpy import save_file

        name = f"step-{step:06d}.safetensors"
        save_file(matrices, self.path / name)
        with (self.path / name).open("rb") as stream:
            os.fsync(stream.fileno())
        with atomic_file(self.path / "state.json", "w") as stream:
            json.dump({"step": step, "matrices": name}, stream)
        for old in self.path.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()

    def load(self, into: Matrices) -> int:
        """Fill the matrices from the last checkpoint, if there is one; returns the number of steps done."""
        from safetensors import safe_open

        state = self.path / "state.json"
        if not state.is_file():
            return 0
        record = json.loads(state.read_text("utf-8"))
        with safe_open(str(self.path / record["matrices"]), framework="np") as tensors:
            for name, matrix in into.items():
                matrix[:] = tensors.get_tensor(name)
        return int(record["step"])

    def remove(self) -> None:
        """Delete everything; the result is safe elsewhere."""
        shutil.rmtree(self.path)
