"""What texts have in common: equal texts, and texts that share runs of words.

Test sentences that stand in the training sentences make a score look better than it is. Here is what finds them. Two
texts are compared without their case, and in one Unicode form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..files import iter_lines
from ..text import normalize, tokenize

RUN = 6  # words in a row that two sentences have in common only when one was made from the other
HALF = 0.5
Run = tuple[str, ...]


def fold(text: str) -> str:
    """A text in lower case, in NFC and with single spaces: what two texts share that differ in nothing else."""
    return " ".join(normalize(text).casefold().split())


def sentence_key(words: Sequence[str] | str) -> str:
    """A sentence without its spaces and case, so that it is found in running text however it was split.

    Args:
        words: The words of a sentence, or its text.
    """
    return fold(words if isinstance(words, str) else "".join(words)).replace(" ", "")


def letters(words: Iterable[str]) -> list[str]:
    """The words in lower case, their letters alone. Words without a letter are left out."""
    forms = ("".join(c for c in normalize(word).casefold() if c.isalpha()) for word in words)
    return [form for form in forms if form]


def word_runs(words: Sequence[str], length: int = RUN) -> set[Run]:
    """All runs of `length` words in a row, which have to be in a comparable form already (see `letters`)."""
    return {tuple(words[n : n + length]) for n in range(len(words) - length + 1)}


def overlapping(
    texts: Iterable[Sequence[str]],
    others: Iterable[Sequence[str]],
    *,
    length: int = RUN,
    share: float = HALF,
    pooled: bool = True,
) -> list[bool]:
    """Tell which texts overlap with other texts.

    A text overlaps when at least one of its runs of words, and at least `share` of them, stands in the others. A text
    shorter than a run never does.

    Args:
        texts: The words of each text, in a comparable form (see `letters`).
        others: The words of the texts to compare with, read once. Memory does not grow with their number.
        length: Words in a run.
        share: Share of a text's runs, from 0 to 1; 0 asks for a single run.
        pooled: Whether the runs may stand in several of the others, or have to stand in one of them.

    Returns:
        One value for each text.
    """
    runs = [word_runs(words, length) for words in texts]
    wanted: set[Run] = set().union(*runs)
    places: dict[Run, set[int]] = {}
    for number, words in enumerate(others):
        for run in word_runs(words, length) & wanted:
            places.setdefault(run, set()).add(0 if pooled else number)
    return [_most(own, places) >= max(1, share * len(own)) for own in runs]


def _most(runs: set[Run], places: Mapping[Run, set[int]]) -> int:
    """How many of the runs stand in the text that has most of them."""
    counts: dict[int, int] = {}
    for run in runs:
        for place in places.get(run, ()):
            counts[place] = counts.get(place, 0) + 1
    return max(counts.values(), default=0)


def share_in_text(sentences: Mapping[str, Iterable[Iterable[str]]], texts: Sequence[Path]) -> dict[str, float]:
    """For each split, the share of its sentences that stand in raw text: at least half of their runs of six words do.

    Args:
        sentences: The words of each sentence of each split. Sentences of less than six words are left out.
        texts: Files of raw text, plain or compressed.

    Returns:
        A share from 0 to 1 for each split; 0 for a split without longer sentences.
    """
    splits = {split: [own for words in part if len(own := letters(words)) >= RUN] for split, part in sentences.items()}
    lines = (letters(tokenize(line)) for line in iter_lines(texts))
    found = iter(overlapping([words for part in splits.values() for words in part], lines))
    return {split: sum(next(found) for _ in part) / max(1, len(part)) for split, part in splits.items()}
