"""Training in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from thinc.api import get_current_ops, set_current_ops

from distillemb_plugins.inference import threads
from distillemb_plugins.spacy_plugin.training import numpy_matmul, train_pipeline

CONFIG = """
[paths]
train = null
[nlp]
lang = "xx"
pipeline = ["tagger"]
[components]
[components.tagger]
factory = "tagger"
[components.tagger.model]
@architectures = "spacy.Tagger.v2"
[components.tagger.model.tok2vec]
@architectures = "spacy.HashEmbedCNN.v2"
width = 8
depth = 1
embed_size = 50
[corpora]
[corpora.train]
@readers = "distillemb.ConllCorpus.v1"
path = ${paths.train}
task = "pos"
[corpora.dev]
@readers = "distillemb.ConllCorpus.v1"
path = ${paths.train}
task = "pos"
[training]
max_steps = 4
eval_frequency = 2
[training.optimizer]
@optimizers = "Adam.v1"
[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
warmup_steps = 1
total_steps = ${training.max_steps}
initial_rate = 0.002
"""


def test_the_best_pipeline_is_returned_and_can_be_kept(tmp_path: Path) -> None:
    from spacy.util import load_config_from_str, load_model_from_config

    (tmp_path / "train.txt").write_text("Juma PROPN\nanaishi VERB\n\n" * 8, "utf-8")
    config = load_config_from_str(CONFIG, overrides={"paths.train": str(tmp_path / "train.txt")})
    config = load_model_from_config(config, auto_fill=True).config
    before = get_current_ops()
    trained = train_pipeline(config, keep=tmp_path / "kept")
    assert get_current_ops() is before
    assert trained.seconds > 0 and trained.bytes > 0
    kept = spacy.load(tmp_path / "kept")
    assert kept.pipe_names == trained.nlp.pipe_names == ["tagger"]
    kept.resume_training()  # with the optimizer of the config, whose rate named a variable
    assert config["training"]["optimizer"]["learn_rate"]["total_steps"] == "${training.max_steps}"


def test_matrix_products_are_numpys_inside_alone() -> None:
    before = get_current_ops()
    with numpy_matmul():
        assert get_current_ops().use_blis is False  # type: ignore[attr-defined]
    assert get_current_ops() is before


def test_a_config_can_ask_for_numpys_matrix_products(tmp_path: Path) -> None:
    from spacy.util import load_config_from_str, load_model_from_config

    before = get_current_ops()
    asked = {"paths.train": "", "nlp.before_creation": {"@callbacks": "distillemb.numpy_matmul.v1"}}
    try:
        nlp = load_model_from_config(load_config_from_str(CONFIG, overrides=asked), auto_fill=True)
        assert all(node.ops.use_blis is False for node in nlp.get_pipe("tagger").model.walk())
        nlp.to_disk(tmp_path / "saved")
        set_current_ops(before)
        assert all(
            node.ops.use_blis is False for node in spacy.load(tmp_path / "saved").get_pipe("tagger").model.walk()
        )
    finally:
        set_current_ops(before)


@pytest.mark.skipif(threads._blas() is None, reason="a BLAS whose threads cannot be told")
def test_matrix_products_take_one_thread_inside_alone() -> None:
    blas = threads._blas()
    assert blas is not None
    with pytest.importorskip("threadpoolctl").threadpool_limits(2):
        with numpy_matmul():
            assert blas[0]() == 1
        assert blas[0]() == 2
