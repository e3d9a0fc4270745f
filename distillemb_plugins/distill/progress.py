"""A training on accelerate's devices: its steps, its log (a JSON line each), and its checkpoint."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..errors import require
from ..files import atomic_file
from ..runs import CHECKPOINT_FILE, damaged, load_checkpoint, save_checkpoint

_STEPS_A_LINE = 100
_AGREE_EVERY = 16  # steps between two agreements of several processes on the time
_CHECKPOINT_SCORES_AFTER = 10.0  # seconds since the last checkpoint


@dataclass
class Progress:
    """How far a training is."""

    epoch: int = 0  # of the next step
    step: int = 0  # the next one, counted within its epoch
    total_steps: int = 0
    examples: int = 0
    seconds: float = 0.0
    best: float | None = None  # validation score
    worse: int = 0  # validations since the best one
    scores: dict[str, float] = field(default_factory=dict)  # of the last validation
    finished: bool = False  # only the encoder has to be written


@dataclass
class TrainingState:
    """Everything that a training goes on from. `averaged` and `best` are weights by name, empty for none."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress = field(default_factory=Progress)
    averaged: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    def save(self, work: Path) -> None:
        """Write the checkpoint of a work directory, complete or not at all."""
        moments = self.optimizer.state_dict()["state"]
        parts: dict[str, dict[str, Tensor]] = {
            "module": self.module.state_dict(),
            "averaged": self.averaged,
            "best": self.best,
            "optimizer": {f"{n}.{name}": torch.as_tensor(v) for n, one in moments.items() for name, v in one.items()},
            "random": {"cpu": torch.get_rng_state()},
        }
        if torch.cuda.is_available():
            parts["random"]["cuda"] = torch.cuda.get_rng_state()
        arrays = {
            f"{part}.{n}": t.detach().cpu().numpy() for part, tensors in parts.items() for n, t in tensors.items()
        }
        save_checkpoint(work, arrays, asdict(self.progress))

    def load(self, work: Path) -> None:
        """Go to where the checkpoint of a work directory stands, if there is one."""
        if (found := load_checkpoint(work)) is None:
            return
        device = next(self.module.parameters()).device
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
        try:
            for name, array in found[0].items():
                part, _, rest = name.partition(".")
                parts[part][rest] = torch.from_numpy(np.array(array))
            for name, tensor in parts["optimizer"].items():
                number, _, key = name.partition(".")
                moments[int(number)][key] = tensor
            self.progress = Progress(**found[1])
            self.module.load_state_dict(parts["module"])
            self.averaged = {name: tensor.to(device) for name, tensor in parts["averaged"].items()}
            self.best = {name: tensor.to(device) for name, tensor in parts["best"].items()}
            self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": dict(moments)})
            torch.set_rng_state(parts["random"]["cpu"])
        except (TypeError, KeyError, ValueError, RuntimeError) as error:
            raise damaged(work / CHECKPOINT_FILE, error) from error
        if "cuda" in parts["random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(parts["random"]["cuda"])


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
        line: dict[str, Any] = {"step": state.total_steps, "epoch": state.epoch, "examples": state.examples}
        line |= {"seconds": round(state.seconds, 3), **found}
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        told = ("cosine", "p_at_10", "accuracy")
        shown: dict[str, float] = {name: state.scores[name] for name in told if name in state.scores}
        if "losses" in found:
            shown["loss"] = found["losses"]["loss"]
        self._bar.set_postfix({name: f"{value:.4f}" for name, value in shown.items()}, refresh=False)


class TrainingRun(ABC):
    """A run in a work directory. Subclasses prepare what learns, and say what a step is and when it is over."""

    state: TrainingState
    module: nn.Module  # this and the optimizer as accelerate wraps them
    optimizer: Any

    def __init__(self, settings: Any, work: Path, log_file: str, progress: bool) -> None:
        self.settings, self.work, self.log_file = settings, work, work / log_file
        self.accelerator = require("accelerate", "train").Accelerator(cpu=settings.device == "cpu")
        self.is_main: bool = self.accelerator.is_main_process
        self.device: torch.device = self.accelerator.device
        self.show = progress and self.is_main
        self._agreed: float | None = None

    @abstractmethod
    def step(self) -> tuple[dict[str, Tensor], float]:
        """Do the next optimizer step. Returns the losses by name (on the device) and the learning rate."""

    @abstractmethod
    def after_step(self, log: TrainingLog) -> bool:
        """Score and end where it is time to. Returns whether a checkpoint should follow soon."""

    def run_steps(self, total: int, name: str, callback: Callable[[Progress], None] | None = None) -> None:
        """Do steps until the run is finished, about `total` as the bar shows, and keep log and checkpoints."""
        state = self.state.progress
        with tqdm(total=total, initial=state.total_steps, disable=not self.show, desc=name, unit="step") as bar:
            log = TrainingLog(self.log_file if self.is_main else None, state, bar)
            saved, interval = time.perf_counter(), self.settings.checkpoint_seconds
            while not state.finished:
                begun = time.perf_counter()
                losses, rate = self.step()
                state.seconds += time.perf_counter() - begun
                log.step(losses, rate)
                if self.after_step(log):
                    interval = min(interval, _CHECKPOINT_SCORES_AFTER)
                if callback is not None:
                    callback(state)
                if time.perf_counter() - saved >= interval or state.finished:
                    log.flush()
                    if self.is_main:
                        self.state.save(self.work)
                    saved, interval = time.perf_counter(), self.settings.checkpoint_seconds

    def clock(self) -> float:
        """Seconds of training, the same in every process: their mean at the last agreement."""
        state = self.state.progress
        if self.accelerator.num_processes == 1:
            return state.seconds
        if state.total_steps % _AGREE_EVERY == 0 or self._agreed is None:
            seconds = torch.tensor(state.seconds, dtype=torch.float64, device=self.device)
            self._agreed = float(self.accelerator.reduce(seconds, reduction="mean"))
        return self._agreed

    def descend(self, loss: Tensor, examples: int, factor: float) -> float:
        """Move the weights against the gradients of a loss, by a factor on their peak rates. Returns the rate."""
        for group in self.state.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if self.settings.clip:
            self.accelerator.clip_grad_norm_(self.module.parameters(), self.settings.clip)
        self.optimizer.step()
        self.state.progress.total_steps += 1
        self.state.progress.examples += examples
        return float(self.settings.learning_rate * factor)


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
