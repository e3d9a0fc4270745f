"""The defaults of the package are what the recipes found best on dev: in one place, and everywhere else from there."""

from __future__ import annotations

import inspect
import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import srsly
from typer.testing import CliRunner

from distillemb_plugins.cli import app
from distillemb_plugins.finetune import FineTuneArguments
from distillemb_plugins.hf import DistillEmbForTokenClassification
from distillemb_plugins.hf.pretrained_distillemb import ENCODER_RATE, HEAD_RATE
from distillemb_plugins.spacy_plugin import build_config
from distillemb_plugins.spacy_plugin.architectures import build_embed_v1, build_tok2vec_v1
from distillemb_plugins.spacy_plugin.rates import DEFAULT_GRAD_FACTOR, GRAD_FACTORS
from distillemb_plugins.teachers import train_teacher
from distillemb_plugins.teachers.amount import LITTLE_WORDS
from distillemb_plugins.workflow.quickstart import config_text as quickstart_config
from distillemb_plugins.workflow.settings import teacher_settings
from distillemb_plugins.workflow.taggers import ARGUMENTS, HEADS, tagger_config
from recipes.embeddings.grid import TASKS
from recipes.results import pick, read_results

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
DOCS = RECIPES.parent
RATE = "components.tok2vec.model.embed.grad_factor"


def tried_rates(task: str) -> dict[float, list[float]]:
    """The dev scores of the encoders that learned at each rate, of the tries that differ in nothing else."""
    planned = srsly.read_yaml(RECIPES / "embeddings" / "studies.yml")
    scores: dict[float, list[float]] = defaultdict(list)
    for name, one in TASKS.items():
        if one.config != task or name not in planned:
            continue
        rates = {
            (entry["system"], entry.get("setting", "")): entry["overrides"][RATE]
            for entry in planned[name]["tries"]
            if entry.get("overrides", {}).keys() == {RATE} and "ngram_dropout" not in entry
        }
        for row in read_results(RECIPES / "embeddings" / "tried.jsonl"):
            rate = rates.get((row["system"], row["setting"])) if row["task"] == name else None
            if rate is not None:
                scores[rate].append(row["dev"]["accuracy"] if "dev" in row else row["dev_f1"])
    return scores


@pytest.mark.parametrize("task", ["ner", "pos", "textcat"])
def test_the_rate_of_a_task_is_the_best_on_dev_over_languages_and_encoders(task: str) -> None:
    scores = tried_rates(task)
    assert len(scores) >= 3 and len({len(each) for each in scores.values()}) == 1, "the same tries at every rate"
    best = max(scores, key=lambda rate: statistics.mean(scores[rate]))
    assert GRAD_FACTORS[task] == best


@pytest.mark.parametrize("task", GRAD_FACTORS)
def test_configurations_commands_and_builds_take_the_rate_of_the_task(task: str) -> None:
    def embed(config: Any) -> Any:
        return config["components"]["tok2vec"]["model"]["embed"]

    assert embed(build_config(task))["grad_factor"] == GRAD_FACTORS[task]
    written = CliRunner().invoke(app, ["config", task])
    assert written.exit_code == 0 and f"grad_factor = {GRAD_FACTORS[task]}" in written.stdout
    if task in HEADS:
        assert embed(tagger_config(task, "xx", None, "afro11"))["grad_factor"] == GRAD_FACTORS[task]
    assert embed(build_config(task, overrides={RATE: 0.7}))["grad_factor"] == 0.7


def test_blocks_written_by_hand_take_the_rate_for_entities() -> None:
    for build in (build_embed_v1, build_tok2vec_v1):
        assert inspect.signature(build).parameters["grad_factor"].default == DEFAULT_GRAD_FACTOR == GRAD_FACTORS["ner"]
    assert f"grad_factor = {GRAD_FACTORS['ner']}" in quickstart_config("afro11")
    for page in ("README.md", "docs/how-to/spacy.md", "docs/how-to/context.md"):
        shown = re.findall(r"^grad_factor = (\S+)", (DOCS / page).read_text("utf-8"), re.MULTILINE)
        assert set(shown) <= {str(DEFAULT_GRAD_FACTOR)}, page


def test_heads_and_learning_rates_are_those_of_the_tagging_recipe() -> None:
    chosen = srsly.read_yaml(RECIPES / "tagging" / "settings.yml")
    for task, head in HEADS.items():
        assert head == chosen[task]["head"]
    rates = {"learning_rate", "encoder_learning_rate", "average"}
    single, pos = chosen["ner"]["modes"]["single"], chosen["pos"]["common"]
    assert ARGUMENTS["ner"] == {name: value for name, value in single.items() if name in rates}
    assert ARGUMENTS["pos"] == {name: value for name, value in pos.items() if name in rates}


def test_the_teacher_of_a_build_is_the_best_on_dev() -> None:
    """Languages with millions of words, and the half million of Luo."""

    def mean(rows: list[Any], name: str) -> float:
        return statistics.mean(row[name] for row in rows)

    embeddings, luo = (
        read_results(RECIPES / name) for name in ("embeddings/tried.jsonl", "new_language/results.jsonl")
    )
    tried = pick(embeddings, task="ner", setting="0.3 of the learning rate")
    counted, trained = (pick(tried, system=name) for name in ("finetuned-ppmi_svd", "finetuned"))
    assert len(counted) == len(trained) >= 4 and mean(counted, "dev_f1") > mean(trained, "dev_f1")
    chosen = srsly.read_yaml(RECIPES / "embeddings" / "prepare.yml")["ppmi_svd"]
    assert teacher_settings(LITTLE_WORDS, tagged=True) == {"algorithm": "ppmi-svd", **chosen}
    assert mean(pick(luo, system="own"), "dev") > mean(pick(luo, system="ppmi-svd"), "dev")
    algorithm = inspect.signature(train_teacher).parameters["algorithm"].default
    for words, tagged in ((LITTLE_WORDS - 1, True), (LITTLE_WORDS, False)):
        assert teacher_settings(words, tagged).get("algorithm", algorithm) == "fasttext"


def test_learning_rates_have_one_default() -> None:
    groups = inspect.signature(DistillEmbForTokenClassification.parameter_groups).parameters
    assert (groups["lr"].default, groups["encoder_lr"].default) == (HEAD_RATE, ENCODER_RATE)
    fields = FineTuneArguments.__dataclass_fields__
    assert (fields["learning_rate"].default, fields["encoder_learning_rate"].default) == (HEAD_RATE, ENCODER_RATE)
    for page in ("README.md", "docs/how-to/hugging-face.md"):
        text = (DOCS / page).read_text("utf-8")
        for head, encoder in re.findall(r"parameter_groups\(lr=(\S+?), encoder_lr=(\S+?)\)", text):
            assert (float(head), float(encoder)) == (HEAD_RATE, ENCODER_RATE), page
