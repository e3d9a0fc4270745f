"""The Hugging Face directory: a token classifier on the encoder, or without tagged sentences the encoder itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillemb_plugins.data.tagged import labels_of, named_tags, tagged_dataset
from distillemb_plugins.files import atomic_directory, directory_bytes
from distillemb_plugins.finetune.trainer import TrainSettings, predict, score_entities, score_tags, train_model

from .spacy_side import fresh_process

# The NER recipe's head and training of a single language (recipes/ner); a part of speech needs no CRF.
_HEAD: dict[str, Any] = {"shape_features": True, "head_activation": "none", "head_dropout": 0.5}
HEADS = {"ner": {"head": "bilstm-crf", **_HEAD}, "pos": {"head": "bilstm", **_HEAD}}


def settings_for(epochs: int, seed: int) -> TrainSettings:
    """The training of a single language; an interrupted one is gone on with."""
    return TrainSettings(epochs=epochs, batch_size=16, seed=seed, resume=True)


@dataclass(frozen=True)
class Classifier:
    """A saved model. dev, test: F1 (NER, seqeval's default mode) or accuracy (POS), per cent. size: bytes on disk."""

    path: Path
    dev: float
    test: float
    seconds: float
    size: int


def train_classifier(
    encoder: Path, task: str, data: Path, out: Path, settings: TrainSettings, *, progress: bool
) -> Classifier:
    """Fine-tune the encoder with a token-classification head, and save it with its tokenizer in `out`."""
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    dataset = tagged_dataset({split: data / f"{split}.txt" for split in ("train", "dev", "test")}, task)
    names = labels_of(dataset["train"])
    with _without_report():
        model = DistillEmbForTokenClassification.from_pretrained(
            str(encoder),
            **HEADS[task],
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
        )
    tokenizer = AutoTokenizer.from_pretrained(str(encoder))
    work = out.with_name(out.name + ".work")
    result = train_model(model, tokenizer.characters, dataset, settings, work, progress)
    found = predict(result.model, tokenizer.characters, dataset["test"])
    gold = named_tags(dataset["test"])
    scores = score_entities(gold, found) if names[0] == "O" else score_tags(gold, found)
    main = "f1" if names[0] == "O" else "accuracy"
    with atomic_directory(out, overwrite=True) as target:
        result.model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return Classifier(
        out, round(result.dev[main], 2), round(scores[main], 2), round(result.seconds, 1), directory_bytes(out)
    )


@contextmanager
def _without_report() -> Iterator[None]:
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


def copy_encoder(encoder: Path, out: Path) -> Path:
    """The encoder's own directory under another name: `AutoModel` opens it as it is."""
    with atomic_directory(out, overwrite=True) as target:
        shutil.copytree(encoder, target, dirs_exist_ok=True)
    return out


def open_directory(path: Path, sentence: str, tagger: bool) -> dict[str, Any]:
    """Open the directory in a fresh process with the Auto classes, and tag (or embed) a sentence."""
    return fresh_process(_TAG if tagger else _EMBED, str(path), sentence)


_TAG = """
import json, sys
import distillemb_plugins.hf
from transformers import pipeline
tag = pipeline("token-classification", model=sys.argv[1], aggregation_strategy="simple")
print(json.dumps({"entities": [[e["word"], e["entity_group"]] for e in tag(sys.argv[2])]}))
"""
_EMBED = """
import json, sys
import distillemb_plugins.hf
from transformers import AutoModel, AutoTokenizer
model, tokenizer = AutoModel.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
vectors = model(**tokenizer(sys.argv[2], return_tensors="pt")).last_hidden_state[0]
print(json.dumps({"entities": [], "shape": list(vectors.shape)}))
"""
