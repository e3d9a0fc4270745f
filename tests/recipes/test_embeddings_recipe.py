"""The recipe embeddings, run small: what the systems read, every model of every task, the studies and the tables."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.data import pos
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.workflow import packages
from recipes import results
from recipes.embeddings import classifiers, grid, prepare, train, write_tables
from recipes.embeddings.grid import COMMON, SYSTEMS, TABLES, TASKS, source, table_path
from recipes.results import read_results
from recipes.tables import common_languages, languages_table, systems_table

from .conftest import write_pos
from .projects import run_project

DIM = 24
WORDS = {"Juma", "Nairobi", "mpira", "isiyoonekana"}  # the last one is in no text
LABELS = {
    "positive": ("kita", "soma", "ilé"),
    "negative": ("mji", "ndege", "gida"),
    "neutral": ("nyota", "rafiki", "ቤት"),
}


def task_of(name: str, words: set[str]) -> Any:
    """A task in one language."""
    return SimpleNamespace(name=name, languages=("swa",), words=lambda data, language: words)


def _texts(begin: int, count: int) -> str:
    lines = ["tweet\tlabel"]
    for number in range(begin, begin + count):
        label, words = list(LABELS.items())[number % 3]
        lines.append(f"{words[number % 2]} {words[2]} ya {number}\t{label}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """The tiny data, with MasakhaPOS in two languages, a treebank, and AfriSenti in Swahili."""
    data = tmp_path_factory.mktemp("embeddings") / "data"
    shutil.copytree(tiny_data, data)
    write_pos(data)
    folder = data / "tasks" / "cls" / "afrisenti" / "swa"
    folder.mkdir(parents=True)
    for name, (begin, count) in {"train": (0, 30), "dev": (30, 6), "test": (36, 6)}.items():
        (folder / f"{name}.tsv").write_text(_texts(begin, count), "utf-8")
    return data


@pytest.fixture(scope="module")
def work(data: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the systems read, a few kilobytes each."""
    work = tmp_path_factory.mktemp("work")
    languages = ("swa", "amh")
    prepare.train_fasttext(data, work, languages, dim=DIM, epochs=1, buckets=500, progress=False)
    prepare.count_ppmi_svd(data, work, languages, dim=6, min_count=1, progress=False)
    prepare.train_floret(data, work, languages, dim=DIM, bucket=300, epoch=1, verbose=0)
    prepare.compress(work, new_vocab_size=10, new_ngrams_size=40, qdim=4, centroids=5)
    for name in (grid.ENCODER, grid.PPMI_SVD_ENCODER):
        shutil.copytree(tiny_encoder_dir, work / name)
    prepare.random_encoder(work, seed=1)
    prepare.write_tables([task_of("task", WORDS)], Path(), work, systems=TABLES)
    return work


# -- what the systems read


def table_rows(work: Path, system: str) -> dict[str, np.ndarray]:
    import spacy

    vectors = spacy.load(table_path(system, "task", "swa", work)).vocab.vectors
    assert len(vectors) == len(WORDS)
    return {word: vectors[word] for word in sorted(WORDS)}


def test_the_static_table_has_n_gram_vectors_for_unseen_words(work: Path) -> None:
    teacher = load_teacher(work / grid.FASTTEXT)
    assert "isiyoonekana" not in teacher
    wanted, found = teacher.lookup(sorted(WORDS))
    assert found.all()
    rows = table_rows(work, "static")
    np.testing.assert_allclose(np.stack([rows[word] for word in sorted(WORDS)]), wanted, rtol=1e-5)
    assert np.abs(rows["isiyoonekana"]).sum() > 0


def test_the_floret_table_holds_what_floret_computes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import floret

    train_one, models = floret.train_unsupervised, []

    def remember(*args: Any, **settings: Any) -> Any:
        models.append(train_one(*args, **settings))
        return models[-1]

    monkeypatch.setattr(floret, "train_unsupervised", remember)
    prepare.train_floret(data, tmp_path, ("swa", "amh"), dim=DIM, bucket=300, epoch=5, verbose=0)
    prepare.write_tables([task_of("task", WORDS)], data, tmp_path, systems=["floret"])
    for word, one in table_rows(tmp_path, "floret").items():
        other = models[0].get_word_vector(word)  # divided by another number of n-grams than in spaCy
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9999


def test_the_compressed_table_is_near_the_one_it_was_made_from(work: Path) -> None:
    rows, whole = table_rows(work, "compressed"), table_rows(work, "static")
    known = np.array([rows[word] for word in ("Juma", "Nairobi", "mpira")])
    full = np.array([whole[word] for word in ("Juma", "Nairobi", "mpira")])
    cosine = (known * full).sum(1) / np.linalg.norm(known, axis=1) / np.linalg.norm(full, axis=1)
    assert cosine.mean() > 0.5
    assert grid.embedding_bytes("compressed", work) < grid.embedding_bytes("static", work)


def test_the_ppmi_svd_table_holds_the_words_of_all_languages(work: Path) -> None:
    import spacy

    table = load_teacher(work / grid.PPMI_SVD)
    assert "Juma" in table and table.counts is not None
    parts = [load_teacher(file) for file in sorted((work / grid.PPMI_SVD).with_suffix("").iterdir())]
    assert len(parts) == 2 and table.counts.sum() == sum(part.counts.sum() for part in parts if part.counts is not None)
    cases = task_of("cases", {"JUMA", "juma", "MPIRA", "isiyoonekana"})
    prepare.write_tables([cases], Path(), work, systems=["static-ppmi_svd"])
    vectors = spacy.load(table_path("static-ppmi_svd", "cases", "swa", work)).vocab.vectors
    assert len(vectors) == 1  # no n-grams: what is not there has no vector, except by the lower-case form
    assert np.allclose(vectors["MPIRA"], table.lookup(["mpira"])[0][0])


def test_the_random_encoder_is_the_same_architecture_with_other_weights(work: Path) -> None:
    one, other = (DistillEmb.from_pretrained(work / name) for name in (grid.ENCODER, grid.RANDOM))
    same = ("encoder_type", "encoder_args", "dim", "vocab_size", "max_chars")
    assert {name: one.config[name] for name in same} == {name: other.config[name] for name in same}
    assert one.characters.to_dict() == other.characters.to_dict()
    assert not np.allclose(one.encode("Nairobi"), other.encode("Nairobi"))


def test_the_bytes_are_those_of_the_whole_model(work: Path) -> None:
    sizes = {system: grid.embedding_bytes(system, work) for system in COMMON}
    assert sizes["hash"] == 0
    assert sizes["static"] == (work / grid.FASTTEXT).stat().st_size
    assert 300 * DIM * 4 <= sizes["floret"] < 300 * DIM * 4 + 1000
    assert sizes["frozen"] == sizes["finetuned"] > 0
    assert sizes["frozen-ppmi_svd"] == sizes["finetuned-ppmi_svd"] > 0
    assert sizes["static-ppmi_svd"] == (work / grid.PPMI_SVD).stat().st_size


def test_an_encoder_is_distilled_once(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(work / grid.FASTTEXT, tmp_path / grid.FASTTEXT)
    small = {"encoder_args": {"channels": 8, "hidden": 16, "buckets": 100, "ngram_dim": 8}, "codebook_words": 0}
    small |= {"held_out": 0, "epochs": 1, "batch_size": 16, "max_seconds": None}
    prepare.distill_encoder(tmp_path, grid.FASTTEXT, grid.ENCODER, 20, **small)
    assert DistillEmb.from_pretrained(tmp_path / grid.ENCODER).dim == DIM
    shutil.copytree(tmp_path / grid.ENCODER, tmp_path / grid.PPMI_SVD_ENCODER)
    monkeypatch.setattr(prepare, "distill_encoder", None)  # they are there
    prepare.prepare("encoders", work=tmp_path)
    assert (tmp_path / grid.RANDOM).is_dir()


# -- configs


def run_of(task: str, system: str, language: str = "swa", **more: Any) -> dict[str, Any]:
    model = {"ner": "ner", "pos": "tagger"}.get(task, "textcat")
    run = {"task": task, "model": model, "language": language, "system": system, "seed": 0, "share": 100, "steps": 4}
    return run | more


@pytest.mark.parametrize("task", ["ner", "pos", "afrisenti"])
def test_systems_differ_in_the_embedding_alone(work: Path, task: str) -> None:
    layers = [system for system in COMMON if SYSTEMS[system].embedding != "context"]  # context is a block of its own
    configs = {system: train.run_config(TASKS[task], work, run_of(task, system), {}).interpolate() for system in layers}
    for config in configs.values():
        embed = config["components"]["tok2vec"]["model"].pop("embed")
        assert embed["attrs"] == ["NORM", "PREFIX", "SUFFIX", "SHAPE"]
        assert embed["width"] == (64 if task == "pos" else 96)
        del config["initialize"], config["paths"]
    assert all(config == configs["hash"] for config in configs.values())


def test_configs_hold_what_the_results_were_made_with(work: Path) -> None:
    """The values that the kept rows stand on, by task."""
    ner, tagger, textcat = (
        train.run_config(TASKS[t], work, run_of(t, "hash"), {}) for t in ("ner", "pos", "afrisenti")
    )
    assert ner["nlp"]["pipeline"] == ["tok2vec", "ner"] and tagger["nlp"]["pipeline"] == ["tok2vec", "tagger"]
    encoders = [config["components"]["tok2vec"]["model"]["encode"] for config in (ner, tagger, textcat)]
    assert [(one["width"], one["depth"]) for one in encoders] == [(96, 4), (64, 2), (96, 2)]
    assert [config["training"]["batcher"]["size"] for config in (ner, tagger, textcat)] == [250, 500, 32]
    assert ner["training"]["optimizer"]["learn_rate"]["initial_rate"] == 0.002
    assert tagger["training"]["optimizer"]["learn_rate"] == 0.002
    assert textcat["training"]["optimizer"]["learn_rate"] == 0.001
    assert all(config["training"]["dropout"] == 0.2 for config in (ner, tagger, textcat))
    assert textcat["components"]["textcat"]["model"]["@architectures"] == "spacy.TextCatReduce.v1"
    weights = [{k: v for k, v in c["training"]["score_weights"].items() if v} for c in (ner, tagger, textcat)]
    assert weights == [{"ents_f": 1.0}, {"tag_acc": 1.0}, {"cats_weighted_f1": 1.0}]


def test_overrides_of_a_run_win(work: Path) -> None:
    config = train.run_config(TASKS["ner"], work, run_of("ner", "finetuned"), {"training.max_steps": 7})
    assert config["training"]["max_steps"] == 7
    rates = {("ner", "finetuned"): 0.1, ("ner", "finetuned-ppmi_svd"): 0.3, ("pos", "finetuned"): 1.0}
    for (task, system), rate in {**rates, ("afrisenti", "finetuned"): 1.0, ("ner", "random"): 1.0}.items():
        embed = train.run_config(TASKS[task], work, run_of(task, system), {}).interpolate()["components"]["tok2vec"]
        assert embed["model"]["embed"]["grad_factor"] == rate
        assert embed["model"]["embed"]["pretrained"] == str(source(system, work))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "magic"}, "no task magic"),
        ({"task": "ner", "system": ["magic"]}, "ner model has no system magic: choose from hash"),
        ({"task": "afrisenti", "model": ["linear"], "system": ["finetuned"]}, "linear model has no system finetuned"),
        ({"task": "pos", "language": ["magic"]}, "no language magic"),
    ],
)
def test_what_does_not_exist_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DistillEmbError, match=message):
        train.train(**options, data=tmp_path, work=tmp_path, results=tmp_path / "r.jsonl")


# -- the grid, small


@contextmanager
def small_tables() -> Iterator[None]:
    """Train with small tables of hashes, which are made and saved faster."""
    make = train.run_config

    def small(task: Any, work: Path, run: Any, more: Any, begin: str | None = None) -> Any:
        block = "model" if SYSTEMS[run["system"]].embedding == "context" else "model.embed"
        return make(task, work, run, {f"components.tok2vec.{block}.rows": [20, 20, 20, 20], **more}, begin)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "run_config", small)
        yield


@pytest.fixture(scope="module")
def trained(data: Path, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a few updates of every model."""
    results = tmp_path_factory.mktemp("results") / "results.jsonl"
    for task in ("ner", "pos"):
        prepare.write_tables([TASKS[task]], data, work, ["swa"], ["static", "static-ppmi_svd"])
    prepare.write_tables([TASKS["afrisenti"]], data, work, ["swa"])
    run: dict[str, Any] = {"data": data, "seed": [0], "work": work, "steps": 2, "results": results}
    with small_tables(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "pos", replace(TASKS["pos"], joint_languages=("swa", "hau")))
        train.train("ner", language=["swa"], system=["hash", "static", "random", "frozen", "finetuned"], **run)
        train.train("ner", language=["swa"], share=[10, 25, 50], system=["hash", "finetuned"], **run)
        train.train("pos", language=["swa"], system=["hash", "static", "finetuned"], **run)
        train.train("pos", language=["hau", pos.JOINT], system=["finetuned"], **run)
        train.train("afrisenti", language=["swa"], **run)
    before = results.read_bytes()
    train.train("afrisenti", ["linear"], ["swa"], **run)  # rows that are there are not made again
    train.train("ner", language=["swa"], system=["hash"], **run)
    assert results.read_bytes() == before
    return results


def test_ner_is_scored(trained: Path) -> None:
    rows = [row for row in read_results(trained) if row["task"] == "ner" and row["share"] == 100]
    assert [row["system"] for row in rows] == sorted(["hash", "static", "random", "frozen", "finetuned"])
    assert all(0 <= row["test_f1_unseen"] <= 100 and row["model_bytes"] > 0 for row in rows)
    assert all(row["sentences"] == 12 and row["test_share_unseen"] == 0 for row in rows)
    parts = [row for row in read_results(trained) if row["share"] < 100]
    assert {(row["share"], row["sentences"]) for row in parts} == {(10, 1), (25, 3), (50, 6)}


def test_fewer_sentences_take_fewer_updates() -> None:
    assert [TASKS["ner"].steps_for("swa", share) for share in (10, 25, 50, 100)] == [253, 400, 566, 800]
    assert TASKS["pos"].steps_for(pos.JOINT, 100) == 2720 and TASKS["pos"].steps_for("swa", 100) == 160


def test_a_part_of_the_sentences_is_a_prefix_of_one_shuffle(data: Path) -> None:
    task = TASKS["ner"]
    assert isinstance(task, grid.NerTask)
    few, more = (
        [s.words for s in task.part(data, run_of("ner", "hash", share=share)).sentences()] for share in (25, 50)
    )
    assert len(few) == 3 and more[:3] == few


def test_parts_of_speech_are_scored(trained: Path, work: Path) -> None:
    rows = [row for row in read_results(trained) if row["task"] == "pos"]
    assert len(rows) == 5
    for row in rows:
        assert 0 <= row["test"]["accuracy"] <= 100
        assert row["test"]["unseen_share"] == pytest.approx(100 / 56, abs=0.01)  # one word of 56
        assert row["model_bytes"] > 0 and row["seconds"] >= 0
    sizes = {row["system"]: row["embedding_bytes"] for row in rows}
    assert sizes["hash"] == 0 and sizes["static"] == (work / grid.FASTTEXT).stat().st_size
    transfer = {row["language"]: set(row["transfer"]) for row in rows}
    assert transfer["hau"] == {"UD Hausa-Northern", "UD Hausa-Northern, marks dropped"}
    assert transfer[pos.JOINT] == transfer["hau"] | {"MasakhaPOS swa", "MasakhaPOS hau"}


def test_texts_are_scored_by_every_model(trained: Path) -> None:
    rows = [row for row in read_results(trained) if row["task"] == "afrisenti"]
    wanted = {(model, system) for model, names in TASKS["afrisenti"].models.items() for system in names}
    assert {(row["model"], row["system"]) for row in rows} == wanted
    assert all(0 <= row["test_macro_f1"] <= 100 and row["model_bytes"] > 0 for row in rows)
    assert {row["test_f1"] for row in rows if row["system"] == "tf-idf"} == {100}  # its words tell the class
    sizes = {row["system"]: row["embedding_bytes"] for row in rows}
    assert sizes["hash"] == sizes["tf-idf"] == 0 < sizes["frozen"] == sizes["finetuned"] and sizes["static"] > 0


def test_the_joint_system_starts_from_the_encoder_of_the_joint_tagger(
    data: Path, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    results = tmp_path / "r.jsonl"
    shutil.copytree(tiny_encoder_dir, tmp_path / grid.ENCODER)
    run: dict[str, Any] = {"data": data, "language": ["swa"], "seed": [0], "work": tmp_path, "steps": 2}
    with pytest.raises(DistillEmbError, match=r"train it with recipes/tagging \(mode joint, seed 0\)"):
        train.train("ner", system=["joint"], results=results, **run)
    tagger = DistillEmbForTokenClassification.from_pretrained(tiny_encoder_dir, num_labels=3)
    with torch.no_grad():
        for parameter in tagger.distillemb.parameters():
            parameter.mul_(1.5)
    tagger.save_pretrained(tmp_path / "hf-joint-fasttext-0")
    AutoTokenizer.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path / "hf-joint-fasttext-0")
    train.train("ner", system=["joint", "finetuned"], results=results, **run)
    assert [row["system"] for row in read_results(results)] == ["finetuned", "joint"]
    before, after = (DistillEmb.from_pretrained(path) for path in (tiny_encoder_dir, source("joint", tmp_path)))
    assert not np.allclose(before.encode(["moja"]), after.encode(["moja"]))


def test_one_pipeline_of_all_languages_is_trained_once_and_given_away(
    data: Path, tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, work, results = tmp_path / "data", tmp_path / "work", tmp_path / "r.jsonl"
    for language in ("swa", "amh"):
        shutil.copytree(data / "tasks/ner/masakhaner1/swa", own / "tasks/ner/masakhaner1" / language)
    steps, configs, train_one = [], [], train.train_pipeline

    def counted(config: Any, keep: Path | None = None) -> Any:
        configs.append(config)
        steps.append((config["training"]["max_steps"], len(Path(config["paths"]["train"]).read_text("utf-8"))))
        return train_one(config, keep)

    monkeypatch.setattr(train, "train_pipeline", counted)
    monkeypatch.setattr(grid, "bundled", lambda name: tiny_encoder_dir)
    monkeypatch.setitem(TASKS, "ner", replace(TASKS["ner"], languages=("swa", "amh")))
    work.mkdir()
    run: dict[str, Any] = {"data": own, "seed": [0], "work": work, "steps": 2, "results": results}
    with small_tables():
        train.train("ner", system=["finetuned-afro11-together"], **run)
    length = len((own / "tasks/ner/masakhaner1/swa/train.txt").read_text("utf-8"))
    assert steps == [(4, pytest.approx(2 * length, abs=4))], "as many updates a language, over all sentences"
    rows = read_results(results)
    assert [row["language"] for row in rows] == ["amh", "swa"] and rows[0]["test_f1"] == rows[1]["test_f1"]
    with small_tables():
        train.train("ner", system=["finetuned-afro11-continued"], **run)
    source = str(work / "ner-finetuned-afro11-together-0")
    assert [config["paths"].get("source") for config in configs] == [None, source, source], "trained once"
    assert configs[1]["training"]["optimizer"]["learn_rate"]["initial_rate"] == 0.001
    assert steps[1:] == [(2, length)] * 2 and len(read_results(results)) == 4, "each language by itself"
    with small_tables():
        for system in ("together", "continued"):
            train.train("ner", system=[f"finetuned-afro11-{system}"], language=["amh"], share=[50], **run)
    assert configs[-1]["paths"]["source"] == str(work / "ner-finetuned-afro11-together-50-0"), "has not read the rest"
    whole, part = steps[0], steps[3]
    assert part[0] == whole[0] and part[1] == pytest.approx(whole[1] / 2, rel=0.3) and len(steps) == 5
    shutil.copytree(data / "tasks/ner/masakhaner1/swa", own / "tasks/ner/masakhaner2/ewe")
    with small_tables():
        train.train("ner-new", system=["finetuned-afro11-transferred"], language=["ewe"], share=[10], **run)
    assert configs[-1]["paths"]["source"] == source and steps[-1][1] == length and len(configs) == 6
    monkeypatch.setattr(packages, "open_wheel", lambda wheel, sentence: {"entities": []})
    known = write_tables.srsly.read_yaml(write_tables.HERE / "release.yml")
    assert known["system"] in TASKS["ner"].models["ner"] and SYSTEMS[known["system"]].together
    known["system"] = "finetuned-afro11-together"
    monkeypatch.setattr(write_tables.srsly, "read_yaml", lambda path: known)
    with pytest.raises(DistillEmbError, match="train.py ner --system finetuned-afro11-together --seed 0"):
        write_tables.release(tmp_path / "release", tmp_path, results)
    write_tables.release(tmp_path / "release", work, results)
    [wheel] = (tmp_path / "release").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [meta] = (
            json.loads(archive.read(name)) for name in archive.namelist() if name.count("/") == 1 and "meta" in name
        )
    assert meta["license"] == "cc-by-nc-4.0" and meta["performance"]["test_f1_swa"] == rows[1]["test_f1"] / 100


@pytest.fixture(scope="module")
def tried(data: Path, work: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the studies' rows: those that are there already are not run."""
    import srsly

    results = tmp_path_factory.mktemp("tried") / "tried.jsonl"
    kept = {"ner": ("without NORM", "20 % dropout on the vectors"), "pos": ("width 64, depth 2, learning rate 0.001",)}
    for task, planned in srsly.read_yaml(train.HERE / "studies.yml").items():
        rows = [
            {"task": task, "language": "swa", "system": one["system"], "setting": one.get("setting", ""), "seed": 0}
            | {"dev_f1": 9.0, "dev": {"accuracy": 9.0}, "seconds": -1.0}
            for one in planned["tries"]
            if not (one["system"] == "finetuned" and one.get("setting") in kept.get(task, "0.1 of the learning rate"))
        ]
        with results.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
    for task in ("ner", "pos", "afrisenti"):
        train.train(task, language=["swa"], seed=[0], steps=2, only_study=True, data=data, work=work, results=results)
    return results


def test_settings_are_tried_on_dev_alone(tried: Path) -> None:
    new = [row for row in read_results(tried) if row["seconds"] >= 0]
    found = {(row["task"], row["setting"]) for row in new}
    assert {("ner", "without NORM"), ("ner", "20 % dropout on the vectors")} <= found
    assert {("pos", "width 64, depth 2, learning rate 0.001"), ("afrisenti", "0.1 of the learning rate")} <= found
    assert not any(name.startswith("test") for row in new for name in row)


def test_the_tables_are_written(trained: Path, tried: Path, data: Path, tmp_path: Path) -> None:
    own = (train.HERE / "README.md").read_text("utf-8")
    names = [line.split()[1] for line in own.splitlines() if line.startswith("<!-- ") and not line.startswith("<!-- /")]
    readme = tmp_path / "README.md"
    readme.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in names), "utf-8")
    write_tables.write(trained, tried, readme)
    write_tables.write_data(["ner", "pos", "afrisenti"], ["swa"], data, trained, readme)
    text = readme.read_text("utf-8")
    assert "| swa |" in text and "| **mean** |" in text and "| finetuned |" in text and "dropped |" in text
    assert "finetuned - static" in text and "UD Hausa-Northern, marks dropped" in text
    assert "| swa | 12 / 52 | 12 / 52 | 13 / 56 | 2 | 12 |" in text
    wanted = {(model, system) for model, found in TASKS["afrisenti"].models.items() for system in found}
    assert all(text.count(f"| {model}, {system} |") == 2 for model, system in wanted)
    assert "| afrisenti swa | 3 | 30 | 6 | 6 |" in text and "| hash, width 64, depth 2, learning rate 0.001 |" in text
    assert (tmp_path / "low-data.svg").read_text("utf-8").startswith("<?xml")


# -- tables


def ner_rows(system: str, f1: dict[str, float], seed: int = 0, size: int = 0) -> list[dict[str, Any]]:
    base = {"task": "ner", "model": "ner", "system": system, "seed": seed, "share": 100, "embedding_bytes": size}
    return [base | {"language": language, "test_f1": score} for language, score in f1.items()]


def test_parts_of_the_sentences_are_averaged_over_the_seeds() -> None:
    rows = [
        {"system": "hash", "language": "swa", "seed": seed, "share": share, "test_f1": share / 2 + 4 * seed}
        for seed in (0, 1)
        for share in write_tables.SHARES
    ]
    unfinished = {"system": "hash", "language": "amh", "seed": 0, "share": 10, "test_f1": 99.0}  # not in every share
    assert write_tables.low_data_points([*rows, unfinished])["hash"][50] == [25.0, 29.0]
    table = write_tables.low_data_table([*rows, unfinished])
    assert table.splitlines()[-1] == "| hash | 7.0 ± 2.8 | 14.5 ± 2.8 | 27.0 ± 2.8 | 52.0 ± 2.8 |"


def test_a_system_with_few_shares_stands_in_the_table_and_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = {"hash": write_tables.SHARES, "static": (10, 100)}
    for system, some in shares.items():
        for row in (ner_rows(system, {"swa": 50.0})[0] | {"share": share, "steps": 1} for share in some):
            row |= {"seconds": 1.0, "model_bytes": 1, "test_words_per_second": 1, "dev_f1": 1.0}
            row |= {"test_f1_seen": 1.0, "test_f1_unseen": 1.0}
            results.add_result(tmp_path / "r.jsonl", row, train.KEY)
    drawn: list[Any] = []
    monkeypatch.setattr(write_tables, "line_plots", lambda panels, *labels: str(drawn.append(panels)))
    readme = tmp_path / "README.md"
    readme.write_text((train.HERE / "README.md").read_text("utf-8"), "utf-8")
    write_tables.write(tmp_path / "r.jsonl", tmp_path / "none.jsonl", readme)
    assert list(drawn[0][""]) == ["no vectors"] and "| static | 50.0 |  |  | 50.0 |" in readme.read_text("utf-8")


def test_a_mean_counts_only_seeds_with_all_languages() -> None:
    rows = ner_rows("hash", {"swa": 60, "amh": 40}) + ner_rows("hash", {"swa": 90}, seed=1)
    assert results.seed_means(rows, "test_f1", ["amh", "swa"]) == [50]
    table = languages_table(rows, ["hash"], ["amh", "swa"], "test_f1", "test F1", mean=True)
    assert "| **mean** | **50.0** |" in table and "| swa | 75.0 ± 21.2 |" in table


def test_means_are_of_the_languages_that_all_systems_have_and_of_whole_seeds() -> None:
    runs = (("swa", "static", 0, 50.0), ("swa", "frozen", 0, 60.0), ("hau", "static", 0, 90.0))
    rows = [
        {"task": "afrisenti", "language": one, "model": model, "system": system, "seed": seed, "embedding_bytes": 0}
        | {"test_f1": score, "test_macro_f1": score, "dev_f1": score, "seconds": 1}
        for one, system, seed, score in (*runs, ("hau", "frozen", 0, 70.0), ("swa", "static", 1, 0.0))
        for model in ("linear", "bilstm")
    ]
    scores = {"test": "test_f1"}
    assert common_languages([row for row in rows[:6] if row["model"] == "linear"]) == ["swa"]
    assert "| linear, static | 1 | 50.0 |" in systems_table(write_tables.systems_of(rows[:6]), scores)
    assert "| linear, frozen | – | 60.0 |" in write_tables.models_table(rows[:6], "test_f1")
    assert "| linear, static | 2 | 70.0 |" in systems_table(write_tables.systems_of(rows), scores), (
        "seed 1 is not whole"
    )


def test_tagged_sentences_are_found_in_the_raw_text(tmp_path: Path) -> None:
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
    found = write_tables.shares_in_raw_text(tmp_path, "swa")
    assert found == {"train": 0, "dev": 0, "test": 0.5}  # the short one does not count
    text = write_tables.raw_text_block(tmp_path, ["swa", "lug"], ner_rows("hash", {"swa": 60, "lug": 50}))
    assert "| swa | 0 % | 0 % | 50 % |" in text and "Mean test F1 without swa: hash 50.0." in text


# -- classifiers


def test_mean_vectors_weigh_every_word_alike() -> None:
    vectors = {"a": [2.0, 0.0], "b": [0.0, 5.0]}
    means = classifiers.mean_vectors(
        ["a b", "", "a a b b"], lambda words: np.array([vectors.get(w, [0, 0]) for w in words], dtype=np.float32)
    )
    assert means.tolist() == [[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]]


def test_random_vectors_depend_on_the_seed_alone(work: Path) -> None:
    first, again, other = (
        classifiers.vectors_of(TASKS["afrisenti"], work, run_of("afrisenti", "random", seed=seed))(["kita", "soma"])
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.allclose(first, other)


def test_a_missing_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match=r"prepare\.py tables` first"):
        classifiers.vectors_of(TASKS["afrisenti"], tmp_path, run_of("afrisenti", "static"))


def test_the_checkpoint_is_chosen_by_weighted_f1() -> None:
    import spacy
    from spacy.tokens import Doc
    from spacy.training import Example

    vocab = spacy.blank("xx").vocab

    def doc(name: str) -> Doc:
        made = Doc(vocab, words=["x"])
        made.cats = {one: float(one == name) for one in "abc"}
        return made

    examples = [Example(doc(found), doc(gold)) for gold, found in ("aa", "aa", "ab", "bb")]
    assert grid.weighted_f1(examples)["cats_weighted_f1"] == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)


def test_the_project_runs_small(
    data: Path, work: Path, trained: Path, tried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All commands of project.yml that need no training: what the others call has tests above."""
    assert set(SYSTEMS) >= set(COMMON)
    readme = tmp_path / "README.md"
    shutil.copy(train.HERE / "README.md", readme)
    for name in (*pos.LANGUAGES, *pos.TREEBANKS):
        monkeypatch.delenv(name, raising=False)
    some = "--language swa --system hash --seed 0 --steps 2"
    values = {"data": data, "work": work, "results": trained, "tried": tried, "readme": readme, "some": some}
    before = trained.read_bytes()
    ran = run_project(
        train.HERE, values, ["fasttext", "ppmi_svd", "floret", "compressed", "encoders", "ner", "write_tables"]
    )
    assert ran == 7 and trained.read_bytes() == before
    assert "| hash, width 64, depth 2, learning rate 0.001 |" in readme.read_text("utf-8")
