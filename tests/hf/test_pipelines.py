"""The pipelines: every aggregation strategy, alone and batched, empty input, words given, long texts."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline

from distillemb_plugins.text import tokenize

from .conftest import SENTENCES, make_tagger

TEXTS = [*SENTENCES, "", "Ng'ombe don't  kita, mji!", " "]


def spans(entities: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (e.get("entity_group", e.get("entity")), e["start"], e["end"], round(float(e["score"]), 4)) for e in entities
    ]


@pytest.mark.parametrize("head", ["linear", "bilstm-crf"])
@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_tagging(tiny_encoder_dir: Path, tokenizer: Any, head: str, strategy: str) -> None:
    model = make_tagger(tiny_encoder_dir, head=head)
    tag = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy)
    alone = [spans(tag(text)) for text in TEXTS]
    assert [spans(found) for found in tag(TEXTS)] == alone
    assert [spans(found) for found in tag(TEXTS, batch_size=4)] == alone
    tokenizer.padding_side = "left"
    assert [spans(found) for found in tag(TEXTS, batch_size=6)] == alone
    assert alone[3] == alone[5] == [] and sum(map(len, alone)) > 2
    for text, found in zip(TEXTS, tag(TEXTS), strict=True):
        for entity in found:
            words = tokenize(text[entity["start"] : entity["end"]])
            assert tokenize(entity["word"]) == words  # whole words, as they stand in the text


def test_the_pipeline_decodes_by_viterbi(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = make_tagger(tiny_encoder_dir, head="bilstm-crf")
    tag = pipeline("token-classification", model=model, tokenizer=tokenizer, ignore_labels=[])
    for text in SENTENCES:
        encoded = tokenizer(text, return_tensors="pt")
        _, x = model.words_in_context(encoded["char_ids"], encoded["attention_mask"].bool())
        emissions = model.classifier(x)
        path = model.crf.viterbi(emissions, encoded["attention_mask"].bool())[0].tolist()
        assert [entity["entity"] for entity in tag(text)] == [model.config.id2label[label] for label in path]


def test_words_given_and_long_texts(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = make_tagger(tiny_encoder_dir, head="linear")  # without context, so that windows must agree
    words = ["kitani", "don't", "ilé", "."]
    tag = pipeline("token-classification", model=model, tokenizer=tokenizer, ignore_labels=[])
    if "is_split_into_words" in inspect.signature(tag._sanitize_parameters).parameters:  # transformers 5
        found = tag(words, is_split_into_words=True)
        found = found[0] if isinstance(found[0], list) else found
        assert [entity["word"] for entity in found] == words
    text = " ".join(SENTENCES * 3)
    tokenizer.model_max_length = 6
    settings = {"model": model, "tokenizer": tokenizer, "aggregation_strategy": "first"}
    cut = pipeline("token-classification", **settings)(text)
    strided = pipeline("token-classification", **settings, stride=4)(text)
    assert max(entity["end"] for entity in cut) < len(text) // 3
    assert max(entity["end"] for entity in strided) > len(text) * 2 // 3  # further windows follow


def test_text_classification(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_encoder_dir, id2label={0: "good", 1: "bad"}, label2id={"good": 0, "bad": 1}, head_hidden_size=8
    )
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    alone = [classify(text)[0] for text in TEXTS]
    for one, other in zip(alone, classify(TEXTS, batch_size=3), strict=True):
        assert one["label"] == other["label"] and one["label"] in ("good", "bad")
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


def test_feature_extraction(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = AutoModel.from_pretrained(tiny_encoder_dir)
    extract = pipeline("feature-extraction", model=model, tokenizer=tokenizer)
    alone = [np.array(extract(text)) for text in SENTENCES]
    assert [a.shape for a in alone] == [(1, len(tokenize(text)), 24) for text in SENTENCES]
    for one, other in zip(alone, extract(SENTENCES, batch_size=3), strict=True):
        np.testing.assert_allclose(one, np.array(other)[:, : one.shape[1]], atol=1e-5)
    assert np.array(extract("")).shape == (1, 1, 24)
