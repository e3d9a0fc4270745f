"""Several teachers: their common words, and one table of several languages."""

from __future__ import annotations

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import Teacher, combine_teachers, common_words, merge_languages


def teacher(words: str, dim: int = 3) -> Teacher:
    names = words.split()
    return Teacher(words[:3], names, np.random.default_rng(len(names)).normal(size=(len(names), dim)) + 5)


def test_combine_restricts_to_common_words_in_the_first_order() -> None:
    one, two = teacher("a b c d"), teacher("d x b a", dim=5)
    assert common_words([one, two]) == ["a", "b", "d"]
    left, right = combine_teachers([one, two])
    assert left.words == right.words == ["a", "b", "d"]
    np.testing.assert_array_equal(right.vectors, two.vectors[[3, 2, 0]])


def test_combine_refuses_width_only_where_it_matters_and_no_common_word() -> None:
    with pytest.raises(DistillEmbError, match="width 3 and 5"):
        combine_teachers([teacher("a b"), teacher("a b c", dim=5)], same_width=True)
    with pytest.raises(DistillEmbError, match="no word in common"):
        combine_teachers([teacher("a b"), teacher("c d")])
    with pytest.raises(DistillEmbError, match="at least one"):
        combine_teachers([])


def test_languages_are_merged_into_one_space() -> None:
    random = np.random.default_rng(1)
    everything = random.normal(size=(60, 5)).astype(np.float32)
    words = [f"w{n}" for n in range(60)]
    rotation = np.linalg.qr(random.normal(size=(5, 5)))[0].astype(np.float32)
    first = Teacher("one", words[:40], everything[:40], np.arange(100, 60, -1))
    second = Teacher("two", words[20:], everything[20:] @ rotation, np.arange(80, 40, -1))
    merged = merge_languages([first, second], "both")
    assert merged.name == "both" and sorted(merged.words) == sorted(words)
    # the second language's own words lie where they would have lain in the first one's space
    assert np.allclose(merged.lookup(words)[0], everything, atol=1e-4)
    assert merged.counts is not None
    assert merged.counts[merged.rows["w25"]] == 75 + 75 and merged.counts[merged.rows["w0"]] == 100
    assert (np.diff(merged.counts) <= 0).all()  # the most frequent first


def test_a_word_of_two_languages_lies_nearer_to_where_it_is_more_frequent() -> None:
    base = np.eye(4, dtype=np.float32)
    moved = base.copy()
    moved[0] = [0, 0, 0, 1]
    words = ["na", "b", "c", "d"]
    first = Teacher("one", words, base, np.array([90, 4, 3, 3]))
    second = Teacher("two", words, moved, np.array([1, 33, 33, 33]))
    vector = merge_languages([first, second]).lookup(["na"])[0][0]
    assert vector[0] > 0.9 and vector[3] < 0.1


def test_merging_needs_tables_of_one_width() -> None:
    narrow, wide = Teacher("narrow", ["a"], np.ones((1, 3))), Teacher("wide", ["a"], np.ones((1, 4)))
    with pytest.raises(DistillEmbError, match=r"narrow and wide have vectors of width 3 and 4"):
        merge_languages([narrow, wide])
    with pytest.raises(DistillEmbError, match="at least one"):
        merge_languages([])
