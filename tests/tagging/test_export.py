"""Exported models: what torch computes, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")

from transformers import AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer
from typer.testing import CliRunner

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.cli import app
from distillemb_plugins.tagging import ExportedModel, export, open_tagger

from ..hf.conftest import SENTENCES
from .conftest import KINDS

TEXTS = [*SENTENCES, "", "KITA Kita kITa K9 9 9-9 , -a", "kita " * 30]
Export = Callable[[Path], Path]


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder's graph takes seconds to trace, and is tried once."""
    monkeypatch.setattr(export, "encoder_graph", lambda encoder, config: b"")


@pytest.fixture
def exported(untraced: None, tmp_path: Path) -> Export:
    return lambda source: export.export_model(source, tmp_path / "exported", overwrite=True)


@pytest.mark.parametrize("kind", [*KINDS, "gelu", "tanh"])
def test_a_tagger_scores_and_tags_as_torch_does(kind: str, tagger_dirs: Path, exported: Export, tmp_path: Path) -> None:
    source = tagger_dirs / kind
    if kind not in KINDS:
        model = AutoModelForTokenClassification.from_pretrained(tagger_dirs / "linear", head_activation=kind)
        model.save_pretrained(source := tmp_path / "other")
    model, tokenizer = (auto.from_pretrained(source) for auto in (AutoModelForTokenClassification, AutoTokenizer))
    out = ExportedModel.from_pretrained(exported(source))
    tagger = open_tagger(out.path)
    assert tagger.tag_texts(TEXTS) == open_tagger(source).tag_texts(TEXTS) == out.tag(TEXTS)
    batch = tokenizer(TEXTS[:3], padding=True, return_tensors="pt")
    mask = batch["attention_mask"].bool()
    with torch.no_grad():
        char_ids = batch["char_ids"]
        emissions = model.eval().classifier(model.words_in_context(char_ids, mask)[1])
    inputs = {"char_ids": char_ids.numpy(), "vectors": model.distillemb.encode_words(char_ids, mask).detach().numpy()}
    found = out.run(inputs, mask.numpy())
    np.testing.assert_allclose(found[mask.numpy()], emissions[mask].numpy(), atol=1e-4)


@pytest.mark.parametrize("head", [{"head": "linear"}, {"head": "bilstm", "head_cell": "gru", "shape_features": True}])
@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification", "regression"])
@pytest.mark.parametrize("directory", ["tiny_encoder_dir", "tiny_context_dir"])
def test_a_classifier_says_what_the_pipeline_says(
    head: dict[str, Any], kind: str, directory: str, exported: Export, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from transformers import pipeline

    torch.manual_seed(0)
    names = {0: "good"} if kind == "regression" else {0: "good", 1: "bad", 2: "so"}
    model = AutoModelForSequenceClassification.from_pretrained(
        request.getfixturevalue(directory), id2label=names, problem_type=kind, head_hidden_size=8, **head
    )
    for parameter in (*model.classifier.parameters(), *model.norm.parameters()):
        torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "texts")
    wanted = pipeline("text-classification", model=tmp_path / "texts", top_k=None)(TEXTS)
    found = ExportedModel.from_pretrained(exported(tmp_path / "texts")).classify(TEXTS)
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx({entry["label"]: entry["score"] for entry in other}, abs=1e-4)


def test_an_encoder_gives_words_in_context(tiny_context_dir: Path, exported: Export) -> None:
    model, tokenizer = (auto.from_pretrained(tiny_context_dir) for auto in (AutoModel, AutoTokenizer))
    out = ExportedModel.from_pretrained(exported(tiny_context_dir))
    sentences = [text.split() for text in TEXTS]
    assert max(map(len, sentences)) > model.config.context_range
    for words, states in zip(sentences, out.contextualize(sentences), strict=True):
        assert states.shape == (len(words), model.config.context_size)
        if words:
            batch = tokenizer([words], is_split_into_words=True, return_tensors="pt")
            np.testing.assert_allclose(states, model(**batch).last_hidden_state[0].detach().numpy(), atol=1e-4)


def test_the_encoder_is_a_graph_and_stays_an_encoder(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tiny_encoder_dir), "-o", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["task"] == "feature-extraction" and {"encoder.onnx", "exported.json"} <= set(told["files"])
    encoder, words = DistillEmb.from_pretrained(tmp_path / "out"), ["kita", "ọ́kọ̀", "a", "nyotakitanyota"]
    np.testing.assert_array_equal(encoder.encode(words), DistillEmb.from_pretrained(tiny_encoder_dir).encode(words))
    session = runtime.InferenceSession(tmp_path / "out" / "encoder.onnx")
    for some in (words, words[:1]):
        found = session.run(["vectors"], {"char_ids": encoder.characters.encode(some).astype(np.int64)})[0]
        np.testing.assert_allclose(found, encoder.encode(some), atol=1e-5)
    [vectors] = ExportedModel.from_pretrained(tmp_path / "out").contextualize([words])
    np.testing.assert_array_equal(vectors, encoder.encode(words))
    again = CliRunner().invoke(app, ["export", str(tiny_encoder_dir), "-o", str(tmp_path / "out")])
    assert again.exit_code == 2 and "--overwrite" in again.stderr


ALONE = """
import json, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "tokenizers", "spacy", "onnx", "onnxscript"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Block())
from distillemb_plugins.tagging import ExportedModel
model = ExportedModel.from_pretrained(sys.argv[1])
print(json.dumps([one.tags["ner"] for one in model.tag(json.loads(sys.argv[2]))]))
"""


def test_it_runs_where_there_is_no_torch(tagger_dirs: Path, exported: Export) -> None:
    source = tagger_dirs / "context-bilstm-crf"
    command = [sys.executable, "-c", ALONE, str(exported(source)), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [one.tags["ner"] for one in open_tagger(source).tag_texts(TEXTS)]


def test_what_does_not_fit_is_named(
    tagger_dirs: Path, exported: Export, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    out = exported(tagger_dirs / "bilstm-crf")
    model = ExportedModel.from_pretrained(out)
    for wrong in (lambda: model.classify(["a"]), lambda: model.contextualize([["a"]])):
        with pytest.raises(DistillEmbError, match="was exported for token-classification, not for"):
            wrong()
    with pytest.raises(DistillEmbError, match="is no exported directory: make one with `distillemb export"):
        ExportedModel.from_pretrained(tiny_encoder_dir)
    about = json.loads((out / "exported.json").read_text("utf-8"))
    damage = {
        "exported.json": [
            "{",
            "[]",
            *(json.dumps(about | one) for one in ({"inputs": ["x"]}, {"crf": {"start": [1]}})),
        ],
        "head.onnx": ["", "nothing"],
    }
    for name, texts in damage.items():
        for text in texts:
            copy = Path(shutil.copytree(out, tmp_path / "copy", dirs_exist_ok=True))
            (copy / name).write_text(text, "utf-8")
            with pytest.raises(DistillEmbError, match="export it again"):
                ExportedModel.from_pretrained(copy)
