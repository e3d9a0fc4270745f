"""Teacher tables: reading them in every common format, training them from raw text, combining and writing them.

The public names are imported lazily; gensim, spaCy and safetensors are only imported by what needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "Teacher": "table",
    "combine_teachers": "combine",
    "common_words": "combine",
    "load_teacher": "io.reading",
    "merge_languages": "combine",
    "save_teacher": "io.writing",
    "teacher_from_keyed_vectors": "io.objects",
    "teacher_from_spacy": "io.objects",
    "train_by_language": "training",
    "train_teacher": "training",
}
__all__ = list(_EXPORTS)

if TYPE_CHECKING:
    from .combine import combine_teachers as combine_teachers
    from .combine import common_words as common_words
    from .combine import merge_languages as merge_languages
    from .io.objects import teacher_from_keyed_vectors as teacher_from_keyed_vectors
    from .io.objects import teacher_from_spacy as teacher_from_spacy
    from .io.reading import load_teacher as load_teacher
    from .io.writing import save_teacher as save_teacher
    from .table import Teacher as Teacher
    from .training import train_by_language as train_by_language
    from .training import train_teacher as train_teacher


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
