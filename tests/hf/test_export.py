"""`torch.export`, ONNX Runtime and `torch.compile`, with sentences and words that vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from distillemb_plugins.hf import DistillEmbConfig
from distillemb_plugins.layers.hashing_distillemb import row_hashes
from distillemb_plugins.layers.heads_distillemb import Bidirectional

from ..conftest import TINY_ARGS
from .conftest import make_tagger

BATCHES = [["kita nyota . ,", "ndege rafiki ሰላም"], ["m", "kita nyota ilé , m", "soma"], ["ndege"]]


def inputs_of(tokenizer: Any, sentences: list[str], side: str = "right") -> dict[str, torch.Tensor]:
    encoded = tokenizer(sentences, padding=True, padding_side=side, return_tensors="pt")
    return {name: encoded[name] for name in ("char_ids", "attention_mask")}


def export(model: Any, tokenizer: Any) -> Any:
    """An ONNX program, and in it the exported torch program it was made from."""
    pytest.importorskip("onnxscript")
    vary = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        return torch.onnx.export(
            model.eval(),
            (),
            kwargs=inputs_of(tokenizer, BATCHES[0]),
            dynamic_shapes={"char_ids": vary, "attention_mask": vary},
            dynamo=True,
            verbose=False,
        )


def check(program: Any, model: Any, tokenizer: Any, path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    program.save(str(path))
    session = runtime.InferenceSession(str(path))
    in_torch = program.exported_program.module()  # made once: it takes seconds
    for sentences in BATCHES:
        for side in ("right", "left"):
            inputs = inputs_of(tokenizer, sentences, side)
            with torch.no_grad():
                expected = model(**inputs).logits
            found = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
            np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
            exported = in_torch(**inputs)
            exported = exported if isinstance(exported, (tuple, list)) else list(exported.values())
            torch.testing.assert_close(exported[0], expected, atol=1e-5, rtol=1e-5)


def test_export_of_a_tagger(tiny_context_dir: Path, tokenizer: Any, tmp_path: Path) -> None:
    """It has all that a tagger can have: context layers, an LSTM, a CRF. An export is dear, so that one must do."""
    model = make_tagger(tiny_context_dir, head="bilstm-crf", shape_features=True)
    check(export(model, tokenizer), model, tokenizer, tmp_path / "tagger.onnx")


def test_export_of_a_text_classifier(tiny_words: list[str], tokenizer: Any, tmp_path: Path) -> None:
    """The encoder has a memory of frequent words here, and there are no context layers."""
    settings = {"dim": 24, "vocab_size": len(tokenizer.characters), "max_chars": tokenizer.characters.max_chars}
    memory = {"words": 101, "codes": 4, "dims": 12}
    torch.manual_seed(0)
    config = DistillEmbConfig(**settings, encoder_args=TINY_ARGS["cnn"], memory=memory, head="linear")
    model = AutoModelForSequenceClassification.from_config(config).eval()
    held = model.distillemb.encoder.memory
    rows = torch.from_numpy(tokenizer.characters.encode([*tiny_words[:99], "ndege", "kita"])).long()
    held.keys.copy_(row_hashes(rows).sort()[0])
    held.codes.random_(0, 256)
    held.codebooks.normal_()
    held.basis.normal_()
    check(export(model, tokenizer), model, tokenizer, tmp_path / "classifier.onnx")


def test_gru_is_exported_with_open_length() -> None:
    torch.manual_seed(0)
    layers = Bidirectional(4, 3, 1, "gru", 0.0).eval()
    vary = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    mask = torch.arange(5) < torch.tensor([[5], [2], [1]])
    program = torch.export.export(layers, (torch.randn(3, 5, 4), mask), dynamic_shapes=(vary, vary))
    for b, w in ((2, 9), (1, 1)):
        x, mask = torch.randn(b, w, 4), torch.arange(w) < torch.tensor([[w]] * b) - 3 * torch.arange(b)[:, None]
        torch.testing.assert_close(program.module()(x, mask), layers(x, mask))


def test_compile(tiny_context_dir: Path, tokenizer: Any) -> None:
    model = make_tagger(tiny_context_dir, head="linear", context_dropout=0.0)
    compiled = torch.compile(model, backend="eager", dynamic=True)
    for sentences in BATCHES[:2]:
        inputs = inputs_of(tokenizer, sentences)
        torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits)
    labels = inputs["attention_mask"]
    compiled.train()(**inputs, labels=labels).loss.backward()
    trained = {name: p for name, p in model.named_parameters() if not name.endswith("mask_vector")}  # of pretraining
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained.values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_tagger_in_context_runs_with_eight_bit_layers(tiny_context_dir: Path, tokenizer: Any) -> None:
    model = make_tagger(tiny_context_dir, head="linear", shape_features=True).eval()
    small = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    batch = tokenizer(BATCHES[0][:1], return_tensors="pt")
    with torch.no_grad():
        near = torch.nn.functional.cosine_similarity(small(**batch).logits, model(**batch).logits, dim=2)
    assert near.min() > 0.9
