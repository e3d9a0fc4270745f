"""The classification recipe, run small: every model with every arm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmbError

Script = Callable[[str], ModuleType]
PATH = "classification/scripts/classify.py"
GOOD, BAD, PLAIN = ("kita", "soma", "ilé"), ("mji", "ndege", "gida"), ("nyota", "rafiki", "ቤት")
LABELS = {"positive": GOOD, "negative": BAD, "neutral": PLAIN}


def _texts(begin: int, count: int) -> str:
    lines = ["tweet\tlabel"]
    for number in range(begin, begin + count):
        label, words = list(LABELS.items())[number % 3]
        lines.append(f"{words[number % 2]} {words[2]} ya {number}\t{label}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def sentiment(tmp_path: Path) -> Path:
    """AfriSenti in Swahili: 30 training texts whose words tell the class."""
    folder = tmp_path / "data" / "tasks" / "cls" / "afrisenti" / "swa"
    folder.mkdir(parents=True)
    for name, (begin, count) in {"train": (0, 30), "dev": (30, 6), "test": (36, 6)}.items():
        (folder / f"{name}.tsv").write_text(_texts(begin, count), "utf-8")
    return tmp_path / "data"


@pytest.fixture
def encoders(tmp_path: Path, tiny_encoder_dir: Path, tiny_data: Path) -> Path:
    """A working folder with a tiny teacher, an encoder and its random twin."""
    from distillemb_plugins.teachers import train_teacher
    from recipes import spacy_arms

    work = tmp_path / "encoders"
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work))
    texts = sorted((tiny_data / "corpora").rglob("*.txt"))
    settings: dict[str, Any] = {"dim": 24, "epochs": 1, "buckets": 500, "threads": 1, "progress": False}
    train_teacher(texts, spacy_arms.teacher_path(work), "fasttext", **settings)
    spacy_arms.random_encoder(work)
    return work


def test_every_model_is_trained_scored_and_put_in_the_tables(
    script: Script, sentiment: Path, encoders: Path, tmp_path: Path
) -> None:
    recipe, results = script(PATH), tmp_path / "results.jsonl"
    recipe.tables(sentiment, ["afrisenti"], ["swa"], encoders)
    run = {"data": sentiment, "task": ["afrisenti"], "language": ["swa"], "seed": [0], "encoders": encoders}
    run["results"] = results
    recipe.linear(**run)
    recipe.textcat(**run, updates=2)
    recipe.bilstm(**run, updates=2)
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    wanted = {(model, arm) for model, arms in recipe.ARMS.items() for arm in arms}
    assert {(row["model"], row["arm"]) for row in rows} == wanted
    assert all(0 <= row["test_macro_f1"] <= 100 and row["model_bytes"] > 0 for row in rows)
    assert {row["test_f1"] for row in rows if row["arm"] == "tf-idf"} == {100}  # its words tell the class
    sizes = {row["arm"]: row["embedding_bytes"] for row in rows}
    assert sizes["hash"] == sizes["tf-idf"] == 0 < sizes["frozen"] == sizes["finetuned"] and sizes["static"] > 0

    settings = tmp_path / "settings.jsonl"
    recipe.choose(sentiment, ["afrisenti"], "swa", encoders, settings, 2)
    tried = [json.loads(line) for line in settings.read_text("utf-8").splitlines()]
    assert [row["grad_factor"] for row in tried] == [0.1, 0.3, 1.0] and all("test_f1" not in row for row in tried)

    before = results.read_bytes()
    recipe.linear(**run)  # rows that are there are not made again
    assert results.read_bytes() == before

    readme = tmp_path / "README.md"
    names = ("afrisenti-means", "afrisenti-languages", "data", "settings")
    readme.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in names), "utf-8")
    recipe.table(results, readme, settings)
    recipe.report.write_data({("afrisenti", "swa"): recipe.load_classification(sentiment, "afrisenti", "swa")}, readme)
    text = readme.read_text("utf-8")
    assert all(text.count(f"| {model}, {arm} |") == 2 for model, arm in wanted)
    assert "| afrisenti swa | 3 | 30 | 6 | 6 |" in text and "| encoder's share of the rate | afrisenti swa |" in text


def test_textcat_arms_differ_in_the_embedding_alone(script: Script, tmp_path: Path) -> None:
    from recipes import spacy_arms

    recipe, base = script(PATH), script("classification/scripts/textcat.py").CONFIG
    configs = {arm: spacy_arms.arm_config(base, arm, "x", tmp_path) for arm in recipe.ARMS["textcat"]}
    for config in configs.values():
        del config["components"]["tok2vec"]["model"]["embed"]
        del config["initialize"]
        config.get("paths", {}).pop("vectors", None)
    assert all(config == configs["hash"] for config in configs.values())


def test_the_static_classifier_reads_its_table_and_leaves_it_alone(script: Script, tmp_path: Path) -> None:
    import torch

    bilstm = script("classification/scripts/bilstm.py")
    vectors = {"moja": [3.0, 4.0], "mbili": [0.0, 2.0]}
    model, rows = bilstm.TableClassifier.of(
        ["moja", "mbili"], lambda words: np.array([vectors[w] for w in words]), head="bilstm", head_hidden_size=4
    )
    ids = torch.from_numpy(rows.encode(["mbili", "kumi", "moja"]))[None]
    expected = torch.tensor([[[0.0, 1.0], [0.0, 0.0], [0.6, 0.8]]])  # at length 1; unknown words are zero
    assert torch.allclose(model.distillemb(ids).last_hidden_state, expected)
    assert not any(p.requires_grad for p in model.distillemb.parameters())
    model.save_pretrained(tmp_path)
    again = bilstm.TableClassifier.from_pretrained(tmp_path)
    assert torch.allclose(again.distillemb(ids).last_hidden_state, expected)
    assert not any(p.requires_grad for p in again.distillemb.parameters())


def test_mean_vectors_weigh_every_word_alike(script: Script) -> None:
    arms = script("classification/scripts/arms.py")
    vectors = {"a": [2.0, 0.0], "b": [0.0, 5.0]}
    means = arms.mean_vectors(["a b", "", "a a b b"], lambda words: np.array([vectors.get(w, [0, 0]) for w in words]))
    assert means.tolist() == [[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]]


def test_random_vectors_depend_on_the_seed_alone(script: Script, encoders: Path) -> None:
    arms = script("classification/scripts/arms.py")
    first, again, other = (arms.random_lookup(encoders, seed)(["kita", "soma"]) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other)


def test_means_are_of_the_languages_that_all_arms_have_and_of_whole_seeds(script: Script) -> None:
    report = script("classification/scripts/report.py")
    runs = (("swa", "static", 0, 50.0), ("swa", "frozen", 0, 60.0), ("hau", "static", 0, 90.0))
    rows = [
        {"task": "afrisenti", "language": one, "model": "linear", "arm": arm, "seed": seed, "embedding_bytes": 0}
        | {"test_f1": score, "test_macro_f1": score, "dev_f1": score, "seconds": 1}
        for one, arm, seed, score in (*runs, ("hau", "frozen", 0, 70.0), ("swa", "static", 1, 0.0))
    ]
    assert report.common_languages(rows[:3], "linear") == ["swa"]
    assert "| linear, static | 1 | 50.0 |" in report.means_table(rows[:3])
    assert "| linear, frozen | – | 60.0 |" in report.languages_table(rows[:3])
    assert report.common_languages(rows, "linear") == ["hau", "swa"]
    assert "| linear, static | 2 | 70.0 |" in report.means_table(rows), "seed 1 has one language of two"


def test_what_does_not_exist_is_refused(script: Script, tmp_path: Path) -> None:
    recipe, results = script(PATH), tmp_path / "results.jsonl"
    with pytest.raises(DistillEmbError, match="linear model has no arm finetuned"):
        recipe.linear(tmp_path, ["afrisenti"], ["swa"], ["finetuned"], [0], tmp_path, results)
    with pytest.raises(DistillEmbError, match="no task magic"):
        recipe.linear(tmp_path, ["magic"], None, None, [0], tmp_path, results)
    with pytest.raises(DistillEmbError, match="run the command prepare first"):
        script("classification/scripts/arms.py").static_lookup("afrisenti", "swa", tmp_path)


def test_the_project_file_names_commands_that_exist(script: Script) -> None:
    import yaml  # type: ignore[import-untyped]

    recipe = script(PATH)
    project = yaml.safe_load((recipe.HERE / "project.yml").read_text("utf-8"))
    known = {command.name or command.callback.__name__ for command in recipe.app.registered_commands}
    assert {command["name"] for command in project["commands"]} <= known
    assert project["workflows"]["all"] == [command["name"] for command in project["commands"]]


def test_the_checkpoint_is_chosen_by_weighted_f1(script: Script) -> None:
    import spacy
    from spacy.tokens import Doc
    from spacy.training import Example

    textcat, vocab = script("classification/scripts/textcat.py"), spacy.blank("xx").vocab

    def doc(name: str) -> Doc:
        made = Doc(vocab, words=["x"])
        made.cats = {one: float(one == name) for one in "abc"}
        return made

    examples = [Example(doc(found), doc(gold)) for gold, found in ("aa", "aa", "ab", "bb")]
    assert textcat.weighted_f1(examples)["cats_weighted_f1"] == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)
