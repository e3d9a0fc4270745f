"""Writing encoders, taggers and classifiers as ONNX, which `exported` reads. torch is needed here, and only here."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from ..errors import require
from ..hf import DistillEmbForSequenceClassification, DistillEmbForTokenClassification, DistillEmbModel
from ..persistence import read_encoder, resolve, write_encoder
from .exported import CLASSES, ENCODER_FILE, EXPORTED_FILE, FEATURES, HEAD_FILE, REGRESSION, SINGLE, TAGS
from .head_graph import head_graph

_CLASSES: dict[str, Any] = {
    TAGS: DistillEmbForTokenClassification,
    CLASSES: DistillEmbForSequenceClassification,
    FEATURES: DistillEmbModel,
}
_USE = {
    TAGS: 'model.tag(["A sentence ."])',
    CLASSES: 'model.classify(["A sentence ."])',
    FEATURES: 'model.contextualize([["A", "sentence"]])',
}


def export_model(source: str | Path, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write an encoder, tagger or classifier so that it runs without torch; see `ExportedModel`.

    The directory holds ``encoder.onnx`` (characters of words to their vectors), ``head.onnx`` (vectors of sentences to
    tags' scores, classes' scores or words in context; there is none for an encoder without context layers),
    ``exported.json``, and the encoder, so that it is an encoder directory too. A CRF's scores are in ``exported.json``:
    it is decoded outside the graph. Sentences and words vary freely; padding stands at the end of a sentence.

    Args:
        source: Directory of an encoder, or of a saved Hugging Face tagger or classifier; a bundled name or hub id.
        out: The directory.
        overwrite: Replace what stands at `out`.

    Returns:
        `out`.

    Raises:
        DistillEmbError: `source` is something else, or `out` exists and `overwrite` is false.
        MissingExtraError: torch, transformers or the extra ``onnx`` is not installed.
    """
    require("onnxscript", "onnx")
    path = resolve(source)
    files = read_encoder(path)
    kinds = files.config.get("architectures") or []
    task = next((task for task, kind in _CLASSES.items() if kind.__name__ in kinds), FEATURES)
    transformers_logging.disable_progress_bar()
    model = _CLASSES[task].from_pretrained(str(path)).eval().float()
    config, crf = model.config, getattr(model, "crf", None)
    labels = [] if task == FEATURES else [config.id2label[number] for number in range(model.num_labels)]
    stored = {name.removeprefix("distillemb."): values.numpy() for name, values in model.state_dict().items()}
    head, inputs = b"", list[str]()
    if task != FEATURES or config.context_layers:
        head, inputs = head_graph(config, stored, classifier=task != FEATURES, pools=task == CLASSES)
    about = {
        "task": task,
        "labels": labels,
        "inputs": inputs,
        "crf": {name: values.tolist() for name, values in crf.named_parameters()} if crf is not None else None,
        "problem_type": config.problem_type or (SINGLE if len(labels) > 1 else REGRESSION),
    }
    extra = {
        EXPORTED_FILE: (json.dumps(about, ensure_ascii=False, indent=1) + "\n").encode(),
        ENCODER_FILE: encoder_graph(getattr(model, "distillemb", model).encoder, config),
        **({HEAD_FILE: head} if head else {}),
    }
    used = "\n".join(
        [
            "from distillemb_plugins.tagging import ExportedModel",
            "",
            f'model = ExportedModel.from_pretrained("{Path(out).name}")',
            _USE[task],
        ]
    )
    return write_encoder(
        out,
        files.config,
        files.tensors,
        files.characters,
        storage=files.config.get("storage", "float32"),
        context=files.context,
        facts=replace(files.facts, word_lists={}),  # the lists do not come along
        card=f"{files.card.rstrip()}\n\n## Without torch\n\n```python\n{used}\n```\n",
        overwrite=overwrite,
        extra_files=extra,
    )


def encoder_graph(encoder: nn.Module, config: Any) -> bytes:
    """Trace the encoder: ``char_ids``, int64 ``[words, max_chars]``, to ``vectors``, float32 ``[words, dim]``."""
    char_ids = torch.arange(3 * config.max_chars).reshape(3, config.max_chars) % config.vocab_size
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                encoder.eval(),
                (char_ids,),
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                input_names=["char_ids"],
                output_names=["vectors"],
                dynamo=True,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    result: bytes = program.model_proto.SerializeToString()
    return result
