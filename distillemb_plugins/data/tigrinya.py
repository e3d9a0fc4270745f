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

from ..errors import DistillEmbError
from ..files import numbered_lines
from .sources import task_file
from .tagged import dataset_of, split_sentences, tag_names

if TYPE_CHECKING:
    from datasets import DatasetDict

TYPES = ("DATE", "LOC", "MISC", "ORG", "PER")
TAGS = tag_names({f"B-{kind}" for kind in TYPES}, "ner")
NER_CORPUS = "tir-mehari/Tigrinya-NER-Dataset.txt"
_GLUED = re.compile(rf"(.*[^\x00-\x7f])(O|[BI]-(?:{'|'.join(TYPES)}))")
Sentence = list[tuple[str, str]]


@dataclass
class Corpus:
    """Sentences of (word, tag) pairs, no two with the same letters; each repair, and the sorts; what was dropped."""

    sentences: list[Sentence] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0


def letters(text: str) -> str:
    """A text without what is no letter or digit: what two versions of one sentence have in common."""
    return re.sub(r"\W+", "", text)


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
    corpus = Corpus()
    found = [sentence for sentence in _sentences(file, corpus) if sentence]
    kept: dict[str, Sentence] = {}
    for sentence in found:
        kept.setdefault(sentence_letters(sentence), sentence)
    corpus.sentences, corpus.dropped = list(kept.values()), len(found) - len(kept)
    if not found:
        raise DistillEmbError(f"{file} holds no sentence: give a file of words with tags.")
    return corpus


def _sentences(file: Path, corpus: Corpus) -> list[Sentence]:
    sentences: list[Sentence] = [[]]
    for number, line in numbered_lines(file):
        cells = line.split()
        if len(cells) > 2:
            raise DistillEmbError(f"{file}, line {number}: {len(cells)} columns: write a word, a space and its tag.")
        if not cells:
            sentences.append([])
            continue
        word, tag, kind = _mend(cells, sentences[-1][-1][1] if sentences[-1] else "O")
        if kind:
            corpus.mended.append(f"line {number}, {line.strip()}: {kind}, read as {tag}")
            corpus.kinds[kind] += 1
        sentences[-1].append((word, tag))
    return sentences


def _mend(cells: list[str], before: str) -> tuple[str, str, str]:
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
    meant = [known for known in TAGS if known.startswith(tag.upper())] if "-" in tag else []
    return meant[0] if len(meant) == 1 else "O"


def split(sentences: list[Sentence], seed: int = 0) -> dict[str, list[Sentence]]:
    """train, dev and test (70, 10 and 20 %), drawn by sentence; the same seed gives the same split."""
    return split_sentences(sentences, dev=0.1, test=0.2, seed=seed)


def tigrinya_dataset(data: Path) -> DatasetDict:
    """The splits as `tagged_dataset` gives them."""
    parts = split(tigrinya_corpus(data).sentences)
    words = {name: [[word for word, _ in sentence] for sentence in part] for name, part in parts.items()}
    tags = {name: [[tag for _, tag in sentence] for sentence in part] for name, part in parts.items()}
    return dataset_of({name: (words[name], tags[name]) for name in parts}, TAGS)
