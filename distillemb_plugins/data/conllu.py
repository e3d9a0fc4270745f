"""CoNLL-U: the syntactic or the surface words of a sentence, with the spaces of its text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ..errors import DistillEmbError
from .columns import Block, blocks, cells_of, unknown_tag
from .layout import Layout, Sentence, column_in

NAMES = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_ID, _FORM, _UPOS, _XPOS, _FEATS, _HEAD, _MISC = 0, 1, 3, 4, 5, 6, 9
_NO_VALUE = "_"
_PEEK = 200  # lines by which CoNLL-U is told from plain columns; the other lines must be of it too
_AN_ID = re.compile(r"\d+(?:[-.]\d+)?")
_FEATURES = re.compile(r"[^=|\s]+=[^=|\s]+(?:\|[^=|\s]+=[^=|\s]+)*")
_TEXT = re.compile(r"#\s*text\s*=(.*)")


def is_conllu(path: Path) -> bool:
    """Whether most of the first lines have CoNLL-U's ten columns, parted by tabs, the first of which is an ID."""
    lines = (line for block in blocks(path) for _, line in block if not line.startswith("#"))
    peek = list(itertools.islice(lines, _PEEK))
    hits = sum(
        line.count("\t") == len(NAMES) - 1 and bool(_AN_ID.fullmatch(line.split("\t", 1)[0].strip())) for line in peek
    )
    return bool(hits) and 2 * hits >= len(peek)


def block_words(block: Block) -> list[str]:
    """Return the words of a sentence whose tags do not matter.

    The word is the first column, or where all lines are CoNLL-U's the form of each syntactic word.
    """
    rows = [line.split("\t") for _, line in block if not line.startswith("#")]
    if rows and all(len(row) == len(NAMES) and _AN_ID.fullmatch(row[_ID]) for row in rows):
        return [row[_FORM] for row in rows if row[_ID].isdecimal()]
    return [cells_of(line)[0] for _, line in block]


@dataclass
class _Word:
    """A row of the file."""

    line: int
    cells: list[str]
    space: bool = True


@dataclass
class _Range:
    """A word of the text that several syntactic words stand for."""

    row: _Word
    first: int
    last: int
    words: list[_Word] = field(default_factory=list)


class ConlluReader:
    """Reads the sentences of one file."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.word = _FORM if layout.word_column is None else column_in("word_column", layout.word_column, len(NAMES))
        self.tag = (
            _UPOS if layout.tag_column in (None, -1) else column_in("tag_column", layout.tag_column or 0, len(NAMES))
        )
        self.sentences = 0
        self.not_their_text: list[int] = []  # first lines
        self.with_ranges = False
        self.empty_words: list[int] = []

    def sentence(self, block: Block) -> Sentence:
        """The words of one sentence. Empty nodes (1.1) are left out; a malformed row is an error."""
        text, parts = self._parts(block)
        sentence = Sentence()
        for part in parts:
            for word in self._words(part):
                self._add(sentence, word)
        sentence.spaces[-1:] = [False] * bool(sentence.spaces)
        self.sentences += bool(sentence.words)
        if text is not None and sentence.words and _joined(sentence) != " ".join(text.split()):
            self.not_their_text.append(block[0][0])
            self.with_ranges |= any(isinstance(part, _Range) for part in parts)
        return sentence

    def problem(self) -> str | None:
        """What is to be told of the whole file, if anything."""
        if not self.not_their_text:
            return None
        which = f"{len(self.not_their_text)} of {self.sentences} sentences (the first at line {self.not_their_text[0]})"
        advice = "mend SpaceAfter=No"
        if self.with_ranges and self.layout.words != "surface":
            advice = "say words = 'surface' to read multiword tokens as they stand in the text"
        return f"{self.path}: the words and spaces of {which} do not give their # text; {advice}."

    def _parts(self, block: Block) -> tuple[str | None, list[_Word | _Range]]:
        text: str | None = None
        parts: list[_Word | _Range] = []
        words = nodes = 0
        for number, line in block:
            if line.startswith("#"):
                found = _TEXT.match(line)
                text = found[1] if found else text
                continue
            row = self._row(number, line)
            id = row.cells[_ID]
            open_range = parts[-1] if parts and isinstance(parts[-1], _Range) and words < parts[-1].last else None
            if id.isdecimal():
                if int(id) != words + 1:
                    self._fail(number, f"the ID {id} does not follow {words}: number the words of a sentence from 1")
                words, nodes = words + 1, 0
                if open_range:
                    open_range.words.append(row)
                else:
                    parts.append(row)
            elif "-" in id:
                first, last = map(int, id.split("-"))
                if open_range or first != words + 1 or last < first:
                    self._fail(number, f"the range {id} does not begin with the next word, {words + 1}, or overlaps")
                parts.append(_Range(row, first, last))
            else:
                nodes += 1
                if id != f"{words}.{nodes}":
                    self._fail(number, f"the ID {id} of an empty node does not follow {words}: write {words}.{nodes}")
        if parts and isinstance(parts[-1], _Range) and words < parts[-1].last:
            self._fail(parts[-1].row.line, f"the range {parts[-1].row.cells[_ID]} goes past the last word, {words}")
        return text, parts

    def _row(self, number: int, line: str) -> _Word:
        cells = [cell.strip(" ") for cell in line.rstrip("\r").split("\t")]
        if len(cells) != len(NAMES):
            self._fail(number, f"{len(cells)} columns where CoNLL-U has {len(NAMES)}: {line[:60]!r}")
        for name, cell in zip(NAMES, cells, strict=True):
            if not cell and name != "FORM":
                self._fail(number, f"the column {name} is empty: write _ for no value")
        if not _AN_ID.fullmatch(cells[_ID]):
            self._fail(number, f"the ID {cells[_ID]!r} is no number, range (1-2) or empty node (1.1)")
        if cells[_FEATS] != _NO_VALUE and not _FEATURES.fullmatch(cells[_FEATS]):
            self._fail(number, f"the FEATS {cells[_FEATS]!r} are not Name=Value|Name=Value: write them so, or _")
        return _Word(number, cells, "SpaceAfter=No" not in cells[_MISC].split("|"))

    def _fail(self, number: int, what: str) -> NoReturn:
        raise DistillEmbError(f"{self.path}, line {number}: {what}; mend the line.")

    def _words(self, part: _Word | _Range) -> Sequence[_Word]:
        """The words of a part as they are asked for, with their spaces."""
        if isinstance(part, _Word):
            return [part]
        if self.layout.words == "surface":
            return [self._surface(part)]
        whole = "".join(word.cells[_FORM] for word in part.words) == part.row.cells[_FORM]
        for word in part.words[:-1]:
            word.space = not whole  # words that are not what the text has are kept apart
        part.words[-1].space = part.row.space
        return part.words

    def _surface(self, part: _Range) -> _Word:
        """The word of the text, with the values of the syntactic word whose head is not among the others."""
        inside = {str(number) for number in range(part.first, part.last + 1)}
        head = next((word for word in part.words if word.cells[_HEAD] not in inside), part.words[0])
        row = part.row
        cells = [own if own != _NO_VALUE else value for own, value in zip(row.cells, head.cells, strict=True)]
        cells[_FORM] = row.cells[_FORM]
        return _Word(row.line, cells, row.space)

    def _add(self, sentence: Sentence, word: _Word) -> None:
        form, tag = word.cells[self.word], word.cells[self.tag]
        if not form.strip():
            self.empty_words.append(word.line)
            return
        if tag != _NO_VALUE and tag not in self.layout.known_tags:
            raise unknown_tag(self.path, word.line, tag, self.layout, self.tag, len(NAMES))
        values = ["" if value == _NO_VALUE else value for value in (tag, word.cells[_XPOS], word.cells[_FEATS])]
        sentence.words.append(form)
        sentence.spaces.append(word.space)
        sentence.tags.append(values[0])
        sentence.xpos.append(values[1])
        sentence.morphs.append(values[2])


def _joined(sentence: Sentence) -> str:
    """The text that the words and spaces give, with single spaces."""
    pairs = zip(sentence.words, sentence.spaces, strict=True)
    return " ".join("".join(word + " " * space for word, space in pairs).split())
