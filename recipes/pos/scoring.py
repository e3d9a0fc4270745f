"""Accuracy of a tagger, over all words and apart for those that its training text holds and those it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.data.conll import Sentence
from distillemb_plugins.data.pos import read_pos, transfer_file, transfer_tests, words_of

Tagger = Callable[[list[Sentence]], list[list[str]]]  # the tags of each sentence's words


def accuracy(gold: Sequence[Sentence], found: Sequence[Sequence[str]], known: Collection[str]) -> dict[str, Any]:
    """Share of words with the right tag, per cent, counted over the corpus; words without a gold tag do not count.

    known: the words of the training text, as they are spelt there. Returns ``accuracy``, ``seen`` and ``unseen`` (None
    where there is no such word), the number of ``words`` and the ``unseen_share`` of them, per cent.
    """
    right, total = {True: 0, False: 0}, {True: 0, False: 0}
    for sentence, tags in zip(gold, found, strict=True):
        for word, tag, guess in zip(sentence.words, sentence.tags, tags, strict=True):
            if tag:
                seen = word in known
                total[seen] += 1
                right[seen] += tag == guess
    words = sum(total.values())
    return {
        "accuracy": _per_cent(sum(right.values()), words),
        "seen": _per_cent(right[True], total[True]),
        "unseen": _per_cent(right[False], total[False]),
        "words": words,
        "unseen_share": _per_cent(total[False], words),
    }


def _per_cent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def scores(tagger: Tagger, data: Path, trained_on: str, files: dict[str, Path]) -> dict[str, Any]:
    """Scores of a trained tagger on dev, test and the tests of transfer that the data has; its words per second."""
    known = words_of(read_pos(files["train"]))
    dev, test = read_pos(files["dev"]), read_pos(files["test"])
    start = time.perf_counter()
    found = tagger(test)
    speed = sum(map(len, test)) / (time.perf_counter() - start)
    row = {"dev": accuracy(dev, tagger(dev), known), "test": accuracy(test, found, known)}
    transfer = {}
    for other in transfer_tests(trained_on):
        file = transfer_file(data, other)
        if file is not None:
            gold = read_pos(file, other.plain)
            transfer[other.name] = accuracy(gold, tagger(gold), known)
    return row | {"transfer": transfer, "words_per_second": round(speed)}
