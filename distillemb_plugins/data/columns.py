"""Finding which columns of a tagged file hold the word and the tag. The whole file is read before anything is said."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DistillEmbError
from ..files import numbered_lines
from .layout import Layout, column_in, listing
from .tag_schemes import BARE, STYLES, Style, Tags, find_scheme

DOCSTART = "-DOCSTART-"
_PEEK = 200  # words by which the number of columns is guessed; the other lines must have it too
_FEW = 10  # words from which on a column that never changes cannot be the one of the words
_ENOUGH = 2  # words of a sentence that show a column of numbers
_DECLARED = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
_RANGE_OR_EMPTY = re.compile(r"\d+[-.]\d+")
_BLANKS = re.compile(r"[ \t]+")
# Phrases of CoNLL-2000 and CoNLL-2003 (English and German): their tags look like those of entities.
_CHUNKS = frozenset((
    "AC", "ADJP", "ADVP", "AVC", "CONJP", "INTJ", "LST", "NC", "NP", "NPC", "PC", "PP", "PRT", "SBAR", "UCP", "VC", "VP"
))  # fmt: skip
Block = list[tuple[int, str]]
Split = Callable[[str], list[str]]


class _UnevenError(DistillEmbError):
    """A line has another number of columns."""


@dataclass(frozen=True)
class Columns:
    """What was found: how many columns there are, and those with the word and the tag.

    split: how a line is cut into them. numbered: whether the first one numbers the words of a sentence. tags: the
    scheme, for NER.
    """

    count: int
    word: int
    tag: int
    split: Split
    numbered: bool
    tags: Tags | None

    def is_tag(self, cell: str, layout: Layout) -> bool:
        """Whether it is written as the tags are."""
        return self.tags.style.part(cell) is not None if self.tags else cell in layout.known_tags


def cells_of(line: str) -> list[str]:
    """The columns of a line, which single tabs or any number of spaces part. No-break spaces part nothing."""
    line = line.rstrip(" \t\r")
    if "\t" in line:
        return [cell.strip(" ") for cell in line.split("\t")]
    return _BLANKS.split(line) if "  " in line else line.split(" ")


def _aligned_cells(line: str) -> list[str]:
    """The columns of a line, where several tabs may part them."""
    return _BLANKS.split(line.rstrip(" \t\r"))


def _is_docstart(line: str) -> bool:
    return line.startswith(DOCSTART) and _BLANKS.split(line.rstrip(), maxsplit=1)[0] == DOCSTART


def blocks(path: Path) -> Iterator[Block]:
    """See `blocks_of`, for a file."""
    return blocks_of(numbered_lines(path))


def blocks_of(lines: Iterable[tuple[int, str]]) -> Iterator[Block]:
    """Runs of lines between blank ones. A line ``-DOCSTART-`` ends a sentence too, and is left out."""
    block: Block = []
    for number, line in lines:
        if line.strip(" \t\r") and not _is_docstart(line):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def find_columns(path: Path, layout: Layout) -> Columns | None:
    """Find the columns of a plain file (not CoNLL-U), and verify them in every line; None for a file without words.

    Raises `DistillEmbError`, naming file, line and the option that decides, when lines have different numbers of
    columns, no column holds tags, or it is in doubt which one does.
    """
    try:
        return _Scan(path, layout, cells_of).found()
    except _UnevenError as error:
        try:
            return _Scan(path, layout, _aligned_cells).found()
        except DistillEmbError:
            raise error from None


def _is_comment(line: str, layout: Layout) -> bool:
    return line.startswith("#") and layout.comments is not False


@dataclass
class _Candidate:
    """A column that may hold the tags."""

    styles: list[Style] = field(default_factory=lambda: [*STYLES])
    seen: dict[str, int] = field(default_factory=dict)
    failed: tuple[int, str] | None = None  # line and value

    def take(self, value: str, line: int, known: frozenset[str] | None) -> None:
        if known is None:
            self.styles = [style for style in self.styles if style.part(value) is not None]
        if value not in known if known is not None else not self.styles:
            self.failed = (line, value)
        else:
            self.seen[value] = line

    def kinds(self) -> set[str]:
        """The types of entities."""
        return {part[1] for value in self.seen if (part := self.styles[0].part(value)) and part[1]}


class _Scan:
    """One reading of a file from end to end."""

    def __init__(self, path: Path, layout: Layout, split: Split) -> None:
        self.path, self.layout, self.split = path, layout, split
        self.declared: list[str] = []
        self.hashes: list[tuple[int, list[str]]] = []  # lines that begin with "#", maybe words
        self.empty: dict[int, int] = {}  # column -> first line in which it is empty
        self.rows = self.longest = 0
        self.from_zero = False
        self.misnumbered: tuple[int, str] | None = None
        self.first_values: list[set[str]] = []  # of each column
        self.candidates: dict[int, _Candidate] = {}

    def found(self) -> Columns | None:
        rows = self._rows()
        peek = list(itertools.islice(rows, _PEEK))
        if not peek and self.layout.comments is None:  # every line begins with "#": they are words
            rows = self._rows(hash_is_word=True)
            peek = list(itertools.islice(rows, _PEEK))
        if not peek:
            return None
        self.count = self.layout.columns or Counter(len(cells) for _, _, cells in peek).most_common(1)[0][0]
        if self.count < 2:
            raise _UnevenError(
                f"{self.path}, line {peek[0][0]}: 1 column where at least 2 are expected (word and "
                f"tag): {' '.join(peek[0][2])[:60]!r}; give a file of words with tags."
            )
        self.numbered = self._looks_numbered(peek)
        self.named_tag = self._column("tag_column", self.layout.tag_column)
        self.named_word = self._column("word_column", self.layout.word_column)
        self._from_names()
        for column in self._possible():
            self.candidates[column] = _Candidate()
            if self.layout.scheme and self.layout.scheme.upper() == "IO" and self._may_be_bare(column):
                self.candidates[column].styles.append(BARE)
        self.first_values = [set() for _ in range(self.count)]
        self._take(itertools.chain(peek, rows))
        return self._decide()

    def _rows(self, hash_is_word: bool = False) -> Iterator[tuple[int, int, list[str]]]:
        """Line number, place in the sentence and columns of each word."""
        for block in blocks(self.path):
            place = 0
            for number, line in block:
                if _is_comment(line, self.layout) and not hash_is_word:
                    declared = _DECLARED.match(line)
                    self.declared = self.declared or (declared[1].split() if declared else [])
                    self.hashes.append((number, self.split(line)))
                    continue
                yield number, place, self.split(line)
                place += 1

    def _column(self, name: str, column: int | None) -> int | None:
        return None if column is None else column_in(name, column, self.count, str(self.path))

    def _from_names(self) -> None:
        """Use the names that CoNLL-U Plus declares (``# global.columns = ID FORM ...``)."""
        names = self.declared if len(self.declared) == self.count else []
        if self.named_word is None and "FORM" in names:
            self.named_word = names.index("FORM")
        if self.named_tag is None and "UPOS" in names and self.layout.task == "pos":
            self.named_tag = names.index("UPOS")

    def _possible(self) -> Iterable[int]:
        if self.named_tag is not None:
            return [self.named_tag]
        if self.layout.columns is not None:
            return [self.count - 1]
        return [c for c in range(self.count) if c != self.named_word and not (self.numbered and c == 0)]

    def _may_be_bare(self, column: int) -> bool:
        return column in (self.named_tag, self.count - 1)

    def _looks_numbered(self, peek: Sequence[tuple[int, int, list[str]]]) -> bool:
        """Whether the first column seems to number the words of each sentence, and there is one more for the word."""
        if self.count < 3 or self.layout.word_column == 0:
            return False
        first = [(place, cells[0]) for _, place, cells in peek if not _RANGE_OR_EMPTY.fullmatch(cells[0])]
        self.from_zero = any(place == 0 and cell == "0" for place, cell in first[:1])
        hits = self._counted(first)
        digits = sum(cell.isdecimal() for _, cell in first)
        if hits * 2 <= len(first) and digits == len(first) > 1 and self.layout.word_column is None:
            raise DistillEmbError(
                f"{self.path}: column 0 holds numbers only, so that it is in doubt where the words are: "
                "say word_column (columns are counted from 0)."
            )
        return hits * 2 > len(first)

    def _counted(self, first: Sequence[tuple[int, str]]) -> int:
        """How many cells follow the one before them."""
        expected, hits = 0, 0
        for place, cell in first:
            expected = (0 if self.from_zero else 1) if place == 0 else expected + 1
            hits += cell == str(expected)
        return hits

    def _take(self, rows: Iterable[tuple[int, int, list[str]]]) -> None:
        known = self.layout.known_tags if self.layout.task == "pos" else None
        expected, candidates = 0, list(self.candidates.items())
        for number, place, cells in rows:
            if len(cells) != self.count:
                raise self._uneven(number, cells)
            if place == 0:
                expected = 0 if self.from_zero else 1
            if self.numbered:
                if _RANGE_OR_EMPTY.fullmatch(cells[0]):
                    continue
                if cells[0] != str(expected) and self.misnumbered is None:
                    self.misnumbered = (number, cells[0])
                expected += 1
            self.longest = max(self.longest, place + 1)
            self.rows += 1
            if "" in cells:
                self.empty.setdefault(cells.index(""), number)
            if self.rows <= _PEEK:
                for values, cell in zip(self.first_values, cells, strict=True):
                    values.add(cell)
            for column, candidate in candidates:
                if cells[column] and cells[column] not in candidate.seen and not candidate.failed:
                    candidate.take(cells[column], number, known)

    def _uneven(self, number: int, cells: list[str]) -> _UnevenError:
        if self.candidates and all(candidate.failed for candidate in self.candidates.values()):
            return _UnevenError(str(self._unknown()))  # which stands before
        return _UnevenError(
            f"{self.path}, line {number}: {len(cells)} columns where {self.count} are expected "
            f"(word and tag, spaces or a tab between): {' '.join(cells)[:60]!r}; mend the line."
        )

    def _decide(self) -> Columns:
        self._check_numbers()
        self._check_empty()
        tag = self._tag_column()
        word = self._word_column(tag)
        candidate = self.candidates[tag]
        tags = None
        if self.layout.task == "ner":
            layout, style = self.layout, candidate.styles[0]
            for number, cells in [] if self.numbered or layout.comments else self.hashes:
                if len(cells) == self.count and style.part(cells[tag]) is not None:
                    candidate.seen.setdefault(cells[tag], number)
            tags = find_scheme(self.path, candidate.seen, style, layout.scheme, layout.labels)
        return Columns(self.count, word, tag, self.split, self.numbered, tags)

    def _check_numbers(self) -> None:
        if not self.numbered or self.layout.word_column is not None:
            return
        if self.misnumbered:
            line, cell = self.misnumbered
            raise DistillEmbError(
                f"{self.path}, line {line}: {cell!r} in column 0 does not number the words of a sentence as the other "
                "lines do: mend the line, or say word_column (columns are counted from 0)."
            )
        if self.longest < _ENOUGH and "FORM" not in self.declared:
            raise DistillEmbError(
                f"{self.path}: column 0 holds numbers, and no sentence has two words that would show what they count: "
                "say word_column (columns are counted from 0)."
            )

    def _check_empty(self) -> None:
        word = 1 if self.numbered else 0
        word = word if self.named_word is None else self.named_word
        for column, line in sorted(self.empty.items()):
            if column != word:
                raise DistillEmbError(
                    f"{self.path}, line {line}: column {column} is empty: mend the line (write _ for no value)."
                )

    def _tag_column(self) -> int:
        alive = [column for column, candidate in self.candidates.items() if not candidate.failed and candidate.seen]
        if self.named_tag is None and self.layout.task == "ner" and len(alive) > 1:
            alive = self._entities_among(alive)
        if len(alive) == 1:
            return alive[0]
        if alive:
            raise DistillEmbError(
                f"{self.path}: columns {' and '.join(map(str, alive))} all hold tags: "
                f"say which one with tag_column, such as tag_column = {alive[-1]} (columns are counted from 0)."
            )
        raise self._unknown()

    def _entities_among(self, alive: list[int]) -> list[int]:
        """Of columns with tags, those with entities: not those with chunks, nor those with O alone."""
        kinds = {column: self.candidates[column].kinds() for column in alive}
        alive = [c for c in alive if not kinds[c] or not kinds[c] <= _CHUNKS] or alive
        alive = [c for c in alive if kinds[c]] or alive
        return [2] if self.numbered and self.count == 4 and alive == [2, 3] else alive  # GermEval: outer, inner

    def _unknown(self) -> DistillEmbError:
        """What to say when no column holds tags only: the likeliest one is that which fails last."""
        failed = {column: c.failed for column, c in self.candidates.items() if c.failed}
        column = max(failed, key=lambda c: ((failed[c] or (0, ""))[0], c))
        line, tag = failed[column] or (0, "")
        return unknown_tag(self.path, line, tag, self.layout, column, self.count)

    def _word_column(self, tag: int) -> int:
        if self.named_word is not None:
            if self.named_word == tag:
                raise DistillEmbError(f"{self.path}: column {tag} holds the tags: say another word_column.")
            return self.named_word
        word = 1 if self.numbered else 0
        if word == tag and self.count == 2:
            word = 1 - tag
        constant = self.count > 2 and self.rows >= _FEW and len(self.first_values[word]) == 1
        if word == tag or constant:
            raise DistillEmbError(
                f"{self.path}: it is in doubt which of {self.count} columns holds the words: "
                "say word_column (columns are counted from 0)."
            )
        return word


def unknown_tag(path: Path, line: int, tag: str, layout: Layout, column: int, columns: int) -> DistillEmbError:
    """The error for a tag that is none."""
    known = listing(layout.known_tags)
    if layout.task == "ner":
        known = "O, and B-TYPE and I-TYPE (or those of BIOES, BILOU, BMES)"
    advice = ["mend the line"]
    if "*" in tag or tag.startswith("("):
        advice = ["write one tag a word instead of brackets (as in O, B-PER, I-PER)"]
    elif layout.task == "pos":
        advice.append("map the tags to these")
        advice.append("name them all in labels (of ConllCorpus or tagged_dataset)")
    elif layout.scheme is None and tag.isalpha() and len(tag) > 2:
        advice.append("say scheme = 'IO' if tags are bare types")
    if columns > 2:
        advice.append(f"say tag_column if it is not column {column}")
    return DistillEmbError(f"{path}, line {line}: unknown tag {tag!r}: {known} are known; {', or '.join(advice)}.")
