"""What is fine-tuned: a tagger or a classifier on an encoder, as it is or with weights drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from ..hf import (
    DistillEmbConfig,
    DistillEmbForSequenceClassification,
    DistillEmbForTokenClassification,
    DistillEmbTokenizer,
)
from ..layers.encoders_distillemb import build_encoder
from ..persistence import EncoderFiles


def label_names(labels: Sequence[str]) -> dict[str, Any]:
    """``id2label`` and ``label2id`` of a configuration."""
    return {"id2label": dict(enumerate(labels)), "label2id": {name: number for number, name in enumerate(labels)}}


def build_model(
    encoder: str | Path,
    labels: Sequence[str],
    *,
    tagger: bool = True,
    pretrained: bool = True,
    seed: int = 0,
    **config: Any,
) -> tuple[Any, DistillEmbTokenizer]:
    """Make a tagger or a classifier on an encoder, ready to be fine-tuned.

    Args:
        encoder: A directory of an encoder, or of a model with a head.
        labels: The tags or classes, in the order of their numbers.
        tagger: Whether it tags words, or classifies texts.
        pretrained: Take the weights of the directory. If not, only its architecture and its characters are used.
        seed: All weights that are new are drawn from it.
        **config: What else the configuration says: ``head``, ``head_hidden_size``, ``freeze_encoder`` ...

    Returns:
        The model and its tokenizer.
    """
    kind: Any = DistillEmbForTokenClassification if tagger else DistillEmbForSequenceClassification
    settings = {**label_names(labels), **config}
    torch.manual_seed(seed)
    level, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # the weights of the head are new, as they should be
    logging.disable_progress_bar()
    try:
        if pretrained:
            model = kind.from_pretrained(str(encoder), ignore_mismatched_sizes=True, **settings)
        else:
            model = kind(DistillEmbConfig.from_pretrained(encoder, memory=None, storage="float32", **settings))
    finally:
        logging.set_verbosity(level)
        if shows_progress:
            logging.enable_progress_bar()
    return model, DistillEmbTokenizer.from_pretrained(str(encoder))


def random_encoder(files: EncoderFiles, seed: int = 0) -> EncoderFiles:
    """The twin of an encoder: its architecture and its characters, weights drawn from `seed`, no residual codebook."""
    config = {name: files.config[name] for name in ("encoder_type", "encoder_args", "dim")}
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"vocab_size": len(files.characters), "max_chars": files.characters.max_chars}
    module = build_encoder(DistillEmbConfig(**config, **sizes))
    tensors = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    return EncoderFiles({**config, **sizes}, tensors, files.characters)
