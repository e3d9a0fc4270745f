"""The README's tables from the rows of the results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recipes.results import markdown_table, replace_block

_EXTRA = {
    "words_per_second": "words/s",
    "examples_per_second": "examples/s",
    "cosine": "cosine to fp32",
    "largest_difference": "largest difference",
    "neighbours_shared": "of 10 neighbours shared",
    "ner_f1": "NER, dev F1",
    "weights_mb": "weights, MB",
    "peak_mb": "peak MB, all processes",
}
Rows = list[dict[str, Any]]


def write_tables(rows: Rows, readme: Path) -> None:
    """Fill the README's block: a table of the targets, then one a section."""
    sections = list(dict.fromkeys(row["section"] for row in rows))
    parts = [_where(rows), "### Targets", _targets(rows)]
    for section in sections:
        mine = [row for row in rows if row["section"] == section]
        parts += [f"### {section}", _table(mine)]
    replace_block(readme, "tables", "\n\n".join(parts))


def _where(rows: Rows) -> str:
    def joined(name: str) -> str:
        return "; ".join(dict.fromkeys(row[name] for row in rows))

    return f"Machine: {joined('machine')}. Encoder: {joined('encoder')}."


def _targets(rows: Rows) -> str:
    lines = []
    for row in rows:
        if row.get("met") is not None:
            limit = f"at least {row['at_least']:g}" if "at_least" in row else f"at most {row['at_most']:g}"
            verdict = "met" if row["met"] else f"missed: {distance(row):.0%} off"
            lines.append([f"{row['section']}: {row['name']}", row["unit"], limit, _number(row["median"]), verdict])
    return markdown_table(["what", "unit", "target", "measured", ""], lines)


def distance(row: dict[str, Any]) -> float:
    """How far a missed target is, as a share of it."""
    target: float = row["at_least"] if "at_least" in row else row["at_most"]
    return abs(row["median"] / target - 1)


def _table(rows: Rows) -> str:
    extra = [name for name in _EXTRA if any(name in row for row in rows)]
    units = list(dict.fromkeys(row["unit"] for row in rows))
    header = ["", " or ".join(units), "quartiles", *(_EXTRA[name] for name in extra)]
    return markdown_table(header, (_line(row, extra) for row in _ordered(rows)))


def _ordered(rows: Rows) -> Iterable[dict[str, Any]]:
    """As they grow where something grows, else the largest first."""
    if all("value" in row for row in rows):
        return sorted(rows, key=lambda row: (row["what"], row["value"]))
    return sorted(rows, key=lambda row: -row["median"])


def _line(row: dict[str, Any], extra: list[str]) -> list[str]:
    figures = [_number(row["median"]), f"{_number(row['low'])} - {_number(row['high'])}"]
    return [row["name"], *figures, *(_number(row[name]) if name in row else "" for name in extra)]


def _number(value: float) -> str:
    if value != 0 and abs(value) < 0.01:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
