"""Scores of taggers and classifiers over a whole corpus: the one place where they are counted.

Entities are counted as conlleval, seqeval in its default mode and spaCy's `Scorer` count them (the tests compare): an
entity is right when its type and both borders are. Counts are summed over the corpus. Scores that are averaged over
batches or sentences are other numbers.

`score_tagging` gives everything about a corpus, from 0 to 1. The functions after it give what results files and tables
hold, in per cent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DistillEmbError, require

Sentences = Iterable[Sequence[str]]
"""Of each sentence its words, or its tags."""

Span = tuple[str, int, int]
NOTHING = "O"


@dataclass(frozen=True)
class LabelScore:
    """Precision, recall and F1 (0 to 1) of one label, or of all; gold: how many there are in the gold tags."""

    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int


@dataclass(frozen=True)
class TaggingScore:
    """overall: micro-averaged over entities. accuracy: share of tokens with the right tag.

    confusion: ``(gold, predicted) -> count`` over entities with the same borders, ``"O"`` for none there.
    """

    overall: LabelScore
    per_label: dict[str, LabelScore]
    accuracy: float
    tokens: int
    confusion: dict[tuple[str, str], int]


def entities(tags: Sequence[str]) -> list[Span]:
    """Read the entities of one sentence.

    Args:
        tags: IOB2, IOBES or IO. An ``I-`` without its ``B-`` begins an entity, as in conlleval.

    Returns:
        ``(label, start, end)`` of each entity, end exclusive.
    """
    spans: list[Span] = []
    start, label = -1, ""
    for i, tag in enumerate([*tags, NOTHING]):
        prefix, _, kind = tag.partition("-")
        inside = tag != NOTHING
        continues = inside and start >= 0 and prefix in ("I", "E", "L") and kind == label
        if start >= 0 and not continues:
            spans.append((label, start, i))
            start = -1
        if inside and start < 0:
            start, label = i, kind
        if start >= 0 and prefix in ("E", "L", "S", "U"):
            spans.append((label, start, i + 1))
            start = -1
    return spans


def score_tagging(gold: Sentences, predicted: Sentences) -> TaggingScore:
    """Score predicted tags against gold ones, counted over the corpus.

    Args:
        gold: Of each sentence the right tags, IOB2, IOBES or IO.
        predicted: Of each sentence the tagger's tags.

    Raises:
        DistillEmbError: When a sentence has two lengths (the message names it), or there is no sentence.
    """
    truth: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    confusion: Counter[tuple[str, str]] = Counter()
    tokens = same = sentences = 0
    for number, (gold_tags, tags) in enumerate(_paired(gold, predicted), start=1):
        if len(gold_tags) != len(tags):
            raise DistillEmbError(
                f"Sentence {number} has {len(gold_tags)} gold tags and {len(tags)} predicted: give one tag a token."
            )
        sentences = number
        tokens += len(tags)
        same += sum(a == b for a, b in zip(gold_tags, tags, strict=True))
        gold_spans, spans = set(entities(gold_tags)), set(entities(tags))
        truth.update(label for label, _, _ in gold_spans)
        found.update(label for label, _, _ in spans)
        right.update(label for label, _, _ in gold_spans & spans)
        confusion.update(_confusions(gold_spans, spans))
    if not sentences:
        raise DistillEmbError("There are no sentences to score: the gold tags are empty.")
    labels = sorted(truth | found)
    return TaggingScore(
        overall=_label_score(right.total(), truth.total(), found.total()),
        per_label={label: _label_score(right[label], truth[label], found[label]) for label in labels},
        accuracy=same / tokens if tokens else 0.0,
        tokens=tokens,
        confusion=dict(sorted(confusion.items())),
    )


def entity_scores(gold: Sentences, predicted: Sentences) -> dict[str, float]:
    """Count ``precision``, ``recall`` and ``f1`` of all entities together, per cent.

    Raises:
        DistillEmbError: As `score_tagging`.
    """
    score = score_tagging(gold, predicted).overall
    return {"precision": 100 * score.precision, "recall": 100 * score.recall, "f1": 100 * score.f1}


def per_type(gold: Sentences, predicted: Sentences) -> dict[str, float]:
    """Count the F1 of each entity type, per cent, rounded to two places.

    Raises:
        DistillEmbError: As `score_tagging`.
    """
    return {label: round(100 * one.f1, 2) for label, one in score_tagging(gold, predicted).per_label.items()}


def seen_scores(
    train: Iterable[tuple[Sequence[str], Sequence[str]]], words: Sentences, gold: Sentences, predicted: Sentences
) -> dict[str, float]:
    """Score entities that stand in the training sentences apart from those that do not.

    An entity, gold or predicted, is seen when its words are an entity of the training sentences, whatever its type.

    Args:
        train: Words and tags of the training sentences.
        words: Of each sentence its words.
        gold: Of each sentence the right tags.
        predicted: Of each sentence the tagger's tags.

    Returns:
        ``f1_seen``, ``f1_unseen`` and ``share_unseen`` (of the gold entities), per cent.
    """
    known = {text for sentence, tags in train for text in entity_texts(sentence, tags).values()}
    right, total, number = {True: 0, False: 0}, {True: 0, False: 0}, {True: 0, False: 0}
    for sentence, gold_tags, tags in zip(words, gold, predicted, strict=True):
        true, guessed = entity_texts(sentence, gold_tags), entity_texts(sentence, tags)
        for span, text in true.items():
            number[text in known] += 1
            right[text in known] += span in guessed
        for text in [*true.values(), *guessed.values()]:
            total[text in known] += 1
    scores = {name: 200 * right[seen] / max(1, total[seen]) for name, seen in (("f1_seen", True), ("f1_unseen", False))}
    return scores | {"share_unseen": 100 * number[False] / max(1, sum(number.values()))}


def entity_texts(words: Sequence[str], tags: Sequence[str]) -> dict[Span, tuple[str, ...]]:
    """The words of each entity ``(label, start, end)`` of a sentence."""
    return {(label, start, end): tuple(words[start:end]) for label, start, end in entities(tags)}


def accuracy(gold: Sentences, predicted: Sentences) -> float:
    """Count the share of words with the right tag, per cent; words without a gold tag do not count."""
    pairs = [
        (tag, guess)
        for gold_tags, tags in _paired(gold, predicted)
        for tag, guess in zip(gold_tags, tags, strict=True)
        if tag
    ]
    return 100 * sum(tag == guess for tag, guess in pairs) / max(1, len(pairs))


def seen_accuracy(known: Collection[str], words: Sentences, gold: Sentences, predicted: Sentences) -> dict[str, Any]:
    """Count the accuracy on words that the training text holds, and on those that it does not.

    Args:
        known: The words of the training text, as they are spelled there. Best a set.
        words: Of each sentence its words.
        gold: Of each sentence the right tags; a word without one (an empty string) does not count.
        predicted: Of each sentence the tagger's tags.

    Returns:
        ``accuracy``, ``seen`` and ``unseen`` (None where there is no such word), the number of ``words``, and
        ``unseen_share``, all but the number in per cent, rounded to two places.
    """
    right, total = {True: 0, False: 0}, {True: 0, False: 0}
    for sentence, gold_tags, tags in zip(words, gold, predicted, strict=True):
        for word, tag, guess in zip(sentence, gold_tags, tags, strict=True):
            if tag:
                seen = word in known
                total[seen] += 1
                right[seen] += tag == guess
    number = sum(total.values())
    return {
        "accuracy": _per_cent(sum(right.values()), number),
        "seen": _per_cent(right[True], total[True]),
        "unseen": _per_cent(right[False], total[False]),
        "words": number,
        "unseen_share": _per_cent(total[False], number),
    }


def class_scores(gold: Sequence[Any], predicted: Sequence[Any]) -> dict[str, float]:
    """Count a classifier's weighted F1 (``f1``), macro F1 (``macro_f1``) and ``accuracy``, per cent.

    Args:
        gold: The right classes, names or numbers.
        predicted: The classifier's.

    Raises:
        MissingExtraError: When scikit-learn is not installed.
    """
    metrics = require("sklearn.metrics", "report")
    scores = {
        "f1": metrics.f1_score(gold, predicted, average="weighted", zero_division=0),
        "macro_f1": metrics.f1_score(gold, predicted, average="macro", zero_division=0),
        "accuracy": metrics.accuracy_score(gold, predicted),
    }
    return {name: 100 * float(score) for name, score in scores.items()}


def score_rows(score: TaggingScore) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: the scores of each label and of all together (micro-averaged), per cent."""
    rows = [
        [
            label,
            *(f"{100 * value:.1f}" for value in (one.precision, one.recall, one.f1)),
            f"{one.gold:,}",
            f"{one.predicted:,}",
        ]
        for label, one in [*score.per_label.items(), ("all (micro)", score.overall)]
    ]
    return ["", "precision", "recall", "F1", "gold", "predicted"], rows


def confusion_rows(score: TaggingScore) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of confusions on equal borders: a row for each gold label, ``"O"`` last."""
    labels = sorted({label for pair in score.confusion for label in pair}, key=lambda label: (label == NOTHING, label))
    rows = [[true, *(f"{score.confusion.get((true, guess), 0):,}" for guess in labels)] for true in labels]
    return ["", *labels], rows


def _paired(gold: Sentences, predicted: Sentences) -> Iterable[tuple[Sequence[str], Sequence[str]]]:
    try:
        yield from zip(gold, predicted, strict=True)
    except ValueError as error:
        raise DistillEmbError(f"Gold and predicted tags have different numbers of sentences ({error}).") from error


def _confusions(gold: set[Span], predicted: set[Span]) -> Iterable[tuple[str, str]]:
    """Pairs of labels on equal borders; an entity with no counterpart stands against ``"O"``."""
    by_border = {(start, end): label for label, start, end in predicted}
    for label, start, end in gold:
        yield label, by_border.pop((start, end), NOTHING)
    for label in by_border.values():
        yield NOTHING, label


def _label_score(right: int, gold: int, predicted: int) -> LabelScore:
    precision = right / predicted if predicted else 0.0
    recall = right / gold if gold else 0.0
    f1 = 2 * right / (gold + predicted) if gold + predicted else 0.0
    return LabelScore(precision, recall, f1, gold, predicted)


def _per_cent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None
