"""F1 on entities whose text stands in the training data beside those never seen there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distillemb_plugins.evaluate.tagging import entities

Surface = tuple[str, ...]


def surfaces(words: Sequence[str], tags: Sequence[str]) -> dict[tuple[str, int, int], Surface]:
    """The text of each entity ``(type, start, end)`` of a sentence with IOB2 tags."""
    return {(kind, start, end): tuple(words[start:end]) for kind, start, end in entities(tags)}


def seen_scores(
    train: Iterable[tuple[Sequence[str], Sequence[str]]],
    words: Iterable[Sequence[str]],
    gold: Iterable[Sequence[str]],
    found: Iterable[Sequence[str]],
) -> dict[str, float]:
    """F1 (per cent) of entities seen in training (``f1_seen``) and not (``f1_unseen``), and the share unseen.

    train: words and tags of the training sentences. An entity, gold or found, is seen when its words, whatever their
    type, are an entity of the training sentences.
    """
    known = {text for sentence, tags in train for text in surfaces(sentence, tags).values()}
    right, total, number = {True: 0, False: 0}, {True: 0, False: 0}, {True: 0, False: 0}
    for sentence, gold_tags, found_tags in zip(words, gold, found, strict=True):
        true, guessed = surfaces(sentence, gold_tags), surfaces(sentence, found_tags)
        for span, text in true.items():
            number[text in known] += 1
            right[text in known] += span in guessed
        for text in [*true.values(), *guessed.values()]:
            total[text in known] += 1
    scores = {name: 200 * right[seen] / max(1, total[seen]) for name, seen in (("f1_seen", True), ("f1_unseen", False))}
    return scores | {"share_unseen": 100 * number[False] / max(1, sum(number.values()))}
