"""Intrinsic scores of encoders and tables, and scores of taggers.

`write_report` stands in `distillemb_plugins.evaluate.report`.
"""

from __future__ import annotations

from .analogies import read_analogies, score_analogies
from .evaluation import Evaluation, Tasks, evaluate
from .models import EmbeddingModel, nearest_words
from .retention import retention, score_held_out, words_per_second
from .similarity import read_pair_sets, read_pairs, score_similarity
from .tagging import (
    TaggingScore,
    accuracy,
    class_scores,
    entity_scores,
    per_type,
    score_tagging,
    seen_accuracy,
    seen_scores,
)

__all__ = [
    "EmbeddingModel",
    "Evaluation",
    "TaggingScore",
    "Tasks",
    "accuracy",
    "class_scores",
    "entity_scores",
    "evaluate",
    "nearest_words",
    "per_type",
    "read_analogies",
    "read_pair_sets",
    "read_pairs",
    "retention",
    "score_analogies",
    "score_held_out",
    "score_similarity",
    "score_tagging",
    "seen_accuracy",
    "seen_scores",
    "words_per_second",
]
