"""Teachers to targets: common words, clean-up, combination, held-out words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.distill.targets import build_targets, split_words
from distillemb_plugins.encoder import DistillEmb
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import Teacher

RAW: dict[str, Any] = {"center": False, "normalize": False, "held_out": 2}


def teacher(name: str, words: list[str], dim: int = 4, seed: int = 0) -> Teacher:
    return Teacher(name, words, np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32))


def test_the_words_are_those_that_all_teachers_know() -> None:
    one, two = teacher("one", list("abcdef")), teacher("two", list("xfedcb"), seed=1)
    targets = build_targets([one, two], DistillSettings(**RAW))
    assert targets.words == list("bcdef")
    assert np.array_equal(targets.vectors[0], one.lookup(targets.words)[0])
    assert np.array_equal(targets.vectors[1], two.lookup(targets.words)[0])


def test_clean_up_centres_and_normalises_by_default() -> None:
    vectors = build_targets([teacher("one", list("abcdefgh"))], DistillSettings(held_out=2)).vectors[0]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    raw = build_targets([teacher("one", list("abcdefgh"))], DistillSettings(**RAW)).vectors[0]
    centred = raw - raw.mean(axis=0)
    assert np.allclose(vectors, centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-5)


def test_combined_teachers_keep_the_cosines_of_their_parts() -> None:
    one, two = teacher("one", list("abcdefgh")), teacher("two", list("abcdefgh"), seed=1)
    sizes = {"concat": 8, "average": 4, "svd": 8}
    made = {
        kind: build_targets([one, two], DistillSettings(combine=kind, dim=size, **RAW)) for kind, size in sizes.items()
    }
    units = [t.vectors / np.linalg.norm(t.vectors, axis=1, keepdims=True) for t in (one, two)]
    products = units[0] @ units[0].T + units[1] @ units[1].T
    for kind, targets in made.items():
        assert len(targets.vectors) == 1 and targets.dim == sizes[kind]
    for kind in ("concat", "svd"):
        assert np.allclose(made[kind].vectors[0] @ made[kind].vectors[0].T, products, atol=1e-5)
    assert np.allclose(made["average"].vectors[0], (units[0] + units[1]) / 2, atol=1e-6)


def test_an_encoder_teaches_its_vectors_of_the_words_of_the_tables(
    tiny_encoder_dir: Path, tiny_teacher: Teacher
) -> None:
    encoder, settings = DistillEmb.from_pretrained(tiny_encoder_dir), DistillSettings(**RAW)
    other = Teacher("other", tiny_teacher.words[:50:-1], tiny_teacher.vectors[:50:-1])
    counted = replace(tiny_teacher, counts=np.arange(len(tiny_teacher)))
    for opened in (tiny_encoder_dir, str(tiny_encoder_dir), encoder, ("mine", encoder)):
        for teachers in ([counted, opened, other], [opened, counted, other]):
            targets = build_targets(teachers, settings)
            place = teachers.index(opened)
            assert targets.words == tiny_teacher.words[51:]
            assert np.array_equal(targets.vectors[place], encoder.encode(targets.words))
            assert targets.counts is not None and targets.counts.tolist() == list(range(51, len(tiny_teacher)))
    assert build_targets([tiny_teacher, tiny_encoder_dir], settings).names == ("tiny", tiny_encoder_dir.name)
    bundled = Teacher("t", ["ni", "soma", "ilé", "ọjọ́"], np.eye(4, 200, dtype=np.float32))
    assert build_targets([bundled, "afro11"], settings).names == ("t", "afro11")


def test_an_encoder_alone_is_refused(tiny_encoder_dir: Path) -> None:
    with pytest.raises(DistillEmbError, match="cnn is an encoder, .*give a table of word vectors beside it"):
        build_targets([tiny_encoder_dir], DistillSettings(**RAW))


def test_held_out_words_do_not_depend_on_the_seed() -> None:
    train, held = split_words(100, 0.2)
    assert len(held) == 20 and len(train) == 80
    assert sorted([*train, *held]) == list(range(100))
    splits = [build_targets([teacher("t", list("abcdefgh"))], DistillSettings(seed=s, **RAW)).held_out for s in (0, 1)]
    assert np.array_equal(splits[0], splits[1])


def test_lower_case_is_found_out() -> None:
    settings = DistillSettings(**RAW)
    assert build_targets([teacher("t", ["ab", "ሰላም", "c", "d"])], settings).lowercase
    assert not build_targets([teacher("t", ["Ab", "ሰላም", "c", "d"])], settings).lowercase


@pytest.mark.parametrize(
    ("teachers", "values", "words"),
    [
        ([], {}, "No teacher"),
        ([("a", "ab"), ("b", "cd")], {}, "no word in common"),
        ([("a", "abcd"), ("b", "abcd", 5)], {}, "width 4 and 5"),
        ([("a", "abcd"), ("b", "abcd", 5)], {"combine": "average"}, "width 4 and 5"),
        ([("a", "abcd")], {"held_out": 3}, "held_out asks for 3 of the 4 words"),
        ([("a", "abcd")], {"dim": 3, "held_out": 0}, "dim is 3"),
        ([("a", "abcd")], {"dim": 9, "held_out": 0, "combine": "svd"}, "dim is 9"),
        ([("a", "abcd")], {"remove_top": 4, "held_out": 0}, "remove_top"),
    ],
)
def test_teachers_that_do_not_fit_are_refused(teachers: list[Any], values: dict[str, Any], words: str) -> None:
    made = [teacher(name, list(known), *rest) for name, known, *rest in teachers]
    with pytest.raises(DistillEmbError, match=words):
        build_targets(made, DistillSettings(**values))
