"""What the columns of a tagged file hold, and the sentences that are read from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import DistillEmbError
from .tag_schemes import SCHEMES, scheme_named

_OPEN_CLASSES = ("ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB")
_CLOSED_CLASSES = ("ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ")
UPOS = frozenset((*_OPEN_CLASSES, *_CLOSED_CLASSES, "PUNCT", "SYM", "X"))
TASKS = ("ner", "pos")
WORDS = ("syntactic", "surface")


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
    """What the columns of a file hold. What is None is found out from the whole file, and refused in doubt.

    Columns are counted from 0, or from the end when negative.

    Attributes:
        task: ``"ner"`` or ``"pos"``.
        columns: How many there are in a plain file. When given, the last one holds the tag unless `tag_column` says
            otherwise.
        tag_column: The one with the tag. In CoNLL-U the tag is UPOS, also for -1.
        labels: The only tags (POS) or entity types (NER) allowed; None allows the 17 universal tags, or any type.
        word_column: The one with the word. In CoNLL-U the word is FORM.
        scheme: How NER tags mark entities: ``"IOB1"``, ``"IOB2"`` (or ``"BIO"``), ``"BIOES"`` (or ``"IOBES"``),
            ``"BILOU"`` (or ``"BILUO"``), ``"BMES"`` or ``"IO"``. Whatever it is, the tags of a `Sentence` are IOB2.
            Bare types (``PERSON``, ``O``) are read when the scheme is given as ``"IO"``.
        comments: Whether lines that begin with ``#`` are comments. None: those that are no word with a tag and stand
            before a sentence.
        words: ``"syntactic"`` or ``"surface"``: the words of CoNLL-U where several stand for one in the text. A
            surface word has the tags of the syntactic word that heads the others.

    Raises:
        DistillEmbError: Another task, scheme or kind of words, or a column that cannot be.
    """

    task: str = "ner"
    columns: int | None = None
    tag_column: int | None = None
    labels: frozenset[str] | None = None
    word_column: int | None = None
    scheme: str | None = None
    comments: bool | None = None
    words: str = "syntactic"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DistillEmbError(f"task is {self.task!r}: say 'ner' or 'pos'.")
        if self.words not in WORDS:
            raise DistillEmbError(f"words is {self.words!r}: say 'syntactic' or 'surface'.")
        if self.scheme is not None:
            if self.task == "pos":
                raise DistillEmbError(f"scheme is {self.scheme!r}, but parts of speech have none: leave it out.")
            if scheme_named(self.scheme) is None:
                raise DistillEmbError(f"scheme is {self.scheme!r}: say one of {', '.join(SCHEMES)}, or leave it out.")
        if self.columns is not None and self.columns < 2:
            raise DistillEmbError(f"columns is {self.columns}: a word and its tag need at least 2.")
        for name, column in (("tag_column", self.tag_column), ("word_column", self.word_column)):
            if self.columns is not None and column is not None:
                column_in(name, column, self.columns)
        if self.tag_column is not None and self.tag_column == self.word_column:
            raise DistillEmbError(f"tag_column and word_column are both {self.tag_column}: name two columns.")

    @property
    def known_tags(self) -> frozenset[str]:
        """The tags that POS may have."""
        return UPOS if self.labels is None else self.labels


def column_in(name: str, column: int, columns: int, place: str = "") -> int:
    """A column counted from 0, or negative from the end, as one from 0; place: the file, for the message."""
    if not -columns <= column < columns:
        where = f"{place}: " if place else ""
        raise DistillEmbError(f"{where}{name} {column} of {columns} columns does not exist: count them from 0.")
    return column % columns


def listing(labels: Iterable[str] | None) -> str:
    """Labels in the order of the alphabet, for a message."""
    return ", ".join(sorted(labels or ()))
