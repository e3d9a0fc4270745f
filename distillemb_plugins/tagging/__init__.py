"""Tagging text with saved taggers, whichever face wrote them."""

from .records import Entity, TaggedText
from .taggers import Tagger, open_tagger

__all__ = ["Entity", "TaggedText", "Tagger", "open_tagger"]
