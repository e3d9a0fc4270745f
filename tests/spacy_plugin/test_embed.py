"""`distillemb.Embed.v1` and `distillemb.Tok2Vec.v1`: an encoder that learns inside a pipeline."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import registry
from thinc.api import SGD, Adam, Model, NumpyOps, Ragged, fix_random_seed

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.persistence import read_encoder, write_encoder
from distillemb_plugins.spacy_plugin import shims
from distillemb_plugins.spacy_plugin.architectures import build_embed_v1
from distillemb_plugins.spacy_plugin.context import build_bilstm_encoder_v1
from distillemb_plugins.spacy_plugin.layers import ENCODER_NODE, pipeline_encoder

from ..conftest import make_encoder_dir
from .conftest import (
    WIDTH,
    distance,
    embed_config,
    encoder_tensors,
    examples_for,
    listener,
    make_pipeline,
    ner_config,
    tagger_config,
    tok2vec_config,
    train,
)

TEXT = "Rafiki kitani anasoma mjini"
LEXICAL = {"attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"], "rows": [50, 20, 20, 20]}


def initialized(encoder: Path | str, **settings: Any) -> tuple[Language, Any]:
    nlp = make_pipeline(encoder, **settings)
    return nlp, nlp.initialize(lambda: examples_for(nlp))


def embed_node(model: Model) -> Model:
    (node,) = [n for n in model.walk() if n.name == ENCODER_NODE]
    return node


def tensor(nlp: Language, text: str = TEXT) -> Any:
    """What the tok2vec says; read before NER, which leaves it as it is."""
    return nlp(text).tensor.copy()


@pytest.fixture
def own_dir(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    """An encoder directory that a test may delete."""
    return Path(shutil.copytree(tiny_encoder_dir, tmp_path / "own-encoder"))


# Weights arrive, move, stay


def test_weights_arrive(tiny_encoder_dir: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir)
    stored = read_encoder(tiny_encoder_dir)
    assert distance(encoder_tensors(nlp), stored.tensors) == 0
    node = embed_node(nlp.get_pipe("tok2vec").model)
    words = ["rafiki", "ሰላም", "x"]
    expected = DistillEmb.from_files(stored).encode(words)
    assert np.allclose(node.predict(words), expected, atol=1e-5)
    assert np.allclose(node(words, is_train=True)[0], expected, atol=1e-5)  # torch gives what NumPy gives


@pytest.mark.parametrize("settings", [{}, LEXICAL])
def test_weights_move_in_training_and_predictions_follow(tiny_encoder_dir: Path, settings: dict[str, Any]) -> None:
    nlp, optimizer = initialized(tiny_encoder_dir, **settings)
    before, spoken = encoder_tensors(nlp), tensor(nlp)
    node = embed_node(nlp.get_pipe("tok2vec").model)
    word = node.predict(["rafiki"]).copy()
    train(nlp, optimizer)
    after = encoder_tensors(nlp)
    assert distance(before, after) > 1e-3
    assert not np.allclose(tensor(nlp), spoken)
    # the NumPy encoder that predicts is not the stale one
    assert not np.allclose(node.predict(["rafiki"]), word, atol=1e-6)
    assert np.allclose(node.predict(["rafiki"]), node(["rafiki"], is_train=True)[0], atol=1e-5)


def test_training_learns(tiny_encoder_dir: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir, **LEXICAL)
    train(nlp, Adam(0.02), steps=30)
    assert nlp.evaluate(examples_for(nlp))["ents_f"] > 0.6


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_frozen_weights_stay_bit_equal(tiny_encoder_dir: Path, tmp_path: Path, storage: Any) -> None:
    files = read_encoder(tiny_encoder_dir)
    write_encoder(tmp_path / "e", files.config, files.tensors, files.characters, storage=storage)
    nlp, optimizer = initialized(tmp_path / "e", freeze=True)
    before, linear = encoder_tensors(nlp), tensor(nlp)
    train(nlp, optimizer)
    assert not np.allclose(tensor(nlp), linear)  # what follows the encoder does learn
    assert distance(before, encoder_tensors(nlp)) == 0
    nlp.to_disk(tmp_path / "pipeline")
    assert distance(before, encoder_tensors(spacy.load(tmp_path / "pipeline"))) == 0


@pytest.mark.parametrize("optimizer", [Adam(0.001, L2=0.0, use_averages=False), SGD(0.01, L2=0.0)])
def test_grad_factor_is_a_share_of_the_step(tiny_encoder_dir: Path, optimizer: Any) -> None:
    """One step moves the encoder grad_factor times as far, also under Adam, whose steps ignore gradient scale."""
    moved = {}
    for factor in (1.0, 0.1):
        fix_random_seed(0)  # the other layers begin alike
        nlp, _ = initialized(tiny_encoder_dir, grad_factor=factor)
        model = nlp.get_pipe("tok2vec").model
        before = encoder_tensors(nlp)
        vectors, backprop = model(list(nlp.pipe([TEXT])), is_train=True)
        backprop([np.ones_like(v) * np.arange(v.size, dtype="f").reshape(v.shape) for v in vectors])
        fresh = Adam(0.001, L2=0.0, use_averages=False) if optimizer.b1 else SGD(0.01, L2=0.0)
        model.finish_update(fresh)
        moved[factor] = distance(before, encoder_tensors(nlp))
    assert moved[0.1] == pytest.approx(0.1 * moved[1.0], rel=1e-3) and moved[1.0] > 0


def test_freed_memory_is_given_back_while_torch_learns(tiny_encoder_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """glibc would keep it: a long training of context layers took more than 20 GB."""
    docs = [Doc(spacy.blank("xx").vocab, words=["soma", "mji"])]
    embed, bilstm = build_embed_v1(4, tiny_encoder_dir), build_bilstm_encoder_v1(4)
    embed.initialize(X=docs)
    returned: list[int] = []
    monkeypatch.setattr(shims.ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=returned.append))
    inputs: list[tuple[Model, Any]] = [(embed, docs), (bilstm, [np.ones((2, 4), "f")])]
    for model, given in inputs:
        monkeypatch.setattr(shims, "_UPDATES", count(1))
        model(given, is_train=True)
        for _ in range(99):
            model.finish_update(SGD(0.01))
        assert returned.pop() == 0 and not returned
        monkeypatch.setattr(shims.ctypes, "CDLL", lambda name: object())  # a C library without it
        model.finish_update(SGD(0.01))
        monkeypatch.setattr(shims.ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=returned.append))


def test_gradients_of_repeated_words_are_summed(tiny_encoder_dir: Path) -> None:
    """Finite differences through the de-duplication: d(sum of outputs * g) / d(a weight)."""
    nlp = spacy.blank("xx")
    docs = [Doc(nlp.vocab, words=["soma", "mji", "soma"]), Doc(nlp.vocab, words=["mji", "soma"])]
    model = build_embed_v1(4, tiny_encoder_dir)
    model.initialize(X=docs)
    shim = embed_node(model).shims[0]
    module = shim.module()
    outputs, backprop = model(docs, is_train=True)
    gradient = [np.random.default_rng(0).normal(size=o.shape).astype("f") for o in outputs]
    backprop(gradient)
    weights = dict(module.named_parameters())["output.weight"]
    analytic = float(weights.grad[3, 2])

    def total(shift: float) -> float:
        weights.data[3, 2] += shift
        value = sum(float((o * g).sum()) for o, g in zip(model(docs, is_train=True)[0], gradient, strict=True))
        weights.data[3, 2] -= shift
        return value

    numeric = (total(3e-2) - total(-3e-2)) / 6e-2
    assert analytic == pytest.approx(numeric, rel=2e-2, abs=1e-3) and abs(analytic) > 1e-4


def test_repeated_words_are_computed_once(tiny_encoder_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp, _ = initialized(tiny_encoder_dir)
    model = nlp.get_pipe("tok2vec").model
    shim = embed_node(model).shims[0]
    rows: list[int] = []
    module = shim.module()
    module.register_forward_hook(lambda _, inputs, output: rows.append(len(inputs[0])))
    docs = [Doc(nlp.vocab, words=["soma", "mji"] * 50), Doc(nlp.vocab, words=["mji"] * 20)]
    model(docs, is_train=True)
    assert rows == [2]


@pytest.mark.parametrize("kind", ["distillemb-small", "char-cnn", "char-rnn", "ngram-bag", "ngram-sam"])
def test_every_student_learns(tiny_encoder_dirs: dict[str, Path], kind: str) -> None:
    nlp, optimizer = initialized(tiny_encoder_dirs[kind])
    before = encoder_tensors(nlp)
    train(nlp, optimizer, steps=2)  # the first moves only the output layer, which begins at zero
    assert distance(before, encoder_tensors(nlp)) > 0


def test_averages_cover_the_encoder(tiny_encoder_dir: Path) -> None:
    """thinc's own shim overlooks use_averages without a word."""
    nlp, _ = initialized(tiny_encoder_dir)
    optimizer = Adam(0.01, use_averages=True)
    train(nlp, optimizer, steps=4)
    last = encoder_tensors(nlp)
    with nlp.use_params(optimizer.averages):
        averaged, stored = encoder_tensors(nlp), nlp.to_bytes()
    assert distance(averaged, last) > 1e-4
    assert distance(encoder_tensors(nlp), last) == 0
    again = make_pipeline(None).from_bytes(stored)
    assert distance(encoder_tensors(again), averaged) == 0
    train(nlp, optimizer, steps=1)  # training goes on from the last weights, not from the averages
    assert 0 < distance(encoder_tensors(nlp), last) < distance(averaged, last) * 10


def test_dropout_is_for_training_only(tiny_encoder_dir: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir, dropout=0.5)
    node = embed_node(nlp.get_pipe("tok2vec").model)
    trained, _ = node(["rafiki", "soma"], is_train=True)
    assert 5 < (trained == 0).sum() < 43 and (node.predict(["rafiki", "soma"]) != 0).all()


# Saving and loading


@pytest.mark.parametrize("settings", [{}, {"freeze": True, **LEXICAL}])
def test_a_trained_pipeline_carries_its_encoder(own_dir: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    nlp, optimizer = initialized(own_dir, **settings)
    train(nlp, optimizer)
    nlp.to_disk(tmp_path / "pipeline")
    data = nlp.to_bytes()
    shutil.rmtree(own_dir)
    for again in (spacy.load(tmp_path / "pipeline"), spacy.blank("xx", config=nlp.config).from_bytes(data)):
        assert distance(encoder_tensors(again), encoder_tensors(nlp)) == 0
        assert np.allclose(tensor(again), tensor(nlp), atol=1e-6)
    assert nlp.to_bytes() == data  # the same bytes every time


def test_loading_and_running_needs_no_torch(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp, optimizer = initialized(tiny_encoder_dir)
    train(nlp, optimizer, steps=1)
    nlp.to_disk(tmp_path / "pipeline")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import spacy\n"
        f"doc = spacy.load({str(tmp_path / 'pipeline')!r})({TEXT!r})\n"
        "print(float(doc.tensor.sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(float(tensor(nlp).sum()), abs=1e-3)


def test_no_pickle_in_a_saved_pipeline(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir)
    nlp.to_disk(tmp_path / "pipeline")
    stored = (tmp_path / "pipeline" / "tok2vec" / "model").read_bytes()
    assert b"__metadata__" in stored and b"ctorch" not in stored and b"PK\x03\x04" not in stored


def test_pickled_models_predict_the_same(tiny_encoder_dir: Path) -> None:
    nlp, optimizer = initialized(tiny_encoder_dir)
    train(nlp, optimizer, steps=1)
    model = pickle.loads(pickle.dumps(nlp.get_pipe("tok2vec").model))
    docs = [nlp.make_doc(TEXT)]
    assert np.allclose(model.predict(docs)[0], nlp.get_pipe("tok2vec").model.predict(docs)[0], atol=1e-6)


def test_resuming_goes_on_with_the_trained_weights(own_dir: Path, tmp_path: Path) -> None:
    nlp, optimizer = initialized(own_dir)
    train(nlp, optimizer)
    nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(own_dir)
    again = spacy.load(tmp_path / "pipeline")
    start = encoder_tensors(again)
    train(again, again.resume_training())
    assert 0 < distance(start, encoder_tensors(again)) < distance(start, {k: 0 * v for k, v in start.items()})
    assert distance(start, encoder_tensors(nlp)) == 0


def test_freezing_can_be_changed_when_loading(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir)
    nlp.to_disk(tmp_path / "pipeline")
    frozen = spacy.load(tmp_path / "pipeline", config={"components.tok2vec.model.embed.freeze": True})
    before = encoder_tensors(frozen)
    train(frozen, frozen.resume_training())
    assert distance(before, encoder_tensors(frozen)) == 0


def test_the_encoder_can_be_taken_out(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp, optimizer = initialized(tiny_encoder_dir)
    train(nlp, optimizer, steps=1)
    pipeline_encoder(nlp).save_pretrained(tmp_path / "tuned")
    assert distance(read_encoder(tmp_path / "tuned").tensors, encoder_tensors(nlp)) == 0
    with pytest.raises(DistillEmbError, match="'ner' holds no distillemb encoder"):
        pipeline_encoder(nlp, "ner")


# Shared and separate tok2vec, sourcing


def test_a_tok2vec_of_its_own(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("xx")
    nlp.add_pipe("ner", config=ner_config(tok2vec_config(embed_config(tiny_encoder_dir))))
    nlp.add_pipe("tagger", config=tagger_config(tok2vec_config(embed_config(tiny_encoder_dir))))
    examples = examples_for(nlp)
    for example in examples:
        for token in example.reference:
            token.tag_ = "A" if len(token) > 4 else "B"
    optimizer = nlp.initialize(lambda: examples)
    before = encoder_tensors(nlp, "ner")
    for _ in range(2):
        nlp.update(examples, sgd=optimizer)
    assert distance(before, encoder_tensors(nlp, "ner")) > 0
    assert distance(encoder_tensors(nlp, "tagger"), encoder_tensors(nlp, "ner")) > 0
    nlp.to_disk(tmp_path / "p")
    assert distance(encoder_tensors(spacy.load(tmp_path / "p"), "ner"), encoder_tensors(nlp, "ner")) == 0


def test_two_listeners_teach_one_encoder(tiny_encoder_dir: Path) -> None:
    nlp = make_pipeline(tiny_encoder_dir)
    nlp.add_pipe("tagger", config=tagger_config(listener()))
    examples = examples_for(nlp)
    for example in examples:
        for token in example.reference:
            token.tag_ = "A" if len(token) > 4 else "B"
    optimizer = nlp.initialize(lambda: examples)
    before = encoder_tensors(nlp)
    losses: dict[str, float] = {}
    for _ in range(2):
        nlp.update(examples, sgd=optimizer, losses=losses)
    assert losses["tok2vec"] > 0 and distance(before, encoder_tensors(nlp)) > 0
    assert {t.tag_ for t in nlp(TEXT)} <= {"A", "B"}


def test_replaced_listeners_are_independent(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp, optimizer = initialized(tiny_encoder_dir)
    train(nlp, optimizer)
    shared = encoder_tensors(nlp)
    key = embed_node(nlp.get_pipe("tok2vec").model).shims[0]
    nlp.replace_listeners("tok2vec", "ner", ["model.tok2vec"])
    copied = embed_node(nlp.get_pipe("ner").model).shims[0]
    assert copied.id != key.id  # or two encoders would share one optimiser state
    assert distance(encoder_tensors(nlp, "ner"), shared) == 0
    with nlp.select_pipes(enable="ner"):
        train(nlp, nlp.resume_training())
    assert distance(encoder_tensors(nlp, "ner"), shared) > 0
    assert distance(encoder_tensors(nlp), shared) == 0
    nlp.to_disk(tmp_path / "p")
    assert distance(encoder_tensors(spacy.load(tmp_path / "p"), "ner"), encoder_tensors(nlp, "ner")) == 0


def test_sourced_and_frozen_with_annotations(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    """A finished tok2vec under a new component: `source`, `frozen_components` and `annotating_components`."""
    first, optimizer = initialized(tiny_encoder_dir)
    train(first, optimizer)
    first.to_disk(tmp_path / "first")
    nlp = spacy.blank("xx")
    nlp.add_pipe("tok2vec", source=spacy.load(tmp_path / "first"))
    nlp.add_pipe("ner", config=ner_config(listener()))
    before = encoder_tensors(nlp)
    assert distance(before, encoder_tensors(first)) == 0
    with nlp.select_pipes(disable="tok2vec"):
        optimizer = nlp.initialize(lambda: examples_for(nlp))
    old = [p.copy() for n in nlp.get_pipe("ner").model.walk() for p in (n.get_param(k) for k in n.param_names)]
    train(nlp, optimizer, exclude=["tok2vec"], annotates=["tok2vec"])
    new = [p for n in nlp.get_pipe("ner").model.walk() for p in (n.get_param(k) for k in n.param_names)]
    assert distance(before, encoder_tensors(nlp)) == 0
    assert any(not np.array_equal(a, b) for a, b in zip(old, new, strict=True))


# Tok2Vec.v1


@pytest.mark.parametrize("context", ["cnn", "bilstm"])
def test_the_whole_tok2vec(tiny_encoder_dir: Path, tmp_path: Path, context: str) -> None:
    nlp = spacy.blank("xx")
    block = {
        "@architectures": "distillemb.Tok2Vec.v1",
        "width": WIDTH,
        "pretrained": str(tiny_encoder_dir),
        "depth": 1,
        "context": context,
        **LEXICAL,
    }
    nlp.add_pipe("tok2vec", config={"model": block})
    nlp.add_pipe("ner", config=ner_config(listener()))
    optimizer = nlp.initialize(lambda: examples_for(nlp))
    model = nlp.get_pipe("tok2vec").model
    assert model.get_dim("nO") == WIDTH and model.has_ref("embed") and model.has_ref("encode")
    before = encoder_tensors(nlp)
    train(nlp, optimizer, steps=2)
    assert distance(before, encoder_tensors(nlp)) > 0
    nlp.to_disk(tmp_path / "p")
    assert np.allclose(tensor(spacy.load(tmp_path / "p")), tensor(nlp), atol=1e-6)


# Odd and bad input


def test_empty_documents_and_batches(tiny_encoder_dir: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir)
    docs = list(nlp.pipe(["", TEXT, ""]))
    assert [d.tensor.shape[0] if len(d) else 0 for d in docs] == [0, 4, 0]
    model = nlp.get_pipe("tok2vec").model
    outputs, backprop = model([Doc(nlp.vocab), nlp.make_doc(TEXT)], is_train=True)
    backprop(outputs)
    assert [o.shape for o in outputs] == [(0, WIDTH), (4, WIDTH)]
    outputs, backprop = model.get_ref("embed")([Doc(nlp.vocab)], is_train=True)
    backprop(outputs)
    assert outputs[0].shape == (0, WIDTH)


def test_strange_words(tiny_encoder_dir: Path) -> None:
    nlp, _ = initialized(tiny_encoder_dir)
    doc = Doc(nlp.vocab, words=["x" * 10_000, "\u0301", "\x00", "漢字", "\n", "😀"])
    assert np.isfinite(nlp(doc).tensor).all()


def test_another_dimension_than_trained(tiny_encoder_dir: Path, tiny_words: list[str], tmp_path: Path) -> None:
    wider = make_encoder_dir(tmp_path / "wider", "cnn", tiny_words, dim=30)
    nlp, _ = initialized(tiny_encoder_dir)
    nlp.to_disk(tmp_path / "p")
    loaded = spacy.load(tmp_path / "p", config={"components.tok2vec.model.embed.pretrained": str(wider)})
    with pytest.raises(DistillEmbError, match=r"embed\]\): .*wider gives vectors of 30 values, .* trained with 24"):
        loaded.initialize(lambda: examples_for(loaded))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"width": 0}, "width is 0"),
        ({"width": -3}, "width is -3"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"grad_factor": 0.0}, "grad_factor is 0.0.*freeze = true"),
        ({"cache_size": -1}, "cache_size is -1"),
        ({"runtime": "gpu"}, "runtime is 'gpu'"),
        ({"attrs": ["NORM"], "rows": [1, 2]}, "1 attrs and rows"),
        ({"attrs": ["NOMR"], "rows": [10]}, "'NOMR', which is not a token attribute"),
    ],
)
def test_settings_that_cannot_be(tiny_encoder_dir: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DistillEmbError, match=sentence):
        registry.resolve({"m": {**embed_config(tiny_encoder_dir), **settings}})


def test_pretrained_that_cannot_be_used(tmp_path: Path) -> None:
    block = r"distillemb.Embed.v1 \(\[components.\*.model.embed\]\)"
    with pytest.raises(DistillEmbError, match=f"{block}: pretrained is not set"):
        initialized(None)  # type: ignore[arg-type]
    with pytest.raises(DistillEmbError, match=f'{block}: pretrained = ".*nowhere" cannot be used. There is no'):
        initialized(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DistillEmbError, match="is no encoder directory"):
        initialized(tmp_path / "empty")


def test_types_are_validated(tiny_encoder_dir: Path) -> None:
    """An annotation that cannot be read would switch validation off for the whole signature."""
    for settings in ({"width": "wide"}, {"freeze": "perhaps"}, {"atrs": ["NORM"]}, {"rows": ["many"]}):
        with pytest.raises(ValueError, match="Config"):
            registry.resolve({"m": {**embed_config(tiny_encoder_dir), **settings}})


def test_the_layer_alone(tiny_encoder_dir: Path) -> None:
    """Without attributes the vectors of distinct words are mixed once; copies of a word come out equal."""
    nlp = spacy.blank("xx")
    docs = [Doc(nlp.vocab, words=["soma", "mji", "soma"])]
    model = build_embed_v1(8, tiny_encoder_dir)
    model.initialize(X=docs)
    (output,) = model.predict(docs)
    assert output.shape == (3, 8) and output.dtype == np.float32
    assert np.array_equal(output[0], output[2]) and not np.array_equal(output[0], output[1])
    assert isinstance(model.layers[0].predict(docs), Ragged) and isinstance(model.ops, NumpyOps)
