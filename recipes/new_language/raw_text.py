"""The raw text of a language: found, checked, counted, and written once without its duplicates."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from distillemb_plugins.data.overlap import sentence_key
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file, numbered_lines
from distillemb_plugins.text import tokenize

SUFFIXES = (".txt", ".text")
PACKED = (".gz", ".xz", ".bz2")
LEAST_WORDS = 20_000
FEW_WORDS = 200_000
# What a number of words is worth; the figures behind it are in README.md.
EXPECTATIONS = (
    (FEW_WORDS, "very little text: expect spelling more than meaning, and a small gain"),
    (2_000_000, "little text, and enough for a gain on tagging: a few hundred thousand words are the usual beginning"),
    (20_000_000, "a fair amount of text: neighbours by meaning for the frequent words"),
)
PLENTY = "plenty of text: the defaults of `distillemb teach` and `distill` are made for it, and worth a try"
_EXAMPLES = 3
_LETTERS = 60


@dataclass(frozen=True)
class TextFacts:
    """What the text is. duplicates: lines left out because they came before; tagged: because they are dev or test
    sentences. words, distinct: of what is kept. letters: its letters, the most frequent first. blemishes: lines with
    each oddity. examples: a few lines.
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


def text_files(place: Path) -> list[Path]:
    """The text files that a path stands for: a file, or a folder searched (.txt, also packed), sorted.

    Raises `DistillEmbError` when there are none.
    """
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
    files: Sequence[Path], out: Path, held_back: Collection[str] = (), least_words: int = LEAST_WORDS
) -> tuple[TextFacts, Counter[str]]:
    """Check the files, and write their lines to `out`, each once, in NFC; returns what they are and the words' counts.

    held_back: sentences (`sentence_key`) that shall not be in the text: those a tagger is tested on. Memory grows
    with the number of lines (8 bytes) and of distinct words. Raises `DistillEmbError` naming file and line for what
    is not UTF-8, and when there are fewer than `least_words` words.
    """
    counter = _Counter(frozenset(held_back))
    with atomic_file(out, "w") as stream:
        for line in counter.kept(files):
            stream.write(line + "\n")
        facts = counter.facts(files)
        _check_enough(facts, files, least_words)
    return facts, counter.words


def _check_enough(facts: TextFacts, files: Sequence[Path], least_words: int) -> None:
    if facts.words < least_words:
        where = files[0].parent if len(files) > 1 else files[0]
        raise DistillEmbError(
            f"{where} holds {facts.words:,} words (without duplicates), and at least {least_words:,} are needed for "
            f"vectors that say anything: collect more text ({FEW_WORDS:,} words are a beginning, more is better), or "
            "lower --least-words and expect little more than spelling."
        )


def expectation(words: int) -> str:
    """What so many words are good for, as half a sentence."""
    return next((text for limit, text in EXPECTATIONS if words < limit), PLENTY)


class _Counter:
    """Reads lines once, keeps the new ones, and counts what they hold."""

    def __init__(self, held_back: frozenset[str]) -> None:
        self.held_back = held_back
        self.seen: set[bytes] = set()
        self.words: Counter[str] = Counter()
        self.letters: Counter[str] = Counter()
        self.blemishes: Counter[str] = Counter()
        self.examples: list[str] = []
        self.lines = self.duplicates = self.tagged = self.characters = 0

    def kept(self, files: Sequence[Path]) -> Iterator[str]:
        for file in files:
            for _, raw in numbered_lines(file):
                line = unicodedata.normalize("NFC", raw).strip()
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
        self.lines += 1
        self.characters += len(line)
        self.words.update(tokens)
        self.letters.update(c for c in line if c.isalpha() or unicodedata.combining(c))
        for name, odd in _BLEMISHES.items():
            self.blemishes[name] += odd(raw)
        if len(self.examples) < _EXAMPLES and len(tokens) > 4:
            self.examples.append(line[:240] + ("…" if len(line) > 240 else ""))

    def facts(self, files: Sequence[Path]) -> TextFacts:
        return TextFacts(
            files=[str(file) for file in files],
            lines=self.lines,
            duplicates=self.duplicates,
            tagged=self.tagged,
            words=sum(n for word, n in self.words.items() if is_word(word)),
            distinct=sum(is_word(word) for word in self.words),
            characters=self.characters,
            letters=[c for c, _ in self.letters.most_common(_LETTERS)],
            blemishes={name: n for name, n in self.blemishes.items() if n},
            examples=self.examples,
        )


def is_word(token: str) -> bool:
    """Whether a token holds a letter (punctuation and numbers are no words)."""
    return any(c.isalpha() for c in token)


_BLEMISHES = {
    "not in the normal form NFC (it is brought into it)": lambda raw: raw != unicodedata.normalize("NFC", raw),
    "with U+FFFD, the mark of a wrong conversion": lambda raw: "\ufffd" in raw,
    "with control or zero-width characters": lambda raw: any(
        unicodedata.category(c) in ("Cc", "Cf") and c != "\t" for c in raw
    ),
    "of more than 1,000 words": lambda raw: raw.count(" ") > 1000,
}
