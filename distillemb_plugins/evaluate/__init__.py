"""Intrinsic scores of encoders and tables, and scores of taggers.

`write_report` stands in `distillemb_plugins.evaluate.report`.
"""

from __future__ import annotations

from .analogies import AnalogyScore, read_analogies, score_analogies
from .evaluation import Evaluation, ModelScore, Tasks, evaluate
from .models import EmbeddingModel, nearest_words
from .retention import HeldOutScore, SpeedScore, retention, score_held_out, words_per_second
from .similarity import PairSet, SimilarityScore, read_pair_sets, read_pairs, score_similarity
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
    "AnalogyScore",
    "EmbeddingModel",
    "Evaluation",
    "HeldOutScore",
    "ModelScore",
    "PairSet",
    "SimilarityScore",
    "SpeedScore",
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
