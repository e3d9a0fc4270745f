"""Pretraining context layers on raw text. torch is only imported when a run begins."""

from .settings import PretrainSettings

__all__ = ["PretrainSettings"]
