"""The figures of docs/reliability.md: the lines that `campaign.py --write` keeps, and the tables made of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from distillemb_plugins.files import atomic_file
from recipes.results import ROOT, Row, Rows, markdown_table, read_results, write_blocks

KEPT, PAGE = Path(__file__).with_name("figures.jsonl"), ROOT / "docs" / "reliability.md"
RANGE: dict[str, Callable[[list[int]], int]] = {"after 100,000": lambda sizes: sizes[0], "least": min, "most": max}
NOTHING = "*Not measured with this version yet.*"
OUTCOMES = {
    "refused": "refused",
    "opened_unchanged": "opened, same content",
    "opened_changed": "opened, other content",
    "fault": "faults",
}


def keep(part: str, lines: Iterable[Row], kept: Path = KEPT, page: Path = PAGE) -> None:
    """Put what a part of the campaign measured in the place of its earlier lines, and write the page's tables."""
    rows = [row for row in read_results(kept) if row["part"] != part] + [{"part": part} | line for line in lines]
    with atomic_file(kept, "w") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_blocks(page, tables(rows))


def tables(rows: Rows) -> dict[str, str]:
    """The tables of the page by name."""
    own = {part: [row for row in rows if row["part"] == part] for part in TABLES}
    return {part: make(own[part]) if own[part] else NOTHING for part, make in TABLES.items()}


def _numbers(rows: Rows, first: str, columns: dict[str, str]) -> str:
    """A row for each measurement: its name, and numbers."""
    lines = [[str(row[first]), *(f"{row.get(name, 0):,}" for name in columns)] for row in rows]
    return markdown_table(["", *columns.values()], lines)


def _files(rows: Rows) -> str:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        kind = row.get("file", "**all**").partition(",")[0]  # the students' directories together
        counts.setdefault(kind, Counter()).update({name: row.get(name, 0) for name in ("tried", *OUTCOMES)})
    return _numbers([{"file": kind, **some} for kind, some in counts.items()], "file", {"tried": "tried"} | OUTCOMES)


def _strings(rows: Rows) -> str:
    return _numbers([{"what": "random words", **row} for row in rows], "what", {"strings": "tried", "wrong": "differ"})


def _deaths(rows: Rows) -> str:
    columns = {"killed": "kills", "there_after_the_kill": "complete at the kill", "faults": "faults"}
    return _numbers(rows, "deaths", columns)


def _kills(rows: Rows) -> str:
    columns = {"seconds_of_work": "seconds of work", "killed": "kills", "results": "results"}
    return _numbers(rows, "kills", columns | {"results_of_equal_bytes": "same bytes as uninterrupted"})


def _disk(rows: Rows) -> str:
    columns = {"tried": "tried", "OSError": "refused with `OSError`", "refused": "refused with a sentence"}
    return _numbers(rows, "disk", columns | {"done": "fitted"})


def _memory(rows: Rows) -> str:
    shown = [row | {name: round(how(row["kb_after_each_100k"]) / 1000) for name, how in RANGE.items()} for row in rows]
    return _numbers(shown, "memory", {"cache_words": "words in the cache", **{name: f"{name}, MB" for name in RANGE}})


# The table of each part of the campaign.
TABLES = {"files": _files, "strings": _strings, "deaths": _deaths, "kills": _kills, "disk": _disk, "memory": _memory}
