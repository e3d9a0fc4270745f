"""Students beside a teacher: retention, held-out words, size, speed, tables and the report."""

from __future__ import annotations

import html.parser
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.distill.targets import build_targets
from distillemb_plugins.distill.validation import held_out_scores
from distillemb_plugins.encoder import DistillEmb
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.evaluation import Evaluation, Tasks, evaluate
from distillemb_plugins.evaluate.models import EmbeddingModel, always_known, distill_settings
from distillemb_plugins.evaluate.report import size_points, write_report
from distillemb_plugins.evaluate.retention import HeldOutScore, retention, score_held_out, words_per_second
from distillemb_plugins.evaluate.similarity import PairSet, pair_similarities
from distillemb_plugins.evaluate.tables import format_bytes, format_evaluation, format_table
from distillemb_plugins.facts import EncoderFacts
from distillemb_plugins.files import encoder_bytes
from distillemb_plugins.teachers import Teacher


@pytest.fixture(scope="module")
def tasks(tiny_words: list[str], tiny_teacher: Teacher) -> Tasks:
    pairs = [(tiny_words[i], tiny_words[i + 1]) for i in range(0, 40, 2)]
    likeness = pair_similarities(tiny_teacher.lookup, pairs)[0]  # the teacher is right, and so scores 1
    return Tasks(
        similarity=[PairSet("made up", "made up", pairs, likeness)],
        analogies={"s": [(tiny_words[0], tiny_words[1], tiny_words[6], tiny_words[7])]},
        neighbors=[tiny_words[3], "<b>never&seen"],
        vocabulary=tiny_words[:100],
        map_words=[*tiny_words[:20], "$x$"],
    )


@pytest.fixture(scope="module")
def scored(tiny_encoder_dir: Path, tiny_teacher: Teacher, tasks: Tasks) -> Evaluation:
    encoder = EmbeddingModel.from_encoder(
        DistillEmb.from_pretrained(tiny_encoder_dir), "tiny", 1_234
    )  # named like its teacher
    return evaluate([encoder], EmbeddingModel.from_table(tiny_teacher), tasks)


def test_student_beside_teacher(scored: Evaluation) -> None:
    student, teacher = scored.students[0], scored.teacher
    assert teacher is not None and teacher.similarity is not None and student.similarity is not None
    assert teacher.similarity.mean is not None and student.similarity.mean is not None
    assert teacher.similarity.mean == pytest.approx(1.0)
    assert student.retention == pytest.approx(student.similarity.mean)
    assert student.analogies is not None and student.analogies.vocabulary == 100
    assert student.speed is not None and student.speed.words_per_second > 0
    assert len(student.neighbors["<b>never&seen"]) == 10  # an encoder knows every word
    assert teacher.neighbors["<b>never&seen"] == []


def test_json_and_table(scored: Evaluation) -> None:
    values = json.loads(json.dumps(scored.to_dict(), allow_nan=False))
    assert values["students"][0]["bytes"] == 1_234
    assert values["pairs"] == "every"
    text = format_evaluation(scored)
    assert "1.23 kB" in text and "made up" in text and "of the teacher" in text
    assert "0 as chance does" in text, "what the numbers mean"


def test_known_pairs_are_the_teachers(plane: EmbeddingModel) -> None:
    pairs = [("man", "woman"), ("king", "queen"), ("man", "apple"), ("man", "x"), ("apple", "pear")]
    tasks = Tasks(similarity=[PairSet("p", "p", pairs, np.arange(5.0))], every_pair=False, speed=False)
    student = replace(plane, name="s", lookup_exact=always_known(lambda words: np.ones((len(words), 2), np.float32)))
    result = evaluate([student], plane, tasks)
    assert result.students[0].similarity is not None
    assert result.students[0].similarity.sets[0].scored == 4


def test_held_out_equals_trainings_own_numbers(tiny_teacher: Teacher) -> None:
    settings = DistillSettings(held_out=30)
    targets = build_targets([tiny_teacher], settings)
    words = [targets.words[row] for row in targets.held_out]
    random = np.random.default_rng(0)
    noise = {word: random.normal(size=24).astype(np.float32) for word in words}

    def embed(asked: object) -> np.ndarray:
        return np.stack([targets.vectors[0][targets.words.index(w)] + 0.2 * noise[w] for w in asked])  # type: ignore[attr-defined]

    student = EmbeddingModel("s", "encoder", 24, 0, always_known(embed), settings=settings)
    ours = score_held_out(student, tiny_teacher, words)
    wanted = held_out_scores(embed(words), targets.vectors[0], targets.held_out)
    assert ours is not None
    assert {name: getattr(ours, name) for name in wanted} == pytest.approx(wanted)
    assert 0 < ours.p_at_1 < 1
    assert ours.settings_known
    with pytest.warns(UserWarning, match="^s does not say how it was distilled"):
        raw = score_held_out(replace(student, settings=None), tiny_teacher, words)
    assert raw is not None and raw.cosine != ours.cosine and not raw.settings_known  # the mean was removed
    assert score_held_out(replace(student, dim=7), tiny_teacher, words) is None
    with pytest.raises(DistillEmbError, match="held-out words is in the teacher"):
        score_held_out(student, tiny_teacher, ["nowhere"])


def test_unknown_settings_are_told(scored: Evaluation, tmp_path: Path) -> None:
    score = HeldOutScore(3, 10, 0.5, 0.1, 0.2, 0.3, settings_known=False)
    told = Evaluation([replace(scored.students[0], held_out=score)])
    sentence = "tiny does not say how it was distilled"
    assert sentence in format_evaluation(told) and sentence not in format_evaluation(scored)
    assert "P@10 above 0.5 is good" in format_evaluation(told), "what the numbers mean"
    assert sentence in write_report(tmp_path / "r.html", told).read_text("utf-8")


def test_settings_come_from_the_facts() -> None:
    settings = DistillSettings(preset="tiny-embeddings", seed=5, held_out=0.1)
    assert distill_settings(EncoderFacts(settings=settings.to_dict())) == settings
    assert distill_settings(EncoderFacts()) is None
    assert distill_settings(EncoderFacts(settings={"of": "a newer version"})) is None


def test_speed_counts_distinct_words_and_resets() -> None:
    resets: list[int] = []
    seen: list[str] = []

    def embed(words: object) -> np.ndarray:
        seen.extend(words)  # type: ignore[arg-type]
        return np.zeros((1, 1), np.float32)

    score = words_per_second(embed, ["a", "b", "a"], lambda: resets.append(1), repeats=3)
    assert (score.words, len(resets)) == (2, 3)
    assert seen == ["a", "b"] * 4  # one pass to warm up
    with pytest.raises(DistillEmbError, match="vocabulary"):
        words_per_second(embed, [])


def test_encoder_bytes_leave_card_and_code_out(tiny_encoder_dir: Path) -> None:
    counted = encoder_bytes(tiny_encoder_dir)
    weights = (tiny_encoder_dir / "model.safetensors").stat().st_size
    assert weights < counted < weights + 20_000


def test_retention_without_a_teacher_score() -> None:
    assert retention(0.5, None) is None
    assert retention(0.5, 0.0) is None
    assert retention(0.3, 0.6) == pytest.approx(0.5)


class _Page(html.parser.HTMLParser):
    """Collects what a browser would fetch, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_self_contained_page(scored: Evaluation, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    other = scored.to_dict()
    other["students"][0]["name"] = "earlier"
    path = write_report(tmp_path / "report.html", scored, others=[other], command="distillemb evaluate x")
    text = path.read_text("utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert len(page.links) == 3  # the plot and two maps
    assert all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    assert "&lt;b&gt;never&amp;seen" in text and "<b>never" not in text
    assert "distillemb evaluate x" in text
    assert [point.role for point in size_points(scored, [other])] == ["student", "teacher", "other"]
    again = write_report(tmp_path / "again.html", scored, others=[other], command="distillemb evaluate x")
    assert again.read_bytes() == path.read_bytes()


def test_report_refuses_what_is_no_evaluation(scored: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match="not an evaluation"):
        write_report(tmp_path / "r.html", scored, others=[{"students": [{}]}])
    assert not (tmp_path / "r.html").exists()


def test_text_tables() -> None:
    table = format_table(["w", "n"], [["ọ́kọ̀", "1"], ["ab", "10"]])
    assert [line.rstrip() for line in table.splitlines()] == ["w     n", "-------", "ọ́kọ̀   1", "ab   10"]
    assert [format_bytes(n) for n in (12, 2_410_000, 60_400_000)] == ["12 B", "2.41 MB", "60.4 MB"]
