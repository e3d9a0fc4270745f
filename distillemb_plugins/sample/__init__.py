"""The synthetic sample of the quickstart: Swahili and Amharic, written by us and drawn from templates."""

from .generate import (
    LABELS,
    LANGUAGES,
    PARTS,
    RAW_LINES,
    SampleFiles,
    plain_text,
    raw_lines,
    tagged_sentences,
    write_sample,
)
from .grammar import Grammar, Sentence

__all__ = [
    "LABELS",
    "LANGUAGES",
    "PARTS",
    "RAW_LINES",
    "Grammar",
    "SampleFiles",
    "Sentence",
    "plain_text",
    "raw_lines",
    "tagged_sentences",
    "write_sample",
]
