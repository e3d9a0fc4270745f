"""The arms: taggers and classifiers of the same form that differ in the word vectors below the head alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.hf import (
    DistillEmbConfig,
    DistillEmbForSequenceClassification,
    DistillEmbForTokenClassification,
    DistillEmbTokenizer,
)
from distillemb_plugins.teachers import Teacher, load_teacher
from recipes.transfer.scripts.encoders import encoder_bytes, encoder_path, teacher_path

# Tigrinya: name of the arm, and the encoder that it begins with ("" for none).
TIGRINYA_ARMS = {"random": "", "amharic": "amh", "tigrinya": "tir", "afro11": "afro11", "static": ""}
# One language left out: the encoder of all languages, of all but one, and random weights.
LEFT_OUT_ARMS = ("random", "without", "with")
HEADS = {"ner": "bilstm-crf", "sentiment": "bilstm"}


class Characters(Protocol):
    """What turns words into the rows that a model reads: a `CharTable`, or the rows of a `WordTable`."""

    def encode(self, words: Sequence[str]) -> NDArray[Any]:
        """Rows int [words, width]."""


@dataclass
class Arm:
    """A model that is not yet trained, what it reads words with, and the bytes of the embedding below its head."""

    model: Any
    characters: Any
    embedding_bytes: int


@dataclass(frozen=True)
class Head:
    """The head of all arms. task: ``"ner"`` or ``"sentiment"``. labels: names, in the order of their numbers."""

    task: str
    labels: Sequence[str]
    hidden: int = 128

    @property
    def settings(self) -> dict[str, Any]:
        """What the configuration of a model needs for it."""
        names = dict(enumerate(self.labels))
        return {
            "head": HEADS[self.task],
            "head_hidden_size": self.hidden,
            "id2label": names,
            "label2id": {name: number for number, name in names.items()},
        }

    @property
    def kind(self) -> Any:
        """The class of the models."""
        return DistillEmbForTokenClassification if self.task == "ner" else DistillEmbForSequenceClassification


def pretrained_arm(encoder: Path, head: Head, seed: int) -> Arm:
    """A head on a distilled encoder, which is trained with it."""
    torch.manual_seed(seed)
    model = head.kind.from_pretrained(encoder, **head.settings)
    return Arm(model, _characters(encoder), encoder_bytes(encoder))


def random_arm(encoder: Path, head: Head, seed: int) -> Arm:
    """The same with fresh weights in the encoder: its architecture and characters alone are used."""
    config = DistillEmbConfig.from_pretrained(encoder, **head.settings)
    config.memory, config.storage = None, "float32"
    torch.manual_seed(seed)
    model = head.kind(config)
    weights = sum(parameter.numel() for parameter in model.distillemb.encoder.parameters())
    return Arm(model, _characters(encoder), 4 * weights)


def _characters(encoder: Path) -> Any:
    return DistillEmbTokenizer.from_pretrained(encoder).characters


# -- a static table in the encoder's place -----------------------------------------------------------------------------


class WordTable:
    """Words to row numbers of a table: 0 is padding, 1 a word without a vector."""

    def __init__(self, words: Sequence[str]) -> None:
        self.rows = {word: row for row, word in enumerate(words, start=2)}

    def encode(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers int64 ``[words, 1]``."""
        return np.array([[self.rows.get(word, 1)] for word in words], dtype=np.int64)


class Lookup(nn.Module):
    """A table of word vectors that reads rows as an encoder reads characters: ``[n, 1]`` to ``[n, dim]``."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, dim, padding_idx=0)

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors float ``[n, dim]``."""
        vectors: Tensor = self.table(rows[:, 0])
        return vectors


def _put_table(model: Any) -> None:
    model.distillemb.encoder = Lookup(model.config.vocab_size, model.config.dim)
    model.freeze()


class StaticForTokenClassification(DistillEmbForTokenClassification):
    """The tagger on a table that is not trained."""

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        _put_table(self)


class StaticForSequenceClassification(DistillEmbForSequenceClassification):
    """The classifier on a table that is not trained."""

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        _put_table(self)


def static_arm(file: Path, words: Iterable[str], head: Head, seed: int) -> Arm:
    """fastText's own vectors in the encoder's place, unseen words by their n-grams; the table is not trained.

    words: of the task, since a word that it does not hold changes nothing here. The vectors are centred and brought
    to length 1, as the encoders' targets were.
    """
    teacher = load_teacher(file)
    known, vectors = task_vectors(teacher.centred().normalised(), words)
    config = DistillEmbConfig(
        encoder_type="ngram-bag",  # built and thrown away: the table takes its place
        encoder_args={"buckets": 1},
        dim=teacher.dim,
        vocab_size=len(known) + 2,
        max_chars=1,
        freeze_encoder=True,
        **head.settings,
    )
    torch.manual_seed(seed)
    kind = StaticForTokenClassification if head.task == "ner" else StaticForSequenceClassification
    model = kind(config)
    table: Any = model.distillemb.encoder
    with torch.no_grad():
        table.table.weight[:2] = 0
        table.table.weight[2:] = torch.from_numpy(vectors)
    return Arm(model, WordTable(known), file.stat().st_size)


def task_vectors(teacher: Teacher, words: Iterable[str]) -> tuple[list[str], NDArray[np.float32]]:
    """The words that have a vector, and their vectors float32 ``[known, dim]``."""
    wanted = sorted(set(words))
    rows, found = teacher.lookup(wanted)
    return [word for word, has in zip(wanted, found, strict=True) if has], rows[found]


# -- by name -----------------------------------------------------------------------------------------------------------


def tigrinya_arm(name: str, words: Iterable[str], head: Head, seed: int, work: Path) -> Arm:
    """An arm of `TIGRINYA_ARMS`. Raises `DistillEmbError` when there is none of that name."""
    if name not in TIGRINYA_ARMS:
        raise DistillEmbError(f"There is no arm {name}: choose from {', '.join(TIGRINYA_ARMS)}.")
    if name == "static":
        return static_arm(_there(teacher_path(work, "tir"), "teach"), words, head, seed)
    if name == "random":
        return random_arm(_there(encoder_path(work, "tir"), "distill"), head, seed)
    return pretrained_arm(_there(encoder_path(work, TIGRINYA_ARMS[name]), "distill"), head, seed)


def left_out_arm(name: str, language: str, head: Head, seed: int, work: Path) -> Arm:
    """An arm of `LEFT_OUT_ARMS` for a language. Raises `DistillEmbError` when there is none of that name."""
    if name not in LEFT_OUT_ARMS:
        raise DistillEmbError(f"There is no arm {name}: choose from {', '.join(LEFT_OUT_ARMS)}.")
    encoder = _there(encoder_path(work, f"without-{language}" if name == "without" else "all"), "distill-without")
    return (random_arm if name == "random" else pretrained_arm)(encoder, head, seed)


def _there(path: Path, command: str) -> Path:
    if not path.exists():
        raise DistillEmbError(f"There is no {path}: run the command {command} first.")
    return path
