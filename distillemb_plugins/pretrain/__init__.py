"""Pretraining context layers on raw text. torch is only imported when a run begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .settings import PretrainSettings

if TYPE_CHECKING:
    from .loop import pretrain

__all__ = ["PretrainSettings", "pretrain"]


def __getattr__(name: str) -> Any:
    if name != "pretrain":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .loop import pretrain

    return pretrain
