"""A saved directory opens through every fitting Auto class in a process that does not have our package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .conftest import SENTENCES, make_tagger

SCRIPT = """
directory, out, texts = given
from transformers import (AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification,
                          AutoTokenizer, pipeline)

trust = {"trust_remote_code": True}
assert AutoConfig.from_pretrained(directory, **trust).model_type == "distillemb"
tokenizer = AutoTokenizer.from_pretrained(directory, **trust)
batch = tokenizer(texts, padding=True, return_tensors="pt")
result = {"base": AutoModel.from_pretrained(directory, **trust)(**batch).last_hidden_state.tolist()}
texts_model = AutoModelForSequenceClassification.from_pretrained(directory, head="bilstm",
                                                                 ignore_mismatched_sizes=True, **trust)
result["texts"] = list(texts_model(**batch).logits.shape)
tagger = AutoModelForTokenClassification.from_pretrained(directory, **trust)
result["logits"] = tagger(**batch).logits.tolist()
tagger.save_pretrained(out)  # what was loaded so must save as completely
tokenizer.save_pretrained(out)
again = pipeline("token-classification", model=out, **trust)
result["entities"] = [[(e["entity"], e["start"], e["end"]) for e in found] for found in again(texts)]
"""


def test_opens_without_our_package(
    tiny_encoder_dir: Path, tokenizer: Any, batch: Any, tmp_path: Path, fresh_process: Callable[..., Any]
) -> None:
    from transformers import pipeline

    model = make_tagger(tiny_encoder_dir, head="bilstm-crf", shape_features=True)
    saved, out = tmp_path / "saved", tmp_path / "out"
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    result = fresh_process(SCRIPT, [str(saved), str(out), SENTENCES])
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(result["logits"]), model(**batch).logits, atol=1e-5, rtol=1e-5)
        base = model.distillemb(**batch).last_hidden_state
    torch.testing.assert_close(torch.tensor(result["base"]), base, atol=1e-5, rtol=1e-5)
    assert result["texts"] == [len(SENTENCES), model.config.num_labels]
    ours = pipeline("token-classification", model=model, tokenizer=tokenizer)(SENTENCES)
    assert result["entities"] == [[[e["entity"], e["start"], e["end"]] for e in found] for found in ours]
    assert {file.name for file in saved.iterdir()} == {file.name for file in out.iterdir()}


def test_an_encoder_directory_names_every_class(tiny_encoder_dir: Path) -> None:
    """What `write_encoder` writes, without transformers, is as complete as what a model saves."""
    config = json.loads((tiny_encoder_dir / "config.json").read_text("utf-8"))
    for reference in config["auto_map"].values():
        module, _, name = reference.partition(".")
        assert f"class {name}(" in (tiny_encoder_dir / f"{module}.py").read_text("utf-8")
    tokenizer = json.loads((tiny_encoder_dir / "tokenizer_config.json").read_text("utf-8"))
    assert tokenizer["auto_map"] == {"AutoTokenizer": [None, "tokenization_distillemb.DistillEmbTokenizer"]}
