"""The schemes by which tags mark entities: IOB1, IOB2, BIOES, BILOU, BMES, IO; what is read becomes IOB2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DistillEmbError

SCHEMES = ("IOB1", "IOB2", "BIOES", "BILOU", "BMES", "IO")
_ALIASES = {"BIO": "IOB2", "IOBES": "BIOES", "BILUO": "BILOU", "BMEWO": "BMES"}
_LETTERS = {"IO": "I", "IOB1": "IB", "IOB2": "IB", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMESW"}
_FAMILIES = ("IO", "IOB2", "BIOES", "BILOU", "BMES")  # the first whose letters a file keeps to
_INSIDE, _LAST, _SINGLE = "IM", "EL", "SUW"
OUTSIDE = "O"
# The letter before (or behind) the type, and the type. "O" and no type outside of entities.
Part = tuple[str, str]


def scheme_named(name: str) -> str | None:
    """The scheme of a name, such as ``"BIO"``; None for a name that has none."""
    name = name.upper()
    scheme = _ALIASES.get(name, name)
    return scheme if scheme in SCHEMES else None


@dataclass(frozen=True)
class Style:
    """How a tag is written: ``B-PER``, ``B_PER``, ``PER-B``, ``b-per``, or ``PER`` alone."""

    mark: str = "-"
    suffix: bool = False
    lower: bool = False

    def part(self, tag: str) -> Part | None:
        """The letter and the type of a tag; None when it is not written so."""
        if tag == ("o" if self.lower else "O"):
            return OUTSIDE, ""
        if not self.mark:
            return None if any(c.isspace() for c in tag) or not tag else ("I", tag)
        letter, mark, kind = (tag[-1:], tag[-2:-1], tag[:-2]) if self.suffix else (tag[:1], tag[1:2], tag[2:])
        upper = letter.upper()
        if mark != self.mark or not kind or any(c.isspace() for c in kind) or upper not in "BIMELSUW":
            return None
        return (upper, kind) if letter == (letter.lower() if self.lower else upper) else None


STYLES = tuple(Style(mark, suffix, lower) for suffix in (False, True) for mark in "-_" for lower in (False, True))
BARE = Style(mark="")


@dataclass
class Tags:
    """The tags of a file, and how they become IOB2.

    scheme: what they follow; ``"IOB2"`` stands for IOB1 too, whose entities are read alike, unless the user named it in
    `given`. labels: the only types of entities allowed; None allows any. repaired: how many ``I-`` were read as ``B-``.
    opened: how many ``B-`` stand where IOB1 has none.
    """

    path: Path
    scheme: str
    style: Style
    given: str | None = None
    labels: frozenset[str] | None = None
    repaired: int = field(default=0, init=False)
    opened: int = field(default=0, init=False)
    _parts: dict[str, Part] = field(default_factory=dict, init=False)

    def part(self, tag: str, line: int) -> Part:
        """The letter and the type of a tag, which has to be of the scheme and of an allowed type."""
        if tag not in self._parts:
            part = self.style.part(tag)
            if part is None or part[0] not in _LETTERS[self.scheme] + OUTSIDE:
                raise self._broken(line, tag, "it has no such tag")
            if self.labels is not None and part[1] and part[1] not in self.labels:
                raise DistillEmbError(
                    f"{self.path}, line {line}: unknown tag {tag!r}: the types {', '.join(sorted(self.labels))} are "
                    f"known; mend the line, or add {part[1]} to labels."
                )
            self._parts[tag] = part
        return self._parts[tag]

    def iob2(self, tags: Sequence[str], lines: Sequence[int]) -> list[str]:
        """The tags of one sentence in IOB2. What breaks the scheme is an error that names the line."""
        parts = [self.part(tag, line) for tag, line in zip(tags, lines, strict=True)]
        closed = self.scheme in ("BIOES", "BILOU", "BMES")
        return self._closed(parts, tags, lines) if closed else self._open(parts, tags, lines)

    def _open(self, parts: list[Part], tags: Sequence[str], lines: Sequence[int]) -> list[str]:
        """IOB1, IOB2 and IO: ``I-X`` that continues no X begins one (the reading of conlleval and seqeval)."""
        read, before = [], ""
        for (letter, kind), tag, line in zip(parts, tags, lines, strict=True):
            begins = letter == "B" or kind != before
            self.repaired += letter == "I" and begins
            if letter == "B" and kind != before:
                self.opened += 1
                if self.given == "IOB1":
                    raise self._broken(line, tag, f"IOB1 has a B- only right after another entity {kind}")
            read.append("O" if letter == OUTSIDE else f"{'B' if begins else 'I'}-{kind}")
            before = kind
        return read

    def _closed(self, parts: list[Part], tags: Sequence[str], lines: Sequence[int]) -> list[str]:
        read, inside = [], ""
        for (letter, kind), tag, line in zip(parts, tags, lines, strict=True):
            if letter in (OUTSIDE, "B", *_SINGLE):
                if inside:
                    raise self._broken(line, tag, f"the entity {inside} before it has no end")
            elif kind != inside:
                raise self._broken(line, tag, f"no entity {kind} has begun before it")
            continues = letter != OUTSIDE and letter in _INSIDE + _LAST
            read.append("O" if letter == OUTSIDE else f"{'I' if continues else 'B'}-{kind}")
            inside = kind if letter != OUTSIDE and letter in "B" + _INSIDE else ""
        if inside:
            raise self._broken(lines[-1], tags[-1], f"the entity {inside} has no end in its sentence")
        return read

    def _broken(self, line: int, tag: str, why: str) -> DistillEmbError:
        return DistillEmbError(
            f"{self.path}, line {line}: the tag {tag!r} breaks the scheme {self.given or self.scheme}: {why}; "
            "mend the line."
        )


def find_scheme(
    path: Path, seen: Mapping[str, int], style: Style, given: str | None = None, labels: frozenset[str] | None = None
) -> Tags:
    """Find the scheme of a file's tags, and check all of them.

    seen: each distinct tag, with the line of its first occurrence. given: the scheme that the user named. labels: the
    only types of entities allowed, None for any.
    """
    parts = {tag: part for tag in seen if (part := style.part(tag)) is not None}
    letters: dict[str, str] = {}  # each letter, with its first tag
    for tag in sorted(parts, key=lambda tag: seen[tag]):
        letters.setdefault(parts[tag][0], tag)
    letters.pop(OUTSIDE, None)
    given = scheme_named(given) if given else None
    fitting = [name for name in _FAMILIES if letters.keys() <= set(_LETTERS[name])]
    if not fitting:
        odd = _first_that_fits_none(letters)
        raise DistillEmbError(
            f"{path}, line {seen[odd]}: the tag {odd!r} is of another scheme than those before it: bring the file to "
            "one scheme, such as IOB2."
        )
    odd = next((tag for letter, tag in letters.items() if letter not in _LETTERS[given]), "") if given else ""
    if odd:
        raise DistillEmbError(
            f"{path}, line {seen[odd]}: the tag {odd!r} is not of the scheme {given}: say scheme = {fitting[0]!r}, or "
            "leave scheme out."
        )
    tags = Tags(path, given or fitting[0], style, given, labels)
    for tag, line in seen.items():
        tags.part(tag, line)
    return tags


def _first_that_fits_none(letters: Mapping[str, str]) -> str:
    used: set[str] = set()
    for letter, tag in letters.items():
        used.add(letter)
        if not any(used <= set(_LETTERS[name]) for name in _FAMILIES):
            return tag
    raise AssertionError("one scheme fits")
