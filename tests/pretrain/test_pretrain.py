"""Pretraining learns, resumes to the same bytes, and its directory opens in every face."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distillemb_plugins import Corpus, DistillEmb, DistillEmbError
from distillemb_plugins.persistence import encoder_from_bytes, encoder_to_bytes, read_encoder, write_encoder
from distillemb_plugins.pretrain import PretrainSettings, pretrain
from distillemb_plugins.pretrain import loop as loop_module

TINY = PretrainSettings(
    layers=1, size=16, heads=2, range=12, vocabulary=12, batch_words=128, warmup=10, held_out=60, epochs=6,
    evaluate_every=1000, learning_rate=5e-3, samples=0, dropout=0.0, storage="float32", device="cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of one word, so that the words beside a masked one tell it."""
    random = np.random.default_rng(0)
    words = [
        "kita",
        "soma",
        "mji",
        "ndege",
        "rafiki",
        "nyota",
        "mkita",
        "wasoma",
        "kimji",
        "andege",
        "urafiki",
        "manyota",
    ]
    lines = [" ".join([words[random.integers(len(words))]] * 4) for _ in range(600)]
    folder = tmp_path_factory.mktemp("corpora") / "swa"
    folder.mkdir()
    (folder / "text.txt").write_text("\n".join(lines), "utf-8")
    return folder / "text.txt"


@pytest.fixture(scope="module")
def done(text: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pretrained") / "context"
    return pretrain([text], tiny_encoder_dir, out, TINY, progress=False)


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "pretrain_log.jsonl").read_text("utf-8").splitlines()]


def test_masked_words_are_learned(done: Path) -> None:
    scores = [line["validation"] for line in log_of(done) if "validation" in line][-1]
    assert scores["accuracy"] > 0.6, "by chance it is one in twelve"
    assert read_encoder(done).facts.scores["On held-out masked words"] == pytest.approx(scores, abs=1e-5)
    assert not done.with_name("context.work").exists()


def test_the_directory_opens_in_every_face(done: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    words = ["mkita", "kita", "kimji"]
    encoder = DistillEmb.from_pretrained(done)
    model = AutoModel.from_pretrained(done).eval()
    batch = AutoTokenizer.from_pretrained(done)([words], is_split_into_words=True, return_tensors="pt")
    with torch.inference_mode():
        found = model(**batch, output_hidden_states=True)
    np.testing.assert_allclose(found.hidden_states[0][0].numpy(), encoder.encode(words), atol=1e-5)
    assert found.last_hidden_state.shape == (1, 3, TINY.size)
    assert len(found.hidden_states) == 1 + TINY.layers
    torch.testing.assert_close(found.hidden_states[-1], found.last_hidden_state)
    tagger = DistillEmbForTokenClassification.from_pretrained(done, num_labels=3, head="linear")
    torch.testing.assert_close(
        tagger.distillemb.context_layers.input.weight,
        model.context_layers.input.weight,  # type: ignore[union-attr]
    )


def test_an_encoder_keeps_its_context_layers(done: Path, tmp_path: Path) -> None:
    files = read_encoder(done)
    assert files.context
    again = read_encoder(DistillEmb.from_pretrained(done).save_pretrained(tmp_path / "again"))
    stored = encoder_from_bytes(encoder_to_bytes(files))
    for other in (again, stored):
        assert other.context.keys() == files.context.keys()
        assert all(np.array_equal(other.context[name], files.context[name]) for name in files.context)
    assert files.num_parameters == DistillEmb.from_pretrained(done).num_parameters


class InterruptedRunError(Exception):
    pass


@pytest.mark.parametrize("changes", [{}, {"samples": 8}, {"encoder_learning_rate": 0.0}])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    text: Path, tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    settings = replace(TINY, epochs=1, dropout=0.1, checkpoint_seconds=0.0, **changes)
    whole = pretrain([text], tiny_encoder_dir, tmp_path / "whole", settings, progress=False)
    step, steps = loop_module.Pretraining.step, []

    def stop_at_five(run: Any) -> Any:
        steps.append(len(steps))
        if len(steps) == 6:
            raise InterruptedRunError
        return step(run)

    monkeypatch.setattr(loop_module.Pretraining, "step", stop_at_five)
    with pytest.raises(InterruptedRunError):
        pretrain([text], tiny_encoder_dir, tmp_path / "cut", settings, progress=False)
    monkeypatch.setattr(loop_module.Pretraining, "step", step)
    with pytest.raises(DistillEmbError, match="say --resume"):
        pretrain([text], tiny_encoder_dir, tmp_path / "cut", settings, progress=False)
    with pytest.raises(DistillEmbError, match="layers = 1, this one has 2"):
        pretrain([text], tiny_encoder_dir, tmp_path / "cut", replace(settings, layers=2), resume=True, progress=False)
    cut = pretrain([text], tiny_encoder_dir, tmp_path / "cut", settings, resume=True, progress=False)
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_the_card_names_the_text_beside_that_of_the_encoder(text: Path, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    files = read_encoder(tiny_encoder_dir)
    own = replace(files.facts, corpora=(Corpus("stories", "CC0 1.0", "swa: https://example.org"),), license="cc0-1.0")
    write_encoder(tmp_path / "own", files.config, files.tensors, files.characters, facts=own)
    out = pretrain([text], tmp_path / "own", tmp_path / "out", replace(TINY, words=200), progress=False)
    facts = read_encoder(out).facts
    assert [row.name for row in facts.corpora] == ["stories", "swa"] and facts.license == "cc0-1.0"


def test_a_frozen_encoder_stays_to_the_last_bit(text: Path, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    settings = replace(TINY, words=2000, encoder_learning_rate=0.0)
    out = pretrain([text], tiny_encoder_dir, tmp_path / "out", settings, progress=False)
    before, after = read_encoder(tiny_encoder_dir).tensors, read_encoder(out).tensors
    assert all(np.array_equal(after[name], before[name]) for name in before)
    learned = pretrain([text], tiny_encoder_dir, tmp_path / "learned", replace(TINY, words=2000), progress=False)
    assert any(not np.array_equal(tensor, before[name]) for name, tensor in read_encoder(learned).tensors.items())


def test_a_sample_of_words_stands_for_all(text: Path, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    out = pretrain([text], tiny_encoder_dir, tmp_path / "out", replace(TINY, samples=8), progress=False)
    scores = [line["validation"] for line in log_of(out) if "validation" in line][-1]
    assert scores["accuracy"] > 0.3, "by chance it is one in twelve"


def test_storage(text: Path, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    sizes = {}
    for storage in ("float32", "float16"):
        settings = replace(TINY, words=300, storage=storage)  # type: ignore[arg-type]
        out = pretrain([text], tiny_encoder_dir, tmp_path / storage, settings, progress=False)
        sizes[storage] = (out / "model.safetensors").stat().st_size
    assert sizes["float16"] < 0.6 * sizes["float32"]


def test_what_is_there_is_not_replaced_unasked(text: Path, tiny_encoder_dir: Path, done: Path) -> None:
    with pytest.raises(DistillEmbError, match="already exists"):
        pretrain([text], tiny_encoder_dir, done, TINY, progress=False)


def test_context_layers_of_the_encoder_go_on_learning(text: Path, done: Path, tmp_path: Path) -> None:
    sizeless = replace(TINY, layers=0, size=0, heads=0, range=0, words=1, warmup=0, learning_rate=1e-9)
    more = read_encoder(pretrain([text], done, tmp_path / "more", sizeless, progress=False))
    before = read_encoder(done)
    assert {name: more.config[name] for name in more.config if name.startswith("context_")} == {
        name: before.config[name] for name in before.config if name.startswith("context_")
    }
    for name, tensor in before.context.items():
        np.testing.assert_allclose(more.context[name], tensor, atol=1e-6, err_msg=name)
    rounds = more.facts.settings["pretraining"]
    assert [one["words"] for one in rounds] == [0, 1], "the facts tell both rounds"
    assert [one["layers"] for one in rounds] == [1, 1], "with the sizes that were taken"


@pytest.mark.parametrize(
    ("changes", "told"), [({"layers": 2}, "layers is 2"), ({"range": 9}, "range is 9"), ({"feed_forward": 9}, "is 9")]
)
def test_other_sizes_than_those_of_the_encoder_are_refused(
    text: Path, done: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(DistillEmbError, match=f"{told}, and the encoder has context layers already.*leave it out"):
        pretrain([text], done, tmp_path / "out", replace(TINY, **changes), progress=False)
    assert not (tmp_path / "out").exists()


def test_heads_read_vectors_beside_states(text: Path, done: Path, tmp_path: Path) -> None:
    assert read_encoder(done).config["static_vectors"] is True
    old = tmp_path / "old"  # pretrained before there was such a choice
    files = read_encoder(done)
    config = {name: value for name, value in files.config.items() if name != "static_vectors"}
    write_encoder(old, config, files.tensors, files.characters, context=files.context)
    sizeless = replace(TINY, layers=0, size=0, heads=0, range=0, words=1)
    assert read_encoder(pretrain([text], old, tmp_path / "more", sizeless, progress=False)).config["static_vectors"]
