"""Which words a step sees, and which hard negatives: drawn without state, from the seed and the step's number.

A batch depends on (seed, epoch, step) alone. So a run that was interrupted goes on with the same batches, and every
process of a distributed run draws the same batch and takes its share of it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding, normalize

from ..errors import DistillEmbError

_GATHERED_VALUES = 1 << 24  # float32 values that a search for negatives may hold at once (64 MiB)
_TRIES = 100
_ORDER, _DRAW, _NEGATIVES = 1, 2, 3  # keeps the streams of random numbers apart


class WordSampler:
    """Batches of word numbers.

    words: int64 row numbers to draw from. weights: float64, one a word; None visits every word once an epoch, in
    random order (what does not fill the last batch waits for another epoch). Batches never exceed the words there are.
    """

    def __init__(
        self, words: NDArray[np.int64], batch_size: int, seed: int, weights: NDArray[np.float64] | None = None
    ) -> None:
        self.words = words
        self.batch_size = min(batch_size, len(words))
        self.seed = seed
        self.steps_per_epoch = len(words) // self.batch_size
        self._ladder = None if weights is None else np.cumsum(weights / weights.sum())
        self._order: tuple[int, NDArray[np.int64]] = (-1, words)

    def batch(self, epoch: int, step: int) -> NDArray[np.int64]:
        """The words of a step of an epoch, int64 ``[batch_size]``."""
        if self._ladder is not None:
            rng = np.random.default_rng([self.seed, _DRAW, epoch, step])
            places = np.searchsorted(self._ladder, rng.random(self.batch_size), side="right")
            return self.words[np.minimum(places, len(self.words) - 1)]
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, _ORDER, epoch])
            self._order = (epoch, rng.permutation(self.words))
        return self._order[1][step * self.batch_size : (step + 1) * self.batch_size]


def shared_batch_size(batch_size: int, words: int, processes: int) -> int:
    """The batch over all processes: `batch_size`, or fewer where there are fewer training words.

    Raises `DistillEmbError` for more processes than words in a batch, or when they cannot share it alike.
    """
    size = min(batch_size, words)
    if processes > size:
        raise DistillEmbError(
            f"{processes} processes are more than the {size} words of a batch: start at most {size} processes."
        )
    if batch_size % processes:
        raise DistillEmbError(
            f"A batch of {batch_size} cannot be shared by {processes} processes alike: "
            f"choose a multiple of {processes}."
        )
    return size - size % processes


def step_generator(seed: int, epoch: int, step: int) -> np.random.Generator:
    """Random numbers for the negatives of a step."""
    return np.random.default_rng([seed, _NEGATIVES, epoch, step])


def sampling_weights(frequencies: NDArray[np.float64], sampling: str, power: float) -> NDArray[np.float64] | None:
    """Weights float64 ``[n]`` of words from their frequencies; None for uniform.

    ``"log"``: log(1 + f / smallest f), Sasaki et al. 2019 weight their loss so; ``"power"``: f ** power.
    """
    if sampling == "uniform":
        return None
    if sampling == "log":
        return np.log1p(frequencies / frequencies[frequencies > 0].min())
    weights: NDArray[np.float64] = frequencies**power
    return weights


class Miner(Protocol):
    """Draws hard negatives."""

    def draw(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """Negatives int64 ``[b, k]`` of the words ``batch[own]``, none of them the word itself.

        batch: int64 ``[g]``, the words of the whole batch; own: int64 ``[b]``, this process's places in it. The
        negatives of a word do not depend on how the batch is shared out.
        """
        ...


class WindowMiner:
    """The words of a random run of corpus tokens that are nearest to the word (Mersha & Wu 2022).

    tokens: int32 ``[tokens]`` word numbers, may be mapped from disk. table: float32 or bfloat16 ``[n, d]``, the
    teachers' vectors side by side; nearness is Euclidean. window: tokens a run. count: negatives a word.
    Raises `DistillEmbError` when the window is longer than the corpus.
    """

    def __init__(self, tokens: NDArray[np.int32], table: Tensor, window: int, count: int = 1) -> None:
        if window > len(tokens):
            raise DistillEmbError(
                f"The window is {window} tokens long, but the corpus holds only {len(tokens)} of known words: "
                "shorten window or give more text."
            )
        self.tokens = tokens
        self.table = table
        self.lengths = table.float().square().sum(1)
        self.count = count
        self._offsets = np.arange(window)
        self._rows_at_once = max(1, _GATHERED_VALUES // (window * table.shape[1]))

    def draw(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """See `Miner`; the nearest first. A run that holds too few other words is drawn anew."""
        words = batch[own]
        chosen = torch.zeros(len(words), self.count, dtype=torch.long, device=words.device)
        open_rows = torch.arange(len(words), device=words.device)
        places = own.cpu().numpy()
        for _ in range(_TRIES):
            starts = rng.integers(0, len(self.tokens) - len(self._offsets) + 1, size=len(batch))
            found, enough = self._search(words[open_rows], starts[places[open_rows.cpu().numpy()]])
            chosen[open_rows] = found
            open_rows = open_rows[~enough]
            if not len(open_rows):
                return chosen
        raise DistillEmbError(
            f"Runs of {len(self._offsets)} corpus tokens hold fewer than {self.count} other words: "
            "raise window or give more varied text."
        )

    def _search(self, words: Tensor, starts: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        runs = self.tokens[starts[:, None] + self._offsets].astype(np.int64)
        candidates = torch.from_numpy(runs).to(words.device)
        if self.count > 1:  # equal words stand together, and all but the first are struck out
            candidates = candidates.sort(1).values
        distances = self._distances(words, candidates)
        distances.masked_fill_(candidates == words[:, None], torch.inf)
        if self.count > 1:
            distances[:, 1:].masked_fill_(candidates[:, 1:] == candidates[:, :-1], torch.inf)
        nearest = distances.topk(self.count, dim=1, largest=False)
        return candidates.gather(1, nearest.indices), torch.isfinite(nearest.values).all(1)

    def _distances(self, words: Tensor, candidates: Tensor) -> Tensor:
        """Squared distances, less the word's own length, which does not change the order; float ``[b, window]``."""
        rows = self._rows_at_once
        pairs = zip(words.split(rows), candidates.split(rows), strict=True)
        products = torch.cat([self._products(own, block) for own, block in pairs])
        return self.lengths[candidates] - 2 * products

    def _products(self, words: Tensor, candidates: Tensor) -> Tensor:
        own, others = embedding(words, self.table), embedding(candidates, self.table)
        if self.table.dtype == torch.float32:
            return (others * own[:, None]).sum(2)  # twice as fast as bmm here
        return torch.bmm(others, own[:, :, None])[:, :, 0].float()


class NeighbourMiner:
    """Random ones of the teacher's nearest neighbours of the word.

    neighbours: int ``[n, k]`` word numbers, a row for every word that is trained on. count: negatives a word.
    """

    def __init__(self, neighbours: Tensor, count: int = 1) -> None:
        self.neighbours = neighbours
        self.count = min(count, neighbours.shape[1])

    def draw(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """See `Miner`; each neighbour at most once."""
        ranks = rng.random((len(batch), self.neighbours.shape[1])).argsort(1)[own.cpu().numpy(), : self.count]
        return self.neighbours[batch[own]].gather(1, torch.from_numpy(ranks).to(batch.device)).long()


def nearest_neighbours(table: Tensor, words: NDArray[np.int64], k: int) -> Tensor:
    """The k words of greatest cosine among `words`, the nearest first; exact, computed in blocks.

    table: float ``[n, d]``. words: row numbers, the only ones that have and are neighbours (the training words).
    Returns int32 ``[n, k]`` row numbers of the table; rows of other words are zero.
    Raises `DistillEmbError` when there are not more than k words.
    """
    if k >= len(words):
        raise DistillEmbError(
            f"{k} neighbours a word are asked for, but there are only {len(words)} training words: ask for fewer."
        )
    rows = torch.from_numpy(words).to(table.device)
    units = normalize(table[rows], dim=1)
    result = torch.zeros(len(table), k, dtype=torch.int32, device=table.device)
    block = max(1, _GATHERED_VALUES // len(rows))
    for start in range(0, len(rows), block):
        scores = units[start : start + block] @ units.T
        own = torch.arange(len(scores), device=table.device)
        scores[own, own + start] = -torch.inf
        result[rows[start : start + block]] = rows[scores.topk(k, dim=1).indices].int()
    return result
