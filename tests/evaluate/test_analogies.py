"""Analogies: file format, 3CosAdd, agreement with gensim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import vectors
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.analogies import answer_ranks, read_analogies, score_analogies
from distillemb_plugins.evaluate.models import EmbeddingModel
from distillemb_plugins.teachers import Teacher


def test_reads_sections(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b c d\n: royal family\n\nman king woman queen\n: empty\n")
    assert read_analogies(tmp_path / "a.txt") == {
        "all": [("a", "b", "c", "d")],
        "royal family": [("man", "king", "woman", "queen")],
    }


@pytest.mark.parametrize(("text", "complaint"), [("a b c\n", "line 1 has 3 words"), (": x\n", "no analogies")])
def test_refuses(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DistillEmbError, match=complaint):
        read_analogies(tmp_path / "a.txt")


def test_answers_skips_and_case(plane: EmbeddingModel) -> None:
    questions = {"s": [("Man", "King", "Woman", "Queen"), ("man", "king", "woman", "nobody")]}
    score = score_analogies(plane.lookup, questions, list(plane.words))
    assert (score.answered, score.skipped) == (1, 1)
    assert (score.accuracy, score.accuracy_all) == (1.0, 0.5)


def test_question_words_cannot_be_the_answer() -> None:
    unit = np.eye(4, dtype=np.float32)
    assert answer_ranks(np.array([[0, 1, 2, 1]]), unit).tolist() == [4]


def test_blocks_and_gensim_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors(4)
    random = np.random.default_rng(1)
    words = [f"w{i}" for i in range(25)]
    table = random.normal(size=(25, 4)).astype(np.float32)
    keyed_vectors.add_vectors(words, table)
    lines = [" ".join(random.choice(words, 4, replace=False)) for _ in range(200)]
    (tmp_path / "q.txt").write_text(": s\n" + "\n".join(lines) + "\n")
    ours = score_analogies(Teacher("t", words, table).lookup, read_analogies(tmp_path / "q.txt"), words)
    theirs, sections = keyed_vectors.evaluate_word_analogies(str(tmp_path / "q.txt"))
    assert ours.accuracy == pytest.approx(theirs)
    assert 0 < ours.sections[0].top1 == len(sections[0]["correct"])
    monkeypatch.setattr(vectors, "BLOCK_VALUES", 70)
    in_blocks = score_analogies(Teacher("t", words, table).lookup, read_analogies(tmp_path / "q.txt"), words)
    assert in_blocks == ours
