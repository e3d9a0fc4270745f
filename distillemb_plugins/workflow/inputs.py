"""What a build is given: raw text and tagged sentences, found, checked, and written once in one plain form."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..data.conll import conll_files, read_sentences
from ..data.layout import Layout, Sentence
from ..data.overlap import sentence_key
from ..data.tagged import NO_TAG
from ..errors import DistillEmbError
from ..files import atomic_file, is_data, numbered_lines
from ..runs import Facts
from ..teachers.amount import MIN_WORDS, check_amount, count_words, expectation
from ..text import is_word, normalize, tokenize

_SUFFIXES = (".txt", ".text")
_EXAMPLES = 3
_LETTERS = 60
_BLEMISHES = {
    "not in the normal form NFC (they are brought into it)": lambda raw: raw != normalize(raw),
    "with U+FFFD, the mark of a wrong conversion": lambda raw: "\ufffd" in raw,
    "with control or zero-width characters": lambda raw: any(
        unicodedata.category(c) in ("Cc", "Cf") and c != "\t" for c in raw
    ),
    "of more than 1,000 words": lambda raw: raw.count(" ") > 1000,
}

SPLITS = {"train": {"train"}, "dev": {"dev", "valid", "validation", "development"}, "test": {"test"}}
_SHARE = 0.1  # of the sentences, for a split that has to be made
_LEAST = 20  # sentences, to train and score anything at all
Splits = dict[str, list[Sentence]]


def text_files(places: Sequence[Path]) -> list[Path]:
    """The text files that paths stand for: files as they are, folders searched (.txt, also packed), sorted."""
    found: list[Path] = []
    for place in places:
        if not place.is_file() and not place.is_dir():
            raise DistillEmbError(f"There is no folder {place}: give the folder with your text files (.txt).")
        files = [place] if place.is_file() else sorted(file for file in place.rglob("*") if is_data(file, _SUFFIXES))
        if not files:
            raise DistillEmbError(
                f"{place} holds no text file: put {', '.join(_SUFFIXES)} files (or packed ones) into it."
            )
        found += files
    return found


def check_text(places: Sequence[Path], min_words: int) -> None:
    """Refuse too little text, before anything slow is loaded. Reads no more than it takes to know."""
    files, words = text_files(places), 0
    for line in (line for file in files for _, line in numbered_lines(file)):
        if words >= min_words:
            return
        words += sum(map(is_word, tokenize(normalize(line))))
    check_amount(words, min_words, _where(files))


def _where(files: Sequence[Path]) -> Path:
    return files[0].parent if len(files) > 1 else files[0]


def prepare_text(
    files: Sequence[Path], out: Path, held_back: Collection[str] = (), min_words: int = MIN_WORDS
) -> tuple[Facts, Counter[str]]:
    """Check text files and write their lines to one file, each once, in NFC.

    Memory grows with the number of lines (8 bytes each) and of different words.

    held_back: sentences (`sentence_key`) to leave out: those that a tagger is scored on. Returns what the text is, and
    the number of occurrences of each token.
    """
    seen: set[bytes] = set()
    held_back, examples = frozenset(held_back), list[str]()
    words, letters, blemishes = Counter[str](), Counter[str](), Counter[str]()
    facts: Facts = {"files": list(map(str, files)), "lines": 0, "duplicates": 0, "tagged": 0}
    characters = 0
    with atomic_file(out, "w") as stream:
        for raw in (raw for file in files for _, raw in numbered_lines(file)):
            line = normalize(raw).strip()
            digest = blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            if not line:
                continue
            if digest in seen:
                facts["duplicates"] += 1
                continue
            seen.add(digest)
            if held_back and sentence_key(line) in held_back:
                facts["tagged"] += 1
                continue
            stream.write(line + "\n")
            tokens = tokenize(line)
            facts["lines"] += 1
            characters += len(line)
            words.update(tokens)
            letters.update(c for c in line if c.isalpha() or unicodedata.combining(c))
            blemishes.update(name for name, is_odd in _BLEMISHES.items() if is_odd(raw))
            if len(examples) < _EXAMPLES and len(tokens) > 4:
                examples.append(line[:240] + ("…" if len(line) > 240 else ""))
        count = count_words(words)
        check_amount(count, min_words, _where(files))
    facts |= {
        "words": count,
        "distinct": sum(map(is_word, words)),
        "characters": characters,
        "letters": [c for c, _ in letters.most_common(_LETTERS)],
        "blemishes": {name: blemishes[name] for name in _BLEMISHES if blemishes[name]},
        "examples": examples,
        "expectation": expectation(count),
    }
    return facts, words


def find_splits(place: Path) -> dict[str, list[Path]]:
    """The files of each split by a word in their names (train, dev or valid, test); a single file is all ``train``."""
    if place.is_file():
        return {"train": [place]}
    if not place.is_dir():
        raise DistillEmbError(f"There is no {place}: give --conll a CoNLL file, or a folder with train, dev and test.")
    files = conll_files([place])
    found: dict[str, list[Path]] = {}
    for file in files:
        parts = re.split("[^a-z]+", file.name.lower())
        if split := next((split for split, names in SPLITS.items() if names.intersection(parts)), None):
            found.setdefault(split, []).append(file)
    if "train" in found:
        return found
    if len(files) > 1:
        raise DistillEmbError(f"{place} holds {len(files)} files and none is named train: name it train.txt.")
    return {"train": files}


def prepare_tagged(place: Path, out: Path, task: str, seed: int = 0, **layout: Any) -> Facts:
    """Read and check the tagged sentences, and write ``train.txt``, ``dev.txt``, ``test.txt`` into `out`.

    The seed draws the splits that are missing. layout: options of `Layout`, such as ``tag_column``, for files of which
    something cannot be found out. Returns what the sentences are.
    """
    files, options = find_splits(place), Layout(task=task, **layout)
    splits = {name: [s for file in some for s in read_sentences(file, options)] for name, some in files.items()}
    if (number := sum(map(len, splits.values()))) < _LEAST:
        raise DistillEmbError(
            f"{place} holds {number} tagged sentences, and at least {_LEAST} are needed to train and score a tagger "
            "(a few hundred for one of use): tag more, or leave --conll out."
        )
    made = [name for name in ("dev", "test") if not splits.get(name)]
    if made:
        pool = list(splits["train"])
        random.Random(seed).shuffle(pool)
        size = max(1, round(_SHARE * len(pool)))
        for name in made:
            splits[name], pool = pool[:size], pool[size:]
        splits["train"] = pool
    # Sentences of train that are scored too would make the scores look better than they are.
    scored = {sentence_key(s.words) for name in ("dev", "test") for s in splits[name]}
    kept = [s for s in splits["train"] if sentence_key(s.words) not in scored]
    duplicates, splits["train"] = len(splits["train"]) - len(kept), kept
    if not kept:
        raise DistillEmbError(f"Every sentence of train in {place} stands in dev or test too: give other splits.")
    for name in SPLITS:
        with atomic_file(out / f"{name}.txt", "w") as stream:
            for s in splits[name]:  # with tabs between, since words may hold spaces
                pairs = zip(s.words, s.tags, strict=True)
                stream.write("".join(f"{word}\t{tag or NO_TAG}\n" for word, tag in pairs) + "\n")
    tags = [tag for s in kept for tag in s.tags]
    labels = Counter(tags if task == "pos" else [tag[2:] for tag in tags if tag.startswith("B-")])
    return {
        "files": {name: ", ".join(map(str, some)) for name, some in files.items()},
        "sentences": {name: len(splits[name]) for name in SPLITS},
        "words": {name: sum(map(len, splits[name])) for name in SPLITS},
        "labels": dict(labels.most_common()),
        "made": made,
        "duplicates": duplicates,
    }


def read_splits(folder: Path, task: str) -> Splits:
    """The splits that `prepare_tagged` wrote."""
    layout = Layout(task=task, columns=2, comments=False)
    return {name: list(read_sentences(folder / f"{name}.txt", layout)) for name in SPLITS}
