"""Intrinsic scores of encoders and tables: similarity, analogies, neighbours, retrieval, size and speed.

Names are imported lazily, so that importing this package costs nothing until a score is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "AnalogyScore": "analogies",
    "Evaluation": "evaluation",
    "PairSet": "similarity",
    "SimilarityScore": "similarity",
    "Subject": "subjects",
    "evaluate": "evaluation",
    "nearest": "neighbours",
    "nearest_words": "neighbours",
    "read_analogies": "analogies",
    "read_pair_sets": "similarity",
    "read_pairs": "similarity",
    "retention": "retention",
    "score_analogies": "analogies",
    "score_held_out": "retrieval",
    "score_similarity": "similarity",
    "score_tagging": "tagging",
    "subject_from_encoder": "subjects",
    "subject_from_teacher": "subjects",
    "words_per_second": "retention",
    "write_report": "report",
}
__all__ = [
    "AnalogyScore",
    "Evaluation",
    "PairSet",
    "SimilarityScore",
    "Subject",
    "evaluate",
    "nearest",
    "nearest_words",
    "read_analogies",
    "read_pair_sets",
    "read_pairs",
    "retention",
    "score_analogies",
    "score_held_out",
    "score_similarity",
    "score_tagging",
    "subject_from_encoder",
    "subject_from_teacher",
    "words_per_second",
    "write_report",
]

if TYPE_CHECKING:
    from .analogies import AnalogyScore, read_analogies, score_analogies
    from .evaluation import Evaluation, evaluate
    from .neighbours import nearest, nearest_words
    from .report import write_report
    from .retention import retention, words_per_second
    from .retrieval import score_held_out
    from .similarity import PairSet, SimilarityScore, read_pair_sets, read_pairs, score_similarity
    from .subjects import Subject, subject_from_encoder, subject_from_teacher
    from .tagging import score_tagging


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
