"""The record beside fetched texts: what each was made from, for model cards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError, brief
from ..facts import NOT_STATED, Corpus
from ..files import atomic_file

RECORD = "sources.json"
"""The file of a data folder that says what the texts in its ``corpora`` were made from."""
Entry = dict[str, Any]


def read_record(data: Path) -> dict[str, Entry]:
    """Read what the texts of a data folder were made from. Without a record it is empty.

    Raises:
        DistillEmbError: The record is damaged.
    """
    place = data / RECORD
    try:
        record = json.loads(place.read_text("utf-8"))
        return {key: dict(entry) for key, entry in record.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        raise DistillEmbError(f"{place} is damaged ({brief(error)}): remove it and the texts beside it.") from error


def write_record(data: Path, record: Mapping[str, Entry]) -> None:
    """Write the record of a data folder."""
    with atomic_file(data / RECORD, "w") as stream:
        stream.write(json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def recorded_corpora(texts: Iterable[str | Path]) -> list[Corpus]:
    """For a model card: the corpora among texts that `fetch` made, a row for each name.

    Args:
        texts: Files ``corpora/LANGUAGE/NAME.txt.xz``, or folders that hold such files. Others are left out.
    """
    files = [
        file for text in map(Path, texts) for file in ([text] if text.is_file() else sorted(text.rglob("*.txt.xz")))
    ]
    rows: dict[str, list[tuple[str, Entry]]] = {}
    for file in dict.fromkeys(file.absolute() for file in files):
        language, name = file.parent.name, file.name.removesuffix(".txt.xz")
        entry = read_record(file.parent.parent.parent).get(f"{language}/{name}")
        if entry:
            rows.setdefault(name, []).append((language, entry))
    return [_row(name, rows[name]) for name in sorted(rows)]


def _row(name: str, entries: Sequence[tuple[str, Entry]]) -> Corpus:
    languages = ", ".join(language for language, _ in entries)
    lines, words, dropped = (
        sum(entry[count] for _, entry in entries) for count in ("lines", "words", "like_task_sentences")
    )
    urls = " ".join(dict.fromkeys(url for _, entry in entries for url in entry["sources"]))
    counts = f"{lines:,} lines, {words:,} words, without {dropped:,} lines that are like dev or test sentences"
    licenses = ", ".join(dict.fromkeys(entry["license"] or NOT_STATED for _, entry in entries))
    return Corpus(f"{name.partition('.')[2]} ({languages})", licenses, f"{urls} ({counts})")


def stated_corpora(sources: Iterable[str]) -> list[Corpus]:
    """The corpora that a user states: ``NAME|LICENSE|SOURCE``, or fetched texts or folders of them.

    Raises:
        DistillEmbError: A path holds no fetched text.
    """
    rows: list[Corpus] = []
    for source in sources:
        if "|" in source or not Path(source).exists():
            rows.append(Corpus.parse(source))
        elif found := recorded_corpora([source]):
            rows += found
        else:
            raise DistillEmbError(f"--source {source} has no record beside it: write NAME|LICENSE|URL instead.")
    return rows
