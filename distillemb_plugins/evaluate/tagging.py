"""Scores of taggers and classifiers over a whole corpus: the one place where they are counted.

Entities are counted as conlleval, seqeval in its default mode and spaCy's `Scorer` count them (the tests compare): an
entity is right when its type and both borders are. Counts are summed over the corpus. Scores that are averaged over
batches or sentences are other numbers. `score_tagging` gives everything about a corpus, from 0 to 1. The functions
after it give what results files and tables hold, in per cent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DistillEmbError, require

Sentences = Iterable[Sequence[str]]
"""Of each sentence its words, or its tags."""

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


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Read the entities of one sentence, ``(label, start, end)``, end exclusive.

    Args:
        tags: IOB2, IOBES or IO. An ``I-`` without its ``B-`` begins an entity, as in conlleval.
    """
    spans: list[tuple[str, int, int]] = []
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


def compared_entities(gold: Sequence[str], predicted: Sequence[str]) -> Iterator[tuple[slice, str, str]]:
    """Yield the place of each entity of a sentence, its gold label and its predicted one, ``"O"`` where it has none."""
    true, found = ({(start, end): label for label, start, end in entities(tags)} for tags in (gold, predicted))
    for border in true | found:
        yield slice(*border), true.get(border, NOTHING), found.get(border, NOTHING)


def score_tagging(gold: Sentences, predicted: Sentences) -> TaggingScore:
    """Score predicted tags against gold ones, counted over the corpus.

    Args:
        gold: Of each sentence the right tags, IOB2, IOBES or IO.
        predicted: Of each sentence the tagger's tags.

    Raises:
        DistillEmbError: When a sentence has two lengths (the message names it), or there is no sentence.

    Examples:
        >>> score = score_tagging([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]])
        >>> score.overall.precision, score.overall.recall
        (1.0, 0.5)
    """
    confusion: Counter[tuple[str, str]] = Counter()
    tokens = same = number = 0
    for number, (true, found) in enumerate(_paired(gold, predicted), start=1):
        if len(true) != len(found):
            raise DistillEmbError(
                f"Sentence {number} has {len(true)} gold tags and {len(found)} predicted: give one tag a token."
            )
        tokens += len(true)
        same += sum(a == b for a, b in zip(true, found, strict=True))
        confusion.update((label, guess) for _, label, guess in compared_entities(true, found))
    if not number:
        raise DistillEmbError("There are no sentences to score: the gold tags are empty.")
    labels = sorted({label for pair in confusion for label in pair} - {NOTHING})
    return TaggingScore(
        overall=_label_score(confusion, labels),
        per_label={label: _label_score(confusion, [label]) for label in labels},
        accuracy=same / max(1, tokens),
        tokens=tokens,
        confusion=dict(sorted(confusion.items())),
    )


def _label_score(confusion: Counter[tuple[str, str]], labels: Sequence[str]) -> LabelScore:
    right = sum(confusion[label, label] for label in labels)
    gold = sum(count for (label, _), count in confusion.items() if label in labels)
    predicted = sum(count for (_, guess), count in confusion.items() if guess in labels)
    f1 = 2 * right / max(1, gold + predicted)
    return LabelScore(right / max(1, predicted), right / max(1, gold), f1, gold, predicted)


def _paired(gold: Sentences, predicted: Sentences) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    try:
        yield from zip(gold, predicted, strict=True)
    except ValueError as error:
        raise DistillEmbError(f"Gold and predicted tags have different numbers of sentences ({error}).") from error


def entity_scores(gold: Sentences, predicted: Sentences) -> dict[str, float]:
    """Count ``precision``, ``recall`` and ``f1`` of all entities together, per cent; see `score_tagging`."""
    score = score_tagging(gold, predicted).overall
    return {name: 100 * getattr(score, name) for name in ("precision", "recall", "f1")}


def per_type(gold: Sentences, predicted: Sentences) -> dict[str, float]:
    """Count the F1 of each entity type, per cent, rounded to two places; see `score_tagging`."""
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
    known = {tuple(sentence[start:end]) for sentence, tags in train for _, start, end in entities(tags)}
    right, number, both = Counter[bool](), Counter[bool](), Counter[bool]()
    for sentence, *tags in zip(words, gold, predicted, strict=True):
        for place, label, guess in compared_entities(*tags):
            seen = tuple(sentence[place]) in known
            right[seen] += label == guess
            number[seen] += label != NOTHING
            both[seen] += (label != NOTHING) + (guess != NOTHING)
    return {
        "f1_seen": 200 * right[True] / max(1, both[True]),
        "f1_unseen": 200 * right[False] / max(1, both[False]),
        "share_unseen": 100 * number[False] / max(1, number.total()),
    }


def accuracy(gold: Sentences, predicted: Sentences) -> float:
    """Count the share of words with the right tag, per cent; words without a gold tag do not count."""
    pairs = [pair for tags in _paired(gold, predicted) for pair in zip(*tags, strict=True) if pair[0]]
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
    right, total = Counter[bool](), Counter[bool]()
    for sentence in zip(words, gold, predicted, strict=True):
        for word, tag, guess in zip(*sentence, strict=True):
            if tag:
                total[word in known] += 1
                right[word in known] += tag == guess

    def per_cent(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 2) if whole else None

    return {
        "accuracy": per_cent(right.total(), total.total()),
        "seen": per_cent(right[True], total[True]),
        "unseen": per_cent(right[False], total[False]),
        "words": total.total(),
        "unseen_share": per_cent(total[False], total.total()),
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
    rows = []
    for label, one in [*score.per_label.items(), ("all (micro)", score.overall)]:
        shares = [f"{100 * value:.1f}" for value in (one.precision, one.recall, one.f1)]
        rows.append([label, *shares, f"{one.gold:,}", f"{one.predicted:,}"])
    return ["", "precision", "recall", "F1", "gold", "predicted"], rows


def confusion_rows(score: TaggingScore) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of confusions on equal borders: a row for each gold label, ``"O"`` last."""
    labels = sorted({label for pair in score.confusion for label in pair}, key=lambda label: (label == NOTHING, label))
    rows = [[true, *(f"{score.confusion.get((true, guess), 0):,}" for guess in labels)] for true in labels]
    return ["", *labels], rows
