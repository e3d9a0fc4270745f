"""The NER recipe, run small: all four arms on both languages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from distillemb_plugins import DistillEmbError

Script = Callable[[str], ModuleType]
PATH = "ner/scripts/ner_spacy.py"


def test_arms_differ_in_the_embedding_alone(script: Script) -> None:
    recipe = script(PATH)
    arms = {arm: recipe.load_arm(arm, {"paths": {"encoder": "x"}}).interpolate() for arm in recipe.ARMS}
    contexts = {arm: config["components"]["tok2vec"]["model"].pop("encode") for arm, config in arms.items()}
    for config in arms.values():
        del config["components"]["tok2vec"]["model"]["embed"]
        del config["initialize"]
    assert all(config == arms["scratch"] for config in arms.values())
    assert [arm for arm, context in contexts.items() if context != contexts["scratch"]] == ["bilstm"]


def test_every_arm_is_trained_scored_and_put_in_the_table(
    script: Script, tiny_data: Path, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    recipe = script(PATH)
    work, results, readme = tmp_path / "work", tmp_path / "results.jsonl", tmp_path / "README.md"
    shutil.copytree(tiny_encoder_dir, work / "encoder")
    from distillemb_plugins.teachers import train_teacher

    texts = sorted((tiny_data / "corpora").rglob("*.txt"))
    out = recipe.teacher_path(work, ["swa", "amh"])
    train_teacher(texts, out, "fasttext", dim=24, epochs=1, buckets=500, threads=1, progress=False)
    recipe.vectors(tiny_data, ["swa", "amh"], work)
    run = {"data": tiny_data, "language": ["swa"], "seed": [0], "work": work, "max_steps": 4, "results": results}
    recipe.train(arm=list(recipe.ARMS), **run)
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert {row["arm"] for row in rows} == set(recipe.ARMS)
    assert all(0 <= row["test_f1"] <= 100 and row["pipeline_bytes"] > 0 for row in rows)
    sizes = {row["arm"]: row["embedding_bytes"] for row in rows}
    assert sizes["scratch"] == 0 < sizes["frozen"] == sizes["finetuned"] == sizes["bilstm"]
    assert sizes["static"] == out.stat().st_size

    before = results.read_bytes()
    recipe.train(arm=["scratch"], **run)  # a row that is there is not run again
    assert results.read_bytes() == before

    readme.write_text("<!-- table -->\n<!-- /table -->\n", "utf-8")
    recipe.table(results, readme)
    assert all(f"swa, {arm}" in readme.read_text("utf-8") for arm in recipe.ARMS)


def test_an_unknown_arm_is_refused(script: Script, tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match="no arm magic"):
        script(PATH).train(tiny_data, ["swa"], ["magic"], [0], tmp_path, 1, tmp_path / "r.jsonl")


def test_the_project_file_names_commands_that_exist(script: Script) -> None:
    import yaml  # type: ignore[import-untyped]

    recipe = script(PATH)
    project = yaml.safe_load((recipe.HERE / "project.yml").read_text("utf-8"))
    known = {command.name or command.callback.__name__ for command in recipe.app.registered_commands}
    assert {command["name"] for command in project["commands"]} <= known
    assert project["workflows"]["all"] == [command["name"] for command in project["commands"]]
