"""The tagged sentences: found, checked, split where a split is missing, and written in one plain form."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..data.conll import Layout, Sentence, conll_files, read_sentences
from ..data.overlap import sentence_key
from ..errors import DistillEmbError
from ..files import atomic_file

SPLITS = ("train", "dev", "test")
_NAMES = {
    "train": ("train",),
    "dev": ("dev", "valid", "validation", "development"),
    "test": ("test",),
}
_SHARE = 0.1  # of the sentences, for a split that has to be made
_LEAST = 20  # sentences, to train and score anything at all
Splits = dict[str, list[Sentence]]


@dataclass(frozen=True)
class TaggedFacts:
    """What the tagged sentences are.

    Attributes:
        files: The files of each split.
        sentences: Sentences of each split.
        words: Words of each split.
        labels: Entities (or words) of each label in train.
        made: Splits that were drawn from train.
        duplicates: Sentences of train that stood in dev or test too and were taken out of it.
    """

    files: dict[str, str]
    sentences: dict[str, int]
    words: dict[str, int]
    labels: dict[str, int]
    made: list[str]
    duplicates: int


def find_splits(place: Path) -> dict[str, list[Path]]:
    """The files of each split by a word in their names (train, dev or valid, test); a single file is all ``train``.

    Raises:
        DistillEmbError: There is nothing to train on.
    """
    if place.is_file():
        return {"train": [place]}
    if not place.is_dir():
        raise DistillEmbError(f"There is no {place}: give --conll a CoNLL file, or a folder with train, dev and test.")
    found: dict[str, list[Path]] = {}
    for file in conll_files([place]):
        parts = re.split("[^a-z]+", file.name.lower())
        split = next((split for split, names in _NAMES.items() if set(names) & set(parts)), None)
        if split:
            found.setdefault(split, []).append(file)
    if "train" not in found:
        files = conll_files([place])
        if len(files) > 1:
            raise DistillEmbError(f"{place} holds {len(files)} files and none is named train: name it train.txt.")
        found = {"train": files}
    return found


def prepare_tagged(place: Path, out: Path, task: str, seed: int = 0, columns: int = 2) -> tuple[TaggedFacts, Splits]:
    """Read and check the tagged sentences, and write ``train.txt``, ``dev.txt``, ``test.txt`` into `out`.

    Args:
        place: A file or a folder.
        out: The folder to write into.
        task: ``"ner"`` or ``"pos"``.
        seed: Draws the splits that are missing.
        columns: Columns of the files. The first one is the word, the last one the tag.

    Raises:
        DistillEmbError: A line cannot be read (file and line are named), or there are too few sentences.
    """
    files = find_splits(place)
    layout = Layout(task=task, columns=columns)
    splits = {name: [s for file in some for s in read_sentences(file, layout)] for name, some in files.items()}
    if sum(map(len, splits.values())) < _LEAST:
        raise DistillEmbError(
            f"{place} holds {sum(map(len, splits.values()))} tagged sentences, and at least {_LEAST} are needed to "
            "train and score a tagger (a few hundred for one of use): tag more, or leave --conll out."
        )
    made = _make_missing(splits, seed)
    duplicates = _without_duplicates(splits)
    if not splits["train"]:
        raise DistillEmbError(f"Every sentence of train in {place} stands in dev or test too: give other splits.")
    for name in SPLITS:
        _write(splits[name], out / f"{name}.txt")
    return _facts(files, splits, made, duplicates, task), splits


def _make_missing(splits: Splits, seed: int) -> list[str]:
    """Draw dev and test, where they are missing, from the shuffled sentences of train."""
    missing = [name for name in ("dev", "test") if not splits.get(name)]
    if missing:
        pool = list(splits["train"])
        random.Random(seed).shuffle(pool)
        size = max(1, round(_SHARE * len(pool)))
        for name in missing:
            splits[name], pool = pool[:size], pool[size:]
        splits["train"] = pool
    return missing


def _without_duplicates(splits: Splits) -> int:
    """Take sentences out of train that stand in dev or test: they would make the scores look better than they are."""
    scored = {sentence_key(s.words) for name in ("dev", "test") for s in splits[name]}
    kept = [s for s in splits["train"] if sentence_key(s.words) not in scored]
    duplicates = len(splits["train"]) - len(kept)
    splits["train"] = kept
    return duplicates


def _write(sentences: list[Sentence], file: Path) -> None:
    with atomic_file(file, "w") as stream:
        for sentence in sentences:
            pairs = zip(sentence.words, sentence.tags, strict=True)
            stream.write("".join(f"{_one_word(word)} {tag or 'X'}\n" for word, tag in pairs) + "\n")


def _one_word(word: str) -> str:
    """A word without spaces (tab-separated files may hold some): they separate the columns here."""
    return "_".join(word.split())


def _facts(files: dict[str, list[Path]], splits: Splits, made: list[str], duplicates: int, task: str) -> TaggedFacts:
    labels = Counter(
        tag[2:] if task == "ner" else tag
        for sentence in splits["train"]
        for tag in sentence.tags
        if task != "ner" or tag.startswith("B-")
    )
    return TaggedFacts(
        files={name: ", ".join(map(str, some)) for name, some in files.items()},
        sentences={name: len(splits[name]) for name in SPLITS},
        words={name: sum(map(len, splits[name])) for name in SPLITS},
        labels=dict(labels.most_common()),
        made=made,
        duplicates=duplicates,
    )


def read_splits(folder: Path, task: str) -> Splits:
    """The splits that `prepare_tagged` wrote."""
    return {name: list(read_sentences(folder / f"{name}.txt", Layout(task=task))) for name in SPLITS}
