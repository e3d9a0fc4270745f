"""Which lines make a batch, and which of their words are predicted."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..layers.encoders_distillemb import without_padding
from .corpus import Corpus
from .settings import PretrainSettings

_VECTOR, _RANDOM = 0.85, 0.90  # of the predicted words: so many are replaced by the mask vector, then by random words
Lines = NDArray[np.int64]
T = TypeVar("T")


def split_lines(corpus: Corpus, settings: PretrainSettings) -> tuple[Lines, Lines]:
    """Lines to train on, and lines held out (at most a tenth), the same for one seed."""
    order = np.random.default_rng(settings.seed).permutation(len(corpus.lengths))
    held = min(settings.held_out, len(order) // 10)
    return np.sort(order[held:]), np.sort(order[:held])


def language_repeats(corpus: Corpus, lines: Lines, balance: float) -> NDArray[np.float64]:
    """How often each language's lines are read in an epoch, so that languages are drawn by ``share ** balance``."""
    words = np.bincount(corpus.language[lines], weights=corpus.lengths[lines], minlength=len(corpus.languages))
    wanted = np.where(words > 0, (words / words.sum()) ** balance, 0)
    repeats: NDArray[np.float64] = wanted / wanted.sum() * words.sum() / np.maximum(words, 1)
    return repeats


def epoch_batches(
    corpus: Corpus, lines: Lines, repeats: NDArray[np.float64], words: int, seed: list[int]
) -> list[Lines]:
    """The batches of an epoch: lines of like length, at most `words` words with padding, in random order."""
    rng = np.random.default_rng(seed)
    often = repeats[corpus.language[lines]]
    whole = np.floor(often).astype(np.int64)
    drawn = np.repeat(lines, whole + (rng.random(len(lines)) < often - whole))
    drawn = drawn[np.lexsort((rng.random(len(drawn)), corpus.lengths[drawn]))]
    lengths, batches, start = corpus.lengths[drawn].astype(np.int64), [], 0
    while start < len(drawn):
        most = lengths[start : start + max(1, words // int(lengths[start]))]
        padded = np.arange(1, len(most) + 1) * most  # lengths ascend, so the last line is the longest
        batches.append(drawn[start : start + max(1, int(np.searchsorted(padded, words, side="right")))])
        start += len(batches[-1])
    rng.shuffle(batches)
    return batches


@dataclass(frozen=True)
class Batch:
    """Masked sentences ``[batch, words]``, on a device.

    numbers: int64 ``[distinct]``, the different words that the model reads, in an array. characters: int64
    ``[distinct, chars]``, the characters of each. places: int64 ``[batch, words]``, the place of each word among them.
    mask: bool, true for words. masked: bool, words that are replaced by the mask vector. wanted: int64 ``[predicted]``,
    the places among ``batch * words`` of the words that are predicted; targets: int64 ``[predicted]``, their numbers.
    """

    numbers: Lines
    characters: Tensor
    places: Tensor
    mask: Tensor
    masked: Tensor
    wanted: Tensor
    targets: Tensor


class Batches:
    """Makes masked batches on a device; the same numbers for one seed and step."""

    def __init__(self, corpus: Corpus, settings: PretrainSettings, device: torch.device) -> None:
        self.corpus, self.settings, self.device = corpus, settings, device
        self.vocabulary = min(settings.vocabulary, len(corpus.words) - 1)

    def __call__(self, lines: Lines, seed: list[int]) -> Batch:
        """The batch of these lines."""
        corpus, rng = self.corpus, np.random.default_rng(seed)
        lengths = corpus.lengths[lines]
        within = np.arange(int(lengths.max()))
        mask = within < lengths[:, None]
        words = np.zeros(mask.shape, dtype=np.int64)
        words[mask] = corpus.tokens[(corpus.starts[lines, None] + within)[mask]]
        chosen = mask & (rng.random(mask.shape) < self.settings.mask) & (words < self.vocabulary)
        if not chosen.any() and (mask & (words < self.vocabulary)).any():  # a batch always has something to predict
            chosen.flat[rng.choice(np.flatnonzero(mask & (words < self.vocabulary)))] = True
        targets = words[chosen]
        kind = rng.random(mask.shape)
        masked = chosen & (kind < _VECTOR)
        swapped = chosen & (kind >= _VECTOR) & (kind < _RANDOM)
        words[swapped] = corpus.tokens[rng.integers(0, len(corpus.tokens), int(swapped.sum()))]
        numbers, places = np.unique(words, return_inverse=True)
        characters = without_padding(torch.from_numpy(corpus.rows[numbers].astype(np.int64)))
        arrays = places.reshape(words.shape), mask, masked, np.flatnonzero(chosen), targets
        return Batch(numbers, *map(self._on_device, (characters, *map(torch.from_numpy, arrays))))

    def _on_device(self, tensor: Tensor) -> Tensor:
        return (tensor.pin_memory() if self.device.type == "cuda" else tensor).to(self.device, non_blocking=True)


def read_ahead(items: Iterator[T], count: int = 3) -> Generator[T, None, None]:
    """The items of an endless iterator. A thread gets the next `count` while the last one is worked on.

    Closing it ends the thread.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items) for _ in range(count))
        while True:
            item = waiting.popleft().result()
            waiting.append(pool.submit(next, items))
            yield item
