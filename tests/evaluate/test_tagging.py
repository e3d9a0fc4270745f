"""Scores of taggers and classifiers over a corpus, equal to seqeval's default mode and spaCy's Scorer."""

from __future__ import annotations

import random
import warnings

import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.tagging import (
    accuracy,
    class_scores,
    confusion_rows,
    entities,
    entity_scores,
    per_type,
    score_rows,
    score_tagging,
    seen_accuracy,
    seen_scores,
)


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


@pytest.fixture(scope="module")
def corpus() -> tuple[list[list[str]], list[list[str]]]:
    """Random tags, gold and predicted, with stray ``I-`` in both."""
    source = random.Random(0)
    tags = ["O", "B-A", "I-A", "B-B", "I-B"]
    gold = [[source.choice(tags) for _ in range(12)] for _ in range(200)]
    return gold, [[t if source.random() < 0.7 else source.choice(tags) for t in row] for row in gold]


Corpus = tuple[list[list[str]], list[list[str]]]


def test_equals_seqeval_in_its_default_mode(corpus: Corpus) -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    gold, predicted = corpus
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = {name: 100 * getattr(metrics, f"{name}_score")(gold, predicted) for name in ("precision", "recall")}
        wanted["f1"] = 100 * metrics.f1_score(gold, predicted)
        report = metrics.classification_report(gold, predicted, output_dict=True)
    assert entity_scores(gold, predicted) == pytest.approx(wanted)
    assert per_type(gold, predicted) == {label: round(100 * report[label]["f1-score"], 2) for label in ("A", "B")}


def test_equals_spacys_scorer(corpus: Corpus) -> None:
    spacy = pytest.importorskip("spacy")
    from spacy.scorer import get_ner_prf
    from spacy.tokens import Doc, Span
    from spacy.training import Example

    nlp = spacy.blank("xx")
    examples = []
    for gold, predicted in zip(*corpus, strict=True):
        docs = [Doc(nlp.vocab, words=["w"] * len(gold)) for _ in range(2)]
        for doc, tags in zip(docs, (predicted, gold), strict=True):
            doc.ents = [Span(doc, start, end, label=label) for label, start, end in entities(tags)]
        examples.append(Example(*docs))
    wanted = get_ner_prf(examples)
    ours = entity_scores(*corpus)
    assert [ours[name] for name in ("precision", "recall", "f1")] == pytest.approx(
        [100 * wanted[name] for name in ("ents_p", "ents_r", "ents_f")]
    )
    assert per_type(*corpus) == {label: round(100 * wanted["ents_per_type"][label]["f"], 2) for label in ("A", "B")}


def test_seen_and_unseen_entities_are_scored_apart() -> None:
    train = [(["Ada", "rides"], ["B-PER", "O"])]
    words = [["Ada", "met", "Ola", "Nordmann"], ["Ada"]]
    gold = [["B-PER", "O", "B-PER", "I-PER"], ["B-PER"]]
    predicted = [["B-PER", "O", "B-PER", "O"], ["O"]]
    scores = seen_scores(train, words, gold, predicted)
    assert scores["f1_seen"] == pytest.approx(100 * 2 / 3)  # one of two found, nothing wrong
    assert scores["f1_unseen"] == 0  # borders missed
    assert scores["share_unseen"] == pytest.approx(100 / 3)


def test_accuracy_is_told_apart_for_seen_and_unseen_words() -> None:
    words, gold = [["a", "b", "c", "d"]], [["NOUN", "VERB", "NOUN", ""]]
    found = seen_accuracy({"a", "b"}, words, gold, [["NOUN", "NOUN", "NOUN", "X"]])
    assert found == {"accuracy": 66.67, "seen": 50.0, "unseen": 100.0, "words": 3, "unseen_share": 33.33}
    assert seen_accuracy({"a", "b", "c"}, words, gold, [["NOUN"] * 4])["unseen"] is None
    assert accuracy(gold, [["NOUN", "NOUN", "NOUN", "X"]]) == pytest.approx(200 / 3)
    assert accuracy([], []) == 0


def test_class_scores() -> None:
    pytest.importorskip("sklearn")
    scores = class_scores(["a", "a", "a", "b"], ["a", "a", "a", "a"])
    assert scores == pytest.approx({"f1": 75 * 6 / 7, "macro_f1": 50 * 6 / 7, "accuracy": 75})


def test_tables_of_scores() -> None:
    score = score_tagging([["B-PER", "O"], ["B-LOC"]], [["B-PER", "O"], ["B-PER"]])
    head, rows = score_rows(score)
    assert head[1:4] == ["precision", "recall", "F1"]
    assert rows == [
        ["LOC", "0.0", "0.0", "0.0", "1", "0"],
        ["PER", "50.0", "100.0", "66.7", "1", "2"],
        ["all (micro)", "50.0", "50.0", "50.0", "2", "2"],
    ]
    assert confusion_rows(score) == (["", "LOC", "PER"], [["LOC", "0", "1"], ["PER", "0", "1"]])


@pytest.mark.parametrize(
    ("gold", "predicted", "complaint"),
    [([["O"]], [["O", "O"]], "Sentence 1"), ([["O"]], [], "different numbers"), ([], [], "no sentences")],
)
def test_refuses(gold: list[list[str]], predicted: list[list[str]], complaint: str) -> None:
    with pytest.raises(DistillEmbError, match=complaint):
        score_tagging(gold, predicted)
