"""The moving average of weights, as distillation and fine-tuning keep it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def update_average(averages: Sequence[Tensor], weights: Sequence[Tensor], decay: float, updates: int) -> None:
    """Move an exponential moving average of weights towards them, in place.

    The average follows fast at first, so that the start is soon forgotten: the decay of an update is
    ``min(decay, (1 + updates) / (10 + updates))``.

    Args:
        averages: The average, float tensors.
        weights: The weights, tensors of the same shapes.
        decay: Share of the old average that is kept, from 0 to below 1.
        updates: How many steps the training has done.
    """
    torch._foreach_lerp_(list(averages), list(weights), 1 - min(decay, (1 + updates) / (10 + updates)))
