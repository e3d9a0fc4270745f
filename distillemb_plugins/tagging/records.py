"""A tagged text, and the forms in which it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..evaluate.tagging import entities

NER, POS = "ner", "pos"
Spans = Sequence[tuple[int, int]]


class Entity(NamedTuple):
    """An entity of a text: where it begins and ends (in characters, end exclusive), and what it is."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class TaggedText:
    """A text with the tags of its words.

    Attributes:
        text: The text.
        spans: Where each word begins and ends in it, in characters, end exclusive.
        tags: Of each layer (``"ner"``, ``"pos"``) the tags of the words. Those of ``"ner"`` mark entities, as IOB2
            does.
    """

    text: str
    spans: Spans
    tags: dict[str, list[str]]

    @property
    def words(self) -> list[str]:
        """The words, as they stand in the text."""
        return [self.text[start:end] for start, end in self.spans]

    @property
    def entities(self) -> list[Entity]:
        """The entities, in their order."""
        found = entities(self.tags.get(NER, ()))
        return [Entity(self.spans[first][0], self.spans[end - 1][1], label) for label, first, end in found]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: ``text``, and ``entities`` and ``words``, each with its characters and its label."""
        result: dict[str, Any] = {"text": self.text}
        if NER in self.tags:
            result["entities"] = [one._asdict() | {"text": self.text[one.start : one.end]} for one in self.entities]
        if POS in self.tags:
            result["words"] = [
                {"start": start, "end": end, POS: tag, "text": self.text[start:end]}
                for (start, end), tag in zip(self.spans, self.tags[POS], strict=True)
            ]
        return result


def as_plain(tagged: TaggedText) -> str:
    """Return the text on one line with its entities in brackets and the other tags behind the words.

    ``[Juma PER] anaishi [Nairobi LOC]``, or ``Juma/PROPN anaishi/VERB``.
    """
    marks = {one.end: f" {one.label}]" for one in tagged.entities}
    opened = {one.start for one in tagged.entities}
    parts, last = [], 0
    for (start, end), tag in zip(tagged.spans, tagged.tags.get(POS) or [""] * len(tagged.spans), strict=True):
        bracket = "[" if start in opened else ""
        parts += [tagged.text[last:start], bracket, tagged.text[start:end], tag and f"/{tag}", marks.get(end, "")]
        last = end
    return "".join([*parts, tagged.text[last:], "\n"])


def as_json_line(tagged: TaggedText) -> str:
    """Return one line of JSON, see `TaggedText.to_dict`."""
    return json.dumps(tagged.to_dict(), ensure_ascii=False) + "\n"


def as_conll(tagged: TaggedText) -> str:
    """Return a line for each word, its tags after tabs, and an empty line; nothing for a text without words."""
    rows = zip(tagged.words, *tagged.tags.values(), strict=True)
    lines = ["\t".join(row) + "\n" for row in rows]
    return "".join([*lines, "\n"]) if lines else ""


WRITERS = {"plain": as_plain, "jsonl": as_json_line, "conll": as_conll}
