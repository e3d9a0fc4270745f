"""What an encoder's model card says, read back: settings, scores, corpora (the card is written by `card.py`)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..distill import DistillSettings

_FENCED = re.compile(r"```\w*\n(.*?)\n```", re.DOTALL)


def card_facts(card: str) -> dict[str, Any]:
    """Languages, licence, summary, corpora, scores, settings, command and versions, as far as the card has them.

    A card that somebody wrote by hand gives what can be found; nothing in it is an error.
    """
    front, body = _front_matter(card)
    sections = _sections(body)
    return {
        "languages": _front_list(front, "language"),
        "licence": _front_value(front, "license"),
        "summary": _summary(body),
        "corpora": [
            dict(zip(("text", "licence", "source"), row, strict=False)) for row in _table(sections.get("Corpora", ""))
        ],
        "scores": _scores(sections.get("Scores", "")),
        "settings": _json(sections.get("Settings", "")),
        "command": _fence(sections.get("Command", "")),
        "versions": _json(sections.get("Versions", "")),
    }


def distill_settings(card: str) -> DistillSettings | None:
    """How the encoder was distilled, when its card says so in a way this version understands."""
    values = card_facts(card)["settings"]
    if not values:
        return None
    from ..distill import DistillSettings

    try:
        return DistillSettings(**values)
    except (TypeError, ValueError):  # written by another version, or by hand
        return None


def _front_matter(card: str) -> tuple[str, str]:
    match = re.match(r"---\n(.*?)\n---\n?(.*)", card, re.DOTALL)
    return (match[1], match[2]) if match else ("", card)


def _front_value(front: str, name: str) -> str:
    match = re.search(rf"^{name}: *(\S.*)$", front, re.MULTILINE)
    return match[1].strip() if match else ""


def _front_list(front: str, name: str) -> list[str]:
    match = re.search(rf"^{name}:\n((?:- .*\n?)+)", front + "\n", re.MULTILINE)
    if match:
        return [line[2:].strip() for line in match[1].splitlines()]
    value = _front_value(front, name)
    return [value] if value else []


def _sections(body: str) -> dict[str, str]:
    parts = re.split(r"^## +(.+)$", body, flags=re.MULTILINE)
    return {name.strip(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _summary(body: str) -> str:
    """The first running text, headings, tables and code left out."""
    for block in _FENCED.sub("", body).split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip() and not line.startswith(("#", "|"))]
        if lines:
            return " ".join(" ".join(lines).split())
    return ""


def _fence(text: str) -> str:
    match = _FENCED.search(text)
    return match[1].strip() if match else ""


def _json(text: str) -> dict[str, Any]:
    try:
        values = json.loads(_fence(text) or "{}")
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _table(text: str) -> list[list[str]]:
    """The rows of the first Markdown table, without its head."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return rows[2:]


def _scores(text: str) -> dict[str, dict[str, float]]:
    """``{"On held-out words": {"cosine": 0.7, ...}, ...}``."""
    scores: dict[str, dict[str, float]] = {}
    for title, table in re.findall(r"^([^|\n][^\n]*):\n+((?:\|.*\n?)+)", text + "\n", re.MULTILINE):
        for row in _table(table):
            try:
                scores.setdefault(title, {})[row[0]] = float(row[1])
            except (IndexError, ValueError):
                continue
    return scores
