"""The paper's classifier (Mersha & Wu 2022, section 4): word vectors, a BiLSTM, pooling, a linear layer.

The arm `static` has a table in the place of the encoder: the same head, the same training, a row for each word of
the task (fastText's n-gram vector where the word is unseen) that does not learn.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import set_seed

from distillemb_plugins.characters import UNKNOWN_ID, CharTable
from distillemb_plugins.finetune.trainer import TrainSettings, predict, train_model
from distillemb_plugins.hf import DistillEmbConfig, DistillEmbForSequenceClassification, DistillEmbTokenizer
from distillemb_plugins.vectors import unit_rows
from recipes import spacy_arms
from recipes.classification.scripts.arms import labels_of, scores, static_lookup, words_of

if TYPE_CHECKING:
    from datasets import DatasetDict

    from recipes.classification.scripts.arms import Lookup

HIDDEN = 128
EVALUATIONS = 6
_FIRST_WORD = UNKNOWN_ID + 1


class WordRows:
    """In the place of a character table: a word is one number, its row in a table."""

    max_chars = 1

    def __init__(self, words: Sequence[str]) -> None:
        self.rows = {word: row for row, word in enumerate(words, start=_FIRST_WORD)}

    def __len__(self) -> int:
        return len(self.rows) + _FIRST_WORD

    def encode(self, words: Sequence[str]) -> NDArray[np.int64]:
        """int64 ``[words, 1]``; a word that is not in the table is unknown."""
        return np.array([[self.rows.get(word, UNKNOWN_ID)] for word in words], dtype=np.int64).reshape(-1, 1)


class Table(nn.Module):
    """Rows of a table: int64 ``[n, 1]`` to float32 ``[n, dim]``."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(size, dim)

    def forward(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.rows(ids[:, 0])
        return rows


class TableClassifier(DistillEmbForSequenceClassification):
    """The same classifier over a table of ``config.vocab_size`` rows."""

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        self.distillemb.encoder = cast(Any, Table(config.vocab_size, config.dim))
        self.freeze()

    @classmethod
    def of(cls, words: Sequence[str], lookup: Lookup, **head: Any) -> tuple[TableClassifier, WordRows]:
        """A classifier over the vectors of `words`, each scaled to length 1, and what turns words into its rows."""
        rows = WordRows(words)
        vectors = unit_rows(np.asarray(lookup(words), dtype=np.float32))
        config = DistillEmbConfig(dim=vectors.shape[1], vocab_size=len(rows), max_chars=1, freeze_encoder=True, **head)
        model = cls(config)
        with torch.no_grad():
            weight = cast(Any, model.distillemb.encoder).rows.weight
            weight.zero_()
            weight[_FIRST_WORD:] = torch.from_numpy(vectors)
        return model, rows


def build(arm: str, dataset: DatasetDict, task: str, language: str, seed: int, encoders: Path) -> tuple[Any, CharTable]:
    """The model of an arm, with a head drawn from `seed`, and what turns words into its input."""
    names = labels_of(dataset["train"])
    head: dict[str, Any] = {"head": "bilstm", "head_hidden_size": HIDDEN, "id2label": dict(enumerate(names))}
    head["label2id"] = {name: number for number, name in enumerate(names)}
    set_seed(seed)
    if arm == "static":
        table, rows = TableClassifier.of(words_of(dataset), static_lookup(task, language, encoders), **head)
        return table, cast(CharTable, rows)
    path = spacy_arms.encoder_path(encoders)
    characters = DistillEmbTokenizer.from_pretrained(path).characters
    if arm == "random":
        config = DistillEmbConfig.from_pretrained(path, memory=None, **head)
        return DistillEmbForSequenceClassification(config), characters
    frozen = arm == "frozen"
    return DistillEmbForSequenceClassification.from_pretrained(path, freeze_encoder=frozen, **head), characters


def epochs_for(texts: int, batch_size: int, updates: int) -> int:
    """Passes over the texts that make about so many updates, at least two."""
    return max(2, round(updates / math.ceil(texts / batch_size)))


def run_bilstm(
    dataset: DatasetDict, task: str, language: str, arm: str, seed: int, encoders: Path, updates: int
) -> dict[str, Any]:
    """Train one classifier, keep the best of its evaluations by dev, and score it."""
    model, characters = build(arm, dataset, task, language, seed, encoders)
    settings = TrainSettings(seed=seed)
    epochs = epochs_for(len(dataset["train"]), settings.batch_size, updates)
    settings = TrainSettings(seed=seed, epochs=epochs, evaluations=EVALUATIONS)
    with tempfile.TemporaryDirectory() as work:
        result = train_model(model, characters, dataset, settings, Path(work) / "run")
    row: dict[str, Any] = {"epochs": epochs}
    row["model_bytes"] = sum(p.numel() * p.element_size() for p in result.model.parameters())
    names = labels_of(dataset["train"])
    for split in ("dev", "test"):
        found = predict(result.model, characters, dataset[split])
        row |= scores(split, list(dataset[split]["label"]), [names.index(name) for name in found])
    return row
