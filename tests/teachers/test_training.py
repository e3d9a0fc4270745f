"""Training teachers, and fastText's own format with its n-grams."""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import corpus as corpus_module
from distillemb_plugins.teachers import load_teacher, teacher_from_keyed_vectors, train_teacher
from distillemb_plugins.teachers import training as training_module
from distillemb_plugins.teachers.ngrams import ngram_buckets

pytest.importorskip("gensim")

TINY = {"dim": 12, "min_count": 2, "epochs": 3, "min_n": 4, "buckets": 500, "threads": 1, "seed": 3, "progress": False}
UNSEEN = ["hawatasoma", "ሰላምታ", "ọ̀rọ̀ayé", "</s>", "z", "", "naïve", "😀😀😀😀"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files, one packed: 1,200 sentences in three scripts, some of them not NFC."""
    random = np.random.default_rng(0)
    words = ["watoto", "wanasoma", "kitabu", "ng'ombe", "ሰላም", "ለዓለም", "ọ́rọ̀", "o\u0323\u0301ro\u0323\u0300", ".", "2,5"]
    lines = [" ".join(random.choice(words, size=12)) for _ in range(1200)]
    directory = tmp_path_factory.mktemp("texts")
    (directory / "a.txt").write_text("\n".join(lines[:600]) + "\n", "utf-8")
    (directory / "b.txt.gz").write_bytes(gzip.compress("\n".join([*lines[600:], "rare"]).encode()))
    return [directory / "a.txt", directory / "b.txt.gz"]


@pytest.fixture(scope="module")
def fasttext_bin(texts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_teacher(texts, tmp_path_factory.mktemp("bin") / "t.bin", "fasttext", **TINY)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["fasttext", "word2vec"])
@pytest.mark.parametrize("name", ["t.npz", "t.vec", "t.safetensors"])
def test_training_writes_a_table(texts: list[Path], tmp_path: Path, algorithm: str, name: str) -> None:
    out = train_teacher(texts, tmp_path / name, algorithm, **TINY)  # type: ignore[arg-type]
    teacher = load_teacher(out)
    expected = {"watoto", "wanasoma", "kitabu", "ng'ombe", "ሰላም", "ለዓለም", "\u1ecd\u0301r\u1ecd\u0300", ".", "2,5"}
    assert set(teacher.words) == expected  # NFC made two spellings one word; "rare" is rare
    assert teacher.words[0] == "\u1ecd\u0301r\u1ecd\u0300"
    assert teacher.dim == 12
    if name != "t.vec":
        assert teacher.counts is not None
        assert teacher.counts.sum() == 1200 * 12
    assert [file.name for file in tmp_path.iterdir()] == [name]  # the work directory is gone


def test_words_of_the_same_company_become_neighbors(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    groups = [["simba", "chui", "fisi"], ["meza", "kiti", "rafu"]]
    lines = [" ".join(random.choice(groups[i % 2], size=8)) for i in range(1500)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    out = train_teacher([tmp_path / "t.txt"], tmp_path / "t.npz", "word2vec", sample=0.0, **TINY | {"epochs": 5})  # type: ignore[arg-type]
    teacher = load_teacher(out).normalize()
    vectors, _ = teacher.lookup(groups[0] + groups[1])
    cosines = vectors @ vectors.T
    assert cosines[0, 1:3].min() > cosines[0, 3:].max() + 0.3


def test_ngram_hashes_are_gensims(tiny_words: list[str]) -> None:
    from gensim.models.fasttext import ft_ngram_hashes

    words = [*tiny_words, "", "a", "😀x", "naïve"]
    for min_n, max_n in ((4, 5), (1, 3), (3, 6)):
        buckets, sizes = ngram_buckets(words, min_n, max_n, 977)
        expected = [ft_ngram_hashes(word, min_n, max_n, 977) for word in words]
        assert sizes.tolist() == [len(hashes) for hashes in expected]
        assert buckets.tolist() == list(itertools.chain.from_iterable(expected))


def test_bin_gives_unseen_words_what_gensim_gives(fasttext_bin: Path) -> None:
    from gensim.models.fasttext import load_facebook_vectors

    theirs = load_facebook_vectors(str(fasttext_bin))
    teacher = load_teacher(fasttext_bin)
    unseen = [word for word in UNSEEN if word != "</s>"]  # gensim gives it n-grams; fastText does not
    words = teacher.words + unseen
    vectors, found = teacher.lookup(words)
    np.testing.assert_allclose(vectors, np.stack([theirs.get_vector(word) for word in words]), atol=1e-6)
    assert found.tolist() == [word not in ("z", "") for word in words]
    ours = teacher_from_keyed_vectors(theirs)
    np.testing.assert_allclose(ours.lookup(words)[0], vectors, atol=1e-6)
    assert ours.counts is not None
    assert isinstance(teacher.vectors, np.ndarray)
    assert isinstance(teacher.subwords.matrix, np.memmap)  # type: ignore[union-attr]


def test_bin_is_what_the_fasttext_library_reads(fasttext_bin: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    theirs = fasttext.load_model(str(fasttext_bin))
    teacher = load_teacher(fasttext_bin)
    words = teacher.words + UNSEEN
    expected = np.stack([theirs.get_word_vector(word) for word in words])
    np.testing.assert_allclose(teacher.lookup(words)[0], expected, atol=1e-6)


def test_bin_of_the_fasttext_library(texts: list[Path], tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    # fastText 0.9.3 initialises a tenth of its matrix per thread: with fewer than 11, garbage and NaN are left.
    model = fasttext.train_unsupervised(
        str(texts[0]), dim=10, minCount=1, minn=2, maxn=4, bucket=300, epoch=1, thread=12, verbose=0
    )
    model.save_model(str(tmp_path / "t.bin"))
    teacher = load_teacher(tmp_path / "t.bin")
    assert teacher.words == model.words
    words = teacher.words + UNSEEN
    expected = np.stack([model.get_word_vector(word) for word in words])
    np.testing.assert_allclose(teacher.lookup(words)[0], expected, atol=1e-6)
    head = load_teacher(tmp_path / "t.bin", limit=3)
    assert head.words == model.words[:3]
    np.testing.assert_allclose(head.vectors, teacher.vectors[:3], atol=0)


def test_bad_bins(fasttext_bin: Path, tmp_path: Path) -> None:
    data = fasttext_bin.read_bytes()
    flag = data.index(b"\0" + (509).to_bytes(8, "little") + (12).to_bytes(8, "little"))  # 9 words and 500 buckets
    cases = {
        "quantized": (data[:flag] + b"\1" + data[flag + 1 :], "is a quantized fastText model"),
        "cut": (data[: flag + 500], "truncated or damaged"),
        "header": (data[:40], "ends before its vectors"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / f"{name}.bin"
        path.write_bytes(content)
        with pytest.raises(DistillEmbError, match=message):
            load_teacher(path)


def test_one_thread_and_seed_give_one_result_and_another_seed_another(texts: list[Path], tmp_path: Path) -> None:
    def vectors(name: str, **more: object) -> np.ndarray:
        return load_teacher(train_teacher(texts, tmp_path / name, **TINY | more)).vectors  # type: ignore[arg-type]

    one = vectors("a.npz")
    np.testing.assert_array_equal(one, vectors("b.npz"))
    assert not np.array_equal(one, vectors("c.npz", seed=4))


class InterruptedRunError(Exception):
    pass


@pytest.mark.parametrize("algorithm", ["fasttext", "word2vec"])
def test_resumed_training_ends_as_if_never_interrupted(
    texts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    monkeypatch.setattr(corpus_module, "FIRST_SHARD_WORDS", 5000)  # three shards
    whole = train_teacher(texts, tmp_path / "whole.npz", algorithm, **TINY)  # type: ignore[arg-type]

    step_done = training_module._Run.train_step
    steps: list[int] = []

    def counted(run: object, step: int, *shares: float) -> None:
        if len(steps) == 5:
            raise InterruptedRunError
        steps.append(step)
        step_done(run, step, *shares)  # type: ignore[arg-type]

    monkeypatch.setattr(training_module._Run, "train_step", counted)
    out = tmp_path / "parts.npz"
    out.write_text("old")
    with pytest.raises(DistillEmbError, match="already exists"):
        train_teacher(texts, out, algorithm, **TINY)  # type: ignore[arg-type]
    with pytest.raises(InterruptedRunError):
        train_teacher(texts, out, algorithm, overwrite=True, **TINY)  # type: ignore[arg-type]
    work = tmp_path / "parts.npz.work"
    assert out.read_text() == "old"
    assert {file.suffix for file in work.iterdir()} == {".txt", ".json", ".safetensors"}  # no pickle

    with pytest.raises(DistillEmbError, match="already exists: .* or --resume to go on with the interrupted run"):
        train_teacher(texts, out, algorithm, **TINY)  # type: ignore[arg-type]
    with pytest.raises(DistillEmbError, match=r"belongs to a run with dim = 12, this one has 13"):
        train_teacher(texts, out, algorithm, resume=True, **TINY | {"dim": 13})  # type: ignore[arg-type]
    steps.clear()
    monkeypatch.setattr(training_module._Run, "train_step", lambda *a: (steps.append(a[1]), step_done(*a)))
    monkeypatch.setattr(corpus_module, "read_tokens", None)  # the tokenized text is used again
    train_teacher(texts, out, algorithm, resume=True, **TINY)  # type: ignore[arg-type]
    assert steps == [3, 4, 5, 6, 7, 8]  # from the end of the first epoch: three shards an epoch
    np.testing.assert_array_equal(load_teacher(out).vectors, load_teacher(whole).vectors)
    assert not work.exists()


def test_checkpoint_within_an_epoch(texts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "FIRST_SHARD_WORDS", 5000)
    monkeypatch.setattr(training_module, "_CHECKPOINT_SECONDS", -1.0)
    saved: list[int] = []
    monkeypatch.setattr(training_module, "save_checkpoint", lambda work, tensors, done: saved.append(done["step"]))
    train_teacher(texts, tmp_path / "t.npz", **TINY | {"epochs": 2})  # type: ignore[arg-type]
    assert saved == [1, 2, 3, 4, 5, 6]


def test_limit_and_long_lines(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("moja mbili moja tatu " * 9000)
    out = train_teacher(tmp_path / "t.txt", tmp_path / "t.npz", limit=2, **TINY)  # type: ignore[arg-type]
    teacher = load_teacher(out)
    assert teacher.words == ["moja", "mbili"]
    assert teacher.counts is not None
    assert teacher.counts.tolist() == [18000, 9000]


def test_long_lines_are_cut(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("moja mbili " * 12_500)
    corpus_module.make_corpus([tmp_path / "t.txt"], tmp_path, 1, None, False)
    lines = (tmp_path / "shard-00000.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [10_000, 10_000, 5_000]


def test_bad_text_leaves_nothing(tmp_path: Path) -> None:
    cases = {
        "empty.txt": (b"", "holds no word"),
        "blank.txt": (b"\n \n", "holds no word"),
        "rare.txt": (b"moja mbili moja", r"No word of the corpus occurs min_count=5 times \('moja' has the most, 2\)"),
        "latin.txt": (b"ok\n\xe9t\xe9\n", r"latin\.txt, line 2 is not UTF-8"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DistillEmbError, match=message):
            train_teacher([tmp_path / name], tmp_path / "out.npz", **TINY | {"min_count": 5})  # type: ignore[arg-type]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(cases)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"algorithm": "glove"}, "algorithm='glove'"),
        ({"dim": 0}, "dim=0 must be positive"),
        ({"threads": 0}, "threads=0"),
        ({"min_n": 5, "max_n": 4}, "max_n=4 is below min_n=5"),
        ({"storage": "int4"}, "storage is 'int4'"),
        ({"out": "t.kv"}, "name it so"),
        ({"out": "t.bin", "algorithm": "word2vec"}, "fastText's format"),
        ({"texts": []}, "No text file"),
        ({"texts": ["absent.txt"]}, "no file"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    texts: list[Path], tmp_path: Path, more: dict[str, object], message: str
) -> None:
    out = tmp_path / str(more.get("out", "t.npz"))
    arguments = {"texts": texts, **TINY, **more, "out": out}
    with pytest.raises(DistillEmbError, match=message):
        train_teacher(**arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_foreign_directory_is_not_deleted(texts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "t.npz.work").mkdir()
    (tmp_path / "t.npz.work" / "thesis.txt").write_text("mine")
    with pytest.raises(DistillEmbError, match="out of the way"):
        train_teacher(texts, tmp_path / "t.npz", **TINY)  # type: ignore[arg-type]
    assert (tmp_path / "t.npz.work" / "thesis.txt").exists()


def test_several_threads(texts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module, "_WORDS_A_THREAD", 2000)
    out = train_teacher(texts, tmp_path / "t.npz", **TINY | {"threads": 2})  # type: ignore[arg-type]
    assert len(load_teacher(out)) == 9


def test_importing_teachers_is_light() -> None:
    code = (
        "import sys; from distillemb_plugins.teachers import Teacher, load_teacher, save_teacher, train_teacher; "
        "print([m for m in ('torch', 'gensim', 'spacy', 'transformers', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    assert result.stdout.strip() == "[]"
