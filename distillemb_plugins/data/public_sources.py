"""The list of public sources (``public_sources.json``): where each corpus and task file lies, and how to read it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError
from .cleaning import Cleaning

LICENSE_CLASSES = ("OPEN", "CLAIMED", "NC", "UNSTATED", "RELIG")


@dataclass(frozen=True)
class Source:
    """Files of one commit of a public repository, and the text in them.

    Several sources may have one name: their text goes into one file, in this order.

    Args:
        name: Of a corpus, as its file is called (``OPEN.ntrex``), or the folder of a task
            (``ner/masakhaner1/{language}``).
        files: By language, the files with their SHA-256. In an archive they may be patterns; their checksum is that of
            what ``sha256sum`` prints for the files that match, sorted. For some it is git's id of the file instead.
        repository: ``OWNER/NAME`` on GitHub, or "" where the source is lost.
        revision: The commit.
        license: In words.
        license_class: One of `LICENSE_CLASSES`.
        stated: The file of the repository that states the license, or "".
        format: How text is read from the files, see `extract.EXTRACTORS`.
        options: Of that extractor.
        cleaning: What is done with the lines.
        archive: Whether the whole commit is downloaded as an archive: for many files.
        unique_names: Whether a file is left out when one before it has the same name in another folder.
        without: Files, with their checksums, whose lines are left out.
        note: What else a reader has to know.
    """

    name: str
    files: Mapping[str, Mapping[str, str]]
    repository: str = ""
    revision: str = ""
    license: str = ""
    license_class: str = ""
    stated: str = ""
    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    cleaning: Cleaning = field(default_factory=Cleaning)
    archive: bool = False
    unique_names: bool = False
    without: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def url(self) -> str:
        """The page of the commit, or ""."""
        return f"https://github.com/{self.repository}/tree/{self.revision}" if self.repository else ""


@cache
def _read() -> dict[str, tuple[Source, ...]]:
    kinds = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    return {kind: tuple(map(_source, entries)) for kind, entries in kinds.items()}


def _source(entry: dict[str, Any]) -> Source:
    cleaning = Cleaning(**entry.pop("cleaning", {}))
    return Source(**{"license_class": entry["name"].partition(".")[0], "cleaning": cleaning, **entry})


def public_tasks() -> tuple[Source, ...]:
    """All tasks whose files are public."""
    return _read()["tasks"]


def public_corpora(
    classes: Collection[str] = LICENSE_CLASSES, languages: Collection[str] = (), names: Collection[str] = ()
) -> list[Source]:
    """The corpora of some license classes, languages and names, with the files of these languages alone.

    Args:
        classes: Of `LICENSE_CLASSES`.
        languages: All when empty.
        names: Such as ``OPEN.ntrex`` or ``ntrex``; all when empty.

    Raises:
        DistillEmbError: There are none.
    """
    found = []
    for source in _read()["corpora"]:
        kept = {language: files for language, files in source.files.items() if not languages or language in languages}
        named = not names or source.name in names or source.name.partition(".")[2] in names
        if kept and named and source.license_class in classes:
            found.append(replace(source, files=kept))
    if not found:
        raise DistillEmbError("No corpus has this class, language and name: see `distillemb data list --license all`.")
    return found


def by_language(sources: Sequence[Source]) -> Iterator[tuple[str, str, list[Source]]]:
    """Yield ``(language, name, sources of that file)``, a language after the other, names as they are listed."""
    for language in sorted({language for source in sources for language in source.files}):
        names = dict.fromkeys(source.name for source in sources if language in source.files)
        for name in names:
            yield language, name, [source for source in sources if source.name == name and language in source.files]
