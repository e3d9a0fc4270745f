"""Names that moved to `distillemb_plugins.evaluate.tagging`."""

from __future__ import annotations

from distillemb_plugins.evaluate.tagging import entity_texts as surfaces
from distillemb_plugins.evaluate.tagging import seen_scores

__all__ = ["seen_scores", "surfaces"]
