"""The NER recipe in spaCy, run small: all arms, low data, tables and plot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from recipes import spacy_arms
from recipes.ner.scripts import spacy_tables

Script = Callable[[str], ModuleType]
PATH = "ner/scripts/ner_spacy.py"
MARKS = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("table", "arms", "target", "low-data", "tried"))


def test_arms_are_trained_scored_and_put_in_the_tables(
    script: Script, tiny_data: Path, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    recipe = script(PATH)
    work, results, readme = tmp_path / "work", tmp_path / "results.jsonl", tmp_path / "README.md"
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work))
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work, "svd"))
    recipe.distill(work)  # the encoders are there: only the random one is made
    spacy_arms.teach(tiny_data, work, languages=("swa", "amh"), dim=24, epochs=1, buckets=500, progress=False)
    spacy_arms.count(tiny_data, work, languages=("swa", "amh"), dim=6, min_count=1, progress=False)
    recipe.tables(tiny_data, ["swa"], ["static", "static-svd"], work)
    run: dict[str, Any] = {"data": tiny_data, "language": ["swa"], "work": work, "steps": 4, "results": results}
    arms = ["hash", "static", "random", "frozen", "finetuned"]
    recipe.train(arm=arms, seed=[0], share=[100], **run)
    rows = read(results)
    assert [row["arm"] for row in rows] == sorted(arms)
    assert all(0 <= row["test_f1_unseen"] <= 100 and row["pipeline_bytes"] > 0 for row in rows)
    assert all(row["sentences"] == 12 and row["test_share_unseen"] == 0 for row in rows)

    before = results.read_bytes()
    recipe.train(arm=["hash"], seed=[0], share=[100], **run)  # a row that is there is not run again
    assert results.read_bytes() == before

    recipe.low_data(seed=[0], **run)
    parts = [row for row in read(results) if row["share"] < 100]
    assert {(row["share"], row["sentences"], row["steps"]) for row in parts} == {(10, 1, 1), (25, 3, 2), (50, 6, 3)}

    tried = tmp_path / "tried.jsonl"
    variants = ["finetuned, without NORM", "finetuned, 40 % of the n-grams dropped"]
    recipe.tune(tiny_data, ["swa"], variants, [0], work, 4, tried)
    assert {row["variant"] for row in read(tried)} == set(variants)
    assert not any(name.startswith("test") for row in read(tried) for name in row)

    readme.write_text(MARKS, "utf-8")
    recipe.table(results, tried, readme)
    text = readme.read_text("utf-8")
    assert "| swa |" in text and "| **mean** |" in text and "| finetuned |" in text and "dropped |" in text
    recipe.plot(results, tmp_path / "low-data.svg")
    assert (tmp_path / "low-data.svg").read_text("utf-8").startswith("<?xml")


def test_the_joint_arm_starts_from_the_encoder_of_the_joint_tagger(
    script: Script, tiny_data: Path, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    recipe, results = script(PATH), tmp_path / "r.jsonl"
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(tmp_path))
    run: dict[str, Any] = {"data": tiny_data, "language": ["swa"], "work": tmp_path, "steps": 2, "results": results}
    with pytest.raises(DistillEmbError, match=r"run `python scripts/ner_hf\.py train --mode joint --seed 0` first"):
        recipe.train(arm=["joint"], seed=[0], share=[100], **run)

    tagger = DistillEmbForTokenClassification.from_pretrained(tiny_encoder_dir, num_labels=3)
    with torch.no_grad():
        for parameter in tagger.distillemb.parameters():
            parameter.mul_(1.5)
    tagger.save_pretrained(tmp_path / "hf-joint-encoder-0")
    AutoTokenizer.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path / "hf-joint-encoder-0")
    recipe.train(arm=["joint", "finetuned"], seed=[0], share=[100], **run)
    assert [row["arm"] for row in read(results)] == ["finetuned", "joint"]
    before, after = (
        DistillEmb.from_pretrained(path) for path in (tiny_encoder_dir, recipe.tagger_encoder(tmp_path, "joint", 0))
    )
    assert not np.allclose(before.encode(["moja"]), after.encode(["moja"]))


def read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text("utf-8").splitlines()]


def test_a_part_of_the_sentences_is_a_prefix_of_one_shuffle(tiny_data: Path) -> None:
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    file = tiny_data / "tasks" / "ner" / "masakhaner1" / "swa" / "train.txt"
    few, more = ([s.words for s in ConllCorpus(file, shuffle=True, limit=n).sentences()] for n in (3, 6))
    assert len(few) == 3 and more[:3] == few


def rows_of(arm: str, f1: dict[str, float], seed: int = 0, size: int = 0) -> list[dict[str, Any]]:
    base = {"arm": arm, "seed": seed, "share": 100, "embedding_bytes": size}
    return [base | {"language": language, "test_f1": score} for language, score in f1.items()]


def test_parts_of_the_sentences_are_averaged_over_the_seeds() -> None:
    rows = [
        {"arm": "hash", "language": "swa", "seed": seed, "share": share, "test_f1": share / 2 + 4 * seed}
        for seed in (0, 1)
        for share in (*spacy_tables.SHARES, 100)
    ]
    unfinished = {"arm": "hash", "language": "amh", "seed": 0, "share": 10, "test_f1": 99.0}  # not in every share
    assert spacy_tables.low_data_points([*rows, unfinished])["hash"][50] == [25.0, 29.0]
    table = spacy_tables.low_data_table([*rows, unfinished])
    assert table.splitlines()[-1] == "| hash | 7.0 ± 2.8 | 14.5 ± 2.8 | 27.0 ± 2.8 | 52.0 ± 2.8 |"


def test_a_mean_counts_only_seeds_with_all_languages() -> None:
    rows = rows_of("hash", {"swa": 60, "amh": 40}) + rows_of("hash", {"swa": 90}, seed=1)
    assert spacy_tables.seed_means(rows, "test_f1", ["amh", "swa"]) == [50]
    assert "| **mean** | **50.0** |" in spacy_tables.language_table(rows)
    assert "| swa | 75.0 ± 21.2 |" in spacy_tables.language_table(rows)


@pytest.mark.parametrize(("finetuned", "verdict"), [(64, "met"), (62, "missed")])
def test_the_target_is_judged_against_the_best_table(finetuned: float, verdict: str) -> None:
    rows = (
        rows_of("static", {"swa": 60}, size=100) + rows_of("floret", {"swa": 50}) + rows_of("compressed", {"swa": 55})
    )
    said = spacy_tables.target(rows + rows_of("finetuned", {"swa": finetuned}, size=5))
    assert f"{finetuned - 60:+.1f} points against static, at 1/20 of the bytes: **{verdict}**" in said
    rows += rows_of("finetuned-svd", {"swa": finetuned + 1}, size=4) + rows_of("static-svd", {"swa": 59.5}, size=90)
    said = spacy_tables.target(rows + rows_of("finetuned", {"swa": 61}, size=5))
    counted = (
        f"{finetuned - 59:+.1f} points against static, at 1/25 of the bytes: **met** ({finetuned - 58.5:+.1f} against"
    )
    assert "fastText as the teacher: +1.0 points against static, at 1/20 of the bytes: **missed**" in said
    assert counted in said
    both = rows_of("finetuned", {"swa": finetuned}, size=5) + rows_of("joint", {"swa": 66})
    assert "encoder of the joint tagger: +6.0." in spacy_tables.target(rows + both)


def test_an_unknown_arm_is_refused(script: Script, tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match="no arm magic"):
        script(PATH).train(tiny_data, ["swa"], ["magic"], [0], [100], tmp_path, 1, tmp_path / "r.jsonl")


def test_the_project_file_names_commands_that_exist(script: Script) -> None:
    import yaml  # type: ignore[import-untyped]

    recipe = script(PATH)
    project = yaml.safe_load((recipe.HERE / "project.yml").read_text("utf-8"))
    known = {command.name or command.callback.__name__.replace("_", "-") for command in recipe.app.registered_commands}
    for command in project["commands"]:
        for line in command["script"]:
            words = line.split()
            if words[1] == "scripts/ner_spacy.py":
                assert words[2] in known
    listed = [command["name"] for command in project["commands"]]
    assert set(project["workflows"]["all"]) <= set(listed)


def test_tagged_sentences_are_found_in_the_raw_text(script: Script, tmp_path: Path) -> None:
    recipe = script("ner/scripts/raw_text.py")
    words = ["Rais", "wa", "Kenya", "alikwenda", "mjini", "Nairobi", "jana", "asubuhi"]
    others = ["Wanafunzi", "wengi", "walisoma", "vitabu", "vyao", "kila", "siku", "shuleni"]
    for language, raw in (("swa", f"Habari: {' '.join(words).upper()}, alisema."), ("lug", "Tewali")):
        task, corpus = (tmp_path / part / language for part in ("tasks/ner/masakhaner1", "corpora"))
        task.mkdir(parents=True)
        corpus.mkdir(parents=True)
        (corpus / "OPEN.a.txt").write_text(f"{raw}\n", "utf-8")
        for split, sentences in (("train", [others]), ("dev", [others]), ("test", [words, others, ["Fupi"]])):
            lines = "\n\n".join("\n".join(f"{word} O" for word in sentence) for sentence in sentences)
            (task / f"{split}.txt").write_text(f"{lines}\n", "utf-8")
    assert recipe.shares_of(tmp_path, "swa") == {"train": 0, "dev": 0, "test": 0.5}  # the short one does not count
    results, readme = tmp_path / "results.jsonl", tmp_path / "README.md"
    results.write_text("".join(f"{json.dumps(row)}\n" for row in rows_of("hash", {"swa": 60, "lug": 50})), "utf-8")
    readme.write_text("<!-- raw-text -->\n<!-- /raw-text -->\n", "utf-8")
    recipe.main(tmp_path, ["swa", "lug"], results, readme)
    text = readme.read_text("utf-8")
    assert "| swa | 0 % | 0 % | 50 % |" in text and "Mean test F1 without swa: hash 50.0." in text
