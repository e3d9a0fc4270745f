"""Word vectors computed from characters, in Python, spaCy and Hugging Face.

Public names are imported lazily: importing this package pulls in neither torch, spaCy nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .characters import CharTable
    from .encoder import DistillEmb
    from .errors import DistillEmbError, MissingExtraError
    from .facts import Corpus, EncoderFacts
    from .locations import bundled
    from .teachers import Teacher, load_teacher, save_teacher, train_teacher

__version__ = "0.1.0"
__all__ = [
    "CharTable",
    "Corpus",
    "DistillEmb",
    "DistillEmbError",
    "EncoderFacts",
    "MissingExtraError",
    "Teacher",
    "__version__",
    "bundled",
    "load_teacher",
    "save_teacher",
    "train_teacher",
]
_EXPORTS = {
    "CharTable": "characters",
    "Corpus": "facts",
    "DistillEmb": "encoder",
    "DistillEmbError": "errors",
    "EncoderFacts": "facts",
    "MissingExtraError": "errors",
    "Teacher": "teachers",
    "bundled": "locations",
    "load_teacher": "teachers",
    "save_teacher": "teachers",
    "train_teacher": "teachers",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
