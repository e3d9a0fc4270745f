"""The distillation recipe, run small."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.data.record import write_record
from recipes.distill.scripts import afro11, tables
from recipes.results import ROOT, read_results

from .projects import run_project


def test_table_a(tiny_data: Path, tmp_path: Path) -> None:
    names = ("ngram-bag, local", "ngram-bag, local + global", "cnn 0.3M", "cnn 0.3M + 15,000 words x 16")
    shutil.copy(tables.HERE / "README.md", tmp_path / "README.md")
    values = {"data": tiny_data, "work": tmp_path, "readme": tmp_path / "README.md"}
    only = "--only ngram-bag --only '0.3M + 15'"
    assert run_project(tables.HERE, values | {"a": only}, ["table-a"]) == 1
    run_project(tables.HERE, values | {"a": "--only 0.3M --seed 1"}, ["table-a", "write"])
    found = {row["name"]: row for row in read_results(tmp_path / "results-a.jsonl")}
    assert set(found) == {*names, "teacher", "cnn 0.3M + 40,000 words x 12"}
    assert [found[name]["seed"] for name in names] == [0, 0, 1, 0]  # what is there is not run again
    assert found[names[3]]["bytes"] > found[names[2]]["bytes"]
    assert found[names[3]]["cosine"] == found[names[2]]["cosine"]  # held-out words are the network's alone
    assert found[names[3]]["parameters"] == found[names[2]]["parameters"]
    assert found["teacher"]["others"] == found["teacher"]["mean"]  # all sets are alike here
    assert "| 100.0 % | 100.0 % |" in (tmp_path / "README.md").read_text("utf-8")


def test_table_b(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(tables.HERE / "README.md", tmp_path / "README.md")
    values = {"data": tiny_data, "work": tmp_path, "readme": tmp_path / "README.md"}
    small = "--held-out 20 --max-seconds 0.2"
    monkeypatch.setattr(tables, "AFRICAN", ["swa", "amh"])
    with pytest.raises(DistillEmbError, match="corpus"):  # none of its words is in this teacher: no windows
        run_project(tables.HERE, values | {"b": f"{small} --only published"}, ["table-b"])
    run_project(tables.HERE, values | {"b": f"{small} --only 'cnn, ours'"}, ["table-b", "write"])
    found = {row["name"]: row for row in read_results(tmp_path / "results-b.jsonl")}
    assert set(found) == {"cnn, ours", "cnn, ours, two teachers averaged", "teacher (fastText)"}
    assert all(-1 <= row["cosine"] <= 1 for row in found.values() if "cosine" in row)


def test_every_figure_of_the_readme_stands_in_the_results(tmp_path: Path) -> None:
    copy = shutil.copy(tables.HERE / "README.md", tmp_path / "README.md")
    run_project(tables.HERE, {"readme": copy, "work": tables.HERE}, ["write"])
    assert copy.read_text("utf-8") == (tables.HERE / "README.md").read_text("utf-8")


def test_the_shipped_encoders_are_made_small(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afro11, "LANGUAGES", ("swa", "amh"))
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for language in ("swa", "amh"):  # the lines of tiny_data are its test sentences, and are left out
        words = ["watoto", "wengi", "walicheza", "mpira", "shuleni", "kila", "siku", "mbwa", "paka", "jana", language]
        lines = [" ".join(words[(i * k) % 11] for k in range(1, 8)) for i in range(1, 200)]
        file = data / "corpora" / language / "OPEN.tico19.txt"
        file.write_text(file.read_text("utf-8") + "\n" + "\n".join(lines), "utf-8")
    write_record(data, {"swa/OPEN.tico19": {"like_task_sentences": 7}})  # as if it had been fetched
    values = {
        "data": data,
        "work": tmp_path,
        "bundle": tmp_path / "bundled",
        "teach": "--dim 8 --buckets 200",
        "distill": """--settings '{"epochs": 2, "codebook_words": 0, "min_char_count": 1, "held_out": 2}'""",
        "context": """--settings '{"layers": 1, "size": 16, "words": 2000}'""",
    }
    assert run_project(tables.HERE, values, ["text", "teach", "distill", "context", "bundle"]) == 5
    encoder, context = (DistillEmb.from_pretrained(tmp_path / "bundled" / n) for n in ("afro11", "afro11-context"))
    assert encoder.dim == 8 and encoder.characters.hashed == 256 and encoder.characters.knows("ɔ")
    for one in (encoder, context):
        card = one.files.card
        assert "tico19" in card and "327 lines were left out" in card and "| swa |" in card and one.files.facts.scores
        assert one.files.facts.teachers and one.files.facts.settings["epochs"] == 2, "known of the encoder"
    assert context.files.config["context_layers"] == 1 and "not stated" not in context.files.card
    assert (tmp_path / "bundled" / "afro11" / "vocabulary.txt.gz").is_file()
    assert not (tmp_path / "encoders" / "afro11.work").exists()
    # Then context layers of several sizes on the same text.
    monkeypatch.setitem(
        tables.SYSTEMS, "c", {f"1 x 16, {n}": {"layers": 1, "size": 16, "words": n} for n in (900, 9000)}
    )
    monkeypatch.setattr(tables, "AFRICAN", ["swa", "amh"])
    monkeypatch.setattr(tables, "NER_LANGUAGES", ["swa"])
    values["readme"] = shutil.copy(tables.HERE / "README.md", tmp_path / "README.md")
    run_project(tables.HERE, values, ["table-c", "write"])
    few, more = read_results(tmp_path / "results-c.jsonl")
    assert 900 <= few["words"] < 9000 <= more["words"] and few["bytes"] == more["bytes"] < 4e6
    assert all(0 < row["accuracy"] <= 1 and 0 <= row["dev_f1"] <= 100 for row in (few, more))
    drawn = (tmp_path / "context.svg").read_text("utf-8")
    assert drawn.startswith("<?xml") and all(f">{row['words'] / 1e6:.2g}<" in drawn for row in (few, more))
    assert "| 1 x 16, 900 |" in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", [tables.HERE / "README.md", ROOT / "docs" / "how-to" / "data.md"])
def test_the_second_command_finds_what_the_first_one_fetched(page: Path) -> None:
    text = page.read_text("utf-8")
    (fetched,) = re.findall(r"distillemb data fetch -o (\S+) *(?:#.*)?\n.*recipes/distill", text)
    (taken,) = re.findall(r"spacy project run afro11 recipes/distill --vars.data (\S+)\n", text)
    assert (tables.HERE / taken).resolve() == (ROOT / fetched).resolve()


def test_the_shipped_encoder_lists_a_license_for_every_text(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DistillEmbError, match="no raw text"):
        afro11.corpora(tmp_path)
    monkeypatch.setattr(afro11, "LANGUAGES", ("swa", "amh"))
    (found,) = afro11.corpora(tiny_data)
    assert (found.name, found.license) == ("tico19", "CC0 1.0")
    assert found.source.startswith("swa, amh: https://github.com/tico-19/tico-19.github.io/tree/")
    (tiny_data / "corpora" / "swa" / "OPEN.secret.txt").write_text("x")
    try:
        with pytest.raises(DistillEmbError, match="not in the list of public sources"):
            afro11.corpora(tiny_data)
    finally:
        (tiny_data / "corpora" / "swa" / "OPEN.secret.txt").unlink()
