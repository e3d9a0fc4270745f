"""Teacher: lookup, cleaning, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import Teacher


def teacher(words: str, dim: int = 3, **more: object) -> Teacher:
    names = words.split()
    vectors = np.random.default_rng(len(names)).normal(size=(len(names), dim)) + 5
    return Teacher(words[:3], names, vectors.astype(np.float32), **more)  # type: ignore[arg-type]


def test_lookup_says_what_it_knows() -> None:
    table = teacher("moja mbili tatu")
    vectors, found = table.lookup(["tatu", "nne", "moja"])
    assert found.tolist() == [True, False, True]
    np.testing.assert_array_equal(vectors, [table.vectors[2], np.zeros(3), table.vectors[0]])
    assert vectors.dtype == np.float32
    assert table.lookup([])[0].shape == (0, 3)


def test_lookup_falls_back_to_subwords_but_not_for_zero_rows() -> None:
    def subwords(words):  # type: ignore[no-untyped-def]
        return np.array([[1, 2, 3] if word != "x" else [0, 0, 0] for word in words], dtype=np.float32)

    table = teacher("moja mbili", subwords=subwords)
    vectors, found = table.lookup(["x", "mbili", "nne"])
    assert found.tolist() == [False, True, True]
    assert vectors[2].tolist() == [1, 2, 3]
    moved = table.center()
    vectors, found = moved.lookup(["x", "nne"])
    assert found.tolist() == [False, True]
    np.testing.assert_allclose(vectors[1], np.array([1, 2, 3]) - table.vectors.mean(axis=0), rtol=1e-5)


def test_centering_removes_mean_and_main_directions() -> None:
    random = np.random.default_rng(0)
    scales = np.array([10.0, 5.0, 1.0, 1.0])
    vectors = (random.normal(size=(500, 4)) * scales + 3).astype(np.float32)
    table = Teacher("t", [str(i) for i in range(500)], vectors)
    center = table.center()
    np.testing.assert_allclose(center.vectors.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(center.vectors, vectors - vectors.mean(axis=0), atol=1e-5)
    flat = table.center(remove_top=2).vectors
    singular = np.linalg.svd(flat, compute_uv=False)
    assert singular[2] < 1e-3 * singular[0]
    assert np.abs(flat[:, :2]).max() < 1.0  # the two wide axes are gone, the narrow ones are left
    assert flat[:, 2:].std() > 0.8
    with pytest.raises(DistillEmbError, match="remove_top=4"):
        table.center(remove_top=4)


def test_normalizing_keeps_zero_rows() -> None:
    table = Teacher("t", ["a", "b"], np.array([[3, 4], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(table.normalize().vectors, [[0.6, 0.8], [0, 0]])
    assert table.vectors[0, 0] == 3


def test_head_and_frequencies() -> None:
    table = teacher("a b c", counts=np.array([6, 3, 1]))
    np.testing.assert_allclose(table.frequencies(), [0.6, 0.3, 0.1])
    head = table.head(2)
    assert head.words == ["a", "b"]
    assert head.counts is not None
    assert head.counts.tolist() == [6, 3]
    np.testing.assert_allclose(teacher("a b").frequencies(), [2 / 3, 1 / 3])  # Zipf
    assert len(table.head(10)) == 3


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (["a"], [[1.0], [2.0]], "1 words do not fit"),
        ([], np.zeros((0, 3)), "no words"),
        (["a"], np.zeros((1, 0)), "zero width"),
        (["a", "b"], [[1.0], [np.nan]], "'b' holds NaN"),
    ],
)
def test_bad_tables_are_refused(words: list[str], vectors: object, message: str) -> None:
    with pytest.raises(DistillEmbError, match=message):
        Teacher("t", words, np.asarray(vectors, dtype=np.float32))


def test_equal_words_give_the_first_row_and_nfc_forms_stay_apart() -> None:
    words = ["a", "a", "\u1ecd\u0300", "o\u0323\u0300"]  # the last two look the same
    table = Teacher("t", words, np.arange(4, dtype=np.float32)[:, None] + 1)
    assert table.lookup(words)[0].ravel().tolist() == [1, 1, 3, 4]
    assert table.nbytes == 16 + sum(len(word.encode()) for word in words)
