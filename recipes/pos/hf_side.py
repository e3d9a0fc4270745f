"""One Hugging Face tagger, `DistillEmbForTokenClassification`: an arm, a training set and a seed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distillemb_plugins.data.conll import Sentence
from distillemb_plugins.data.pos import LANGUAGES, pos_files
from distillemb_plugins.data.tagged import labels_of, tagged_dataset
from distillemb_plugins.files import directory_bytes
from distillemb_plugins.finetune.trainer import TrainSettings, predict, train_model
from recipes.pos.scoring import scores
from recipes.spacy_arms import ENCODER_OF, encoder_path

ARMS = ("random", "frozen", "finetuned", "finetuned-svd")
HIDDEN = 96  # of the BiLSTM, each way
SETTINGS = TrainSettings(batch_size=16, learning_rate=5e-3, encoder_learning_rate=1e-3, average=0.98, evaluations=3)


def run(
    data: Path,
    trained_on: str,
    arm: str,
    seed: int,
    work: Path,
    epochs: int,
    *,
    languages: Sequence[str] = LANGUAGES,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train one tagger, keep the best by dev accuracy and score it: one row of the results.

    overrides: what differs from `SETTINGS`, by the names of `TrainSettings`.
    """
    import torch
    from transformers.utils import logging

    from distillemb_plugins.hf import DistillEmbTokenizer

    logging.set_verbosity_error()  # the head's weights are new, as they should be: no report of missing ones
    files = pos_files(data, trained_on, languages)
    dataset = tagged_dataset({split: files[split] for split in ("train", "dev")}, "pos")
    encoder = encoder_path(work, ENCODER_OF[arm])
    characters = DistillEmbTokenizer.from_pretrained(str(encoder)).characters
    torch.manual_seed(seed)
    model = build(encoder, labels_of(dataset["train"]), freeze=arm == "frozen")
    settings = replace(SETTINGS, **(overrides or {}), epochs=epochs, seed=seed)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = train_model(model, characters, dataset, settings, Path(folder) / "run")
        cpu = time.process_time() - start
        trained.model.save_pretrained(Path(folder) / "model")
        size = directory_bytes(Path(folder) / "model")
    row = {"side": "hf", "trained_on": trained_on, "arm": arm, "seed": seed, "steps": epochs}
    row |= {"seconds": round(trained.seconds, 1), "cpu_seconds": round(cpu, 1)}
    row |= scores(lambda given: tag(trained.model, characters, given), data, trained_on, files)
    return row | {"embedding_bytes": (encoder / "model.safetensors").stat().st_size, "model_bytes": size}


def build(encoder: Path, names: Sequence[str], *, freeze: bool) -> Any:
    """A BiLSTM tagger on an encoder; the head's weights are new."""
    from distillemb_plugins.hf import DistillEmbForTokenClassification

    return DistillEmbForTokenClassification.from_pretrained(
        str(encoder),
        head="bilstm",
        head_hidden_size=HIDDEN,
        shape_features=True,
        freeze_encoder=freeze,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )


def tag(model: Any, characters: Any, given: list[Sentence]) -> list[list[str]]:
    """The tags that a model gives to words as they are cut in the data."""
    from datasets import Dataset

    rows = {"tokens": [s.words for s in given], "tags": [[0] * len(s) for s in given]}
    found: list[list[str]] = predict(model, characters, Dataset.from_dict(rows))
    return found
