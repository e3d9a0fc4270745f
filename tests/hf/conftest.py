"""A tokenizer, taggers with small heads, and a few sentences, shared by the tests of the Hugging Face face."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
import transformers
from transformers import AutoModelForTokenClassification, AutoTokenizer

import distillemb_plugins.hf  # noqa: F401 - registers the Auto classes

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SENTENCES = ["kitani nyota ilé .", "rafiki", "ሰላም ቤት , ndege omwana akwụkwọ m"]


@pytest.fixture(scope="session", autouse=True)
def one_quiet_thread() -> Iterator[None]:
    """Two test processes on two cores must not fight; loading reports are not the tests' matter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tokenizer(tiny_encoder_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_encoder_dir)


@pytest.fixture
def batch(tokenizer: Any) -> Any:
    """The sentences, padded on the right."""
    return tokenizer(SENTENCES, padding=True, return_tensors="pt")


def make_tagger(encoder_dir: Path, **settings: Any) -> Any:
    """A tagger in evaluation mode, with seeded random weights large enough that its labels differ."""
    torch.manual_seed(0)
    settings = {"head_hidden_size": 8, "id2label": dict(enumerate(NAMES)), **settings}
    settings["label2id"] = {name: number for number, name in settings["id2label"].items()}
    model = AutoModelForTokenClassification.from_pretrained(encoder_dir, **settings).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("distillemb."):
                parameter.normal_(std=0.7)
    return model
