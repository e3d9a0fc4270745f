"""Reading CoNLL files into plain sentences: two columns (or more) for NER and POS, and the ten of CoNLL-U.

Only the standard library is used. What `ConllCorpus` turns into spaCy examples is made here.
"""

from __future__ import annotations

import itertools
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DistillEmbError
from ..files import numbered_lines

_OPEN_CLASSES = ("ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB")
_CLOSED_CLASSES = ("ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ")
UPOS = frozenset((*_OPEN_CLASSES, *_CLOSED_CLASSES, "PUNCT", "SYM", "X"))
TASKS = ("ner", "pos")
CONLLU_COLUMNS = 10
_IOB2 = re.compile(r"O|[BI]-\S+")
_DOCSTART = "-DOCSTART-"
_PEEK = 200  # lines looked at to tell CoNLL-U from plain columns
_NO_VALUE = "_"  # of CoNLL-U

logger = logging.getLogger("distillemb")
Block = list[tuple[int, str]]


@dataclass
class Sentence:
    """One sentence.

    Attributes:
        words: Its words.
        spaces: Whether a space follows each word.
        tags: IOB2 for NER, part of speech for POS ("" where there is none).
        xpos: Language-specific part of speech, from CoNLL-U alone.
        morphs: Morphological features, from CoNLL-U alone.
    """

    words: list[str] = field(default_factory=list)
    spaces: list[bool] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    xpos: list[str] = field(default_factory=list)
    morphs: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class Layout:
    """What the columns hold.

    Attributes:
        task: ``"ner"`` or ``"pos"``.
        columns: How many there are in a plain file.
        tag_column: The one with the tag, from 0, negative from the end.
        labels: The only tags (POS) or entity types (NER) allowed; None allows the 17 universal tags, or any type.

    Raises:
        DistillEmbError: Another task, or a column that does not exist.
    """

    task: str = "ner"
    columns: int = 2
    tag_column: int = -1
    labels: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DistillEmbError(f"ConllCorpus: task is {self.task!r}: say 'ner' or 'pos'.")
        if self.columns < 2 or not -self.columns <= self.tag_column < self.columns:
            raise DistillEmbError(
                f"ConllCorpus: tag_column {self.tag_column} of {self.columns} columns does not exist: "
                "count from 0, the word is column 0."
            )

    def check_tag(self, tag: str, path: Path, number: int) -> str:
        """The tag itself.

        Raises:
            DistillEmbError: It is unknown; the line is named.
        """
        if self.task == "ner":
            known = _IOB2.fullmatch(tag) and (tag == "O" or self.labels is None or tag[2:] in self.labels)
            allowed = "O, B-TYPE and I-TYPE" + (f" with TYPE one of {_listing(self.labels)}" if self.labels else "")
        else:
            known = tag in (UPOS if self.labels is None else self.labels)
            allowed = _listing(UPOS if self.labels is None else self.labels)
        if not known:
            raise DistillEmbError(
                f"{path}, line {number}: unknown tag {tag!r}: {allowed} are known; mend the line, or name other tags "
                "in ConllCorpus's labels."
            )
        return tag


def _listing(labels: frozenset[str] | None) -> str:
    return ", ".join(sorted(labels or ()))


def read_sentences(path: Path, layout: Layout) -> Iterator[Sentence]:
    """Stream the sentences of a file (plain or compressed). CoNLL-U is recognized by its ten tab-separated columns.

    Runs of blank lines, a byte-order mark and CRLF are handled. An ``I-`` tag that continues nothing becomes ``B-``.
    Lines with an empty word are skipped with one warning a file.

    Args:
        path: The file.
        layout: What its columns hold.

    Yields:
        Each sentence that has a word.

    Raises:
        DistillEmbError: A wrong number of columns or an unknown tag; file and line are named.
    """
    conllu = is_conllu(path)
    if conllu and layout.task == "ner":
        raise DistillEmbError(f'{path} is CoNLL-U, which holds no entities: say task = "pos", or give a NER file.')
    problems = _Problems(path)
    for block in _blocks(path):
        sentence = _conllu_sentence(block, path, layout) if conllu else _plain_sentence(block, path, layout, problems)
        if sentence.words:
            yield sentence
    problems.report()


@dataclass
class _Problems:
    """Blemishes of a file that were mended. They are told once, at its end."""

    path: Path
    empty_words: list[int] = field(default_factory=list)
    repaired: int = 0

    def report(self) -> None:
        if self.empty_words:
            lines = ", ".join(map(str, self.empty_words[:5])) + (", ..." if len(self.empty_words) > 5 else "")
            warnings.warn(f"{self.path}: skipped lines with an empty word: {lines}.", UserWarning, stacklevel=2)
        if self.repaired:
            logger.info("%s: %d I- tags without a B- before them read as B-.", self.path, self.repaired)


def is_conllu(path: Path) -> bool:
    """Whether the first line that is neither blank nor a comment has CoNLL-U's ten tab-separated columns."""
    for _, line in itertools.islice(numbered_lines(path), _PEEK):
        if line.strip() and not line.startswith("#"):
            return line.count("\t") == CONLLU_COLUMNS - 1
    return False


def _blocks(path: Path) -> Iterator[Block]:
    """Runs of lines between blank ones."""
    block: Block = []
    for number, line in numbered_lines(path):
        if line.strip(" \t\r"):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _plain_sentence(block: Block, path: Path, layout: Layout, problems: _Problems) -> Sentence:
    sentence = Sentence()
    for number, raw in block:
        line = raw.rstrip(" \t\r")
        cells = line.split("\t") if "\t" in line else line.split(" ")
        if cells[0] == _DOCSTART:
            continue
        if len(cells) != layout.columns:
            raise DistillEmbError(
                f"{path}, line {number}: {len(cells)} columns where {layout.columns} are expected "
                f"(word and tag, one space or tab between): {line[:60]!r}."
            )
        tag = layout.check_tag(cells[layout.tag_column], path, number)
        if not cells[0].strip():
            problems.empty_words.append(number)
            continue
        if layout.task == "ner":
            mended = _repaired(tag, sentence.tags[-1] if sentence.tags else "O")
            problems.repaired += mended != tag
            tag = mended
        sentence.words.append(cells[0])
        sentence.tags.append(tag)
    sentence.spaces = [True] * (len(sentence) - 1) + [False] * bool(len(sentence))
    return sentence


def _repaired(tag: str, before: str) -> str:
    """``I-X`` that does not continue an entity of type X begins one (the reading of conlleval and seqeval)."""
    return f"B-{tag[2:]}" if tag.startswith("I-") and before[2:] != tag[2:] else tag


def _conllu_sentence(block: Block, path: Path, layout: Layout) -> Sentence:
    """The syntactic words of a CoNLL-U sentence; ranges (1-2) and empty nodes (1.1) are left out."""
    sentence = Sentence()
    for number, line in block:
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != CONLLU_COLUMNS:
            raise DistillEmbError(
                f"{path}, line {number}: {len(cells)} columns where CoNLL-U has {CONLLU_COLUMNS}: {line[:60]!r}."
            )
        if not cells[0].isdecimal():
            continue
        sentence.words.append(cells[1])
        sentence.spaces.append("SpaceAfter=No" not in cells[9].split("|"))
        sentence.tags.append("" if cells[3] == _NO_VALUE else layout.check_tag(cells[3], path, number))
        sentence.xpos.append("" if cells[4] == _NO_VALUE else cells[4])
        sentence.morphs.append("" if cells[5] == _NO_VALUE else cells[5])
    return sentence


def conll_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that paths stand for: files as they are, directories searched, ``*`` patterns expanded; sorted.

    Raises:
        DistillEmbError: One of them stands for no file.
    """
    return [file for path in paths for file in _files_of(Path(path))]


_SUFFIXES = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".tsv", ".txt")
_COMPRESSIONS = (".gz", ".xz", ".bz2")
_NOT_DATA = ("license", "licence", "readme", ".")


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.is_file() and _looks_like_data(file)]
    else:
        anchor = Path(path.anchor)
        found = [f for f in anchor.glob(str(path.relative_to(anchor))) if f.is_file()] if "*" in str(path) else []
    if not found:
        raise DistillEmbError(
            f"ConllCorpus: {path} is no file, pattern, or directory with {', '.join(_SUFFIXES)} files: check the path."
        )
    return sorted(found)


def _looks_like_data(file: Path) -> bool:
    name = file.name.lower()
    bare = Path(name).stem if name.endswith(_COMPRESSIONS) else name
    return bare.endswith(_SUFFIXES) and not name.startswith(_NOT_DATA)
