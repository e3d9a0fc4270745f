"""Two processes over gloo end where one does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.teachers import Teacher, save_teacher

from ..conftest import run_two_processes

SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import load_teacher

folder = Path(sys.argv[1])
teacher = load_teacher(folder / "teacher.npz")
values = json.loads((folder / "settings.json").read_text())
distill([teacher], folder / "two", DistillSettings(**values), [folder / "corpus.txt"], progress=False)
try:
    distill([teacher], folder / "three", DistillSettings(**{**values, "batch_size": 3}), progress=False)
except DistillEmbError as error:
    (folder / "refused.txt").write_text(str(error))
"""


@pytest.fixture
def settings() -> DistillSettings:
    return DistillSettings(
        student="char-cnn",
        encoder_args={"char_dim": 6, "widths": [1, 2, 3], "filters": [4, 6, 8]},
        losses={"triplet": 1.0, "info_nce": 0.5, "global": 1.0, "similarity": 5.0, "structure": 5.0},
        hard_negatives="window",
        window=8,
        epochs=3,
        batch_size=32,
        held_out=20,
        ema=0.9,
        bf16="off",
        device="cpu",
    )


def test_two_processes_end_where_one_does(
    settings: DistillSettings, tiny_teacher: Teacher, tiny_corpus: Path, tmp_path: Path
) -> None:
    save_teacher(tiny_teacher, tmp_path / "teacher.npz")
    (tmp_path / "corpus.txt").write_bytes(tiny_corpus.read_bytes())
    (tmp_path / "settings.json").write_text(json.dumps(settings.to_dict()))
    run_two_processes(SCRIPT, tmp_path)
    distill([tiny_teacher], tmp_path / "one", settings, [tmp_path / "corpus.txt"], progress=False)
    other = distill([tiny_teacher], tmp_path / "seed", replace(settings, seed=1), [tiny_corpus], progress=False)
    one, two, seed = (read_encoder(path).tensors for path in (tmp_path / "one", tmp_path / "two", other))
    assert max(np.abs(one[name] - two[name]).max() for name in one) < 1e-4
    assert max(np.abs(one[name] - seed[name]).max() for name in one) > 1e-2
    assert not (tmp_path / "two.work").exists()
    assert "cannot be shared by 2 processes" in (tmp_path / "refused.txt").read_text()
