"""The Hugging Face taggers and classifiers on a table of word vectors instead of an encoder: what to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..characters import UNKNOWN_ID, CharTable
from ..hf import (
    DistillEmbConfig,
    DistillEmbForSequenceClassification,
    DistillEmbForTokenClassification,
    DistillEmbTokenizer,
)
from ..hf.tokenization_distillemb import build_tokenizer
from ..vectors import Floats
from .models import label_names

_FIRST_WORD = UNKNOWN_ID + 1  # before it stand padding and words without a vector, whose vectors are zero


class WordRows:
    """Turns words into rows of a table, as a character table turns them into characters."""

    max_chars = 1

    def __init__(self, words: Sequence[str]) -> None:
        self.rows = {word: row for row, word in enumerate(words, start=_FIRST_WORD)}

    def encode(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Rows int64 ``[words, 1]``. A word that is not in the table is unknown."""
        return np.array([self.rows.get(word, UNKNOWN_ID) for word in words], dtype=np.int64).reshape(-1, 1)


class _Table(nn.Module):
    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(size, dim)

    def forward(self, rows: Tensor) -> Tensor:
        vectors: Tensor = self.table(rows[:, 0])
        return vectors


class _OnTable:
    """Puts a table of ``config.vocab_size`` rows, which is not trained, in the encoder's place."""

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        model: Any = self
        model.distillemb.encoder = _Table(config.vocab_size, config.dim)
        model.freeze()


class TableForTokenClassification(_OnTable, DistillEmbForTokenClassification):
    """The tagger on a table."""


class TableForSequenceClassification(_OnTable, DistillEmbForSequenceClassification):
    """The classifier on a table."""


def table_model(
    words: Sequence[str], vectors: Floats, labels: Sequence[str], *, tagger: bool, seed: int = 0, **config: Any
) -> tuple[Any, DistillEmbTokenizer]:
    """Make a tagger or a classifier on fixed word vectors. The weights of its head are new.

    Args:
        words: The words that have a vector.
        vectors: Their vectors, float32 ``[words, dim]``.
        labels: The tags or classes, in the order of their numbers.
        tagger: Whether it tags words, or classifies texts.
        seed: The weights of the head are drawn from it.
        **config: What else the configuration says: ``head``, ``head_hidden_size`` ...

    Returns:
        The model, and a tokenizer whose ``char_ids`` are the rows of the words.
    """
    rows = WordRows(words)
    settings = DistillEmbConfig(
        encoder_type="ngram-bag",  # built and thrown away: the table takes its place
        encoder_args={"buckets": 1},
        dim=vectors.shape[1],
        vocab_size=len(rows.rows) + _FIRST_WORD,
        max_chars=1,
        freeze_encoder=True,
        **label_names(labels),
        **config,
    )
    torch.manual_seed(seed)
    model: Any = (TableForTokenClassification if tagger else TableForSequenceClassification)(settings)
    with torch.no_grad():
        weight = model.distillemb.encoder.table.weight
        weight.zero_()
        weight[_FIRST_WORD:] = torch.from_numpy(np.asarray(vectors, dtype=np.float32))
    tokenizer = build_tokenizer(CharTable(["a"]))
    tokenizer.__dict__["_characters"] = rows  # the property `characters` reads it from here
    return model, tokenizer
