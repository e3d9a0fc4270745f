"""The residual codebook of frequent words: it brings the vectors nearer, in NumPy and in torch alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.characters import split_characters
from distillemb_plugins.distill import DistillSettings, distill, fit_residual_codebook
from distillemb_plugins.distill.targets import build_targets
from distillemb_plugins.layers.encoders_distillemb import build_encoder
from distillemb_plugins.persistence import EncoderFiles, read_encoder
from distillemb_plugins.teachers import Teacher
from distillemb_plugins.vectors import unit_rows

from ..conftest import TINY_ARGS


@pytest.fixture(scope="module")
def hybrid(tiny_encoder_dir: Path, tiny_teacher: Teacher) -> EncoderFiles:
    return fit_residual_codebook(read_encoder(tiny_encoder_dir), tiny_teacher, words=300, codes=12, dims=24)


def cosine(encoder: DistillEmb, teacher: Teacher, words: list[str]) -> float:
    expected, _ = teacher.lookup(words)
    return float((encoder.encode(words, normalize=True) * unit_rows(expected)).sum(1).mean())


def test_held_words_come_near_the_teacher_and_others_stay(
    hybrid: EncoderFiles, tiny_encoder_dir: Path, tiny_teacher: Teacher, tiny_words: list[str]
) -> None:
    with_codebook, without = DistillEmb(hybrid), DistillEmb.from_pretrained(tiny_encoder_dir)
    assert cosine(with_codebook, tiny_teacher, tiny_teacher.words) > 0.9
    assert cosine(without, tiny_teacher, tiny_teacher.words) < 0.5
    others = tiny_words[300:]
    np.testing.assert_allclose(with_codebook.encode(others), without.encode(others), atol=0.05)  # int8 rounding only


def test_torch_and_numpy_agree_and_it_survives_saving(
    hybrid: EncoderFiles, tiny_words: list[str], tmp_path: Path
) -> None:
    path = DistillEmb(hybrid).save_pretrained(tmp_path / "hybrid", storage="int8")
    files = read_encoder(path)
    assert files.tensors["memory.codes"].dtype == np.uint8
    module = build_encoder(SimpleNamespace(**files.config))
    module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in files.tensors.items()})
    module.eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(files.characters.encode(tiny_words)).long()).numpy()
    np.testing.assert_allclose(DistillEmb(files).encode(tiny_words), expected, atol=1e-5)
    np.testing.assert_allclose(DistillEmb(hybrid).encode(tiny_words), expected, atol=0.05)


def test_words_that_cannot_be_told_apart_are_left_to_the_network(tiny_encoder_dir: Path, tiny_teacher: Teacher) -> None:
    long_words = ["rafiki" * 9, "漢字"]  # cut at the row's end; unknown characters
    teacher = Teacher("t", tiny_teacher.words + long_words, np.concatenate([tiny_teacher.vectors, np.ones((2, 24))]))
    encoder = read_encoder(tiny_encoder_dir)
    files = fit_residual_codebook(encoder, teacher, words=302, codes=12)
    short = [word for word in tiny_teacher.words if len(split_characters(word)) < encoder.characters.max_chars]
    assert len(files.tensors["memory.keys"]) == len(short) < 302


@pytest.mark.parametrize(
    ("words", "codes", "message"),
    [(300, 25, "multiple of codes"), (100, 12, "at least 256"), (300, 0, "multiple of codes")],
)
def test_sizes_that_cannot_be_are_refused(
    words: int, codes: int, message: str, tiny_encoder_dir: Path, tiny_teacher: Teacher
) -> None:
    with pytest.raises(DistillEmbError, match=message):
        fit_residual_codebook(read_encoder(tiny_encoder_dir), tiny_teacher, words, codes)


def test_a_second_codebook_or_another_width_is_refused(
    hybrid: EncoderFiles, tiny_encoder_dir: Path, tiny_teacher: Teacher
) -> None:
    with pytest.raises(DistillEmbError, match="residual codebook already"):
        fit_residual_codebook(hybrid, tiny_teacher, 300, 12)
    wide = replace(tiny_teacher, vectors=np.ones((len(tiny_teacher), 25), np.float32))
    with pytest.raises(DistillEmbError, match="25 wide"):
        fit_residual_codebook(read_encoder(tiny_encoder_dir), wide, 300, 12)


def test_distillation_keeps_a_codebook_of_the_training_words(
    tiny_teacher: Teacher, tiny_words: list[str], tmp_path: Path
) -> None:
    sizes: Any = TINY_ARGS["cnn"]
    settings = DistillSettings(
        encoder_args=sizes, epochs=1, batch_size=64, held_out=10, codebook_words=290, codebook_bytes=12, storage="int8"
    )
    path = distill([tiny_teacher], tmp_path / "encoder", settings, progress=False)
    encoder = DistillEmb.from_pretrained(path)
    targets = build_targets([tiny_teacher], settings)
    cleaned = tiny_teacher.center().normalize()
    assert encoder.config["memory"]["words"] > 256
    assert cosine(encoder, cleaned, [targets.words[row] for row in targets.train]) > 0.9
    assert cosine(encoder, cleaned, [targets.words[row] for row in targets.held_out]) < 0.7
