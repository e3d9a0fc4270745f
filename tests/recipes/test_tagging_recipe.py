"""The recipe of Hugging Face taggers: its project run small, its scores, tables, report and release."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pytest

from distillemb_plugins import DistillEmbError

pytest.importorskip("datasets")
torch = pytest.importorskip("torch")

from distillemb_plugins.data import pos as pos_sets
from distillemb_plugins.data import tagged_dataset
from distillemb_plugins.finetune import build_model
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.workflow import packages
from recipes.results import read_results
from recipes.tagging import taggers, train

from .conftest import write_pos
from .projects import run_project

LANGUAGES = ["amh", "swa"]


@pytest.fixture(scope="module")
def data(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MasakhaNER 1.0 and 2.0, MasakhaPOS in two languages and one treebank, a few sentences each."""
    data = tmp_path_factory.mktemp("tagging-data")
    copytree(tiny_data / "tasks" / "ner", data / "tasks" / "ner")
    write_pos(data)
    return data


@pytest.fixture(scope="module")
def done(data: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All commands of the project, with one epoch of tiny taggers."""
    work = tmp_path_factory.mktemp("tagging")
    for name in train.ENCODERS.values():
        copytree(tiny_encoder_dir, work / "encoders" / name)
    (work / "README.md").write_text((train.HERE / "README.md").read_text("utf-8"), "utf-8")
    small = "--language amh --language swa"
    values = {
        "data": data,
        "encoders": work / "encoders",
        "work": work / "training",
        "readme": work / "README.md",
        "ner": work / "ner.jsonl",
        "pos": work / "pos.jsonl",
        "tried": work / "tried.jsonl",
        "report": work / "report.html",
    }
    with pytest.MonkeyPatch.context() as patch:
        for settings in (*train.NER["modes"].values(), train.POS["common"]):
            patch.setitem(settings, "num_train_epochs", 1)
            patch.setitem(settings, "evaluations", 1)
        patch.setitem(train.NER, "languages", LANGUAGES)
        patch.setattr(train, "bundled", lambda name: tiny_encoder_dir)
        run_project(train.HERE, {**values, "some": f"{small} --seed 0"}, ["ner", "ner-refined"])
        run_project(train.HERE, {**values, "some": small}, ["ner-single"])
        few = "--trained-on swa --trained-on hau --seed 0 --system random --system frozen"
        run_project(train.HERE, {**values, "some_sets": few}, ["pos"])
        run_project(train.HERE, {**values, "some": "--language swa --language hau"}, ["pos-joint"])
        before = [file.read_bytes() for file in (work / "ner.jsonl", work / "pos.jsonl")]
        run_project(train.HERE, {**values, "some": f"{small} --seed 0", "some_sets": few}, ["ner", "pos"])
        again = [file.read_bytes() for file in (work / "ner.jsonl", work / "pos.jsonl")]
        train.study(data, ["swa"], work / "encoders", 1, work / "tried.jsonl")
        run_project(train.HERE, {**values, "some": small}, ["apart"])
        (work / "report-languages").touch()
        taggers.report(data, LANGUAGES, work / "training" / "hf-refined-ppmi_svd-0", work / "report.html")
        # What a release finds in a fresh process is tested below, on another one.
        patch.setattr(packages, "open_alone", lambda *_: {"entities": []})
        run_project(train.HERE, values, ["write_tables", "release"])
    return SimpleNamespace(work=work, data=data, before=before, again=again)


def test_every_mode_is_trained_and_scored(done: Any) -> None:
    rows = read_results(done.work / "ner.jsonl")
    kinds = {(row["language"], row["mode"], row["init_from"]) for row in rows}
    begun = {mode: {"fasttext", "ppmi_svd"} for mode in train.NER["modes"]}
    begun["tenth"] = {"afro11", "afro11-context"}
    begun["joint"] |= {"afro11", "afro11-context"}
    begun["extended"] |= {"afro11-context"}
    begun["refined"] |= {"afro11-context"}
    assert kinds == {(name, mode, one) for name in LANGUAGES for mode, starts in begun.items() for one in starts}
    assert all(0 <= row["test_f1"] <= 100 and row["bytes"] > 0 and "test_f1_unseen" in row for row in rows)
    assert all(set(row["test_per_type"]) <= {"PER", "LOC", "ORG", "DATE"} for row in rows)


def test_a_tenth_of_the_sentences_is_that_of_the_spacy_recipe(tmp_path: Path) -> None:
    (file := tmp_path / "train.txt").write_text("\n\n".join(f"w{n} B-PER\nx O" for n in range(30)) + "\n", "utf-8")
    tokens = train.with_a_tenth(tagged_dataset({"train": file}))["train"]["tokens"]
    assert list(tokens) == [s.words for s in ConllCorpus(file, shuffle=True, limit=3).sentences()]


def test_what_is_there_is_not_trained_again(done: Any) -> None:
    assert done.before == done.again


def test_an_encoder_with_context_layers_is_fine_tuned_with_their_settings(
    data: Path, tiny_context_dir: Path, tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "fine_tune", lambda model, tokenizer, dataset, args: (model.config, args))
    monkeypatch.setitem(train.SETTINGS["over_context"], "head", {"context_dropout": 0.3})
    task = train.load_task(data, "swa")
    settings = {"seed": 0, "context_learning_rate": 0.5}
    for encoder, dropout, rate in ((tiny_context_dir, 0.3, 0.0003), (tiny_encoder_dir, 0.1, 0.5)):
        (config, args), _ = train.fit(encoder, task, tmp_path, train.NER["head"], settings)
        assert (config.context_dropout, args.context_learning_rate) == (dropout, rate)


def test_extended_tasks_hold_the_new_sentences_alone(data: Path) -> None:
    tasks = {name: train.load_task(data, name) for name in LANGUAGES}
    extended = train.extend_tasks(data, tasks)
    assert extended["amh"]["train"].num_rows == tasks["amh"]["train"].num_rows, "MasakhaNER 2.0 has no Amharic"
    added = extended["swa"]["train"]["tokens"][tasks["swa"]["train"].num_rows :]
    assert list(added) == [["Zuri", "anaimba"]], "what dev and test hold is left out"


def test_joint_and_refined_are_scored_apart_from_the_added_sentences(done: Any) -> None:
    text = (done.work / "README.md").read_text("utf-8")
    assert "On the 24 of 24 test sentences" in text and "joint " in text and "refined " in text
    assert "(init_from ppmi_svd, seed 0)" in text


def test_the_report_shows_scores_and_errors(done: Any) -> None:
    text = (done.work / "report.html").read_text("utf-8")
    assert "all (micro)" in text and "Most frequent errors" in text and "F1 on dev by epoch" in text


def test_the_release_has_a_card_and_opens_alone(done: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    out = done.work / "training" / "release" / "african-ner"
    card = (out / "README.md").read_text("utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "cc-by-nc-4.0" and front["language"] == LANGUAGES and "| swa |" in card
    dev, test = front["model-index"][0]["results"]
    assert "dev" in dev["dataset"]["name"] and [one["name"] for one in test["metrics"]] == ["F1 (amh)", "F1 (swa)"]
    taggers.release(tmp_path / "out", done.work / "training", done.work / "ner.jsonl")
    told = capsys.readouterr().out
    assert told.startswith(f"{tmp_path / 'out' / 'african-ner'}: ") and "it finds" in told


def test_pos_taggers_are_trained_and_scored(done: Any) -> None:
    rows = read_results(done.work / "pos.jsonl")
    assert {(row["trained_on"], row["system"]) for row in rows} == {
        *((name, system) for name in ("swa", "hau") for system in ("random", "frozen")),
        *((pos_sets.JOINT, system) for system in ("random", "finetuned")),
    }
    for row in rows:
        assert 0 <= row["test"]["accuracy"] <= 100
        assert row["test"]["unseen_share"] == pytest.approx(100 / 56, abs=0.01)  # one word of 56
        assert row["model_bytes"] > 0 and row["cpu_seconds"] >= 0 and row["embedding_bytes"] > 0
    transfer = {row["trained_on"]: set(row["transfer"]) for row in rows}
    assert transfer["hau"] == {"UD Hausa-Northern", "UD Hausa-Northern, marks dropped"}
    assert transfer[pos_sets.JOINT] == transfer["hau"] | {"MasakhaPOS swa", "MasakhaPOS hau"}


def test_the_tables_are_written(done: Any) -> None:
    text = (done.work / "README.md").read_text("utf-8")
    assert "| joint, ppmi_svd |" in text and "75.40" in text and "78.95" in text
    assert "| frozen - random |" in text and "UD Hausa-Northern, marks dropped" in text
    assert len(read_results(done.work / "tried.jsonl")) == 3
    assert "| finetuned, learning rates 0.005 (head) and 0.002 (encoder) |" in text


def test_a_frozen_encoder_does_not_move(tiny_encoder_dir: Path) -> None:
    frozen, free = (
        build_model(tiny_encoder_dir, ["NOUN", "VERB"], **train.POS["head"], freeze_encoder=freeze)[0]
        for freeze in (True, False)
    )
    assert not any(p.requires_grad for p in frozen.distillemb.parameters())
    assert any(p.requires_grad for p in free.distillemb.parameters())
    assert all(
        torch.equal(a, b) for a, b in zip(frozen.distillemb.parameters(), free.distillemb.parameters(), strict=True)
    )


def test_missing_steps_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match=r"prepare\.py all"):
        train.ner(data, LANGUAGES, ["joint"], ["ppmi_svd"], tmp_path, [0], 1, tmp_path, tmp_path / "r")
    with pytest.raises(DistillEmbError, match="ner --mode extended --seed 0` first"):
        train.ner(data, LANGUAGES, ["refined"], ["fasttext"], tmp_path, [0], 1, tmp_path, tmp_path / "r")
    with pytest.raises(DistillEmbError, match="no joint tagger"):
        taggers.release(tmp_path / "out", work=tmp_path, results=tmp_path / "none.jsonl")
    with pytest.raises(DistillEmbError, match="is not there: train it first"):
        taggers.report(data, LANGUAGES, tmp_path / "none")


@pytest.mark.parametrize(
    ("option", "message"), [("system", "no system magic"), ("trained_on", "no training set magic")]
)
def test_what_does_not_exist_is_refused(tmp_path: Path, option: str, message: str) -> None:
    with pytest.raises(DistillEmbError, match=message):
        train.pos(tmp_path, **{option: ["magic"]}, results=tmp_path / "r.jsonl")
