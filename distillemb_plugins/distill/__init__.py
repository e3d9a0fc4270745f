"""Distilling teacher tables into a student encoder.

The public names are imported lazily; torch and accelerate are only imported when a student is trained.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "DistillSettings": "settings",
    "LOSSES": "settings",
    "PRESETS": "settings",
    "convert_lightning_checkpoint": "converter",
    "distill": "trainer",
    "fit_residual_codebook": "residual_codebook",
    "held_out_scores": "validation",
    "training_speed": "trainer",
}
__all__ = list(_EXPORTS)

if TYPE_CHECKING:
    from .converter import convert_lightning_checkpoint as convert_lightning_checkpoint
    from .residual_codebook import fit_residual_codebook as fit_residual_codebook
    from .settings import LOSSES as LOSSES
    from .settings import PRESETS as PRESETS
    from .settings import DistillSettings as DistillSettings
    from .trainer import distill as distill
    from .trainer import training_speed as training_speed
    from .validation import held_out_scores as held_out_scores


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
