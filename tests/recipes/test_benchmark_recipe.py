"""The recipe for speed and memory, everything tiny: that it measures, writes and compares, not how fast anything is."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError, Teacher
from distillemb_plugins.cli.vectors import packed_rows
from distillemb_plugins.finetune import build_model
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.teachers.io.writing import npz_rows, text_rows
from recipes.benchmark import encoding, harness, measure, pipelines, taggers
from recipes.benchmark.harness import SIZES, Bench
from recipes.results import pick

from .projects import run_project


@pytest.fixture
def bench(tiny_data: Path, tiny_encoder_dir: Path, tiny_teacher: Teacher) -> Bench:
    sizes = replace(SIZES["tiny"], words=120, tokens=400, published_words=32, sentences=4, seconds=0.01, rounds=1)
    made = Bench(tiny_data, read_encoder(tiny_encoder_dir), sizes)
    made.__dict__["words"], made.__dict__["teacher"] = harness.made_up_words(120), tiny_teacher
    return made


def test_ratios_are_of_the_same_round_and_targets_are_judged() -> None:
    rates = (20.0, 40.0, 90.0), (10.0, 10.0, 30.0)
    row = harness.ratio_row("s", "n", "u", *rates)
    assert (row["median"], row["low"], row["high"]) == (3.0, 2.5, 3.5)
    assert row["words_per_second"] == 40 and row["met"] is None
    assert harness.ratio_row("s", "n", "u", *rates, at_least=3)["met"] is True
    assert harness.ratio_row("s", "n", "u", *rates, at_most=2)["met"] is False


def test_the_published_way_pads_in_the_middle_and_learns(tiny_teacher: Teacher, tmp_path: Path) -> None:
    assert encoding.padded("ab", {"a": 2, "b": 3}) == [0] * 5 + [2, 3] + [0] * 6
    assert encoding.padded("a" * 20, {"a": 2}) == [2] * 13
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(" ".join(tiny_teacher.words), "utf-8")
    rows, positive, negative = encoding.PublishedItems(tiny_teacher, corpus)[0]
    assert len(rows) == 13
    np.testing.assert_array_equal(positive, tiny_teacher.vectors[0])
    assert not np.array_equal(negative, positive)
    assert encoding.published_training_speed(tiny_teacher, corpus, 0.01, warmup_steps=0) > 0


def test_words_are_measured_and_compared_with_torch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "rivals", lambda *_: {encoding.FASTTEXT_CPP: lambda words: words})
    measured = encoding.word_rows(bench)
    [*_, ahead] = pick(measured, section=f"words, 1 thread, against {encoding.FASTTEXT_CPP}")
    assert ahead["at_least"] == 1.3 and ahead["median"] < 1  # the rival does nothing here
    rows = {row["name"]: row for row in pick(measured, section="words, 1 thread")}
    assert rows[encoding.PUBLISHED]["median"] == 1
    assert encoding.FASTTEXT_CPP in rows and rows[encoding.DISTINCT]["at_least"] == 10
    exact = rows[encoding.DISTINCT]
    assert exact["largest_difference"] < 1e-5 and exact["neighbours_shared"] == 1 and 0 <= exact["ner_f1"] <= 100
    assert 0.9 < rows["distinct words, int8"]["cosine"] < 1
    alone = {row["name"] for row in encoding.one_word_rows(bench)}
    if importlib.util.find_spec("onnxruntime") is None:
        assert alone == {"warm", "cold"}
        return
    assert alone == {"warm", "cold", "cold, onnx", "cold, onnx-int8"}
    assert rows["distinct words, onnx"]["largest_difference"] < 1e-5
    assert rows["distinct words, onnx-int8"]["at_least"] == 10
    assert 0.9 < rows["distinct words, onnx-int8"]["cosine"] < 1
    assert rows["running text, cold cache, onnx-int8"]["at_least"] == 60


def test_the_pipeline_that_forms_are_compared_in_is_trained(bench: Bench, tmp_path: Path) -> None:
    corpus = pipelines.Corpus(bench, 8)
    nlp = corpus.pipeline(pipelines.computed(bench.write(tmp_path / "encoder")))
    before = nlp.get_pipe("ner").to_bytes()
    pipelines.train(nlp, corpus, 2)  # the schedule begins with a rate of zero
    assert nlp.get_pipe("ner").to_bytes() != before


def test_pipelines_and_training_are_measured(bench: Bench) -> None:
    rows = pipelines.spacy_rows(bench)
    assert {row.get("at_least", row.get("at_most")) for row in rows} >= {0.95, 1.0, 1.5}
    assert "Embed.v1, fine-tuned, NumPy's products" in {row["name"] for row in rows}
    names = [row["name"] for row in measure.training_rows(bench)]
    assert names[0] == "published way" and len(names) == 4


def test_taggers_are_measured_by_length_and_scored_where_they_are_trained(
    bench: Bench, tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taggers, "SHAPES", {taggers.YARDSTICK: (1, 2)})
    monkeypatch.setattr(taggers, "bundled_names", lambda: ("afro11", "afro11-context"))
    monkeypatch.setattr(taggers, "bundled", lambda name: tiny_encoder_dir)
    for part in build_model(tiny_encoder_dir, taggers.LABELS, **taggers.HEAD):
        part.save_pretrained(tmp_path / "hf-joint-afro11-0")
    export = taggers._exported  # the dear part, once
    monkeypatch.setattr(taggers, "_exported", lambda path, out: export(path, out) if path.parent == tmp_path else {})
    rows = taggers.tagging_rows(replace(bench, taggers=tmp_path))
    assert len({row["section"] for row in rows}) == len(taggers.LENGTHS)
    found = {row["name"]: row for row in rows}
    assert {"spaCy, static vectors", taggers.YARDSTICK} < set(found)
    scored = {name for name, row in found.items() if "ner_f1" in row}
    assert "BiLSTM-CRF on afro11" in scored and not any("context" in name for name in scored)
    assert found["BiLSTM-CRF on afro11-context"]["at_least"] == 6 and "at_least" not in found["BiLSTM-CRF on afro11"]
    if importlib.util.find_spec("onnxruntime") is not None:
        assert {"BiLSTM-CRF on afro11, onnx", "BiLSTM-CRF on afro11, onnx, head in int8"} < scored


def test_threads_are_measured_idle_and_beside_busy_processes(bench: Bench) -> None:
    rows = encoding.thread_rows(bench)
    assert {row["section"] for row in rows} == {"threads, the machine as it is", "threads, beside 2 busy processes"}
    assert {row["at_least"] for row in rows if row["name"] == "encode, 2 threads"} == {1.7, 0.95}
    assert {"torch module, 2 threads", "spaCy, Embed.v1, frozen, 2 threads"} <= {row["name"] for row in rows}


def test_memory_growth_tables_and_plot(
    bench: Bench, tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "tiny", bench.sizes)
    results, readme = tmp_path / "results.jsonl", tmp_path / "README.md"
    readme.write_text("# x\n<!-- tables -->\n<!-- /tables -->\n", "utf-8")
    for part in ("memory", "scaling"):
        measure.measure(part, tmp_path, str(tiny_encoder_dir), "tiny", results)
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert len({(row["section"], row["name"]) for row in rows}) == len(rows)
    [opened] = pick(rows, name="encoder, opened")
    assert opened["imported"] == [] and opened["met"] is True
    measure.measure("write", results=results, readme=readme)
    text = readme.read_text("utf-8")
    assert "### Targets" in text and "| memory: encoder, opened | MB resident | at most 20 |" in text
    assert "characters a word" in (tmp_path / "scaling.svg").read_text("utf-8")
    with pytest.raises(DistillEmbError, match="--size"):
        measure.measure("memory", tmp_path, str(tiny_encoder_dir), "huge", results)


def test_the_plot_goes_by_number_not_by_name(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- tables -->\n<!-- /tables -->\n", "utf-8")
    measure.write(Path(measure.__file__).with_name("results.jsonl"), readme)
    drawing = (tmp_path / "scaling.svg").read_text("utf-8")
    assert re.sub(r"\s+", " ", " ".join(re.findall(r">([^<]+)</text>", drawing))).startswith("1 8 64 512 4,096 ")


def test_the_project_runs_small(
    bench: Bench, tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part is called once, and the tables are written; what the parts do has tests above."""
    called = []
    for part in measure.PARTS:
        rows = [harness.row(part, "one", "words/s", [1.0, 2.0], at_least=2)]
        monkeypatch.setitem(measure.PARTS, part, lambda _, part=part, rows=rows: called.append(part) or rows)
    results, readme = tmp_path / "results.jsonl", tmp_path / "README.md"
    shutil.copy(measure.HERE / "README.md", readme)
    values = {"data": bench.data, "encoder": tiny_encoder_dir, "size": "tiny", "results": results, "readme": readme}
    assert run_project(measure.HERE, values) == 2
    assert called == list(measure.PARTS)
    assert "| memory: one | words/s | at least 2 | 1.5 | missed: 25% off |" in readme.read_text("utf-8")


@pytest.mark.parametrize("pack", [npz_rows, text_rows])
def test_several_processes_give_the_same_rows_in_order(
    pack: Callable[..., bytes], tiny_encoder_dir: Path, tiny_words: list[str]
) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=0)
    batches = [tiny_words[place : place + 20] for place in range(0, 200, 20)]
    alone = list(packed_rows(encoder, pack, batches, 1))
    together = list(packed_rows(encoder, pack, iter(batches), 2))
    assert [words for words, _ in together] == [words for words, _ in alone] == batches

    def numbers(rows: bytes) -> np.ndarray:
        if pack is npz_rows:
            return np.frombuffer(rows, "<f4")
        return np.array([line.split()[1:] for line in rows.decode().splitlines()], dtype=np.float32).ravel()

    for (_, one), (_, other) in zip(alone, together, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-5)
