"""The NER recipe in Hugging Face, run small: encoder, context layers, taggers, table, report and release."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from recipes import spacy_arms

pytest.importorskip("datasets")
pytest.importorskip("seqeval")
torch = pytest.importorskip("torch")

Script = Callable[[str], ModuleType]
PATH, PRETRAIN = "ner/scripts/ner_hf.py", "ner/scripts/pretrain_context.py"
LANGUAGES = ["amh", "swa"]


@pytest.fixture(scope="module")
def trained(script: Script, tiny_data: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with an encoder, context layers, and taggers of every mode."""
    recipe = script(PATH)
    work = tmp_path_factory.mktemp("hf-ner")
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work))
    pretraining = script(PRETRAIN)
    pretraining.main(spacy_arms.encoder_path(work), work / "hf-context", tiny_data, LANGUAGES, 400, hidden=8)
    options: dict[str, Any] = {"data": tiny_data, "language": LANGUAGES, "seed": [0], "work": work, "epochs": 1}
    recipe.train(mode=["single", "joint", "tuned"], start="context", results=work / "r.jsonl", **options)
    recipe.train(mode=["joint", "extended", "refined"], start="encoder", results=work / "r.jsonl", **options)
    return work


def test_every_mode_is_trained_and_scored(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "r.jsonl").read_text("utf-8").splitlines()]
    kinds = {(row["language"], row["mode"], row["start"]) for row in rows}
    assert kinds == {(name, mode, "context") for name in LANGUAGES for mode in ("single", "joint", "tuned")} | {
        (name, mode, "encoder") for name in LANGUAGES for mode in ("joint", "extended", "refined")
    }
    assert all(0 <= row["test_f1"] <= 100 and row["bytes"] > 0 and "test_f1_unseen" in row for row in rows)
    assert all(set(row["test_per_type"]) <= {"PER", "LOC", "ORG", "DATE"} for row in rows)


def test_extended_tasks_hold_the_new_sentences_alone(script: Script, tiny_data: Path) -> None:
    recipe = script(PATH)
    tasks = {name: recipe.load_task(tiny_data, name) for name in LANGUAGES}
    extended = recipe.extended_tasks(tiny_data, tasks)
    assert extended["amh"]["train"].num_rows == tasks["amh"]["train"].num_rows, "MasakhaNER 2.0 has no Amharic"
    added = extended["swa"]["train"]["tokens"][tasks["swa"]["train"].num_rows :]
    assert list(added) == [["Zuri", "anaimba"]], "what dev and test hold is left out"


def test_joint_and_refined_are_scored_apart_from_the_added_sentences(
    trained: Path, script: Script, tiny_data: Path, tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- apart -->\n<!-- /apart -->\n", "utf-8")
    script(PATH).apart(tiny_data, LANGUAGES, trained, "encoder", 0, readme)
    text = readme.read_text("utf-8")
    assert "On the 24 of 24 test sentences" in text and "joint " in text and "refined " in text


def test_what_is_there_is_not_trained_again(trained: Path, script: Script, tiny_data: Path) -> None:
    before = (trained / "r.jsonl").read_bytes()
    script(PATH).train(tiny_data, LANGUAGES, ["joint"], "context", [0], trained, trained / "r.jsonl", 1)
    assert (trained / "r.jsonl").read_bytes() == before


def test_the_tables_name_what_was_published(trained: Path, script: Script, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- hf -->\n<!-- /hf -->\n", "utf-8")
    script(PATH).table(trained / "r.jsonl", readme)
    text = readme.read_text("utf-8")
    assert "| joint, context |" in text and "75.40" in text and "78.95" in text


def test_the_report_shows_scores_and_errors(trained: Path, script: Script, tiny_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    script(PATH).report(tiny_data, LANGUAGES, trained / "hf-joint-context-0", out, "dev")
    text = out.read_text("utf-8")
    assert "micro avg" in text and "Most frequent errors" in text and "F1 on dev by epoch" in text


def test_the_release_opens_without_the_package(trained: Path, script: Script, tmp_path: Path) -> None:
    out = tmp_path / "release"
    script(PATH).release(out, trained, trained / "r.jsonl")
    assert "cc-by-nc-4.0" in (out / "README.md").read_text("utf-8")
    code = (
        "import sys; sys.modules['distillemb_plugins'] = None\n"
        "from transformers import pipeline\n"
        "tag = pipeline('token-classification', sys.argv[1], trust_remote_code=True, aggregation_strategy='simple')\n"
        "print('entities', len(tag('Juma anaishi Nairobi .')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=False)
    assert "entities" in done.stdout, done.stderr


def test_context_layers_learn_what_stands_around_a_word(
    script: Script, tiny_data: Path, tiny_encoder_dir: Path
) -> None:
    recipe = script(PRETRAIN)
    settings = recipe.PretrainSettings(words=4000, hidden=16, batch_size=16, negatives=16, bfloat16=False)
    lines = list(recipe.read_lines(tiny_data, "swa", settings.words))
    assert sum(map(len, lines)) >= settings.words > sum(map(len, lines[:-1]))
    corpus = recipe.Corpus(lines, DistillEmb.from_pretrained(tiny_encoder_dir))
    model = recipe.context_model(tiny_encoder_dir, settings)
    before = [p.clone() for p in model.distillemb.parameters()]
    losses = recipe.pretrain(model, corpus, settings, progress=False)
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, model.distillemb.parameters(), strict=True))


def test_missing_steps_are_named(script: Script, tiny_data: Path, tmp_path: Path) -> None:
    recipe = script(PATH)
    with pytest.raises(DistillEmbError, match=r"ner_hf\.py context"):
        recipe.base("context", tmp_path)
    with pytest.raises(DistillEmbError, match="run `train --mode extended --seed 0` first"):
        recipe.run({"swa": recipe.load_task(tiny_data, "swa")}, "refined", "encoder", 0, tmp_path, tmp_path / "r", 1)
    with pytest.raises(DistillEmbError, match="no joint tagger"):
        recipe.release(tmp_path / "out", tmp_path, tmp_path / "none.jsonl")
    (tmp_path / "context").mkdir()
    with pytest.raises(DistillEmbError, match="exists"):
        script(PRETRAIN).main(tmp_path, tmp_path / "context")
