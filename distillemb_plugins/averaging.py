"""The moving average of weights, as distillation and fine-tuning keep it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def update_average(averages: Iterable[Tensor], weights: Iterable[Tensor], decay: float, updates: int) -> None:
    """Move an exponential moving average of weights towards them, in place; `updates` counts the steps before.

    The average follows fast at first, so that the start is soon forgotten.
    """
    torch._foreach_lerp_(list(averages), list(weights), 1 - min(decay, (1 + updates) / (10 + updates)))
