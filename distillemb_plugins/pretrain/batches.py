"""Which lines make a batch, and which of their words are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .corpus import Corpus
from .settings import PretrainSettings

_VECTOR, _RANDOM = 0.85, 0.90  # of the predicted words: so many are replaced by the mask vector, then by random words
Lines = NDArray[np.int64]


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
    """Masked sentences, ``[batch, words]``.

    words: int64, what the model reads. mask: bool, true for words. masked: bool, words that are replaced by the mask
    vector. chosen: bool, words that are predicted; targets: int64 ``[predicted]``, their numbers.
    """

    words: Tensor
    mask: Tensor
    masked: Tensor
    chosen: Tensor
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
        places = np.arange(int(lengths.max()))
        mask = places < lengths[:, None]
        words = np.zeros(mask.shape, dtype=np.int64)
        words[mask] = np.concatenate(
            [corpus.tokens[s : s + n] for s, n in zip(corpus.starts[lines], lengths, strict=True)]
        )
        chosen = mask & (rng.random(mask.shape) < self.settings.mask) & (words < self.vocabulary)
        if not chosen.any() and (mask & (words < self.vocabulary)).any():  # a batch always has something to predict
            chosen.flat[rng.choice(np.flatnonzero(mask & (words < self.vocabulary)))] = True
        targets = words[chosen]
        kind = rng.random(mask.shape)
        masked = chosen & (kind < _VECTOR)
        swapped = chosen & (kind >= _VECTOR) & (kind < _RANDOM)
        words[swapped] = corpus.tokens[rng.integers(0, len(corpus.tokens), int(swapped.sum()))]
        read, hidden, told, wanted = (
            torch.from_numpy(array).to(self.device) for array in (words, masked, chosen, targets)
        )
        return Batch(read, torch.from_numpy(mask).to(self.device), hidden, told, wanted)
