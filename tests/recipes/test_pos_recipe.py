"""The POS recipe, run small: its data, its scores, both sides, the joint tagger and the tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distillemb_plugins import DistillEmbError
from distillemb_plugins.data import pos as sets
from distillemb_plugins.data.conll import Sentence
from recipes import spacy_arms
from recipes.pos import hf_side, report, scoring, spacy_side

Script = Callable[[str], ModuleType]
PATH = "pos/scripts/pos.py"
SENTENCES = [
    ("Juma anaishi Nairobi .", "PROPN VERB PROPN PUNCT"),
    ("Asha alikwenda Mombasa jana .", "PROPN VERB PROPN ADV PUNCT"),
    ("watoto wanacheza mpira .", "NOUN VERB NOUN PUNCT"),
]
UNSEEN = ("wazee wanacheza mpira .", "NOUN VERB NOUN PUNCT")
CONLLU = """1-2\tkàːbá\t_\t_\t_\t_\t_\t_\t_\t_
1\tkàː\tkàː\tNOUN\t_\t_\t0\troot\t_\t_
2\tɓá\tɓá\t_\t_\t_\t1\tdep\t_\t_
"""
MARKS = (
    "data",
    *(
        f"{side}-{kind}"
        for side in ("spacy", "hf")
        for kind in ("arms", "languages", "unseen", "transfer", "differences")
    ),
    "joint",
    "settings",
)


def conll(pairs: list[tuple[str, str]]) -> str:
    return "".join(
        "".join(f"{w} {t}\n" for w, t in zip(words.split(), tags.split(), strict=True)) + "\n" for words, tags in pairs
    )


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from, or left in, the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MasakhaPOS in two languages and one treebank, a few sentences each."""
    data = tmp_path_factory.mktemp("pos-data")
    for language in ("swa", "hau"):
        folder = data / "tasks" / "pos" / "masakhapos" / language
        folder.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / f"{split}.txt").write_text(conll(SENTENCES * 4 + [UNSEEN] * (split == "test")), "utf-8")
    treebank = data / "tasks" / "pos" / sets._NORTHERN
    treebank.parent.mkdir(parents=True)
    treebank.write_text(CONLLU, "utf-8")
    return data


@pytest.fixture(scope="module")
def work(data: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, an encoder and its random twin."""
    from distillemb_plugins.teachers import train_teacher

    work = tmp_path_factory.mktemp("pos-work")
    text = work / "text.txt"
    text.write_text("\n".join(words for words, _ in SENTENCES * 40), "utf-8")
    teacher = spacy_arms.teacher_path(work)
    train_teacher([text], teacher, "fasttext", dim=24, epochs=1, buckets=500, threads=1, progress=False)
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work))
    spacy_arms.random_encoder(work)
    return work


def test_accuracy_is_told_apart_for_seen_and_unseen_words() -> None:
    gold = [Sentence(words=["a", "b", "c", "d"], tags=["NOUN", "VERB", "NOUN", ""])]
    found = scoring.accuracy(gold, [["NOUN", "NOUN", "NOUN", "X"]], {"a", "b"})
    assert found == {"accuracy": 66.67, "seen": 50.0, "unseen": 100.0, "words": 3, "unseen_share": 33.33}
    assert scoring.accuracy(gold, [["NOUN"] * 4], {"a", "b", "c"})["unseen"] is None


def test_arms_differ_in_the_embedding_alone(work: Path) -> None:
    configs = {
        arm: spacy_arms.arm_config(spacy_side.CONFIG, arm, "pos-swa", work).interpolate() for arm in spacy_arms.ARMS
    }
    for config in configs.values():
        del config["components"]["tok2vec"]["model"]["embed"]
        del config["initialize"]
    assert all(config == configs["hash"] for config in configs.values())


@pytest.fixture(scope="module")
def trained(script: Script, data: Path, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a few taggers of a few updates."""
    recipe = script(PATH)
    results = tmp_path_factory.mktemp("pos-results") / "results.jsonl"
    run: dict[str, Any] = {"data": data, "seed": [0], "work": work, "language": ["swa", "hau"], "results": results}
    recipe.spacy(trained_on=["swa"], arm=["hash", "static", "finetuned"], steps=4, **run)
    recipe.spacy(trained_on=["hau", sets.JOINT], arm=["finetuned"], steps=4, **run)
    recipe.hf(trained_on=["swa"], arm=["random", "frozen"], epochs=1, **run)
    recipe.hf(trained_on=["hau"], arm=["frozen"], epochs=1, **run)
    before = results.read_bytes()
    recipe.hf(trained_on=["swa"], arm=["frozen"], epochs=1, **run)  # a row that is there is not run again
    assert results.read_bytes() == before
    return results


def test_both_sides_are_trained_and_scored(trained: Path, work: Path) -> None:
    rows = [json.loads(line) for line in trained.read_text("utf-8").splitlines()]
    assert len(rows) == 8
    for row in rows:
        assert 0 <= row["test"]["accuracy"] <= 100
        assert row["test"]["unseen_share"] == pytest.approx(100 / 56, abs=0.01)  # one word of 56
        assert row["model_bytes"] > 0 and row["cpu_seconds"] >= 0
    sizes = {(row["side"], row["arm"]): row["embedding_bytes"] for row in rows}
    assert sizes["spacy", "hash"] == 0
    assert sizes["spacy", "static"] == spacy_arms.teacher_path(work).stat().st_size
    assert sizes["hf", "frozen"] == sizes["spacy", "finetuned"] > 0
    transfer = {row["trained_on"]: set(row["transfer"]) for row in rows}
    assert transfer["hau"] == {"UD Hausa-Northern", "UD Hausa-Northern, marks dropped"}
    assert transfer[sets.JOINT] == transfer["hau"] | {"MasakhaPOS swa", "MasakhaPOS hau"}


def test_a_frozen_encoder_does_not_move(work: Path) -> None:
    import torch

    frozen = hf_side.build(spacy_arms.encoder_path(work), ["NOUN", "VERB"], freeze=True)
    free = hf_side.build(spacy_arms.encoder_path(work), ["NOUN", "VERB"], freeze=False)
    assert not any(p.requires_grad for p in frozen.distillemb.parameters())
    assert any(p.requires_grad for p in free.distillemb.parameters())
    assert all(
        torch.equal(a, b) for a, b in zip(frozen.distillemb.parameters(), free.distillemb.parameters(), strict=True)
    )


def test_the_tables_are_written(script: Script, trained: Path, data: Path, tmp_path: Path) -> None:
    recipe = script(PATH)
    readme = tmp_path / "README.md"
    readme.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in MARKS), "utf-8")
    recipe.check(data, ["swa", "hau"], readme)
    recipe.table(trained, tmp_path / "none.jsonl", readme)
    text = readme.read_text("utf-8")
    assert "| finetuned |" in text and "finetuned - static" in text
    assert "UD Hausa-Northern, marks dropped" in text
    assert "| swa | 12 / 52 | 12 / 52 | 13 / 56 | 2 | 12 |" in text
    own = (recipe.HERE / "README.md").read_text("utf-8")
    assert all(f"<!-- {name} -->" in own for name in MARKS)


def test_settings_are_tried_on_dev(script: Script, data: Path, work: Path, tmp_path: Path) -> None:
    recipe = script(PATH)
    results = tmp_path / "settings.jsonl"
    kept = [("hf", "finetuned", "learning rates 0.002 (head) and 0.0005 (encoder)")]
    kept += [("hf", "finetuned", f"learning rates 0.005 (head) and {rate} (encoder)") for rate in (0.001, 0.002)]
    lines = [
        {"side": side, "trained_on": "swa", "arm": arm, "setting": s, "dev": 9.0, "cpu_seconds": 1.0}
        for side, arm, s in kept
    ]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")  # these are not run again
    recipe.choose(data, ["swa"], ["hash"], work, 2, 1, results)
    rows = recipe.read_results(results)
    assert len(rows) == 7 and {row["side"] for row in rows} == {"spacy", "hf"}
    text = report.table_of_settings(rows)
    assert "| spacy, swa, hash | width 96, depth 4, learning rate 0.001 |" in text


def row(arm: str, language: str, seed: int, accuracy: float) -> dict[str, Any]:
    test = {"accuracy": accuracy, "seen": accuracy, "unseen": accuracy - 10, "unseen_share": 10.0}
    return {"side": "spacy", "arm": arm, "trained_on": language, "seed": seed, "test": test, "transfer": {}} | {
        "embedding_bytes": 10, "model_bytes": 20, "cpu_seconds": 1.0, "words_per_second": 5
    }  # fmt: skip


def test_means_leave_out_seeds_without_all_languages() -> None:
    rows = [row("hash", "swa", 0, 90), row("hash", "xho", 0, 80), row("hash", "swa", 1, 99)]
    cells = report.table_of_arms(rows, "spacy").splitlines()[2].split(" | ")
    assert cells[1:7] == ["85.00", "90.00", "80.00", "85.00", "75.00", "1"]


def test_losses_are_named() -> None:
    rows = [row("finetuned", "swa", 0, 90), row("static", "swa", 0, 91), row("static", "swa", 1, 50)]
    rows += [row("finetuned", "xho", 0, 80), row("static", "xho", 0, 78)]
    assert "| finetuned - static | +0.50 | -1.00 | +2.00 | +0.50 | 1 of 2: swa -1.0 |" in report.differences(rows)


def test_the_joint_tagger_stands_beside_the_own_taggers_and_not_under_transfer() -> None:
    scores = {"accuracy": 80.0, "unseen_share": 9.0}
    joint = row("frozen", sets.JOINT, 0, 75)
    joint["transfer"] = {
        "MasakhaPOS swa": scores,
        "MasakhaPOS hau": scores | {"accuracy": 70.0},
        "UD Wolof-WTB": scores,
    }
    own = [row("frozen", "swa", 0, 90), row("frozen", "swa", 1, 94)]
    text = report.joint_gain([*own, joint])
    assert "| swa | 92.0 ± 2.8 | 80.0 |" in text and "| hau |  | 70.0 |" in text
    assert text.splitlines()[-1] == "| **mean** | **92.0** | **75.0** |"
    transfer = report.table_of_transfer([*own, joint], "spacy")
    assert "UD Wolof-WTB" in transfer and "MasakhaPOS" not in transfer


@pytest.mark.parametrize(("option", "message"), [("arm", "no arm magic"), ("trained_on", "no training set magic")])
def test_what_does_not_exist_is_refused(script: Script, tmp_path: Path, option: str, message: str) -> None:
    with pytest.raises(DistillEmbError, match=message):
        script(PATH).spacy(tmp_path, **{option: ["magic"]}, results=tmp_path / "r.jsonl")


def test_the_project_file_names_commands_that_exist(script: Script) -> None:
    import yaml  # type: ignore[import-untyped]

    recipe = script(PATH)
    project = yaml.safe_load((recipe.HERE / "project.yml").read_text("utf-8"))
    known = {command.name or command.callback.__name__ for command in recipe.app.registered_commands}
    assert {command["script"][0].split()[2] for command in project["commands"]} <= known
    assert project["workflows"]["all"] == [command["name"] for command in project["commands"]]
