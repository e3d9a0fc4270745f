"""Scores as the rows of results hold them, of taggers and classifiers of any library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.data import Sentence, pos
from distillemb_plugins.evaluate import class_scores, entity_scores, per_type, seen_accuracy, seen_scores
from recipes.results import Row

Tag = Callable[[Sequence[Sentence]], tuple[Sequence[Sequence[str]], int]]  # the tags of sentences, and words a second


def ner_scores(tag: Tag, train: Iterable[Sentence], splits: Mapping[str, Sequence[Sentence]]) -> Row:
    """Corpus-level scores of each split, of each entity type, and of entities seen in training or not."""
    known, row = [(s.words, s.tags) for s in train], Row()
    for split, gold in splits.items():
        found, speed = tag(gold)
        words, tags = [s.words for s in gold], [s.tags for s in gold]
        scores = entity_scores(tags, found) | seen_scores(known, words, tags, found)
        row |= {f"{split}_{name}": round(value, 2) for name, value in scores.items()}
        row |= {f"{split}_per_type": per_type(tags, found), f"{split}_words_per_second": speed}
    return row


def pos_scores(
    tag: Tag, data: Path, trained_on: str, files: Mapping[str, Path], splits: Sequence[str] = ("dev", "test")
) -> Row:
    """Accuracy on the splits, of words seen in training or not; with test also on the tests of transfer there are."""
    known, row = pos.words_of(pos.read_pos(files["train"])), Row()

    def accuracy(gold: Sequence[Sentence]) -> tuple[dict[str, Any], int]:
        found, speed = tag(gold)
        return seen_accuracy(known, [s.words for s in gold], [s.tags for s in gold], found), speed

    for split in splits:
        row[split], row["words_per_second"] = accuracy(pos.read_pos(files[split]))
    if "test" in splits:
        others = {test: pos.transfer_file(data, test) for test in pos.transfer_tests(trained_on)}
        row["transfer"] = {t.name: accuracy(pos.read_pos(file, t.plain))[0] for t, file in others.items() if file}
    return row


def text_scores(split: str, gold: Sequence[Any], found: Sequence[Any]) -> Row:
    """Weighted F1, macro F1 and accuracy over all texts of a split."""
    return {f"{split}_{name}": round(score, 2) for name, score in class_scores(list(gold), list(found)).items()}
