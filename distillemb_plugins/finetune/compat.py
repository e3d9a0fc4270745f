"""The former names of this folder, for callers that are being moved to `fine_tune`. To be removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..characters import CharTable
from ..evaluate.tagging import accuracy, class_scores
from ..evaluate.tagging import entity_scores as score_entities
from ..hf.tokenization_distillemb import DistillEmbTokenizer, build_tokenizer
from . import encoding
from .arguments import FineTuneArguments
from .trainer import FineTuned, fine_tune

__all__ = ["TrainSettings", "predict", "score_classes", "score_entities", "score_tags", "train_model"]


@dataclass(frozen=True)
class TrainSettings:
    """Settings under their former names."""

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    average: float = 0.99
    character_dropout: float = 0.0
    max_words: int = 256
    evaluations: int = 0
    bfloat16: bool = False
    seed: int = 0
    resume: bool = False


def train_model(
    model: Any, characters: Any, dataset: Any, settings: TrainSettings, work: Path, progress: bool = False
) -> FineTuned:
    """`fine_tune` with its former arguments."""
    args = FineTuneArguments(
        str(work),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        encoder_learning_rate=settings.encoder_learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,
        average=settings.average,
        character_dropout=settings.character_dropout,
        max_words=settings.max_words,
        evaluations=settings.evaluations,
        bf16=settings.bfloat16,
        seed=settings.seed,
        save_strategy="epoch" if settings.resume else "no",
        disable_tqdm=not progress,
    )
    return fine_tune(model, _tokenizer(characters), dataset, args)


def predict(model: Any, characters: Any, sentences: Any, max_words: int = 4096) -> list[Any]:
    """`encoding.predict` with its former arguments."""
    return encoding.predict(model, _tokenizer(characters), sentences, max_words)


def _tokenizer(characters: Any) -> DistillEmbTokenizer:
    if isinstance(characters, DistillEmbTokenizer):
        return characters
    tokenizer = build_tokenizer(characters if isinstance(characters, CharTable) else CharTable(["a"]))
    tokenizer.__dict__["_characters"] = characters
    return tokenizer


def score_tags(gold: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    """Share of words with the right tag, per cent."""
    return {"accuracy": accuracy(gold, found)}


def score_classes(prediction: Any) -> dict[str, float]:
    """Weighted and macro F1 and accuracy of a classifier, per cent."""
    return class_scores(prediction.label_ids, prediction.predictions)
