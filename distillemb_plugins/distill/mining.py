"""What the losses need besides the batch, built from the settings: neighbours and hard negatives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import DistillEmbError
from ..files import atomic_file
from .corpus import corpus_tokens
from .sampling import Miner, NeighbourMiner, WindowMiner, nearest_neighbours
from .settings import DistillSettings
from .targets import Targets


def neighbours_wanted(settings: DistillSettings) -> int:
    """How many nearest neighbours of each word the losses read; 0 for none."""
    mined = settings.neighbours if settings.uses_hard_negatives and settings.hard_negatives == "neighbours" else 0
    compared = settings.global_words // 2 if settings.losses.get("global", 0) > 0 else 0
    return max(mined, compared)


def load_neighbours(file: Path, tables: tuple[Tensor, ...], words: NDArray[np.int64], wanted: int) -> Tensor | None:
    """Nearest neighbours int32 ``[n, wanted]`` among `words`, kept in `file`; None when none are wanted.

    tables: one float ``[n, d]`` a teacher; nearness is the sum of their cosines.
    """
    if not wanted:
        return None
    file = file.with_stem(f"{file.stem}-{wanted}")
    if not file.is_file():
        units = torch.cat([normalize(table, dim=1) for table in tables], dim=1)
        found = nearest_neighbours(units, words, wanted)
        with atomic_file(file) as stream:
            np.save(stream, found.cpu().numpy(), allow_pickle=False)
    return torch.from_numpy(np.load(file, allow_pickle=False)).to(tables[0].device)


def build_miner(
    settings: DistillSettings,
    targets: Targets,
    tables: tuple[Tensor, ...],
    neighbours: Tensor | None,
    *,
    corpus: Sequence[str | Path],
    work: Path,
    progress: bool = False,
) -> Miner | None:
    """The miner that the settings ask for; None when no loss reads hard negatives.

    Held-out words are never negatives. work: where the numbered corpus is kept.
    Raises `DistillEmbError` for windows without a corpus.
    """
    if not settings.uses_hard_negatives:
        return None
    if settings.hard_negatives == "neighbours" and neighbours is not None:
        return NeighbourMiner(neighbours[:, : settings.neighbours], settings.negatives)
    if not corpus:
        raise DistillEmbError(
            "hard_negatives is 'window', and there is no corpus to take windows from: "
            "give text files, or set hard_negatives to 'neighbours'."
        )
    numbers = {targets.words[row]: int(row) for row in targets.train}
    tokens = corpus_tokens(corpus, numbers, work, targets.lowercase, progress)
    table = torch.cat(tables, dim=1)
    if settings.bf16 == "all":
        table = table.bfloat16()
    return WindowMiner(tokens, table, settings.window, settings.negatives)
