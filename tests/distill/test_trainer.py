"""Training end to end, small: learns, is deterministic, resumes, and refuses what cannot be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from distillemb_plugins.distill import DistillSettings, distill, training_speed
from distillemb_plugins.distill.loop import LOG_FILE
from distillemb_plugins.distill.progress import Progress
from distillemb_plugins.distill.trainer import few_steps
from distillemb_plugins.encoder import DistillEmb
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.facts import Corpus, EncoderFacts
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.runs import CHECKPOINT_FILE
from distillemb_plugins.teachers import Teacher

Quick = Callable[..., DistillSettings]
ALL_LOSSES = {
    "triplet": 1.0,
    "info_nce": 0.2,
    "local": 1.0,
    "global": 1.0,
    "cosine": 1.0,
    "similarity": 5.0,
    "structure": 1.0,
}


class StopError(Exception):
    """Raised by a callback to interrupt a run."""


def stop_after(steps: int) -> Callable[[Progress], None]:
    def callback(progress: Progress) -> None:
        if progress.total_steps == steps:
            raise StopError

    return callback


def lines_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / LOG_FILE).read_text("utf-8").splitlines()]


def assert_equal_weights(one: Path, two: Path) -> None:
    first, second = read_encoder(one).tensors, read_encoder(two).tensors
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.tobytes() == second[name].tobytes(), name


def test_a_student_learns_words_it_never_saw(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    facts = EncoderFacts(
        title="A tiny one", languages=("sw",), license="mit", corpora=(Corpus("ours", "CC0"),), command="distill it"
    )
    out = distill([tiny_teacher], tmp_path / "out", quick(epochs=25), progress=False, facts=facts)
    assert out == tmp_path / "out"
    assert not (tmp_path / "out.work").exists()
    log = lines_of(out)
    scores = log[-1]["validation"]
    assert scores["cosine"] > 0.8 and scores["p_at_10"] > 0.7
    first, last = (line["losses"]["loss"] for line in (log[0], log[-2]))
    assert last < first / 2
    assert log[-2].keys() == {
        "step", "epoch", "examples", "seconds", "losses", "learning_rate", "examples_per_second"
    }  # fmt: skip
    encoder = DistillEmb.from_pretrained(out)
    centred = tiny_teacher.center().normalize()
    cosines = (encoder.encode(centred.words, normalize=True) * centred.vectors).sum(1)
    assert cosines.mean() > 0.8
    for text in ("# A tiny one", "- sw", "license: mit", "| ours | CC0", "distill it", "`tiny`", "p_at_10", "torch"):
        assert text in encoder.files.card


@pytest.mark.parametrize("student", ["distillemb-small", "char-cnn", "char-rnn", "ngram-bag", "ngram-sam", "cnn"])
def test_equal_seeds_give_equal_bytes(student: str, tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        distill([tiny_teacher], tmp_path / name, quick(student=student, seed=seed, epochs=1), progress=False)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_all_losses_with_two_teachers_and_a_corpus(
    tiny_teacher: Teacher, tiny_corpus: Path, quick: Quick, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).normal(size=tiny_teacher.vectors.shape).astype(np.float32)
    other = Teacher("other", tiny_teacher.words[::-1], tiny_teacher.vectors[::-1] + 0.1 * noise)
    for mining in ("window", "neighbors"):
        settings = quick(losses=ALL_LOSSES, hard_negatives=mining, negatives=2, ema=0.9, sampling="log")
        out = distill([tiny_teacher, other], tmp_path / mining, settings, [tiny_corpus], progress=False)
        assert lines_of(out)[0]["losses"].keys() == {"loss", *ALL_LOSSES}


def test_published_preset_trains(tiny_teacher: Teacher, tiny_corpus: Path, quick: Quick, tmp_path: Path) -> None:
    settings = quick(preset="distillemb", min_char_count=1, epochs=6, batch_size=16, learning_rate=5e-3)
    out = distill([tiny_teacher, tiny_teacher], tmp_path / "out", settings, [tiny_corpus], progress=False)
    log = lines_of(out)
    assert log[-2]["losses"]["triplet"] < 0.7 * log[0]["losses"]["triplet"]
    rates = sorted({line["learning_rate"] for line in log if "learning_rate" in line}, reverse=True)
    assert rates == pytest.approx([5e-3 * 0.95**epoch for epoch in range(6)])
    assert read_encoder(out).characters.align == "center"


def test_published_recipe_in_bfloat16_comes_as_far(
    tiny_teacher: Teacher, tiny_corpus: Path, quick: Quick, tmp_path: Path
) -> None:
    finals = []
    for bf16 in ("off", "all"):
        settings = quick(preset="distillemb", min_char_count=1, epochs=4, batch_size=16, learning_rate=5e-3, bf16=bf16)
        out = distill([tiny_teacher], tmp_path / bf16, settings, [tiny_corpus], progress=False)
        finals.append(lines_of(out)[-2]["losses"]["loss"])
    assert finals[1] == pytest.approx(finals[0], rel=0.1)


@pytest.mark.parametrize(
    "values",
    [
        {"checkpoint_seconds": 1e-9, "patience": 5, "ema": 0.9},  # a checkpoint after every step
        {"checkpoint_seconds": 1e9, "student": "char-cnn"},  # none is due: the run starts anew
    ],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    values: dict[str, Any], tiny_teacher: Teacher, quick: Quick, tmp_path: Path
) -> None:
    settings = quick(epochs=3, losses={"cosine": 1.0, "global": 1.0}, **values)
    distill([tiny_teacher], tmp_path / "whole", settings, progress=False)
    steps = int(np.random.default_rng().integers(2, 22))
    with pytest.raises(StopError):
        distill([tiny_teacher], tmp_path / "cut", settings, progress=False, callback=stop_after(steps))
    assert not (tmp_path / "cut").exists()
    distill([tiny_teacher], tmp_path / "cut", settings, resume=True, progress=False)
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")
    seen = [line["step"] for line in lines_of(tmp_path / "cut")]
    assert seen == sorted(seen) and seen[-1] == 24


def test_an_interrupted_run_is_kept_and_its_settings_are_compared(
    tiny_teacher: Teacher, quick: Quick, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    settings = quick(checkpoint_seconds=1e-9)
    with pytest.raises(StopError):
        distill([tiny_teacher], out, settings, progress=False, callback=stop_after(5))
    with pytest.raises(DistillEmbError, match="holds an interrupted run: say --resume"):
        distill([tiny_teacher], out, settings, progress=False)
    with pytest.raises(DistillEmbError, match="learning_rate = 0.003, this one has 0.1"):
        distill([tiny_teacher], out, quick(learning_rate=0.1), progress=False, resume=True)
    with pytest.raises(DistillEmbError, match="run with data ="):
        distill([tiny_teacher.head(250)], out, settings, progress=False, resume=True)
    checkpoint = out.with_name("out.work") / CHECKPOINT_FILE
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    with pytest.raises(DistillEmbError, match="is damaged"):
        distill([tiny_teacher], out, settings, progress=False, resume=True)
    distill([tiny_teacher], out, settings, progress=False, overwrite=True)
    with pytest.raises(DistillEmbError, match="already exists"):
        distill([tiny_teacher], out, settings, progress=False)


def test_a_run_that_fails_before_a_checkpoint_does_not_stand_in_the_way(
    tiny_teacher: Teacher, quick: Quick, tmp_path: Path
) -> None:
    def fails(progress: Progress) -> None:
        raise StopError

    with pytest.raises(StopError):
        distill([tiny_teacher], tmp_path / "out", quick(epochs=3), progress=False, callback=fails)
    assert not (tmp_path / "out.work").exists()


def test_a_checkpoint_under_the_settings_names_of_earlier_versions_is_gone_on_with(
    tiny_teacher: Teacher, quick: Quick, tmp_path: Path
) -> None:
    settings = quick(checkpoint_seconds=1e-9, hard_negatives="neighbors", losses={"triplet": 1.0})
    distill([tiny_teacher], tmp_path / "whole", settings, progress=False)
    with pytest.raises(StopError):
        distill([tiny_teacher], tmp_path / "cut", settings, progress=False, callback=stop_after(9))
    work = tmp_path / "cut.work"
    renamed = json.loads((work / "settings.json").read_text("utf-8"))
    for now, then in (("center", "centre"), ("normalize", "normalise"), ("neighbors", "neighbours")):
        renamed[then] = renamed.pop(now)
    renamed["hard_negatives"] = "neighbours"
    with safe_open(work / CHECKPOINT_FILE, "np") as stored:
        tensors, metadata = {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()  # noqa: SIM118
    save_file(tensors, work / CHECKPOINT_FILE, {**metadata, "run": json.dumps(renamed)})
    (work / "settings.json").unlink()  # it was in the checkpoint alone
    for file in work.glob("neighbors-*"):
        file.rename(file.with_name(file.name.replace("neighbors", "neighbours")))
    distill([tiny_teacher], tmp_path / "cut", settings, resume=True, progress=False)
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")
    with pytest.raises(DistillEmbError, match="already exists"):
        distill([tiny_teacher], tmp_path / "cut", settings, resume=True, progress=False)


def test_an_encoder_is_a_teacher_beside_a_table(
    tiny_teacher: Teacher, tiny_encoder_dir: Path, quick: Quick, tmp_path: Path
) -> None:
    out = distill([tiny_teacher, tiny_encoder_dir], tmp_path / "out", quick(combine="average"), progress=False)
    table = Teacher(
        "table", tiny_teacher.words, DistillEmb.from_pretrained(tiny_encoder_dir).encode(tiny_teacher.words)
    )
    same = distill([tiny_teacher, table], tmp_path / "same", quick(combine="average"), progress=False)
    assert_equal_weights(out, same)


def test_early_stopping_keeps_the_best_weights(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    settings = quick(epochs=60, patience=2, learning_rate=0.5, table_learning_rate=0.5, clip=0.0)
    out = distill([tiny_teacher], tmp_path / "out", settings, progress=False)
    scores = [line["validation"]["cosine"] for line in lines_of(out) if "validation" in line]
    assert len(scores) < 60 and max(scores) == scores[-3]
    card = read_encoder(out).card
    assert f"| cosine | {scores[-3]:.4g} |" in card


def test_training_stops_when_its_time_is_up(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    settings = quick(epochs=100_000, max_seconds=0.5, schedule="linear", warmup=0.0)
    out = distill([tiny_teacher], tmp_path / "out", settings, progress=False)
    log = lines_of(out)
    assert 0.5 <= log[-1]["seconds"] < 5
    rates = [line["learning_rate"] for line in log if "learning_rate" in line]
    assert rates == sorted(rates, reverse=True) and rates[-1] < rates[0]
    assert "validation" in log[-1]


def test_training_stops_in_time_where_an_epoch_is_one_step(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    settings = quick(epochs=2000, batch_size=1024, max_seconds=0.1, validate_every=1000)
    out = distill([tiny_teacher], tmp_path / "out", settings, progress=False)
    assert lines_of(out)[-1]["step"] < 1000 and "validation" in lines_of(out)[-1]


def test_speed_is_measured(tiny_teacher: Teacher, quick: Quick) -> None:
    assert training_speed([tiny_teacher], quick(), seconds=0.1) > 100


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"losses": {"triplet": 1.0}, "hard_negatives": "window"}, "there is no corpus"),
        ({"held_out": 299}, "held_out asks for 299 of the 300"),
        ({"min_char_count": 10_000}, "No character is seen 10000 times"),
        ({"encoder_args": {"depth": 3}}, "The student cnn cannot be built"),
        ({"losses": {"global": 1.0}, "global_words": 900}, "450 neighbors of each word"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(
    values: dict[str, Any], words: str, tiny_teacher: Teacher, quick: Quick, tmp_path: Path
) -> None:
    with pytest.raises(DistillEmbError, match=words):
        distill([tiny_teacher], tmp_path / "out", quick(**values), progress=False)
    assert not (tmp_path / "out").exists()


def test_a_window_longer_than_the_corpus_is_refused(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    corpus = tmp_path / "short.txt"
    corpus.write_text(" ".join(tiny_teacher.words[:5]), "utf-8")
    settings = quick(losses={"triplet": 1.0}, hard_negatives="window", window=32)
    with pytest.raises(DistillEmbError, match="The window is 32 tokens long, but the corpus holds only"):
        distill([tiny_teacher], tmp_path / "out", settings, [corpus], progress=False)


def test_a_training_that_diverges_is_refused(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    settings = quick(losses={"local": 1.0}, learning_rate=1e30, table_learning_rate=1e30, clip=0.0, held_out=0)
    with pytest.raises(DistillEmbError, match="diverged"):
        distill([tiny_teacher], tmp_path / "out", settings, progress=False)


@pytest.mark.parametrize(
    ("words", "settings", "mend"),
    [
        (2450, DistillSettings(epochs=20, batch_size=1024), "set batch_size to 245 or epochs to 100."),
        (294, DistillSettings(epochs=20, batch_size=1024), "set epochs to 200."),  # too small a batch would be needed
        (4000, DistillSettings(epochs=20, batch_size=256), None),
        (80_000, DistillSettings(epochs=2, batch_size=1024), "set batch_size to 800 or epochs to 3."),
    ],
)
def test_a_training_of_few_steps_is_told_with_its_mend(words: int, settings: DistillSettings, mend: str | None) -> None:
    steps = words // min(words, settings.batch_size)
    warning = few_steps(words, steps, settings)
    assert (warning is None) == (mend is None)
    if warning and mend:
        assert warning.endswith(mend) and f"comes to {steps * settings.epochs:,} step" in warning
        for name, value in re.findall(r"(batch_size|epochs) to ([\d,]+)", warning):  # each mend is one
            change: dict[str, Any] = {name: int(value.replace(",", ""))}
            mended = replace(settings, **change)
            assert few_steps(words, words // min(words, mended.batch_size), mended) is None


def test_distill_warns_of_few_steps(tiny_teacher: Teacher, quick: Quick, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="The training comes to"):
        distill([tiny_teacher], tmp_path / "few", quick(epochs=1), progress=False)
