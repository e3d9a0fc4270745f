"""The learning rate as a pure function of progress: nothing to save, nothing to restore."""

from __future__ import annotations

import math

_START = 1 / 25  # one_cycle begins at this share of the peak (Smith & Topin 2018, as in torch)
_END = 1e-4  # and ends, of where it began, at this


def rate_factor(schedule: str, progress: float, epoch: int, warmup: float = 0.0, gamma: float = 0.95) -> float:
    """The factor on the learning rate.

    progress: share of the training done, 0 to 1. epoch: full epochs done. warmup: share of the training over which
    the rate rises. gamma: factor an epoch of ``"step"`` (StepLR of one epoch).
    constant: 1; linear, cosine: to 0; one_cycle: from 1/25 up by a half cosine, then down to almost 0.
    """
    progress = min(max(progress, 0.0), 1.0)
    rest = (progress - warmup) / (1 - warmup)
    if progress < warmup:
        rise = progress / warmup
        return _between(_START, 1.0, rise) if schedule == "one_cycle" else max(rise, 1e-3)
    if schedule == "step":
        return gamma**epoch
    if schedule == "linear":
        return 1 - rest
    if schedule == "cosine":
        return _between(1.0, 0.0, rest)
    if schedule == "one_cycle":
        return _between(1.0, _START * _END, rest)
    return 1.0


def _between(start: float, end: float, share: float) -> float:
    """From start to end along a half cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
