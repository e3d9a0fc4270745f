"""Two processes over gloo write one directory, and go on from an interruption to the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distillemb_plugins.persistence import read_encoder

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from distillemb_plugins.cli import app
from distillemb_plugins.pretrain.loop import Pretraining

folder, rank = Path(sys.argv[1]), os.environ["RANK"]
read, to_come, step = [], Pretraining._batches_to_come, Pretraining.step

def batches_to_come(run):
    for batch, words, *place in to_come(run):
        read.append((int(batch.mask.sum()), words))
        yield batch, words, *place

def pretrain(out, *more):
    app([*json.loads((folder / "arguments.json").read_text()), "-o", str(folder / out), *more], standalone_mode=False)

Pretraining._batches_to_come = batches_to_come
pretrain("whole")
(folder / f"read-{rank}.json").write_text(json.dumps(read))
Pretraining.step = lambda run: 1 / 0 if run.state.progress.total_steps == 3 else step(run)
pretrain("cut")  # says what went wrong, and ends
assert rank != "0" or (folder / "cut.work" / "checkpoint.safetensors").is_file()
Pretraining.step = step
pretrain("cut", "--resume")
"""


@pytest.fixture(scope="module")
def folder(
    tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory, two_processes: Callable[[str, Path], str]
) -> Path:
    """What two processes wrote: a whole run and an interrupted one."""
    folder = tmp_path_factory.mktemp("processes")
    lines = ["kita soma mji " + "ndege rafiki " * (n % 9) for n in range(200)]
    (folder / "text.txt").write_text("\n".join(lines), "utf-8")
    settings = {"heads": 2, "batch_words": 128, "warmup": 1, "checkpoint_seconds": 0.0, "device": "cpu"}
    arguments = ["pretrain", str(folder / "text.txt"), "-e", str(tiny_encoder_dir), "--layers", "1", "--size", "8"]
    arguments += ["--words", "1000", "--max-seconds", "500"]
    arguments += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    (folder / "arguments.json").write_text(json.dumps(arguments))
    said = two_processes(SCRIPT, folder)
    assert said.count("context layers of") == 2, "one process speaks, at the end of each run"
    return folder


def test_one_directory_is_written_and_no_work_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["cut", "whole"]
    assert read_encoder(folder / "whole").context


def test_words_of_all_processes_are_counted(folder: Path) -> None:
    first, second = (json.loads((folder / f"read-{rank}.json").read_text()) for rank in range(2))
    assert [words for _, words in first] == [own[0] + other[0] for own, other in zip(first, second, strict=True)]
    assert first != second, "each reads its own lines"
    log = [json.loads(line) for line in (folder / "whole" / "pretrain_log.jsonl").read_text("utf-8").splitlines()]
    done = first[: log[-1]["step"]]  # more were made ahead
    assert log[-1]["examples"] == sum(words for _, words in done) >= 1000


def test_an_interrupted_run_goes_on_to_the_same_bytes(folder: Path) -> None:
    whole, cut = ((folder / name / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert cut == whole
