"""The verb `pretrain`, and fine-tuning from what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distillemb_plugins.cli import app
from distillemb_plugins.persistence import read_encoder

SMALL = ["--layers", "1", "--size", "8", "--heads", "2", "--words", "600", "--set", "device=cpu", "--set", "warmup=1"]


@pytest.fixture(scope="module")
def pretrained(tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain-cli")
    (folder / "text.txt").write_text("kita soma mji . ndege rafiki\n" * 100, "utf-8")
    out = folder / "out"
    arguments = ["pretrain", f"swa={folder / 'text.txt'}", "-e", str(tiny_encoder_dir), "-o", str(out), "--json"]
    found = CliRunner().invoke(app, [*arguments, "--source", "News|CC0|example.org", "--freeze-encoder", *SMALL])
    assert found.exit_code == 0, found.output
    values = json.loads(found.stdout)
    assert values["context_parameters"] > 500
    assert set(values["scores"]) == {"loss", "accuracy"}
    return out


def test_facts_tell_the_text_and_the_settings(pretrained: Path) -> None:
    facts = read_encoder(pretrained).facts
    assert [corpus.name for corpus in facts.corpora] == ["News", "swa"]
    assert facts.settings["pretraining"]["encoder_learning_rate"] == 0.0
    assert "On held-out masked words" in (pretrained / "README.md").read_text("utf-8")


def test_an_unknown_setting_is_refused(pretrained: Path, tiny_encoder_dir: Path) -> None:
    arguments = ["pretrain", str(pretrained.parent / "text.txt"), "-e", str(tiny_encoder_dir), "-o", "x"]
    found = CliRunner().invoke(app, [*arguments, "--set", "depth=2"])
    assert found.exit_code == 2
    assert "--set depth=2 names no setting" in found.output


def test_learning_rates_of_encoder_context_and_head_are_apart(pretrained: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from distillemb_plugins.data.tagged import dataset_of
    from distillemb_plugins.finetune import FineTuneArguments, fine_tune
    from distillemb_plugins.hf import DistillEmbForTokenClassification

    words, tags = [["kita", "soma", "mji"]] * 8, [["O", "O", "B-LOC"]] * 8
    dataset = dataset_of(dict.fromkeys(("train", "dev"), (words, tags)), ["O", "B-LOC"])
    model = DistillEmbForTokenClassification.from_pretrained(pretrained, head="bilstm-crf", num_labels=2)
    rates = {group["lr"]: group["params"][0] for group in model.parameter_groups(3.0, 1.0, context_lr=2.0)}
    owners = {id(p): name for name, p in model.named_parameters()}
    assert {rate: owners[id(p)].removeprefix("distillemb.").split(".")[0] for rate, p in rates.items()}.keys() == {
        1.0, 2.0, 3.0,
    }  # fmt: skip
    assert owners[id(rates[2.0])].startswith("distillemb.context_layers.")
    before = model.distillemb.context_layers.input.weight.clone()
    arguments = FineTuneArguments(
        output_dir=str(tmp_path / "run"), num_train_epochs=1, encoder_learning_rate=0.0, context_learning_rate=1e-2
    )
    tuned = fine_tune(model, AutoTokenizer.from_pretrained(pretrained), dataset, arguments)
    assert (tuned.model.distillemb.context_layers.input.weight != before).any()
