"""Raw text as word numbers, and the batches that are drawn from it."""

from __future__ import annotations

import gzip
import itertools
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from distillemb_plugins import CharTable, DistillEmbError
from distillemb_plugins.layers.encoders_distillemb import without_padding
from distillemb_plugins.pretrain.batches import Batches, epoch_batches, language_repeats, read_ahead, split_lines
from distillemb_plugins.pretrain.corpus import Corpus, open_corpus, texts_by_language
from distillemb_plugins.pretrain.settings import PretrainSettings

CHARACTERS = CharTable.learn(["abcdefghijklmnopqrstuvwxyz", "ọ̀"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two languages, one of them compressed and in another normal form, with much less text."""
    for language in ("swa", "yor"):
        (tmp_path / "corpora" / language).mkdir(parents=True)
    lines = [f"maji mti {'nyumba ' * (n % 7)}rafiki w{n}" for n in range(200)]
    (tmp_path / "corpora" / "swa" / "news.txt").write_text("\n".join(lines), "utf-8")
    with gzip.open(tmp_path / "corpora" / "yor" / "web.txt.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join([unicodedata.normalize("NFD", "ọ̀rọ̀ ilé"), "ọ̀rọ̀ " + "a " * 30] * 10))
    return tmp_path / "corpora"


@pytest.fixture
def corpus(folder: Path, tmp_path: Path) -> Corpus:
    (tmp_path / "work").mkdir()
    return open_corpus(texts_by_language([folder]), CHARACTERS, tmp_path / "work", longest=10)


def test_the_folder_names_the_language(folder: Path) -> None:
    groups = texts_by_language([folder, f"eng={folder / 'swa' / 'news.txt'}"])
    assert {name: [file.name for file in files] for name, files in groups.items()} == {
        "eng": ["news.txt"],
        "swa": ["news.txt"],
        "yor": ["web.txt.gz"],
    }
    with pytest.raises(DistillEmbError, match=r"no text file .*absent\.txt: check the path"):
        texts_by_language([folder / "absent.txt"])


def test_words_are_numbered_by_frequency_and_normalized(corpus: Corpus) -> None:
    assert corpus.words[: corpus.words.index("\ufffd")] == corpus.words[:-1]
    assert list(corpus.counts[:-1]) == sorted(corpus.counts[:-1], reverse=True)
    assert corpus.counts[corpus.words.index("ọ̀rọ̀")] == 20
    assert corpus.languages == ["swa", "yor"]
    first = [corpus.words[n] for n in corpus.tokens[: corpus.lengths[0]]]
    assert first == ["maji", "mti", "rafiki", "w0"]
    np.testing.assert_array_equal(corpus.rows[:3], CHARACTERS.encode(corpus.words[:3]))


def test_long_lines_are_cut_and_nothing_is_lost(corpus: Corpus) -> None:
    assert corpus.lengths.max() == 10
    assert corpus.lengths.sum() == len(corpus.tokens) == corpus.counts.sum()
    assert corpus.lengths[corpus.language == 1].sum() == 10 * (2 + 31)


def test_a_completed_corpus_is_opened_and_not_read_again(folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    (folder / "swa" / "news.txt").unlink()
    again = open_corpus(texts_by_language([folder / "yor"]), CHARACTERS, tmp_path / "work", longest=10)
    assert again.words == corpus.words


def test_text_without_a_word_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n", "utf-8")
    (tmp_path / "work").mkdir()
    with pytest.raises(DistillEmbError, match="holds no word"):
        open_corpus({"x": [tmp_path / "empty.txt"]}, CHARACTERS, tmp_path / "work", longest=10)


def test_languages_are_balanced_by_a_power_of_their_share(corpus: Corpus) -> None:
    lines = np.arange(len(corpus.lengths))
    words = np.bincount(corpus.language, weights=corpus.lengths)
    for balance, wanted in ((1.0, words), (0.0, np.ones(2)), (0.5, words**0.5)):
        read = words * language_repeats(corpus, lines, balance)
        np.testing.assert_allclose(read / read.sum(), wanted / wanted.sum())
        assert read.sum() == pytest.approx(words.sum())


def test_an_epoch_reads_every_line_in_batches_that_fit(corpus: Corpus) -> None:
    lines = np.arange(len(corpus.lengths))
    batches = epoch_batches(corpus, lines, np.ones(2), 64, [0])
    assert sorted(np.concatenate(batches).tolist()) == lines.tolist()
    assert all(len(batch) * corpus.lengths[batch].max() <= 64 for batch in batches)
    assert max(len(batch) * corpus.lengths[batch].max() for batch in batches) > 40
    again = epoch_batches(corpus, lines, np.ones(2), 64, [0])
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    other = epoch_batches(corpus, lines, np.ones(2), 64, [1])
    assert [len(batch) for batch in other] != [len(batch) for batch in batches] or not all(
        np.array_equal(a, b) for a, b in zip(batches, other, strict=True)
    )


def test_held_out_lines_are_not_trained_on(corpus: Corpus) -> None:
    train, held = split_lines(corpus, PretrainSettings(held_out=15))
    assert len(held) == 15
    assert not set(train) & set(held)
    assert len(split_lines(corpus, PretrainSettings(held_out=10_000))[1]) == len(corpus.lengths) // 10


def test_masking(corpus: Corpus) -> None:
    settings = PretrainSettings(mask=0.5, vocabulary=5)
    batches = Batches(corpus, settings, torch.device("cpu"))
    lines = np.arange(len(corpus.lengths))
    batch = batches(lines, [0])
    clean = np.zeros(batch.mask.shape, dtype=np.int64)
    clean[batch.mask.numpy()] = corpus.tokens
    original = torch.from_numpy(clean)
    frequent = batch.mask & (original < 5)
    chosen = torch.zeros_like(batch.mask)
    chosen.view(-1)[batch.wanted] = True
    assert not (chosen & ~frequent).any(), "only words of the vocabulary are predicted, and no padding"
    assert float(chosen.sum() / frequent.sum()) == pytest.approx(0.5, abs=0.06)
    torch.testing.assert_close(batch.targets, original[chosen])
    assert not (batch.masked & ~chosen).any()
    assert float(batch.masked.sum() / chosen.sum()) == pytest.approx(0.85, abs=0.06)
    words = torch.from_numpy(batch.numbers)[batch.places]
    torch.testing.assert_close(words[~chosen], original[~chosen])
    assert (words != original).any(), "some words are replaced by random ones"
    rows = torch.from_numpy(corpus.rows[batch.numbers]).long()
    torch.testing.assert_close(batch.characters, without_padding(rows))
    again = batches(lines, [0])
    torch.testing.assert_close(again.places, batch.places)
    assert (batches(lines, [1]).masked != batch.masked).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 30, "heads": 4}, "size has to be an even multiple of heads, such as 32"),
        ({"layers": -1}, "layers is -1: give a whole number of at least 0"),
        ({"mask": 1.0}, "mask is 1.0: give a number from 0 to below 1"),
        ({"balance": 2.0}, "balance is 2.0: give a number from 0 to 1"),
        ({"storage": "int4"}, "storage is 'int4'"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict, message: str) -> None:
    with pytest.raises(DistillEmbError, match=message):
        PretrainSettings(**values)


def test_a_thread_reads_ahead_in_order() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            made.append(number)
            yield number

    ahead = read_ahead(numbers(), 2)
    assert [next(ahead) for _ in range(4)] == [0, 1, 2, 3]
    ahead.close()
    assert len(made) == 6, "two more were made, and no more after the end"


def test_what_the_thread_meets_is_raised() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    ahead = read_ahead(broken())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
