"""The log of a training, a JSON line each, and the progress bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ..files import atomic_file
from .checkpoints import Progress

LOG_FILE = "distill_log.jsonl"
_STEPS_A_LINE = 100


class TrainingLog:
    """Writes steps and validations, in one process only (`file` is None in the others).

    Lines past the step where the training goes on, from an interrupted run, are dropped. Losses stay on their device
    until a line is written, so that logging does not wait for the GPU.
    """

    def __init__(self, file: Path | None, state: Progress, bar: Any) -> None:
        self._file, self._state, self._bar = file, state, bar
        self._begin_line()
        if file is not None and file.is_file():
            _drop_after(file, state.total_steps)

    def _begin_line(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps, self._examples, self._seconds = 0, self._state.examples, self._state.seconds

    def step(self, losses: dict[str, Tensor], rate: float) -> None:
        """Count a step; a line is written for every hundred."""
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._rate = rate
        self._bar.update()
        if self._steps == _STEPS_A_LINE:
            self.flush()

    def flush(self) -> None:
        """Write the mean losses since the last line, if there was a step."""
        if not self._steps:
            return
        seconds = self._state.seconds - self._seconds
        speed = (self._state.examples - self._examples) / seconds if seconds else 0.0
        losses = {name: round(float(value) / self._steps, 6) for name, value in self._sums.items()}
        self._write(losses=losses, learning_rate=self._rate, examples_per_second=round(speed, 1))
        self._begin_line()

    def validation(self) -> None:
        """Write the scores on held-out words."""
        self.flush()
        self._write(validation={name: round(value, 6) for name, value in self._state.scores.items()})

    def _write(self, **found: Any) -> None:
        state = self._state
        line = {"step": state.total_steps, "epoch": state.epoch, "examples": state.examples}
        line |= {"seconds": round(state.seconds, 3), **found}
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        shown = {name: state.scores[name] for name in ("cosine", "p_at_10", "accuracy") if name in state.scores}
        if "losses" in found:
            shown["loss"] = found["losses"]["loss"]
        self._bar.set_postfix({name: f"{value:.4f}" for name, value in shown.items()}, refresh=False)


def _drop_after(file: Path, step: int) -> None:
    """Keep the lines up to a step; a line cut short by a crash goes too."""
    kept = []
    for line in file.read_text("utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step and line.endswith("\n") and step:
                kept.append(line)
        except (ValueError, KeyError):
            break
    with atomic_file(file, "w") as stream:
        stream.writelines(kept)
