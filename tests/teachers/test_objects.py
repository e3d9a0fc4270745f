"""Teachers from a spaCy pipeline's static vectors, and from gensim's objects."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import load_teacher, teacher_from_keyed_vectors, teacher_from_spacy

spacy = pytest.importorskip("spacy")

WORDS = ["habari", "watoto", "ሰላም", "ọ̀rọ̀"]
VECTORS = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    from spacy.vectors import Vectors

    nlp = spacy.blank("xx")
    for word in WORDS:
        nlp.vocab.strings.add(word)
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=VECTORS.copy(), keys=WORDS)
    return nlp


@pytest.fixture(scope="module")
def directory(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spacy") / "pipe"
    pipeline.to_disk(path)
    return path


def test_directory(directory: Path) -> None:
    for path in (directory, directory / "vocab"):
        teacher = load_teacher(path)
        assert teacher.words == WORDS
        np.testing.assert_array_equal(teacher.vectors, VECTORS)
    assert load_teacher(directory, limit=2).words == WORDS[:2]


def test_rows_past_the_limit_and_code_are_not_touched(directory: Path, tmp_path: Path) -> None:
    import shutil

    path = tmp_path / "pipe"
    shutil.copytree(directory, path)
    vectors = VECTORS.copy()
    vectors[2:] = np.nan
    with (path / "vocab" / "vectors").open("wb") as stream:
        np.save(stream, vectors)
    (path / "config.cfg").write_text("broken")
    assert load_teacher(path, limit=2).words == WORDS[:2]
    with pytest.raises(DistillEmbError, match="row 3: the vector of 'ሰላም'"):
        load_teacher(path)


def test_installed_package_is_found_and_not_imported(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    package = tmp_path / "sw_tiny_vectors"
    shutil.copytree(directory, package / "sw_tiny_vectors-1.0.0")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir("/")
    assert load_teacher("sw_tiny_vectors").words == WORDS
    assert "sw_tiny_vectors" not in sys.modules


def test_language_object(pipeline: Any) -> None:
    assert teacher_from_spacy(pipeline).words == WORDS
    assert teacher_from_spacy(pipeline.vocab, limit=1).words == WORDS[:1]
    chosen = teacher_from_spacy(pipeline, words=["watoto", "habari"])
    np.testing.assert_array_equal(chosen.vectors, VECTORS[[1, 0]])


def test_floret_needs_words(directory: Path, tmp_path: Path) -> None:
    from spacy.vectors import Vectors

    nlp = spacy.blank("xx")
    data = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings, data=data, mode="floret", minn=2, maxn=3, hash_count=2, bow="<", eow=">"
    )
    with pytest.raises(DistillEmbError, match="floret vectors, which hold no word list"):
        teacher_from_spacy(nlp)
    sampled = teacher_from_spacy(nlp, words=WORDS)
    np.testing.assert_allclose(sampled.vectors[0], nlp.vocab.get_vector("habari"), atol=1e-6)
    nlp.to_disk(tmp_path / "pipe")
    with pytest.raises(DistillEmbError, match="floret"):
        load_teacher(tmp_path / "pipe")
    assert json.loads((directory / "vocab" / "vectors.cfg").read_text())["mode"] == "default"


def test_keyed_vectors_object() -> None:
    gensim = pytest.importorskip("gensim")
    keyed = gensim.models.KeyedVectors(6)
    keyed.add_vectors(WORDS, VECTORS)
    teacher = teacher_from_keyed_vectors(keyed, limit=3)
    assert teacher.words == WORDS[:3]
    np.testing.assert_array_equal(teacher.vectors, VECTORS[:3])
    assert teacher.subwords is None
    with pytest.raises(DistillEmbError, match="no gensim KeyedVectors"):
        teacher_from_keyed_vectors([1])
