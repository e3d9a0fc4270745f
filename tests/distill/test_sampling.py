"""Batches, corpus windows and neighbors."""

from __future__ import annotations

import gzip
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from distillemb_plugins.distill.sampling import (
    NeighborMiner,
    WindowMiner,
    WordSampler,
    corpus_tokens,
    nearest_neighbors,
    sampling_weights,
    shared_batch_size,
)
from distillemb_plugins.errors import DistillEmbError


def test_uniform_sampling_visits_every_word_once_an_epoch() -> None:
    words = np.arange(100, 112)
    sampler = WordSampler(words, 4, seed=1)
    epochs = [[sampler.batch(epoch, step) for step in range(sampler.steps_per_epoch)] for epoch in range(2)]
    assert sampler.steps_per_epoch == 3
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == sorted(words)
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_batch_depends_on_seed_epoch_and_step_alone() -> None:
    words = np.arange(50)
    for weights in (None, np.arange(1.0, 51.0)):
        first = WordSampler(words, 8, 3, weights)
        first.batch(0, 0)
        second = WordSampler(words, 8, 3, weights)
        assert np.array_equal(first.batch(2, 4), second.batch(2, 4))
        assert not np.array_equal(first.batch(2, 4), WordSampler(words, 8, 4, weights).batch(2, 4))


def test_weights_follow_frequency() -> None:
    frequencies = np.array([0.7, 0.2, 0.1])
    assert sampling_weights(frequencies, "uniform") is None
    log = sampling_weights(frequencies, "log")
    assert log is not None and np.allclose(log, np.log([8.0, 3.0, 2.0]))
    sampler = WordSampler(np.array([5, 6, 7]), 3, 0, np.array([0.0, 9.0, 1.0]))
    drawn = np.concatenate([sampler.batch(0, step) for step in range(400)])
    assert 5 not in drawn
    assert (drawn == 6).mean() == pytest.approx(0.9, abs=0.03)


def test_corpus_becomes_word_numbers_once(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("ሰላም ልጅ, ሰላም!\nhapana Soma\n", "utf-8")
    packed = tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress("soma ልጅ\n".encode()))
    numbers = {"ሰላም": 0, "ልጅ": 1, "soma": 2}
    tokens = corpus_tokens([text, packed], numbers, tmp_path / "work")
    assert tokens.tolist() == [0, 1, 0, 2, 1]
    assert isinstance(tokens, np.memmap) and tokens.dtype == np.int32
    assert corpus_tokens([text], numbers, tmp_path / "work", lowercase=True).tolist() == [0, 1, 0, 2]
    assert len(list((tmp_path / "work").iterdir())) == 2
    text.write_text("soma soma\n", "utf-8")  # a changed file is read anew
    assert corpus_tokens([text, packed], numbers, tmp_path / "work").tolist() == [2, 2, 2, 1]


def test_the_normal_form_of_corpus_and_words_does_not_matter(tmp_path: Path) -> None:
    words, line = ["ọ̀rọ̀", "ilé", "soma"], "ilé soma ọ̀rọ̀ ilé\n"
    for form in ("NFC", "NFD"):
        (tmp_path / f"{form}.txt").write_text(unicodedata.normalize(form, line), "utf-8")
    assert unicodedata.normalize("NFD", line) != unicodedata.normalize("NFC", line)
    for corpus in ("NFC", "NFD"):
        for vocabulary in ("NFC", "NFD"):
            numbers = {unicodedata.normalize(vocabulary, word): number for number, word in enumerate(words)}
            assert corpus_tokens([tmp_path / f"{corpus}.txt"], numbers, tmp_path / "work").tolist() == [1, 2, 0, 1]
        twins = {unicodedata.normalize("NFD", "ilé"): 4, unicodedata.normalize("NFC", "ilé"): 5}  # in both forms: NFC's
        assert corpus_tokens([tmp_path / f"{corpus}.txt"], twins, tmp_path / "work").tolist() == [5, 5]


def test_corpus_without_known_words_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("nothing here\n", "utf-8")
    with pytest.raises(DistillEmbError, match="none of the teachers' words"):
        corpus_tokens([text], {"soma": 0}, tmp_path / "work")
    with pytest.raises(DistillEmbError, match="There is no file"):
        corpus_tokens([tmp_path / "missing.txt"], {"soma": 0}, tmp_path / "work")


@pytest.mark.parametrize("count", [1, 3])
def test_window_negatives_are_the_nearest_of_their_window(count: int) -> None:
    random = np.random.default_rng(0)
    table = torch.from_numpy(random.normal(size=(30, 6)).astype(np.float32))
    tokens = random.integers(0, 30, size=500).astype(np.int32)
    miner = WindowMiner(tokens, table, window=12, count=count)
    batch = torch.arange(20)
    drawn = miner.draw(batch, torch.arange(20), np.random.default_rng(5))
    starts = np.random.default_rng(5).integers(0, 500 - 12 + 1, size=20)
    for word, start in enumerate(starts):
        window = [int(w) for w in np.unique(tokens[start : start + 12]) if w != word]
        window.sort(key=lambda w: float((table[w] - table[word]).norm()))
        assert drawn[word].tolist() == window[:count]


def test_window_negatives_do_not_depend_on_how_the_batch_is_shared() -> None:
    random = np.random.default_rng(0)
    table = torch.from_numpy(random.normal(size=(4, 6)).astype(np.float32))
    tokens = random.integers(0, 4, size=60).astype(np.int32)
    miner = WindowMiner(tokens, table, window=2, count=1)  # so narrow that some windows are drawn again
    batch = torch.from_numpy(random.integers(0, 4, size=40))
    whole = miner.draw(batch, torch.arange(40), np.random.default_rng(1))
    halves = [miner.draw(batch, own, np.random.default_rng(1)) for own in (torch.arange(20), torch.arange(20, 40))]
    assert torch.equal(whole, torch.cat(halves))
    assert not (whole[:, 0] == batch).any()


def test_windows_that_cannot_be_are_refused() -> None:
    table = torch.eye(3)
    with pytest.raises(DistillEmbError, match="window is 9 tokens long, but the corpus holds only 8"):
        WindowMiner(np.zeros(8, dtype=np.int32), table, window=9)
    with pytest.raises(DistillEmbError, match="fewer than 1 other words"):
        WindowMiner(np.zeros(8, dtype=np.int32), table, window=4).draw(
            torch.zeros(2, dtype=torch.long), torch.arange(2), np.random.default_rng(0)
        )


def test_nearest_neighbors_are_exact_and_among_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distillemb_plugins.distill.sampling._GATHERED_VALUES", 64)  # several blocks
    table = torch.randn(25, 4, generator=torch.Generator().manual_seed(0))
    words = np.arange(1, 25, 2)
    found = nearest_neighbors(table, words, 3)
    units = torch.nn.functional.normalize(table, dim=1)
    for word in words:
        others = sorted((w for w in words if w != word), key=lambda w: -float(units[w] @ units[word]))
        assert found[word].tolist() == others[:3]
    with pytest.raises(DistillEmbError, match="only 12 training words"):
        nearest_neighbors(table, words, 12)


def test_neighbour_negatives_are_neighbors_without_repetition() -> None:
    neighbors = torch.arange(40, dtype=torch.int32).view(4, 10)
    batch = torch.tensor([3, 0, 1, 2])
    drawn = NeighborMiner(neighbors, 4).draw(batch, torch.tensor([0, 2]), np.random.default_rng(0))
    for row, word in zip(drawn.tolist(), (3, 1), strict=True):
        assert len(set(row)) == 4 and set(row) <= set(neighbors[word].tolist())


def test_a_batch_is_shared_alike_and_never_by_more_processes_than_words() -> None:
    assert shared_batch_size(64, 1000, 4) == 64
    assert shared_batch_size(64, 30, 4) == 28
    with pytest.raises(DistillEmbError, match="5 processes are more than the 3 words"):
        shared_batch_size(64, 3, 5)
    with pytest.raises(DistillEmbError, match="choose a multiple of 3"):
        shared_batch_size(64, 1000, 3)
