"""A checkpoint: one safetensors file with weights, optimiser moments, random states and progress. No pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DistillEmbError
from ..files import atomic_file

CHECKPOINT_FILE = "checkpoint.safetensors"
_PROGRESS, _RUN = "progress", "run"


@dataclass
class Progress:
    """How far a training is.

    epoch, step: the next step to do, counted within its epoch. examples: seen so far. seconds: of training.
    best: the best validation score, worse: validations since, scores: the last ones. finished: nothing is left to do
    but to write the encoder.
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
    """Everything that a training goes on from."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress
    averaged: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(directory: Path, state: TrainingState, run: str) -> None:
    """Write the checkpoint into `directory`, complete or not at all.

    run: what the checkpoint belongs to (settings and data, as text); `load_checkpoint` compares it.
    """
    from safetensors.torch import save

    tensors = {f"module.{name}": tensor for name, tensor in state.module.state_dict().items()}
    tensors |= {f"averaged.{name}": tensor for name, tensor in state.averaged.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    tensors |= _moments(state.optimizer)
    tensors |= _random_states()
    own = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    blob = save(own, metadata={_PROGRESS: json.dumps(asdict(state.progress)), _RUN: run})
    with atomic_file(directory / CHECKPOINT_FILE) as stream:
        stream.write(blob)


def load_checkpoint(directory: Path, state: TrainingState, run: str) -> bool:
    """Bring `state` to where the checkpoint of `directory` stands. Returns False when there is none.

    Raises `DistillEmbError` when it is damaged or belongs to another run.
    """
    from safetensors import SafetensorError, safe_open

    file = directory / CHECKPOINT_FILE
    if not file.is_file():
        return False
    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
        progress = Progress(**json.loads(metadata[_PROGRESS]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise DistillEmbError(f"{file} is damaged ({error}): delete {directory} and start anew.") from error
    _check_run(file, metadata.get(_RUN, ""), run)
    state.module.load_state_dict(_of("module.", tensors))
    device = next(state.module.parameters()).device
    state.averaged = {name: tensor.to(device) for name, tensor in _of("averaged.", tensors).items()}
    state.best = {name: tensor.to(device) for name, tensor in _of("best.", tensors).items()}
    for one in fields(Progress):
        setattr(state.progress, one.name, getattr(progress, one.name))
    _restore_moments(state.optimizer, _of("optimizer.", tensors))
    _restore_random_states(_of("random.", tensors))
    return True


def _of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _check_run(file: Path, stored: str, run: str) -> None:
    """Name the first setting that differs."""
    if stored == run:
        return
    then, now = json.loads(stored or "{}"), json.loads(run)
    for name in now:
        if then.get(name) != now[name]:
            raise DistillEmbError(
                f"{file} belongs to a run with {name} = {then.get(name)!r}, this one has {now[name]!r}: "
                f"resume with the same settings and data, or delete {file.parent}."
            )


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors as ``optimizer.<parameter number>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
    }


def _restore_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    values: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        values.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})


def _random_states() -> dict[str, Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["random.cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_random_states(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
