"""The configurations that users copy train as they are, and spaCy's commands accept what comes out."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.cli.debug_config import debug_config
from spacy.cli.debug_data import debug_data
from spacy.cli.evaluate import evaluate
from spacy.cli.package import package
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from typer.testing import CliRunner

from distillemb_plugins import DistillEmbError
from distillemb_plugins.cli import app
from distillemb_plugins.spacy_plugin import build_config, config_path, config_paths, config_text
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.spacy_plugin.training import train_pipeline

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
    ner_file: Path, pos_file: Path, spacy_file: Path, tiny_encoder_dirs: dict[str, Path], tiny_context_dir: Path
) -> dict[str, dict[str, Any]]:
    encoder = {"paths.encoder": str(tiny_encoder_dirs["cnn"])}
    block, training = "components.tok2vec.model", {key: value for key, value in SMALL.items() if "training" in key}
    context = {f"{block}.width": 16, f"{block}.rows": [50] * 4, "paths.encoder": str(tiny_context_dir), **training}
    sizes = {"none": SMALL, "static": SMALL | encoder, "trainable": SMALL | encoder, "context": context}
    return {
        name: {**sizes[name.rsplit("-", 1)[1]], **data_paths(name, ner_file, pos_file, spacy_file)}
        for name in config_paths()
    }


@pytest.fixture(scope="session")
def trained(overrides: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each configuration after two steps of ``spacy train``, without --code."""
    root = tmp_path_factory.mktemp("trained")
    for name in config_paths():
        train(config_path(name), root / name, overrides=overrides[name])
    return {name: root / name / "model-last" for name in config_paths()}


def test_there_is_one_for_every_task_and_form() -> None:
    tasks = ("ner", "pos", "textcat", "ner-pos")
    forms = ("none", "static", "trainable", "context")
    assert set(config_paths()) == {f"{task}-{form}" for task in tasks for form in forms}
    with pytest.raises(DistillEmbError, match="no configuration 'parser': choose one of ner-none, ner-static"):
        config_path("parser")


@pytest.mark.parametrize("name", sorted(config_paths()))
def test_it_is_complete_and_valid(name: str, overrides: dict[str, dict[str, Any]]) -> None:
    """spaCy has nothing to fill in, and ``spacy debug config`` accepts it."""
    debug_config(config_path(name), overrides=overrides[name])
    given = spacy.util.load_config(config_path(name))
    assert spacy.util.load_model_from_config(given, auto_fill=True, validate=False).config == given


def test_overrides() -> None:
    schedule = {"@schedules": "constant.v1", "rate": 0.1}
    given = {
        "training.max_steps": 7,
        "training.optimizer.learn_rate": schedule,
        "components.tok2vec.model.embed": {"freeze": True},
        "components.tok2vec.model.encode": {"@architectures": "distillemb.BiLSTMEncoder.v1", "width": 8},
        "nlp.pipeline": ["tok2vec", "tagger"],
    }
    config = build_config("pos", "trainable", given)
    model = config["components"]["tok2vec"]["model"]
    assert config["training"]["max_steps"] == 7 and config["training"]["patience"] == 1600
    assert config["training"]["optimizer"]["learn_rate"] == schedule and config["training"]["optimizer"]["beta1"] == 0.9
    assert model["embed"]["freeze"] is True and model["embed"]["@architectures"] == "distillemb.Embed.v1"
    assert model["encode"] == given["components.tok2vec.model.encode"]  # another function: a block of its own
    assert list(config["components"]) == ["tok2vec", "tagger"]
    assert config.interpolate()["components"]["tok2vec"]["model"]["embed"]["width"] == 8
    config["training"]["optimizer"]["learn_rate"]["rate"] = 5
    assert schedule["rate"] == 0.1 and build_config("pos")["training"]["max_steps"] == 10000


def test_the_cnn_of_a_config_is_also_set_where_words_are_in_context() -> None:
    """An overlay is written once, for every embedding: there the sizes are those of the whole layer."""
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": "${components.tok2vec.model.encode.width}"}
    given = {"components.tok2vec.model.encode": {"width": 32, "depth": 2}, "components.textcat.model.tok2vec": listener}
    components = build_config("textcat", "context", given).interpolate()["components"]
    model = components["tok2vec"]["model"]
    assert (model["width"], model["depth"]) == (32, 2) and "encode" not in model
    assert components["textcat"]["model"]["tok2vec"]["width"] == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("parser",), "no task 'parser': choose one of ner, pos, ner-pos, textcat"),
        (("ner", "glove"), "no embedding 'glove': choose one of none, static, trainable, context"),
        (("ner", "none", {"trainig.max_steps": 1}), "no section 'trainig': choose one of paths"),
    ],
)
def test_what_does_not_exist_is_named(arguments: Any, message: str) -> None:
    with pytest.raises(DistillEmbError, match=message):
        build_config(*arguments)


def test_embeddings_differ_in_their_block_alone() -> None:
    configs = {embedding: build_config("ner", embedding) for embedding in ("none", "static", "trainable")}
    embeds = {name: config["components"]["tok2vec"]["model"].pop("embed") for name, config in configs.items()}
    assert embeds["static"] == {**embeds["none"], "include_static_vectors": True}
    assert all(embeds["trainable"][name] == embeds["none"][name] for name in ("width", "attrs", "rows"))
    assert configs["static"]["initialize"].pop("before_init")["@callbacks"] == "distillemb.set_vectors.v1"
    for config in configs.values():
        config["initialize"].pop("before_init", None)
        config["paths"].pop("encoder", None)
    assert configs["none"] == configs["static"] == configs["trainable"]


def test_the_command_writes_it(tmp_path: Path) -> None:
    out = tmp_path / "config.cfg"
    arguments = ["config", "pos", "--embedding", "static", "--encoder", "my-encoder", "--lang", "yo", "-o", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert f"Next: python -m spacy train {out} --output DIR --paths.train FILE --paths.dev FILE" in done.stderr
    text = out.read_text("utf-8")
    assert text.startswith("# Parts of speech") and "# Embedding: static vectors" in text
    assert "python -m spacy train config.cfg" in text.partition("[paths]")[0]
    assert spacy.util.load_config(out) == build_config(
        "pos", "static", {"paths.encoder": "my-encoder", "nlp.lang": "yo"}
    )
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
    shown = CliRunner().invoke(app, ["config", "ner", "--embedding", "none"])
    assert shown.stdout == config_text("ner", "none")


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
    elif "trainable" in name:
        assert encoder_tensors(nlp)


@pytest.mark.parametrize(
    "name", ["ner-none", "ner-static", "ner-trainable", "ner-context", "ner-pos-trainable", "textcat-trainable"]
)
def test_a_trained_pipeline_learns_on(
    name: str, trained: dict[str, Path], overrides: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """Its weights are what the training begins with, and what it says at first is what it said before."""
    task, out = name.rsplit("-", 1)[0], tmp_path / "config.cfg"
    done = CliRunner().invoke(app, ["config", task, "--source", str(trained[name]), "-o", str(out)])
    assert done.exit_code == 0 and f"{task}, learns on from {trained[name]}" in done.stderr
    given = {key: value for key, value in overrides[name].items() if "components" not in key and "encoder" not in key}
    debug_config(out, overrides=given)
    config = spacy.util.load_config(out, given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp = init_nlp(config.interpolate())
    before, text = spacy.load(trained[name]), "Rafiki anasoma mjini"
    assert np.array_equal(nlp(text).tensor, before(text).tensor) and nlp(text).to_json() == before(text).to_json()


def test_a_pipeline_that_learns_on_takes_up_other_entities(
    trained: dict[str, Path], ner_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text(ner_file.read_text("utf-8").replace("PER", "EVENT"), "utf-8")
    files = {"paths.train": str(other), "paths.dev": str(other), "training.max_steps": 2}
    config = build_config("ner", overrides=files, source=str(trained["ner-trainable"]))
    assert set(train_pipeline(config).nlp.get_pipe("ner").labels) == {"PER", "LOC", "ORG", "EVENT"}


def test_a_pipeline_that_learns_on_takes_up_other_tags_and_features(trained: dict[str, Path], tmp_path: Path) -> None:
    source, other = str(trained["pos-trainable"]), tmp_path / "other.conllu"
    before = spacy.load(source)
    known = before.get_pipe("tagger").labels
    words = [("haraka", "ADV", "Degree=Pos"), ("Rafiki", known[0], "_"), ("!", "SYM", "_")]
    rows = [f"{n}\t{word}\t_\t{tag}\t_\t{feats}\t0\t_\t_\t_" for n, (word, tag, feats) in enumerate(words, start=1)]
    other.write_text("\n".join(rows) + "\n\n", "utf-8")
    files: dict[str, Any] = {"paths.train": str(other), "paths.dev": str(other)}
    begun = init_nlp(build_config("pos", overrides=files, source=source).interpolate())
    scores = [nlp.get_pipe("tagger").predict([before("Rafiki anasoma mjini")])[0] for nlp in (before, begun)]
    assert np.array_equal(*scores) and begun.get_pipe("tagger").labels == (*known, "ADV", "SYM")
    steps = {"training.max_steps": 30, "training.eval_frequency": 10}
    train_pipeline(build_config("pos", overrides=files | steps, source=source)).nlp.to_disk(tmp_path / "learned")
    doc = spacy.load(tmp_path / "learned")("haraka Rafiki !")
    assert [(token.tag_, str(token.morph)) for token in doc] == [("ADV", "Degree=Pos"), (known[0], ""), ("SYM", "")]
    frozen = build_config("pos", overrides=files | {"training.frozen_components": ["tagger"]}, source=source)
    assert init_nlp(frozen.interpolate()).get_pipe("tagger").labels == known
    before.add_pipe("senter").initialize(lambda: ConllCorpus(other, task="pos")(before), nlp=before)
    before.to_disk(tmp_path / "senter")
    more = {"nlp.pipeline": ["tok2vec", "tagger", "senter"], "components.senter": {"factory": "senter"}}
    both = init_nlp(build_config("pos", overrides=files | more, source=str(tmp_path / "senter")).interpolate())
    assert both.get_pipe("senter").labels == ("I", "S") and both.get_pipe("tagger").labels == (*known, "ADV", "SYM")


def test_a_text_classifier_that_learns_on_takes_up_no_classes(
    trained: dict[str, Path], spacy_file: Path, tmp_path: Path
) -> None:
    docs = list(DocBin().from_disk(spacy_file).get_docs(spacy.blank("xx").vocab))
    docs[0].cats = {"weather": 1.0, "news": 0.0}
    DocBin(docs=docs).to_disk(tmp_path / "other.spacy")
    files = {"paths.train": str(tmp_path / "other.spacy"), "paths.dev": str(spacy_file)}
    config = build_config("textcat", overrides=files, source=str(trained["textcat-trainable"]))
    with pytest.raises(DistillEmbError, match=r"classes weather, which .* does not know. It knows news, sport"):
        init_nlp(config.interpolate())


def test_what_cannot_learn_on_is_named(trained: dict[str, Path], tmp_path: Path) -> None:
    path, damaged = trained["ner-none"], tmp_path / "damaged"
    shutil.copytree(path, damaged)
    (damaged / "config.cfg").write_text("[nlp]\nlang = xx\n", "utf-8")
    for task, source, message in (
        ("ner", str(damaged), "damaged is no pipeline: give the directory or the package of one"),
        ("textcat", str(path), "has no component textcat, it has tok2vec, ner: choose another task"),
        ("ner", str(tmp_path), "is no pipeline: give the directory or the package of one"),
    ):
        with pytest.raises(DistillEmbError, match=message):
            build_config(task, source=source)


def test_an_encoder_in_paths_that_no_block_reads_is_told(
    overrides: dict[str, dict[str, Any]], tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    def told(name: str, **more: Any) -> list[str]:
        given = overrides[name] | {"training.max_steps": 1} | more
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            train(config_path(name), None, overrides=given)
        found = [one for one in caught if "no block of the config reads it" in str(one.message)]
        assert all(one.filename == "distillemb" for one in found), "no line of our code is shown"
        return [str(one.message) for one in found]

    by_hand = {"components.tok2vec.model.embed.pretrained": str(tiny_encoder_dir)}
    with_another_reader = told("textcat-trainable", **by_hand)
    path = overrides["textcat-trainable"]["paths.encoder"]
    assert [text.split(",")[0] for text in with_another_reader] == [f'[paths] encoder (--paths.encoder) is "{path}"']
    assert "write pretrained = ${paths.encoder} in the block" in with_another_reader[0]
    assert len(told("ner-none", **{"paths.other": "afro11"})) == 1, "any name; without an encoder in the pipeline too"
    for read in ("ner-trainable", "ner-static", "ner-context"):
        assert not told(read)
    assert not told("ner-trainable", **by_hand, **{"paths.encoder": str(tiny_encoder_dir)}), (
        "the same: it misleads none"
    )


def test_evaluate(trained: dict[str, Path], spacy_file: Path) -> None:
    for name in ("ner-static", "ner-trainable"):
        scores = evaluate(trained[name], spacy_file, silent=True)
        assert "ents_f" in scores and scores["speed"] > 0


def test_debug_data(overrides: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        debug_data(config_path("ner-static"), config_overrides=overrides["ner-static"], silent=False)
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
