"""Work directories, checkpoints, and steps that are not done twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.runs import (
    CHECKPOINT_FILE,
    Steps,
    file_identity,
    load_checkpoint,
    run_id,
    save_checkpoint,
    work_directory,
    work_path,
    write_json,
)

TENSORS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "number": np.array(2.5),
    "flags": np.array([True, False]),
    "half": np.ones(3, dtype=np.float16),
    "bytes": np.arange(4, dtype=np.uint8),
}


def begun(out: Path, settings: dict[str, object]) -> Path:
    """A run that was interrupted after it left a file."""
    with work_directory(out, settings) as work:
        (work / "half.txt").write_text("half")
    return work


def test_a_run_goes_on_only_where_it_is_said(tmp_path: Path) -> None:
    out = tmp_path / "t.npz"
    work = begun(out, {"dim": 3})
    with pytest.raises(DistillEmbError, match="holds an interrupted run: say --resume"), work_directory(out, {}):
        pass
    with work_directory(out, {"dim": 3}, resume=True) as found:
        assert found == work == work_path(out) and (work / "half.txt").is_file()
    with (
        pytest.raises(DistillEmbError, match="belongs to a run with dim = 3, this one has 4"),
        work_directory(out, {"dim": 4}, resume=True),
    ):
        pass
    (work / "settings.json").write_text("{")
    with pytest.raises(DistillEmbError, match="settings.json is damaged"), work_directory(out, {}, resume=True):
        pass
    with work_directory(out, {"dim": 4}, overwrite=True):
        assert [file.name for file in work.iterdir() if file.name[0] != "."] == ["settings.json"]
        assert json.loads((work / "settings.json").read_text()) == {"dim": 4}


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    out = tmp_path / "t.npz"
    out.write_text("old")
    for resume in (False, True):  # there is nothing to resume
        with (
            pytest.raises(DistillEmbError, match="t.npz already exists: .* say --overwrite"),
            work_directory(out, {}, resume=resume),
        ):
            pass
    assert not work_path(out).exists()
    with work_directory(out, {}, overwrite=True):
        pass
    with work_directory(out, {}, resume=True):  # it was allowed to when it began
        pass
    (tmp_path / "empty").mkdir()
    with work_directory(tmp_path / "empty", {}):
        pass


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "t.npz"
    work_path(out).mkdir()
    (work_path(out) / ".settings.json.tmp-1-x").write_text("{")  # killed while it began
    begun(out, {})
    for place in ("a", "b"):
        work = work_path(tmp_path / place)
        if place == "a":
            work.mkdir()
            (work / "thesis.txt").write_text("mine")
        else:
            work.write_text("mine")
        for how in ({}, {"resume": True}, {"overwrite": True}):
            with (
                pytest.raises(DistillEmbError, match="not a work directory of a run"),
                work_directory(tmp_path / place, {}, **how),
            ):
                pass
    assert (work_path(tmp_path / "a") / "thesis.txt").read_text() == "mine"


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    with work_directory(tmp_path / "t.npz", {"dim": 3}) as work:
        assert load_checkpoint(work) is None
        save_checkpoint(work, {"old": np.zeros(3)}, {"step": 1})
        turned = {"turned": np.asfortranarray(TENSORS["matrix"])}
        save_checkpoint(work, TENSORS | turned, {"step": 2, "scores": {"cosine": 0.5}})
        found = load_checkpoint(work)
        assert found is not None
        tensors, progress = found
        assert progress == {"step": 2, "scores": {"cosine": 0.5}}
        assert tensors.keys() == TENSORS.keys() | turned.keys()
        for name, tensor in tensors.items():
            expected = TENSORS.get(name, TENSORS["matrix"])
            assert tensor.dtype == expected.dtype and tensor.shape == expected.shape
            np.testing.assert_array_equal(tensor, expected)
        with pytest.raises(KeyError):
            tensors["absent"]
        assert sorted(file.name for file in work.iterdir()) == [CHECKPOINT_FILE, "settings.json"]


def test_types_that_a_checkpoint_cannot_hold_are_refused(tmp_path: Path) -> None:
    for wrong in (np.array(["a"]), np.array([{}], dtype=object), np.array([1j])):
        with pytest.raises(DistillEmbError, match="The tensor x is of type"):
            save_checkpoint(tmp_path, {"x": wrong}, {})
    assert not list(tmp_path.iterdir())
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    metadata = {"progress": "{}", "run": "{}"}
    save_torch({"x": torch.zeros(3, dtype=torch.bfloat16)}, tmp_path / CHECKPOINT_FILE, metadata)
    with pytest.raises(DistillEmbError, match="x is of type BF16"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 20])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with work_directory(tmp_path / "t.npz", {}) as work:
        (work / CHECKPOINT_FILE).write_bytes(content)
        with pytest.raises(DistillEmbError, match=r"safetensors is damaged .*delete .*t\.npz\.work and start again"):
            load_checkpoint(work)
        save_file({"x": np.zeros(9)}, work / CHECKPOINT_FILE, {"progress": "[]", "run": "{}"})
        with pytest.raises(DistillEmbError, match="is damaged"):
            load_checkpoint(work)
        save_checkpoint(work, {"x": np.zeros(9)}, {})
        (work / CHECKPOINT_FILE).write_bytes((work / CHECKPOINT_FILE).read_bytes()[:-1])
        with pytest.raises(DistillEmbError, match="is damaged"):
            load_checkpoint(work)


def test_work_of_earlier_versions_is_gone_on_with(tmp_path: Path) -> None:
    """A teacher's checkpoint in two files, and a distillation's without settings.json."""
    teacher = work_path(tmp_path / "t.npz")
    teacher.mkdir()
    write_json(teacher / "settings.json", {"dim": 3})
    write_json(teacher / "state.json", {"step": 7, "matrices": "step-000007.safetensors"})
    save_file({"words": TENSORS["matrix"]}, teacher / "step-000007.safetensors")
    with work_directory(tmp_path / "t.npz", {"dim": 3}, resume=True) as work:
        found = load_checkpoint(work)
        assert found is not None and found[1] == {"step": 7}
        np.testing.assert_array_equal(found[0]["words"], TENSORS["matrix"])

    distilled = work_path(tmp_path / "encoder")
    distilled.mkdir()
    (distilled / "distill_log.jsonl").write_text("{}\n")
    metadata = {"progress": json.dumps({"epoch": 2}), "run": json.dumps({"epochs": 3, "data": "ab"})}
    save_file({"module.x": TENSORS["matrix"]}, distilled / CHECKPOINT_FILE, metadata)
    with (
        pytest.raises(DistillEmbError, match="a run with epochs = 3, this one has 4"),
        work_directory(tmp_path / "encoder", {"epochs": 4, "data": "ab"}, resume=True),
    ):
        pass
    with work_directory(tmp_path / "encoder", {"epochs": 3, "data": "ab"}, resume=True) as work:
        found = load_checkpoint(work)
        assert found is not None and found[1] == {"epoch": 2}

    early = work_path(tmp_path / "early")
    early.mkdir()
    (early / "distill_log.jsonl").write_text("{}\n")
    (early / "neighbours-0123-32.npy").write_bytes(b"")
    with work_directory(tmp_path / "early", {"epochs": 3}, resume=True) as work:
        assert load_checkpoint(work) is None


def test_identities(tmp_path: Path) -> None:
    assert run_id({"a": 1, "b": [2]}) == run_id({"b": [2], "a": 1}) != run_id({"a": 2, "b": [2]})
    file = tmp_path / "t.txt"
    file.write_text("one")
    before = file_identity([file])
    assert before == file_identity([str(file)])
    file.write_text("other")
    assert before != file_identity([file])
    with pytest.raises(DistillEmbError, match="There is no file"):
        file_identity([tmp_path / "absent"])


def test_steps_are_not_done_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[str] = []
    output = tmp_path / "b.txt"

    def run(first: int) -> None:
        steps = Steps(tmp_path / "steps.json", 2)
        assert steps.step("a", "making a", {"n": first}, lambda: made.append("a") or {"path": tmp_path}) == {
            "path": str(tmp_path)
        }
        steps.step("b", "making b", {}, lambda: made.append("b") or {"x": output.write_text("b")}, after=["a"],
                   outputs=[output])  # fmt: skip
        assert set(steps.seconds()) == {"a", "b"}

    run(1)
    run(1)
    assert made == ["a", "b"] and "[2/2] making b: done before" in capsys.readouterr().err
    output.unlink()
    run(1)
    assert made == ["a", "b", "b"]
    work_path(output).mkdir()
    run(2)  # what comes after is made again too, from the beginning
    assert made == ["a", "b", "b", "a", "b"] and not work_path(output).exists()
