"""The Hugging Face tagger: a token classifier on the encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.tagged import labels_of, named_tags, tagged_dataset
from ..files import atomic_directory, directory_bytes
from ..finetune.trainer import TrainSettings, predict, score_entities, score_tags, train_model

_HEAD: dict[str, Any] = {"shape_features": True, "head_activation": "none", "head_dropout": 0.5}
HEADS = {"ner": {"head": "bilstm-crf", **_HEAD}, "pos": {"head": "bilstm", **_HEAD}}


def train_classifier(
    encoder: Path, task: str, data: Path, out: Path, *, epochs: int = 20, seed: int = 0, progress: bool = False
) -> dict[str, Any]:
    """Fine-tune an encoder with a token-classification head, and save it with its tokenizer. A stopped run goes on.

    Args:
        encoder: The encoder directory.
        task: ``"ner"`` or ``"pos"``.
        data: The folder of ``train.txt``, ``dev.txt`` and ``test.txt``.
        out: The directory to write.
        epochs: Passes over train.
        seed: Seed of the training.
        progress: Show a progress bar.

    Returns:
        The scores on ``dev`` and ``test`` (F1 or accuracy, per cent), the ``seconds`` and the ``bytes``.
    """
    from transformers import AutoTokenizer

    from ..hf import DistillEmbForTokenClassification

    dataset = tagged_dataset({split: data / f"{split}.txt" for split in ("train", "dev", "test")}, task)
    names = labels_of(dataset["train"])
    with _without_warnings():
        model = DistillEmbForTokenClassification.from_pretrained(
            str(encoder),
            **HEADS[task],
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
        )
    tokenizer = AutoTokenizer.from_pretrained(str(encoder))
    settings = TrainSettings(epochs=epochs, batch_size=16, seed=seed, resume=True)
    result = train_model(model, tokenizer.characters, dataset, settings, out.with_name(out.name + ".work"), progress)
    found = predict(result.model, tokenizer.characters, dataset["test"])
    score, main = (score_entities, "f1") if task == "ner" else (score_tags, "accuracy")
    test = score(named_tags(dataset["test"]), found)[main]
    with atomic_directory(out, overwrite=True) as target:
        result.model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return {
        "dev": round(result.dev[main], 2),
        "test": round(test, 2),
        "seconds": round(result.seconds, 1),
        "bytes": directory_bytes(out),
    }


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep transformers from listing the head's weights as missing: they are what is to be trained."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()
