"""What a training goes on from: weights, moments of the optimizer, random states and progress."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..runs import CHECKPOINT_FILE, damaged, load_checkpoint, save_checkpoint


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
            "optimizer": {f"{n}.{name}": torch.as_tensor(v) for n, vs in moments.items() for name, v in vs.items()},
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
