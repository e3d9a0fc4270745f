"""A small corpus and settings that train in a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.teachers import Teacher

from ..conftest import TINY_ARGS


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny products gain nothing from more threads, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Teacher) -> Path:
    """A text of 3,000 words of the tiny teacher."""
    words = np.random.default_rng(0).choice(tiny_teacher.words, 3000)
    file = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    file.write_text("\n".join(" ".join(line) for line in words.reshape(-1, 20)), "utf-8")
    return file


@pytest.fixture(scope="session")
def quick() -> Callable[..., DistillSettings]:
    """Settings of a tiny student, two epochs of eight steps unless said otherwise."""

    def make(**values: Any) -> DistillSettings:
        student = values.get("student") or ("distillemb-small" if values.get("preset") == "distillemb" else "cnn")
        small = {"student": student, "encoder_args": TINY_ARGS[student], "epochs": 2, "batch_size": 32}
        return DistillSettings(**{**small, "held_out": 20, "device": "cpu", **values})

    return make
