"""Scores of taggers over a whole corpus: entity F1 as conlleval and seqeval (default mode) count it, and accuracy.

Never averaged a batch or a sentence at a time: that is another, lower or higher, number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import DistillEmbError

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
    """Entities ``(label, start, end)`` of one sentence's IOB2, IOBES or IO tags, end exclusive.

    An ``I-`` without its ``B-`` begins an entity, as in conlleval and seqeval's default mode.
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


def score_tagging(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> TaggingScore:
    """Score predicted tags against gold ones, sentence by sentence, counted over the corpus.

    Raises `DistillEmbError` naming the sentence whose lengths differ, or when there is no sentence.
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


def _paired(
    gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]
) -> Iterable[tuple[Sequence[str], Sequence[str]]]:
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
