"""The notation of the sample's word lists and templates: reading it, and drawing sentences from it."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import NamedTuple

from ..errors import DistillEmbError
from .morphology import inflect

_SLOT = re.compile(r"\{([^{}]+)\}")
_WEIGHT = re.compile(r"(\d+)\* ")
_MARK = re.compile(r"<([A-Z]+) |>")


class Sentence(NamedTuple):
    """Words with their IOB2 tags, one tag a word."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class WordList:
    """One section of a grammar file: its entries, each a tuple of columns, and how often each is drawn."""

    columns: tuple[str, ...]
    entries: tuple[tuple[str, ...], ...]
    cumulative: tuple[float, ...]

    def draw(self, column: str, rng: random.Random) -> str:
        """One entry's form in `column` (the first when empty)."""
        place = self.columns.index(column) if column else 0
        return rng.choices(self.entries, cum_weights=self.cumulative)[0][place]


class Grammar:
    """Named word lists that refer to each other by ``{name}``.

    lists: section name -> `WordList`.
    """

    def __init__(self, lists: dict[str, WordList]) -> None:
        self.lists = lists

    @classmethod
    def load(cls, name: str) -> Grammar:
        """Read ``name.txt`` from this package."""
        return cls.parse(files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> Grammar:
        """Read the notation described in README.md.

        Raises `DistillEmbError` for an entry outside a section.
        """
        sections: dict[str, tuple[tuple[str, ...], list[str]]] = {}
        entries: list[str] | None = None
        for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                name, _, columns = line.strip("[]").partition(":")
                entries = []
                sections[name.strip()] = (tuple(columns.split()) or ("",), entries)
            elif entries is None:
                raise DistillEmbError(f"Line {number} of the grammar stands before the first [section].")
            else:
                entries.append(line)
        return cls({name: _word_list(columns, lines) for name, (columns, lines) in sections.items()})

    def templates(self, section: str) -> tuple[str, ...]:
        """The entries of a section, in the order of the file."""
        return tuple(entry[0] for entry in self.lists[section].entries)

    def sentence(self, template: str, rng: random.Random) -> Sentence:
        """Fill every slot of `template` at random and read its words and tags off."""
        return _read(self.expand(template.replace("$", rng.choice("mf")), rng))

    def expand(self, text: str, rng: random.Random) -> str:
        """`text` with its slots filled, and the slots of what filled them."""
        while slot := _SLOT.search(text):
            text = text[: slot.start()] + self._fill(slot[1], rng) + text[slot.end() :]
        return text

    def _fill(self, slot: str, rng: random.Random) -> str:
        if slot.startswith("#"):
            low, _, high = slot[1:].partition("-")
            return str(rng.randint(int(low), int(high)))
        name, _, how = slot.partition("|")
        name, _, column = name.partition(".")
        form = self.lists[name].draw(column, rng)
        return inflect(form, how, rng) if how else form


def _word_list(columns: tuple[str, ...], lines: list[str]) -> WordList:
    entries, weights = [], []
    # Words come in falling frequency, as in real text: the further down the list, the rarer. Rules do not.
    zipf = [(rank + 8) ** -0.7 for rank in range(len(lines))]
    mean = sum(zipf) / max(len(zipf), 1)
    for line, frequency in zip(lines, zipf, strict=True):
        weight = _WEIGHT.match(line)
        body = line[weight.end() :] if weight else line
        entries.append(tuple(body.split("/")) if len(columns) > 1 else (body,))
        weights.append((int(weight[1]) if weight else 1) * (1.0 if "{" in body else frequency / mean))
    return WordList(columns, tuple(entries), tuple(accumulate(weights)))


def _read(text: str) -> Sentence:
    """Words and tags of an expanded template: ``በ<LOC ባሕር ዳር> .`` has በባሕር B-LOC, ዳር I-LOC, . O."""
    words, tags, label, inside = [], [], "", False
    # A space inside a mark would cut the word it belongs to.
    for piece in _MARK.sub(lambda mark: f"\x01{mark[1]}\x02" if mark[1] else "\x03", text).split():
        if opening := re.search("\x01([A-Z]+)\x02", piece):
            label, inside = opening[1], False
        words.append(re.sub("\x01[A-Z]+\x02|\x03", "", piece))
        tags.append(f"{'I' if inside else 'B'}-{label}" if label else "O")
        inside = True
        if "\x03" in piece:
            label = ""
    return Sentence(tuple(words), tuple(tags))
