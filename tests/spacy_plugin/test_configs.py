"""The configurations that users copy train as they are, and spaCy's commands accept what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.cli.debug_data import debug_data
from spacy.cli.evaluate import evaluate
from spacy.cli.init_config import fill_config
from spacy.cli.package import package
from spacy.cli.train import train
from spacy.tokens import DocBin

from distillemb_plugins import DistillEmbError
from distillemb_plugins.spacy_plugin import config_path, config_paths
from distillemb_plugins.spacy_plugin.readers import ConllCorpus

from .conftest import encoder_tensors

SMALL = {
    "components.tok2vec.model.encode.width": 16,
    "components.tok2vec.model.encode.depth": 1,
    "components.tok2vec.model.embed.rows": [50, 50, 50, 50],
    "training.max_steps": 2,
    "training.eval_frequency": 1,
}


def data_paths(name: str, ner: Path, pos: Path, spacy_file: Path) -> dict[str, Any]:
    task = name.rsplit("-", 1)[0]
    if task == "ner-pos":
        return {f"paths.{split}_{t}": str(f) for split in ("train", "dev") for t, f in (("ner", ner), ("pos", pos))}
    file = {"ner": ner, "pos": pos, "textcat": spacy_file}[task]
    return {"paths.train": str(file), "paths.dev": str(file)}


@pytest.fixture(scope="session")
def spacy_file(ner_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The NER sentences in spaCy's format, with classes."""
    docs = [example.reference for example in ConllCorpus(ner_file)(spacy.blank("xx"))]
    for number, doc in enumerate(docs):
        doc.cats = {"news": float(number % 2), "sport": float(1 - number % 2)}
    path = tmp_path_factory.mktemp("docbin") / "train.spacy"
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.fixture(scope="session")
def overrides(
    ner_file: Path, pos_file: Path, spacy_file: Path, tiny_encoder_dirs: dict[str, Path]
) -> dict[str, dict[str, Any]]:
    encoder = {"paths.encoder": str(tiny_encoder_dirs["cnn"])}
    return {name: {**SMALL, **encoder, **data_paths(name, ner_file, pos_file, spacy_file)} for name in config_paths()}


@pytest.fixture(scope="session")
def trained(overrides: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each configuration after two steps of ``spacy train``, without --code."""
    root = tmp_path_factory.mktemp("trained")
    for name in config_paths():
        train(config_path(name), root / name, overrides=overrides[name])
    return {name: root / name / "model-last" for name in config_paths()}


def test_there_is_one_for_every_task_and_form() -> None:
    tasks = ("ner", "pos", "textcat", "ner-pos")
    assert set(config_paths()) == {f"{task}-{form}" for task in tasks for form in ("static", "trainable")}
    with pytest.raises(DistillEmbError, match="no configuration 'parser': choose one of ner-pos-static"):
        config_path("parser")


@pytest.mark.parametrize("name", sorted(config_paths()))
def test_it_trains_and_the_result_runs(name: str, trained: dict[str, Path]) -> None:
    nlp = spacy.load(trained[name])
    doc = nlp("Rafiki anasoma mjini")
    if "textcat" in name:
        assert set(doc.cats) == {"news", "sport"}
    if "pos" in name:
        assert all(token.tag_ and token.pos_ for token in doc)
    if "ner" in name:
        assert {"PER", "LOC", "ORG"} == set(nlp.get_pipe("ner").labels)
    if "static" in name:
        assert nlp.vocab.vectors_length == 24 and doc[0].has_vector
    else:
        assert encoder_tensors(nlp)


def test_fill_config_adds_nothing_that_breaks(tmp_path: Path, overrides: dict[str, dict[str, Any]]) -> None:
    _, filled = fill_config(tmp_path / "filled.cfg", config_path("ner-trainable"), silent=True)
    embed = filled["components"]["tok2vec"]["model"]["embed"]
    assert embed["@architectures"] == "distillemb.Embed.v1" and embed["cache_size"] == 200_000
    assert filled["corpora"]["train"]["tag_column"] == -1
    again = spacy.util.load_config(tmp_path / "filled.cfg", overrides=overrides["ner-trainable"])
    spacy.util.load_model_from_config(again, validate=True)


def test_evaluate(trained: dict[str, Path], spacy_file: Path) -> None:
    for name in ("ner-static", "ner-trainable"):
        scores = evaluate(trained[name], spacy_file, silent=True)
        assert "ents_f" in scores and scores["speed"] > 0


def test_debug_data(overrides: dict[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill_config(tmp_path / "filled.cfg", config_path("ner-static"), silent=True)
    try:
        debug_data(tmp_path / "filled.cfg", config_overrides=overrides["ner-static"], silent=False)
    except SystemExit as end:  # too few sentences, it says
        assert end.code in (0, 1)
    output = capsys.readouterr().out
    assert "24 dimensions" in output and "0 words in training data without vectors" in output


@pytest.mark.parametrize("name", ["ner-static", "ner-trainable"])
def test_package_names_our_package_as_a_requirement(name: str, trained: dict[str, Path], tmp_path: Path) -> None:
    package(trained[name], tmp_path, name="demo", version="1.0", create_sdist=False, create_wheel=False, silent=True)
    (meta,) = tmp_path.glob("*/meta.json")
    requirements = spacy.util.load_meta(meta)["requirements"]
    assert any(r.startswith(("distillemb-plugins", "distillemb_plugins")) for r in requirements)
