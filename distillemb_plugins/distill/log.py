"""The log of a training, a JSON line each, and the progress bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from ..files import atomic_file
from .checkpoints import Progress

LOG_FILE = "distill_log.jsonl"
_STEPS_A_LINE = 100


class TrainingLog:
    """Writes steps and validations; a context manager.

    Losses stay on their device until a line is written, so that logging does not wait for the GPU.

    Args:
        file: The log, or None for processes that keep none. Lines past the step where the training goes on (from an
            interrupted run) are dropped.
        total: Steps in all, for the bar.
        state: Where the training stands.
        show: Show the bar.
    """

    def __init__(self, file: Path | None, total: int, state: Progress, show: bool) -> None:
        self.file = file
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._since = (state.examples, state.seconds)
        self._rate = 0.0
        self._bar = tqdm(total=total, initial=state.total_steps, disable=not show, desc="distill", unit="step")
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            _drop_after(file, state.total_steps)

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def step(self, state: Progress, losses: dict[str, Tensor], rate: float) -> None:
        """Count a step; a line is written for every hundred."""
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._rate = rate
        self._bar.update()
        if self._steps == _STEPS_A_LINE:
            self.flush(state)

    def flush(self, state: Progress) -> None:
        """Write the mean losses since the last line, if there was a step."""
        if not self._steps:
            return
        means = {name: float(value) / self._steps for name, value in self._sums.items()}
        seconds = state.seconds - self._since[1]
        speed = (state.examples - self._since[0]) / seconds if seconds else 0.0
        self._write(
            {
                **_position(state),
                "losses": {name: round(value, 6) for name, value in means.items()},
                "learning_rate": self._rate,
                "examples_per_second": round(speed, 1),
            }
        )
        self._bar.set_postfix({"loss": f"{means['loss']:.4f}", **_short(state.scores)}, refresh=False)
        self._sums, self._steps, self._since = {}, 0, (state.examples, state.seconds)

    def validation(self, state: Progress) -> None:
        """Write the scores on held-out words."""
        self.flush(state)
        self._write({**_position(state), "validation": {name: round(v, 6) for name, v in state.scores.items()}})
        self._bar.set_postfix(_short(state.scores), refresh=False)

    def _write(self, line: dict[str, Any]) -> None:
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def _position(state: Progress) -> dict[str, Any]:
    return {
        "step": state.total_steps,
        "epoch": state.epoch,
        "examples": state.examples,
        "seconds": round(state.seconds, 3),
    }


def _short(scores: dict[str, float]) -> dict[str, str]:
    return {name: f"{scores[name]:.3f}" for name in ("cosine", "p_at_10") if name in scores}


def _drop_after(file: Path, step: int) -> None:
    """Keep the lines up to a step; a line cut short by a crash goes too."""
    if not file.is_file():
        return
    kept = []
    for line in file.read_text("utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step and line.endswith("\n") and step:
                kept.append(line)
        except (ValueError, KeyError):
            break
    with atomic_file(file, "w") as stream:
        stream.writelines(kept)
