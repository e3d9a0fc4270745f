"""Word vectors computed from characters, in Python, spaCy and Hugging Face.

Public names are imported lazily: importing this package pulls in neither torch, spaCy nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "CharTable": "characters",
    "DistillEmb": "encoder",
    "DistillEmbError": "errors",
    "MissingExtraError": "errors",
    "Teacher": "teachers",
    "load_teacher": "teachers",
    "save_teacher": "teachers",
    "train_teacher": "teachers",
}
__all__ = ["CharTable", "DistillEmb", "DistillEmbError", "MissingExtraError", "Teacher", "__version__"]

if TYPE_CHECKING:
    from .characters import CharTable
    from .encoder import DistillEmb
    from .errors import DistillEmbError, MissingExtraError
    from .teachers import Teacher


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
