"""What a training goes on from: weights, moments of the optimizer, random states and progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runs import CHECKPOINT_FILE, damaged, load_checkpoint, save_checkpoint

Arrays = Mapping[str, NDArray[Any]]


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: The epoch of the next step.
        step: The next step, counted within its epoch.
        total_steps: Steps done.
        examples: Words seen.
        seconds: Of training.
        best: The best validation score.
        worse: Validations since the best one.
        scores: The last validation.
        finished: Only the encoder has to be written.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    examples: int = 0
    seconds: float = 0.0
    best: float | None = None
    worse: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    finished: bool = False


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
        tensors = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        tensors |= {f"averaged.{name}": tensor for name, tensor in self.averaged.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {
            f"optimizer.{number}.{name}": torch.as_tensor(value)
            for number, values in self.optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        save_checkpoint(work, arrays, asdict(self.progress))

    def load(self, work: Path) -> bool:
        """Go to where the checkpoint of a work directory stands.

        Returns:
            False when there is none.

        Raises:
            DistillEmbError: It is damaged.
        """
        found = load_checkpoint(work)
        if found is None:
            return False
        arrays, progress = found
        try:
            self.progress = Progress(**progress)
            self.module.load_state_dict(_part(arrays, "module."))
            device = next(self.module.parameters()).device
            self.averaged = {name: tensor.to(device) for name, tensor in _part(arrays, "averaged.").items()}
            self.best = {name: tensor.to(device) for name, tensor in _part(arrays, "best.").items()}
            self._load_moments(_part(arrays, "optimizer."))
            random = _part(arrays, "random.")
            torch.set_rng_state(random["cpu"])
        except (TypeError, KeyError, ValueError, RuntimeError) as error:
            raise damaged(work / CHECKPOINT_FILE, error) from error
        if "cuda" in random and torch.cuda.is_available():
            torch.cuda.set_rng_state(random["cuda"])
        return True

    def _load_moments(self, tensors: dict[str, Tensor]) -> None:
        values: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            number, _, key = name.partition(".")
            values.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({"state": values, "param_groups": self.optimizer.state_dict()["param_groups"]})


def _part(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, each in memory of its own."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(arrays[name]))
        for name in arrays
        if name.startswith(prefix)
    }
