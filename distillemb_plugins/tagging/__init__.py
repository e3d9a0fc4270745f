"""Tagging text with saved taggers, whichever face wrote them."""

from .exported import ExportedModel
from .records import Entity, TaggedText
from .taggers import open_tagger
from .words import Tagger

__all__ = ["Entity", "ExportedModel", "TaggedText", "Tagger", "open_tagger"]
