"""The raw text of a language: found, checked, counted, and written once without its duplicates."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ..data.overlap import sentence_key
from ..errors import DistillEmbError
from ..files import atomic_file, numbered_lines
from ..text import is_word, normalize, tokenize
from .settings import MIN_WORDS

SUFFIXES = (".txt", ".text")
PACKED = (".gz", ".xz", ".bz2")
FEW_WORDS = 200_000
# What a number of words is worth.
EXPECTATIONS = (
    (FEW_WORDS, "very little text: expect spelling more than meaning, and a small gain"),
    (2_000_000, "little text, and enough for a gain on tagging: a few hundred thousand words are the usual beginning"),
    (20_000_000, "a fair amount of text: neighbors by meaning for the frequent words"),
)
PLENTY = "plenty of text: the defaults of `distillemb teach` and `distill` are made for it, and worth a try"
_EXAMPLES = 3
_LETTERS = 60


@dataclass(frozen=True)
class TextFacts:
    """What the text is.

    Attributes:
        files: The files that were read.
        lines: Lines that are kept.
        duplicates: Lines left out because they came before.
        tagged: Lines left out because they are dev or test sentences.
        words: Words of what is kept.
        distinct: Different words.
        characters: Characters of what is kept.
        letters: The letters, the most frequent first.
        blemishes: The number of lines with each oddity.
        examples: A few lines.
    """

    files: list[str]
    lines: int
    duplicates: int
    tagged: int
    words: int
    distinct: int
    characters: int
    letters: list[str]
    blemishes: dict[str, int]
    examples: list[str]


def text_files(places: Sequence[Path]) -> list[Path]:
    """The text files that paths stand for: files as they are, folders searched (.txt, also packed), sorted.

    Raises:
        DistillEmbError: A path does not exist, or a folder holds no text.
    """
    return [file for place in places for file in _files_of(place)]


def _files_of(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DistillEmbError(f"There is no folder {place}: give the folder with your text files (.txt).")
    found = sorted(file for file in place.rglob("*") if file.is_file() and _is_text(file))
    if not found:
        raise DistillEmbError(f"{place} holds no text file: put {', '.join(SUFFIXES)} files (or packed ones) into it.")
    return found


def _is_text(file: Path) -> bool:
    name = file.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return name.endswith(SUFFIXES) and not name.startswith((".", "readme", "license", "licence"))


def prepare_text(
    files: Sequence[Path], out: Path, held_back: Collection[str] = (), min_words: int = MIN_WORDS
) -> tuple[TextFacts, Counter[str]]:
    """Check text files and write their lines to one file, each once, in NFC.

    Memory grows with the number of lines (8 bytes each) and of different words.

    Args:
        files: The files.
        out: The file to write.
        held_back: Sentences (`sentence_key`) to leave out: those that a tagger is scored on.
        min_words: A text of fewer words is refused.

    Returns:
        What the text is, and the number of occurrences of each token.

    Raises:
        DistillEmbError: A line is not UTF-8 (file and line are named), or there are too few words.
    """
    reader = _Reader(frozenset(held_back))
    with atomic_file(out, "w") as stream:
        for line in reader.lines(files):
            stream.write(line + "\n")
        facts = reader.facts(files)
        if facts.words < min_words:
            where = files[0].parent if len(files) > 1 else files[0]
            raise DistillEmbError(
                f"{where} holds {facts.words:,} words (without duplicates), and at least {min_words:,} are needed for "
                f"vectors that say anything: collect more text ({FEW_WORDS:,} words are a beginning, more is better), "
                "or lower --min-words and expect little more than spelling."
            )
    return facts, reader.words


def expectation(words: int) -> str:
    """What so many words are good for, as half a sentence."""
    return next((text for limit, text in EXPECTATIONS if words < limit), PLENTY)


class _Reader:
    """Reads lines once, keeps the new ones, and counts what they hold."""

    def __init__(self, held_back: frozenset[str]) -> None:
        self.held_back = held_back
        self.seen: set[bytes] = set()
        self.words: Counter[str] = Counter()
        self.letters: Counter[str] = Counter()
        self.blemishes: Counter[str] = Counter()
        self.examples: list[str] = []
        self.kept = self.duplicates = self.tagged = self.characters = 0

    def lines(self, files: Sequence[Path]) -> Iterator[str]:
        for file in files:
            for _, raw in numbered_lines(file):
                line = normalize(raw).strip()
                if line and self._is_new(line):
                    self._count(raw, line)
                    yield line

    def _is_new(self, line: str) -> bool:
        digest = blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if digest in self.seen:
            self.duplicates += 1
            return False
        self.seen.add(digest)
        if self.held_back and sentence_key(line) in self.held_back:
            self.tagged += 1
            return False
        return True

    def _count(self, raw: str, line: str) -> None:
        tokens = tokenize(line)
        self.kept += 1
        self.characters += len(line)
        self.words.update(tokens)
        self.letters.update(c for c in line if c.isalpha() or unicodedata.combining(c))
        self.blemishes.update(name for name, odd in _BLEMISHES.items() if odd(raw))
        if len(self.examples) < _EXAMPLES and len(tokens) > 4:
            self.examples.append(line[:240] + ("…" if len(line) > 240 else ""))

    def facts(self, files: Sequence[Path]) -> TextFacts:
        return TextFacts(
            files=[str(file) for file in files],
            lines=self.kept,
            duplicates=self.duplicates,
            tagged=self.tagged,
            words=sum(n for word, n in self.words.items() if is_word(word)),
            distinct=sum(is_word(word) for word in self.words),
            characters=self.characters,
            letters=[c for c, _ in self.letters.most_common(_LETTERS)],
            blemishes={name: self.blemishes[name] for name in _BLEMISHES if self.blemishes[name]},
            examples=self.examples,
        )


_BLEMISHES = {
    "not in the normal form NFC (they are brought into it)": lambda raw: raw != normalize(raw),
    "with U+FFFD, the mark of a wrong conversion": lambda raw: "\ufffd" in raw,
    "with control or zero-width characters": lambda raw: any(
        unicodedata.category(c) in ("Cc", "Cf") and c != "\t" for c in raw
    ),
    "of more than 1,000 words": lambda raw: raw.count(" ") > 1000,
}
