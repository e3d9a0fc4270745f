"""Which words a step sees, and which hard negatives: drawn without state, from the seed and the step's number.

A batch depends on (seed, epoch, step) alone. So a run that was interrupted goes on with the same batches, and every
process of a distributed run draws the same batch and takes its share of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding, normalize

from ..errors import DistillEmbError
from ..files import atomic_file
from ..runs import file_identity, run_id
from ..text import normalize as normal_form
from ..text import read_tokens
from .settings import DistillSettings, check_corpus
from .targets import Targets

_GATHERED_VALUES = 1 << 24  # float32 values that a search for negatives may hold at once (64 MiB)
_TRIES = 100
_TOKENS_AT_ONCE = 1 << 16
_ORDER, _DRAW, _NEGATIVES, _UNKNOWN = 1, 2, 3, 4  # keeps the streams of random numbers apart


class WordSampler:
    """Batches of the row numbers `words`, by `weights` (float64, one a word) where they are given.

    Without them, every word is visited once an epoch, in random order; what does not fill the last batch waits for
    another epoch.
    """

    def __init__(
        self, words: NDArray[np.int64], batch_size: int, seed: int, weights: NDArray[np.float64] | None = None
    ) -> None:
        self.words, self.batch_size, self.seed = words, min(batch_size, len(words)), seed
        self.steps_per_epoch = len(words) // self.batch_size
        self._ladder = None if weights is None else np.cumsum(weights / weights.sum())
        self._order: tuple[int, NDArray[np.int64]] = (-1, words)

    def batch(self, epoch: int, step: int) -> NDArray[np.int64]:
        """Return the words of a step of an epoch, int64 ``[batch_size]``."""
        if self._ladder is not None:
            rng = np.random.default_rng([self.seed, _DRAW, epoch, step])
            places = np.searchsorted(self._ladder, rng.random(self.batch_size), side="right")
            return self.words[np.minimum(places, len(self.words) - 1)]
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, _ORDER, epoch])
            self._order = (epoch, rng.permutation(self.words))
        return self._order[1][step * self.batch_size : (step + 1) * self.batch_size]

    def negatives_rng(self, epoch: int, step: int) -> np.random.Generator:
        """Return the random numbers for the negatives of a step."""
        return np.random.default_rng([self.seed, _NEGATIVES, epoch, step])

    def unknown_rng(self, epoch: int, step: int) -> np.random.Generator:
        """Return the random numbers for the unknown characters of a step."""
        return np.random.default_rng([self.seed, _UNKNOWN, epoch, step])


def shared_batch_size(batch_size: int, words: int, processes: int) -> int:
    """Return the batch over all processes: `batch_size`, or fewer where there are fewer training words."""
    size, wrong = min(batch_size, words), ""
    if processes > size:
        wrong = f"{processes} processes are more than the {size} words of a batch: start at most {size} processes."
    elif batch_size % processes:
        wrong = f"A batch of {batch_size} cannot be shared by {processes} processes: choose a multiple of {processes}."
    if wrong:
        raise DistillEmbError(wrong)
    return size - size % processes


def sampling_weights(frequencies: NDArray[np.float64], sampling: str) -> NDArray[np.float64] | None:
    """Return weights float64 ``[n]`` of words from their frequencies; None for uniform.

    ``"log"`` is log(1 + f / smallest f), as Sasaki et al. 2019 weight their loss.
    """
    return np.log1p(frequencies / frequencies[frequencies > 0].min()) if sampling == "log" else None


class WindowMiner:
    """The words of a random run of `window` corpus tokens that are nearest to the word (Mersha & Wu 2022).

    `table` is ``[n, d]``, the teachers' vectors side by side. Nearness is Euclidean. A word gets `count` negatives.
    """

    def __init__(self, tokens: NDArray[np.int32], table: Tensor, window: int, count: int = 1) -> None:
        if window > len(tokens):
            raise DistillEmbError(
                f"The window is {window} tokens long, but the corpus holds only {len(tokens)} of known words: "
                "shorten window or give more text."
            )
        self.tokens, self.table, self.window, self.count = tokens, table, window, count
        self.lengths = table.float().square().sum(1)
        self._rows_at_once = max(1, _GATHERED_VALUES // (window * table.shape[1]))

    def draw(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw negatives, int64 ``[b, count]``, the nearest first, of the words at the positions `own` of the batch.

        They do not depend on how the batch is shared out. None is the word itself.
        """
        words = batch[own]
        chosen = torch.zeros(len(words), self.count, dtype=torch.long, device=words.device)
        open_rows = torch.arange(len(words), device=words.device)
        places = own.cpu().numpy()
        for _ in range(_TRIES):
            starts = rng.integers(0, len(self.tokens) - self.window + 1, size=len(batch))
            found, enough = self._search(words[open_rows], starts[places[open_rows.cpu().numpy()]])
            chosen[open_rows] = found
            open_rows = open_rows[~enough]
            if not len(open_rows):
                return chosen
        raise DistillEmbError(
            f"Runs of {self.window} corpus tokens hold fewer than {self.count} other words: "
            "raise window or give more varied text."
        )

    def _search(self, words: Tensor, starts: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        runs = self.tokens[starts[:, None] + np.arange(self.window)].astype(np.int64)
        candidates = torch.from_numpy(runs).to(words.device)
        if self.count > 1:  # equal words stand together, and all but the first are struck out
            candidates = candidates.sort(1).values
        pairs = zip(words.split(self._rows_at_once), candidates.split(self._rows_at_once), strict=True)
        # Squared distances, less the word's own length, which does not change the order
        distances = self.lengths[candidates] - 2 * torch.cat([self._products(*pair) for pair in pairs])
        distances.masked_fill_(candidates == words[:, None], torch.inf)
        if self.count > 1:
            distances[:, 1:].masked_fill_(candidates[:, 1:] == candidates[:, :-1], torch.inf)
        nearest = distances.topk(self.count, dim=1, largest=False)
        return candidates.gather(1, nearest.indices), torch.isfinite(nearest.values).all(1)

    def _products(self, words: Tensor, candidates: Tensor) -> Tensor:
        own, others = embedding(words, self.table), embedding(candidates, self.table)
        if self.table.dtype == torch.float32:
            return (others * own[:, None]).sum(2)  # twice as fast as bmm here
        return torch.bmm(others, own[:, :, None])[:, :, 0].float()


class NeighborMiner:
    """Some of the teacher's nearest neighbors (int ``[n, k]`` word numbers) of the word, at random."""

    def __init__(self, neighbors: Tensor, count: int = 1) -> None:
        self.neighbors = neighbors
        self.count = min(count, neighbors.shape[1])

    def draw(self, batch: Tensor, own: Tensor, rng: np.random.Generator) -> Tensor:
        """See `WindowMiner.draw`; each neighbor at most once."""
        ranks = rng.random((len(batch), self.neighbors.shape[1])).argsort(1)[own.cpu().numpy(), : self.count]
        return self.neighbors[batch[own]].gather(1, torch.from_numpy(ranks).to(batch.device)).long()


Miner = WindowMiner | NeighborMiner


def nearest_neighbors(table: Tensor, words: NDArray[np.int64], k: int) -> Tensor:
    """Find the k words of greatest cosine among `words`, the nearest first, on the device of `table`.

    Returns int32 ``[n, k]`` row numbers of the table. Rows of words that are not among `words` are zero.
    """
    if k >= len(words):
        raise DistillEmbError(
            f"{k} neighbors of each word are asked for, but there are only {len(words)} training words: ask for fewer."
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


def load_neighbors(
    file: Path, tables: tuple[Tensor, ...], words: NDArray[np.int64], settings: DistillSettings
) -> Tensor | None:
    """Find the nearest neighbors that the losses read, int32 ``[n, k]``, by the sum of the teachers' cosines.

    They are read from `file` (k is added to its name) where an earlier call left them. None when no loss reads any.
    """
    mined = settings.neighbors if settings.uses_hard_negatives and settings.hard_negatives == "neighbors" else 0
    compared = settings.global_words // 2 if settings.losses.get("global", 0) > 0 else 0
    wanted = max(mined, compared)
    if not wanted:
        return None
    file = file.with_stem(f"{file.stem}-{wanted}")
    if not file.is_file():
        units = torch.cat([normalize(table, dim=1) for table in tables], dim=1)
        found = nearest_neighbors(units, words, wanted)
        with atomic_file(file) as stream:
            np.save(stream, found.cpu().numpy(), allow_pickle=False)
    return torch.from_numpy(np.load(file, allow_pickle=False)).to(tables[0].device)


def build_miner(
    settings: DistillSettings,
    targets: Targets,
    tables: tuple[Tensor, ...],
    neighbors: Tensor | None,
    corpus: Sequence[str | Path],
    work: Path,
    progress: bool = False,
) -> Miner | None:
    """Build the miner that the settings ask for, None for none. Held-out words are never negatives."""
    if not settings.uses_hard_negatives:
        return None
    if settings.hard_negatives == "neighbors" and neighbors is not None:
        return NeighborMiner(neighbors[:, : settings.neighbors], settings.negatives)
    check_corpus(settings, corpus)
    numbers = dict(zip(targets.train_words, targets.train.tolist(), strict=True))
    tokens = corpus_tokens(corpus, numbers, work, targets.lowercase, progress)
    table = torch.cat(tables, dim=1)
    if settings.bf16 == "all":
        table = table.bfloat16()
    return WindowMiner(tokens, table, settings.window, settings.negatives)


def corpus_tokens(
    paths: Sequence[str | Path], numbers: dict[str, int], cache: Path, lowercase: bool = False, progress: bool = False
) -> NDArray[np.int32]:
    """Number the known words of a corpus, int32 ``[tokens]``. Memory does not grow with the corpus.

    Words and text are compared in NFC. Where two words differ only in their form, the one that is written in NFC
    counts. The result is mapped from a file in `cache`, found again as long as the files and words are the same.
    """
    file = cache / f"tokens-{run_id([file_identity(paths), list(numbers.items()), lowercase])}.int32"
    if not file.is_file():
        known = {normal_form(word): number for word, number in reversed(numbers.items())} | numbers
        words = (word for line in read_tokens(paths, lowercase=lowercase, progress=progress) for word in line)
        found = (known[word] for word in words if word in known)
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as stream:
            while len(block := np.fromiter(islice(found, _TOKENS_AT_ONCE), dtype=np.int32)):
                stream.write(block.tobytes())
    if file.stat().st_size == 0:
        names = ", ".join(str(path) for path in paths)
        raise DistillEmbError(f"The corpus {names} holds none of the teachers' words: give text of their language.")
    return np.memmap(file, dtype=np.int32, mode="r")
