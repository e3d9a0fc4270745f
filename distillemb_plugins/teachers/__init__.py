"""Teacher tables: reading them in every common format, training them from raw text, and writing them.

The public names are imported lazily; gensim, spaCy and safetensors are only imported by what needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "Teacher": "table",
    "combine_teachers": "combine",
    "common_words": "combine",
    "load_teacher": "readers",
    "merge_languages": "align",
    "save_teacher": "writers",
    "train_teacher": "training",
}
__all__ = [
    "Teacher",
    "combine_teachers",
    "common_words",
    "load_teacher",
    "merge_languages",
    "save_teacher",
    "train_teacher",
]

if TYPE_CHECKING:
    from .align import merge_languages
    from .combine import combine_teachers, common_words
    from .readers import load_teacher
    from .table import Teacher
    from .training import train_teacher
    from .writers import save_teacher


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
