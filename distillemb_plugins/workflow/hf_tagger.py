"""The Hugging Face tagger: a token classifier on the encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.tagged import labels_of, named_tags, tagged_dataset
from ..evaluate.tagging import accuracy, entity_scores
from ..files import atomic_directory, directory_bytes
from ..runs import work_path

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

    from ..finetune import FineTuneArguments, fine_tune, predict
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
    arguments = FineTuneArguments(
        output_dir=str(work_path(out)),
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        seed=seed,
        save_strategy="epoch",
        disable_tqdm=not progress,
    )
    result = fine_tune(model, tokenizer, dataset, arguments)
    gold, found = named_tags(dataset["test"]), predict(result.model, tokenizer, dataset["test"])
    test = entity_scores(gold, found)["f1"] if task == "ner" else accuracy(gold, found)
    with atomic_directory(out, overwrite=True) as target:
        result.model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return {
        "dev": round(result.dev["f1" if task == "ner" else "accuracy"], 2),
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
