"""The Tigrinya NER corpus of Yohannes & Amagasa (2022): read, mended, split.

The file holds 5,703 sentences (PER, LOC, ORG, DATE, MISC) without a split, with CRLF, a few words without a tag, words
that the tag is glued to, and misspelt tags. What is mended is said line by line.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from distillemb_plugins.data.sources import task_file
from distillemb_plugins.data.tagged import dataset_of, split_sentences, tag_names
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import numbered_lines

if TYPE_CHECKING:
    from datasets import DatasetDict

TYPES = ("DATE", "LOC", "MISC", "ORG", "PER")
TAGS = tag_names({f"B-{kind}" for kind in TYPES}, "ner")
SHARES = {"dev": 0.1, "test": 0.2}
SPLIT_SEED = 0
NER_CORPUS = "tir-mehari/Tigrinya-NER-Dataset.txt"
_GLUED = re.compile(rf"(.*[^\x00-\x7f])(O|[BI]-(?:{'|'.join(TYPES)}))")
_NO_LETTER = re.compile(r"\W+")

Sentence = list[tuple[str, str]]


@dataclass
class Corpus:
    """The sentences as (word, tag) pairs, no two with the same letters.

    mended: a line for each repair. kinds: their sorts and how often each occurs. dropped: repeated sentences.
    """

    sentences: list[Sentence] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0

    @property
    def words(self) -> int:
        """Words of all sentences."""
        return sum(len(sentence) for sentence in self.sentences)


def letters(text: str) -> str:
    """A text without what is no letter or digit: what two versions of one sentence have in common."""
    return _NO_LETTER.sub("", text)


def sentence_letters(sentence: Sentence) -> str:
    """The letters of a sentence."""
    return letters("".join(word for word, _ in sentence))


def tigrinya_corpus(data: Path) -> Corpus:
    """The corpus in the data, mended."""
    return read_corpus(task_file(data, "ner", NER_CORPUS) or data / "tasks" / "ner" / NER_CORPUS)


def read_corpus(file: Path) -> Corpus:
    """Read and mend the file; of sentences with the same letters the first is kept.

    Raises `DistillEmbError` when there is no file, no sentence, or a line of more than two columns.
    """
    if not file.is_file():
        raise DistillEmbError(f"There is no file {file}: give --data DIR with tasks/ner/tir-mehari.")
    corpus, seen = Corpus(), set()
    for sentence in _sentences(file, corpus):
        key = sentence_letters(sentence)
        if key in seen:
            corpus.dropped += 1
        else:
            seen.add(key)
            corpus.sentences.append(sentence)
    if not corpus.sentences:
        raise DistillEmbError(f"{file} holds no sentence: give a file of words with tags.")
    return corpus


def _sentences(file: Path, corpus: Corpus) -> list[Sentence]:
    sentences: list[Sentence] = [[]]
    for number, line in numbered_lines(file):
        cells = line.split()
        if not cells and sentences[-1]:
            sentences.append([])
        if not cells:
            continue
        if len(cells) > 2:
            raise DistillEmbError(f"{file}, line {number}: {len(cells)} columns: write a word, a space and its tag.")
        word, tag, kind = mend(cells, sentences[-1][-1][1] if sentences[-1] else "O")
        if kind:
            corpus.mended.append(f"line {number}, {line.strip()}: {kind}, read as {tag}")
            corpus.kinds[kind] += 1
        sentences[-1].append((word, tag))
    return [sentence for sentence in sentences if sentence]


def mend(cells: list[str], before: str) -> tuple[str, str, str]:
    """Word, tag and the kind of repair ("" for none) of one line. before: the tag of the word before, "O" for none."""
    if len(cells) == 1:
        glued = _GLUED.fullmatch(cells[0])
        return (glued[1], glued[2], "tag glued to its word") if glued else (cells[0], "O", "no tag")
    word, tag = cells
    known = _known_tag(tag)
    if known.startswith("I-") and before[2:] != known[2:]:
        return word, f"B-{known[2:]}", "I- that continues nothing"
    return word, known, "misspelt tag" if known != tag else ""


def _known_tag(tag: str) -> str:
    """The tag itself, the one it is a beginning of (B-LO), whatever its case (B-DATe), or O (IO, BO)."""
    upper = tag.upper()
    if upper in TAGS:
        return upper
    meant = [known for known in TAGS if known.startswith(upper)] if "-" in upper else []
    return meant[0] if len(meant) == 1 else "O"


def split(sentences: list[Sentence], seed: int = SPLIT_SEED) -> dict[str, list[Sentence]]:
    """train, dev and test (70, 10 and 20 %), drawn by sentence; the same seed gives the same split."""
    return split_sentences(sentences, SHARES["dev"], SHARES["test"], seed)


def tigrinya_dataset(parts: dict[str, list[Sentence]]) -> DatasetDict:
    """The splits as a `datasets.DatasetDict`, as `distillemb_plugins.data.tagged` gives them."""
    columns = {
        name: (
            [[word for word, _ in sentence] for sentence in sentences],
            [[tag for _, tag in sentence] for sentence in sentences],
        )
        for name, sentences in parts.items()
    }
    return dataset_of(columns, TAGS)
