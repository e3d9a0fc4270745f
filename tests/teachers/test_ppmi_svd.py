"""Vectors from counted neighbors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import load_teacher, train_teacher
from distillemb_plugins.teachers.corpus import make_corpus

pytest.importorskip("scipy")
pytest.importorskip("sklearn")
ppmi_svd = pytest.importorskip("distillemb_plugins.teachers.ppmi_svd")


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def test_neighbors_are_counted_by_their_position(tmp_path: Path) -> None:
    text = write(tmp_path / "t.txt", ["a b a", "a c"])
    work = tmp_path / "work"
    work.mkdir()
    corpus = make_corpus([text], work, 1, None, False)
    assert list(corpus.counts) == ["a", "b", "c"]
    # two contexts: a and b; then the edge, then c, which is no context
    counts = ppmi_svd.context_counts(corpus, window=1, contexts=2).toarray()
    #                        before: a  b  |  c    after: a  b  |  c
    assert counts.tolist() == [[0, 1, 2, 0, 0, 1, 1, 1], [1, 0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 1, 0]]
    wider = ppmi_svd.context_counts(corpus, window=2, contexts=2).toarray()
    assert wider[1].tolist() == [0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]  # edge a [b] a edge


def test_ppmi_is_that_of_levy_and_others() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    counts = np.array([[4, 0, 1], [1, 3, 0], [0, 1, 6]], dtype=np.float32)
    smoothed = counts.sum(axis=0) ** 0.75
    share = counts / counts.sum()
    with np.errstate(divide="ignore"):
        expected = np.log(share / np.outer(share.sum(axis=1), smoothed / smoothed.sum()))
    found = ppmi_svd.ppmi(sparse.csr_matrix(counts)).toarray()
    assert np.allclose(found, np.maximum(expected, 0), atol=1e-5)
    assert (found > 0).sum() < (counts > 0).sum()  # the case of a negative value is among them


def test_what_stands_in_the_same_places_lies_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    people, places = [f"mtu{n}" for n in range(6)], [f"mji{n}" for n in range(6)]
    verbs, extra = ["anaishi", "alikwenda", "anatoka"], ["jana", "leo", "kesho"]
    lines = [
        f"{random.choice(people)} {random.choice(verbs)} {random.choice(places)} {random.choice(extra)}"
        for _ in range(600)
    ]
    text = write(tmp_path / "t.txt", lines)
    settings = {"dim": 6, "min_count": 1, "progress": False}
    out = train_teacher([text], tmp_path / "t.npz", "ppmi-svd", **settings)  # type: ignore[arg-type]
    teacher = load_teacher(out)
    assert teacher.dim == 6 and teacher.counts is not None and teacher.counts.sum() == 2400
    assert np.isclose((teacher.vectors**2).sum(axis=1).mean(), 6, rtol=1e-3)
    units = teacher.normalize()
    similar = units.lookup(people)[0] @ units.lookup(people + places)[0].T
    assert similar[:, :6].min() > 0.6
    assert similar[:, 6:].max() < 0.3
    again = train_teacher([text], tmp_path / "again.npz", "ppmi-svd", **settings)  # type: ignore[arg-type]
    assert np.array_equal(load_teacher(again).vectors, teacher.vectors)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.npz", "t.npz", "t.txt"]


def test_too_few_words_for_the_width_are_told(tmp_path: Path) -> None:
    text = write(tmp_path / "t.txt", ["moja mbili tatu"] * 5)
    with pytest.raises(DistillEmbError, match=r"dim=300 is too wide for 3 words: give at most 2, or more text"):
        train_teacher([text], tmp_path / "t.npz", "ppmi-svd", min_count=5, progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]  # nothing to resume is left
    with pytest.raises(DistillEmbError, match=r"\.bin is fastText's format: write a ppmi-svd table as \.npz"):
        train_teacher([text], tmp_path / "t.bin", "ppmi-svd", progress=False)
    with pytest.raises(DistillEmbError, match=r"contexts=0 must be positive"):
        train_teacher([text], tmp_path / "t.npz", "ppmi-svd", contexts=0, progress=False)
