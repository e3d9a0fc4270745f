"""What a program must know about an encoder, as data: ``distillemb.json`` of an encoder directory.

The model card is rendered from it (see `card`) and never read back. Only the cards of version 0.1.0, which wrote no
such file, are still read, by `read_old_card`.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from typing import Any

from .errors import DistillEmbError, brief

FACTS_FILE = "distillemb.json"
HELD_OUT = "On held-out words"
"""The title of the scores that the distillation itself computed."""
WORD_LISTS: dict[str, tuple[str, ...]] = {
    "held_out": ("held_out.txt",),
    "vocabulary": ("vocabulary.txt", "vocabulary.txt.gz", "vocabulary.txt.xz"),
}
"""The files that an encoder's word lists may have."""
NOT_STATED = "not stated"
_PACKAGES = ("distillemb-plugins", "numpy", "torch", "accelerate", "transformers", "safetensors")


@dataclass(frozen=True)
class Corpus:
    """A text that an encoder or its teachers were trained on.

    Args:
        name: Its name.
        license: In words, or a URL.
        source: Where it comes from, in words, or a URL.
    """

    name: str
    license: str = NOT_STATED
    source: str = ""

    @classmethod
    def parse(cls, text: str) -> Corpus:
        """Read ``NAME|LICENSE|SOURCE``, of which the last two may be missing."""
        return cls(*[part.strip() for part in text.split("|", 2)])


@dataclass(frozen=True)
class EncoderFacts:
    """What is known about an encoder. An empty field says that nothing is known.

    Args:
        title: Heading of the model card.
        languages: Codes such as ``sw``.
        license: A Hugging Face license id, of the weights.
        corpora: Every text behind the encoder.
        teachers: Names of the teachers.
        settings: Of the distillation, as `DistillSettings.to_dict` gives them.
        command: What made the encoder.
        scores: Values by name, by the title of their table; `HELD_OUT` is the distillation's own.
        notes: A paragraph, Markdown.
        limits: What this encoder is not good for, Markdown. The limits that all of them have need not be said.
        word_lists: File names by what they hold: ``held_out`` (words that were not trained on) and ``vocabulary``
            (frequent words to look for neighbors among).
        versions: Of Python and the packages that took part.
        other: Entries of the file that this version does not know. They are kept.
    """

    title: str = ""
    languages: tuple[str, ...] = ()
    license: str = ""
    corpora: tuple[Corpus, ...] = ()
    teachers: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: str = ""
    limits: str = ""
    word_lists: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.to_dict())

    def with_more(self, more: EncoderFacts) -> EncoderFacts:
        """Return what is known after a further training, which states `more`.

        Title and word lists belong to a directory, and are not taken over.
        """
        known: dict[str, Any] = {"title": "", "word_lists": {}}
        known |= {one.name: value for one in fields(more) if (value := getattr(more, one.name))}
        for name in ("languages", "corpora", "teachers"):
            known[name] = tuple(dict.fromkeys((*getattr(self, name), *getattr(more, name))))
        for name in ("settings", "scores", "other"):
            known[name] = getattr(self, name) | getattr(more, name)
        known["command"] = "\n".join(dict.fromkeys([*self.command.splitlines(), *more.command.splitlines()]))
        return replace(self, **known)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values. What is empty is left out."""
        values = asdict(self)
        other = values.pop("other")
        return {name: value for name, value in (values | other).items() if value}

    def to_json(self) -> str:
        """Return the content of `FACTS_FILE`."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderFacts:
        """Make facts from what `to_dict` gave.

        Raises:
            ValueError: A value has the wrong type.
        """
        known = {one.name for one in fields(cls)} - {"other"}
        other = {name: value for name, value in values.items() if name not in known}
        found: dict[str, Any] = {}
        for name in known & values.keys():
            if not _CHECKS[name](values[name]):
                raise ValueError(f"{name} is {values[name]!r}")
            found[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
        found["corpora"] = tuple(Corpus(**corpus) for corpus in found.get("corpora", ()))
        return cls(**found, other=other)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(check, value))


def _map_to(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _is_corpus(value: Any) -> bool:
    names = {one.name for one in fields(Corpus)}
    return _map_to(_is_text)(value) and "name" in value and value.keys() <= names


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and value not in ("", ".", "..") and not set(value) & set("/\\\0")


_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("title", "license", "command", "notes", "limits"), _is_text),
    **dict.fromkeys(("languages", "teachers"), _list_of(_is_text)),
    "corpora": _list_of(_is_corpus),
    "settings": _map_to(lambda value: True),
    "scores": _map_to(_map_to(lambda value: isinstance(value, int | float))),
    "word_lists": _map_to(_is_file_name),
    "versions": _map_to(_is_text),
}


def facts_of(values: Any, where: object) -> EncoderFacts:
    """Make the facts of an encoder from the content of its `FACTS_FILE`.

    Args:
        values: The content.
        where: What to name in the error.

    Raises:
        DistillEmbError: The values are damaged.
    """
    try:
        return EncoderFacts.from_dict(values)
    except (ValueError, AttributeError, TypeError) as error:
        raise DistillEmbError(f"{where} is damaged ({brief(error)}): copy the encoder again.") from error


def word_lists_among(files: Container[str]) -> dict[str, str]:
    """Return which files are word lists, by what they hold."""
    return {kind: name for kind, names in WORD_LISTS.items() for name in reversed(names) if name in files}


def current_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part. What is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


# -- cards of version 0.1.0 -----------------------------------------------------------------------------------------

_FENCED = re.compile(r"```\w*\n(.*?)\n```", re.DOTALL)
_OLD_LIST_ITEM, _OLD_TABLE = r"^language:\n((?:- .*\n)+)", r"^([^|\n][^\n]*):\n+((?:\|.*\n?)+)"


def read_old_card(card: str) -> EncoderFacts:
    """Read the facts that version 0.1.0 wrote into a model card only. A card by hand gives what can be found."""
    match = re.match(r"---\n(.*?\n)---\n?(.*)", card, re.DOTALL)
    front, body = match.groups() if match else ("", card)
    parts = re.split(r"^## +(.+)$", body, flags=re.MULTILINE)
    head, sections = parts[0], dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))
    if not {"Settings", "Versions"} & sections.keys():
        return EncoderFacts()
    languages = re.search(_OLD_LIST_ITEM, front, re.MULTILINE)
    title = re.search(r"^# (.+)$", head, re.MULTILINE)
    teachers = re.search(r"distilled from (`.+`)\.$", head, re.MULTILINE)
    license_id = re.search(r"^license: (.+)$", front, re.MULTILINE)
    paragraphs = [part for part in head.split("\n\n") if part.strip() and not part.strip().startswith("#")]
    limits = sections.get("Limits", "").split("- A word never seen in training", 1)[0]
    command = _FENCED.search(sections.get("Command", ""))
    return EncoderFacts(
        title=title[1] if title else "",
        languages=tuple(line[2:].strip() for line in languages[1].splitlines()) if languages else (),
        license=license_id[1].strip() if license_id else "",
        corpora=tuple(Corpus(*row) for row in _rows(sections.get("Corpora", "")) if len(row) == 3),
        teachers=tuple(re.findall(r"`([^`]+)`", teachers[1])) if teachers else (),
        settings=_json_block(sections.get("Settings", "")),
        command=command[1] if command else "",
        scores=_old_scores(sections.get("Scores", "")),
        notes="\n\n".join(paragraphs[1:-1]).strip(),  # between what it is and its languages
        limits=limits.strip(),
        versions=_json_block(sections.get("Versions", "")),
    )


def _json_block(text: str) -> dict[str, Any]:
    block = _FENCED.search(text)
    try:
        values = json.loads(block[1] if block else "{}")
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _rows(text: str) -> list[list[str]]:
    """The rows of a Markdown table, without its head."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def _old_scores(text: str) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for title, table in re.findall(_OLD_TABLE, text, re.MULTILINE):
        for row in _rows(table):
            try:
                scores.setdefault(title, {})[row[0]] = float(row[1])
            except (IndexError, ValueError):
                continue
    return scores
