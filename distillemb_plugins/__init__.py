"""Word vectors computed from characters, in Python, spaCy and Hugging Face.

Public names are imported lazily: importing this package pulls in neither torch, spaCy nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .characters import CharTable as CharTable
    from .encoder import DistillEmb as DistillEmb
    from .errors import DistillEmbError as DistillEmbError
    from .errors import MissingExtraError as MissingExtraError
    from .facts import Corpus as Corpus
    from .facts import EncoderFacts as EncoderFacts
    from .locations import bundled as bundled
    from .teachers import Teacher as Teacher
    from .teachers import load_teacher as load_teacher
    from .teachers import save_teacher as save_teacher
    from .teachers import train_teacher as train_teacher

__version__ = "0.1.0"
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
__all__ = list(_EXPORTS)
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
