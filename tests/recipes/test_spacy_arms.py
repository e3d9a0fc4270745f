"""The arms of the spaCy recipes: tables and encoders built small, configs, and one run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.teachers import load_teacher
from recipes import spacy_arms
from recipes.spacy_arms import ARMS, TABLE_ARMS

DIM = 24
BASE = spacy_arms.ROOT / "recipes" / "ner" / "configs" / "ner.cfg"
WORDS = {"Juma", "Nairobi", "mpira", "isiyoonekana"}  # the last one is in no text
SWAHILI = {"task": sorted(WORDS)}


@pytest.fixture(scope="module")
def work(tiny_data: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the arms read, a few kilobytes each."""
    work = tmp_path_factory.mktemp("work")
    languages = ("swa", "amh")
    spacy_arms.teach(tiny_data, work, languages=languages, dim=DIM, epochs=1, buckets=500, progress=False)
    settings = {"dim": DIM, "bucket": 300, "epoch": 1, "verbose": 0}
    spacy_arms.train_floret(tiny_data, work, languages=languages, **settings)
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work))
    spacy_arms.random_encoder(work, seed=1)
    spacy_arms.count(tiny_data, work, languages=languages, dim=6, min_count=1, progress=False)
    shutil.copytree(tiny_encoder_dir, spacy_arms.encoder_path(work, "svd"))
    spacy_arms.compress(work, words=10, ngrams=40, codes=4, centroids=5)
    spacy_arms.word_tables(SWAHILI, TABLE_ARMS, work)
    return work


def table_rows(work: Path, arm: str) -> dict[str, np.ndarray]:
    import spacy

    vectors = spacy.load(spacy_arms.table_path(arm, "task", work)).vocab.vectors
    assert len(vectors) == len(WORDS)
    return {word: vectors[word] for word in sorted(WORDS)}


def test_the_static_table_has_n_gram_vectors_for_unseen_words(work: Path) -> None:
    teacher = load_teacher(spacy_arms.teacher_path(work))
    assert "isiyoonekana" not in teacher
    wanted, found = teacher.lookup(SWAHILI["task"])
    assert found.all()
    rows = table_rows(work, "static")
    np.testing.assert_allclose(np.stack([rows[word] for word in SWAHILI["task"]]), wanted, rtol=1e-5)
    assert np.abs(rows["isiyoonekana"]).sum() > 0


def test_the_floret_table_holds_what_floret_computes(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import floret

    train, models = floret.train_unsupervised, []

    def remember(*args: Any, **settings: Any) -> Any:
        models.append(train(*args, **settings))
        return models[-1]

    monkeypatch.setattr(floret, "train_unsupervised", remember)
    settings = {"dim": DIM, "bucket": 300, "epoch": 5, "verbose": 0}
    spacy_arms.train_floret(tiny_data, tmp_path, languages=("swa", "amh"), **settings)
    spacy_arms.word_tables(SWAHILI, ["floret"], tmp_path)
    for word, one in table_rows(tmp_path, "floret").items():
        other = models[0].get_word_vector(word)  # divided by another number of n-grams than in spaCy
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9999


def test_the_compressed_table_is_near_the_one_it_was_made_from(work: Path) -> None:
    rows, whole = table_rows(work, "compressed"), table_rows(work, "static")
    known = np.array([rows[word] for word in ("Juma", "Nairobi", "mpira")])
    full = np.array([whole[word] for word in ("Juma", "Nairobi", "mpira")])
    cosine = (known * full).sum(1) / np.linalg.norm(known, axis=1) / np.linalg.norm(full, axis=1)
    assert cosine.mean() > 0.5
    assert spacy_arms.embedding_bytes("compressed", work) < spacy_arms.embedding_bytes("static", work)


def test_the_counted_table_holds_the_words_of_all_languages(work: Path) -> None:
    import spacy

    table = load_teacher(spacy_arms.counted_path(work))
    assert "Juma" in table and table.counts is not None
    parts = [load_teacher(file) for file in sorted(spacy_arms.counted_path(work).with_suffix("").iterdir())]
    assert len(parts) == 2 and table.counts.sum() == sum(part.counts.sum() for part in parts if part.counts is not None)
    spacy_arms.word_tables({"cases": ["JUMA", "juma", "MPIRA", "isiyoonekana"]}, ["static-svd"], work)
    vectors = spacy.load(spacy_arms.table_path("static-svd", "cases", work)).vocab.vectors
    assert len(vectors) == 1  # no n-grams: what is not there has no vector, but for the lower-case form
    assert np.allclose(vectors["MPIRA"], table.lookup(["mpira"])[0][0])


def test_the_random_encoder_is_the_same_architecture_with_other_weights(work: Path) -> None:
    one = DistillEmb.from_pretrained(spacy_arms.encoder_path(work))
    other = DistillEmb.from_pretrained(spacy_arms.encoder_path(work, "random"))
    same = ("encoder_type", "encoder_args", "dim", "vocab_size", "max_chars")
    assert {name: one.config[name] for name in same} == {name: other.config[name] for name in same}
    assert one.characters.to_dict() == other.characters.to_dict()
    assert not np.allclose(one.encode("Nairobi"), other.encode("Nairobi"))


def test_the_bytes_are_those_of_the_whole_model(work: Path) -> None:
    sizes = {arm: spacy_arms.embedding_bytes(arm, work) for arm in ARMS}
    assert sizes["hash"] == 0
    assert sizes["static"] == spacy_arms.teacher_path(work).stat().st_size
    assert 300 * DIM * 4 <= sizes["floret"] < 300 * DIM * 4 + 1000
    assert sizes["frozen"] == sizes["finetuned"] > 0
    assert sizes["frozen-svd"] == sizes["finetuned-svd"] > 0
    assert sizes["static-svd"] == spacy_arms.counted_path(work).stat().st_size


def test_arms_differ_in_the_embedding_alone(work: Path) -> None:
    configs = {arm: spacy_arms.arm_config(BASE, arm, "task", work).interpolate() for arm in ARMS}
    for config in configs.values():
        embed = config["components"]["tok2vec"]["model"].pop("embed")
        assert embed["attrs"] == ["NORM", "PREFIX", "SUFFIX", "SHAPE"]
        assert embed["width"] == 96
        del config["initialize"]
    assert all(config == configs["hash"] for config in configs.values())


def test_overrides_of_a_recipe_win(work: Path) -> None:
    config = spacy_arms.arm_config(BASE, "finetuned", "task", work, {"training": {"max_steps": 7}})
    assert config["training"]["max_steps"] == 7
    embed = config["components"]["tok2vec"]["model"]["embed"]
    assert embed["pretrained"] == str(spacy_arms.encoder_path(work)) and embed["grad_factor"] == 0.1
    given = {arm: spacy_arms.arm_config(BASE, arm, "task", work, finetune={"dropout": 0.5}) for arm in ARMS}
    for arm, pretrained in (("finetuned", "fasttext"), ("finetuned-svd", "svd")):
        embed = given[arm]["components"]["tok2vec"]["model"]["embed"]
        assert embed["pretrained"] == str(spacy_arms.encoder_path(work, pretrained)) and embed["dropout"] == 0.5
    assert "dropout" not in given["random"]["components"]["tok2vec"]["model"]["embed"]


def test_a_run_returns_the_best_pipeline_and_can_keep_it(work: Path, tiny_data: Path, tmp_path: Path) -> None:
    import spacy
    from thinc.api import get_current_ops

    folder = tiny_data / "tasks" / "ner" / "masakhaner1" / "swa"
    overrides = {
        "paths": {"train": str(folder / "train.txt"), "dev": str(folder / "dev.txt")},
        "training": {"max_steps": 4, "eval_frequency": 2},
    }
    before = get_current_ops()
    trained = spacy_arms.train_pipeline(
        spacy_arms.arm_config(BASE, "static", "task", work, overrides), keep=tmp_path / "kept"
    )
    assert get_current_ops() is before
    assert trained.seconds > 0 and trained.bytes > 0
    assert spacy.load(tmp_path / "kept").pipe_names == trained.nlp.pipe_names == ["tok2vec", "ner"]


def test_an_unknown_arm_is_refused(work: Path) -> None:
    with pytest.raises(DistillEmbError, match="no arm magic: choose from hash"):
        spacy_arms.arm_config(BASE, "magic", "task", work)
