"""Entity F1 over a corpus."""

from __future__ import annotations

import random
import warnings

import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.tagging import entities, score_tagging


def test_entities() -> None:
    assert entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]) == [
        ("PER", 0, 2),
        ("LOC", 3, 4),
        ("LOC", 4, 5),
        ("PER", 5, 6),
    ]
    assert entities(["S-PER", "B-LOC", "E-LOC"]) == [("PER", 0, 1), ("LOC", 1, 3)]


def test_counts_over_the_corpus() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC"], ["B-LOC", "O"]]
    predicted = [["B-PER", "I-PER", "O"], ["B-PER"], ["O", "B-ORG"]]
    score = score_tagging(gold, predicted)
    assert score.overall.f1 == pytest.approx(2 * 1 / (3 + 3))
    assert score.per_label["PER"].precision == 0.5
    assert score.per_label["LOC"].recall == 0.0
    assert score.accuracy == pytest.approx(3 / 6)
    assert score.confusion == {("LOC", "O"): 1, ("LOC", "PER"): 1, ("O", "ORG"): 1, ("PER", "PER"): 1}


def test_equals_seqeval() -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    source = random.Random(0)
    tags = ["O", "B-A", "I-A", "B-B", "I-B"]
    gold = [[source.choice(tags) for _ in range(12)] for _ in range(200)]
    predicted = [[t if source.random() < 0.7 else source.choice(tags) for t in row] for row in gold]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = metrics.f1_score(gold, predicted)
    assert score_tagging(gold, predicted).overall.f1 == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("gold", "predicted", "complaint"),
    [([["O"]], [["O", "O"]], "Sentence 1"), ([["O"]], [], "different numbers"), ([], [], "no sentences")],
)
def test_refuses(gold: list[list[str]], predicted: list[list[str]], complaint: str) -> None:
    with pytest.raises(DistillEmbError, match=complaint):
        score_tagging(gold, predicted)
