"""Killed at any moment (signal 9), short of disk, without rights, or two at once: nothing half-written under a final
name, and who goes on comes to the same result. `campaign.py` does the same through the command line, longer.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins import files as files_module
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.files import atomic_file, locked
from distillemb_plugins.teachers import Teacher, save_teacher, train_teacher

from ..conftest import TINY_ARGS
from .dying import die_at, end, forked, largest_file, nobody, start

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]
Work = Callable[[], Any]


def content(path: Path) -> dict[str, bytes]:
    """The files below a directory, or the file itself; nothing when there is none."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else {}


def leftovers(folder: Path, *known: str) -> list[str]:
    return sorted({path.name for path in folder.iterdir()} - set(known))


@pytest.fixture
def versions(tiny_encoder_dir: Path, tmp_path: Path) -> list[dict[str, bytes]]:
    """The files of an encoder as float32 and as int8."""
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    return [content(encoder.save_pretrained(tmp_path / "of" / kind, storage=kind)) for kind in ("float32", "int8")]  # type: ignore[arg-type]


def test_a_save_killed_before_any_of_its_changes(
    versions: list[dict[str, bytes]], tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    """Every point of death, one after the other, until it gets through: the old one whole, or the new one whole."""
    encoder, root, old = DistillEmb.from_pretrained(tiny_encoder_dir), tmp_path / "root", tmp_path / "of" / "float32"
    for overwrite in (False, True):
        ends: list[tuple[str, int]] = []
        for event in range(100):
            target = root / f"{overwrite}-{event}" / "encoder"
            if overwrite:
                shutil.copytree(old, target)
            ended = forked(
                lambda to=target, over=overwrite: encoder.save_pretrained(to, storage="int8", overwrite=over),
                die_at(target.parent, event),
            )
            found = content(target)
            allowed = [versions[0] if overwrite else {}, versions[1]]
            assert found in allowed
            ends.append((ended, allowed.index(found)))
            if ended == "done":
                break
            encoder.save_pretrained(target, storage="int8", overwrite=True)
            assert content(target) == versions[1]  # whatever a dead process left is not in the way
            shutil.rmtree(target.parent)
        assert ends[-1] == ("done", 1) and len(ends) > 12 and set(ends[:-1]) >= {("killed", 0)}


def test_without_an_exchange_of_names_the_new_one_stays(
    versions: list[dict[str, bytes]], tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_exchange", lambda one, two: False)
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    for storage, expected in zip(("int8", "float32"), versions[::-1], strict=True):
        encoder.save_pretrained(tmp_path / "a" / "encoder", storage=storage, overwrite=True)  # type: ignore[arg-type]
        assert content(tmp_path / "a" / "encoder") == expected
    assert leftovers(tmp_path / "a", "encoder") == []


def survive(work: Work, root: Path, events: Iterator[int], finished: Callable[[], bool]) -> int:
    """Start `work` again and again, killed each time at the next of `events`; returns how often it was killed."""
    kills = 0
    for event in events:
        ended = forked(work, die_at(root, event))
        assert ended in ("killed", "done")
        kills += ended == "killed"
        if finished():
            break
    return kills


def test_a_teacher_killed_again_and_again_is_the_same(tmp_path: Path) -> None:
    text = tmp_path / "t.txt"
    words = ["moja", "mbili", "tatu", "ሰላም", "ọ̀rọ̀", "nne"]
    rng = random.Random(0)
    text.write_text("\n".join(" ".join(rng.choices(words, k=8)) for _ in range(60)), "utf-8")

    def teach(out: Path, overwrite: bool = False) -> None:
        sizes = {"dim": 4, "min_count": 1, "buckets": 20, "epochs": 4, "threads": 1}
        train_teacher([text], out, **sizes, resume=True, overwrite=overwrite, progress=False)  # type: ignore[arg-type]

    teach(tmp_path / "whole" / "t.npz")
    killed = tmp_path / "killed"
    killed.mkdir()
    out = killed / "t.npz"
    for first in (0, 1, 3):  # steps of 2 to 9 changes: each resumed run dies a little later than the one before
        kills = survive(lambda: teach(out), killed, iter(range(first, 90, 4)), out.exists)
        assert kills >= 2
        assert content(out) == content(tmp_path / "whole" / "t.npz")
        teach(out, overwrite=True)  # nothing that a dead process left is in the way
        assert content(out) == content(tmp_path / "whole" / "t.npz")
        assert not (killed / "t.npz.work").exists()
        out.unlink()


@pytest.fixture(scope="module")
def tiny() -> DistillSettings:
    return DistillSettings(
        student="cnn",
        encoder_args=TINY_ARGS["cnn"],
        epochs=3,
        batch_size=64,
        held_out=20,
        losses={"cosine": 1.0, "global": 1.0},
        device="cpu",
        checkpoint_seconds=1e-9,
    )


def test_a_distillation_killed_again_and_again_is_the_same(
    tiny_teacher: Teacher, tiny: DistillSettings, tmp_path: Path
) -> None:
    def run(out: Path) -> None:
        distill([tiny_teacher], out, tiny, resume=True, progress=False, extra=lambda targets: {"words.txt": b"x"})

    def told(path: Path) -> dict[str, bytes]:
        """All files but the log (it holds seconds)."""
        return {name: data for name, data in content(path).items() if name != "distill_log.jsonl"}

    run(tmp_path / "whole" / "encoder")
    expected = told(tmp_path / "whole" / "encoder")
    assert "words.txt" in expected
    killed = tmp_path / "killed"
    killed.mkdir()
    out = killed / "encoder"
    for first in (0, 5):
        kills = survive(lambda: run(out), killed, iter(range(first, 400, 9)), out.exists)
        assert kills >= 2
        assert told(out) == expected  # whenever it is there, it is complete
        if out.with_name("encoder.work").exists():
            run(out)  # only tidying up was left: no retraining, no refusal
        assert told(out) == expected
        steps = [json.loads(line)["step"] for line in (out / "distill_log.jsonl").read_text().splitlines()]
        assert steps == sorted(steps)
        files_module.remove_directory(out)


def test_a_distillation_killed_while_it_tidies_up_is_done(
    tiny_teacher: Teacher, tiny: DistillSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: Path) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "encoder"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("distillemb_plugins.distill.trainer.remove_directory", dies)
        distill([tiny_teacher], out, tiny, progress=False)
    before = content(out)
    with pytest.raises(DistillEmbError, match="already exists"):
        distill([tiny_teacher], out, tiny, progress=False)
    assert distill([tiny_teacher], out, tiny, progress=False, resume=True) == out
    assert content(out) == before
    assert leftovers(tmp_path, "encoder") == []


def writers(tiny_encoder_dir: Path, teacher: Teacher) -> dict[str, Callable[[Path], Any]]:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    tables = ["t.npz", "t.safetensors", "t.vec", "t.vec.gz", "t.vec.xz"]
    return {
        "encoder": lambda path: encoder.save_pretrained(path, overwrite=True),
        **{name: lambda path: save_teacher(teacher, path) for name in tables},
    }


@pytest.mark.parametrize("name", ["encoder", "t.npz", "t.safetensors", "t.vec", "t.vec.gz", "t.vec.xz"])
def test_a_full_disk_leaves_what_was_there(
    name: str, tiny_encoder_dir: Path, tiny_teacher: Teacher, tmp_path: Path
) -> None:
    write, target = writers(tiny_encoder_dir, tiny_teacher)[name], tmp_path / name
    for there in (False, True):
        if there:
            write(target)
        before = content(target)
        for size in (0, 1, 1000, 6000):
            assert forked(lambda: write(target), largest_file(size)) == "OSError"
            assert content(target) == before
            assert leftovers(tmp_path, name) == []
            target.with_name("free").write_bytes(b"")  # the directory can still be written
            target.with_name("free").unlink()
        target.exists() or write(target)


def test_a_disk_that_fills_in_training_does_not_lose_the_work(
    tiny_teacher: Teacher, tiny: DistillSettings, tmp_path: Path
) -> None:
    text = tmp_path / "t.txt"
    text.write_text("moja mbili tatu nne tano\n" * 50)

    def teach(out: Path) -> None:
        train_teacher([text], out, dim=64, min_count=1, buckets=200, epochs=2, threads=1, resume=True, progress=False)

    def run(out: Path) -> None:
        distill([tiny_teacher], out, tiny, resume=True, progress=False)

    for work, name, part in ((teach, "t.npz", "t.npz"), (run, "encoder", "encoder/model.safetensors")):
        for folder in ("whole", "full"):
            (tmp_path / folder).mkdir(exist_ok=True)
        work(tmp_path / "whole" / name)
        for size in (500, 8000, 20_000):
            assert forked(lambda: work(tmp_path / "full" / name), largest_file(size)) == "OSError", (name, size)  # noqa: B023
            assert not (tmp_path / "full" / name).exists()
        work(tmp_path / "full" / name)
        assert (tmp_path / "full" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()


@pytest.mark.parametrize("name", ["encoder", "t.npz"])
def test_a_read_only_directory_is_an_os_error(name: str, tiny_encoder_dir: Path, tiny_teacher: Teacher) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:  # pytest's own directories are closed to others
        path = Path(folder)
        write = writers(tiny_encoder_dir, tiny_teacher)[name]
        assert forked(lambda: write(path / name)) == "done"  # also loads what is imported late
        before = content(path / name)
        for file in [path, *path.iterdir()]:
            file.chmod(0o555)
        assert forked(lambda: write(path / name), nobody) == "OSError"
        assert forked(lambda: write(path / "new" / name), nobody) == "OSError"
        assert content(path / name) == before and leftovers(path, name) == []
        path.chmod(0o755)


def test_processes_that_write_one_directory(
    versions: list[dict[str, bytes]], tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    encoder, target = DistillEmb.from_pretrained(tiny_encoder_dir), tmp_path / "shared" / "encoder"
    ends = [end(child) for child in [start(lambda: encoder.save_pretrained(target)) for _ in range(4)]]
    assert sorted(ends) == ["done", "refused", "refused", "refused"]

    def again(storage: Any) -> None:
        for _ in range(15):
            encoder.save_pretrained(target, storage=storage, overwrite=True)

    children = [start(lambda kind=kind: again(kind)) for kind in ("float32", "int8", "int8")]
    seen = 0
    until = time.monotonic() + 30
    while any(os.waitid(os.P_PID, c, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None for c in children):
        assert (target / "config.json").is_file()  # there is no moment without it
        seen += 1
        assert time.monotonic() < until
    assert [end(child) for child in children] == ["done"] * 3
    assert seen and content(target) in versions
    assert leftovers(target.parent, "encoder") == []

    ends = [end(c) for c in [start(lambda: [_write(target.with_name("f"), i) for i in range(50)]) for _ in range(3)]]
    assert ends == ["done"] * 3 and target.with_name("f").read_bytes() == b"49" * 1000


def _write(path: Path, number: int) -> None:
    with atomic_file(path) as stream:
        stream.write(str(number).encode() * 1000)


def test_only_one_process_trains_into_a_directory(tiny_teacher: Teacher, tiny: DistillSettings, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("moja mbili\n")
    with locked(tmp_path / "encoder.work"), pytest.raises(DistillEmbError, match="written by another process"):
        distill([tiny_teacher], tmp_path / "encoder", tiny, progress=False)
    with locked(tmp_path / "t.npz.work"), pytest.raises(DistillEmbError, match="written by another process"):
        train_teacher([tmp_path / "t.txt"], tmp_path / "t.npz", min_count=1, progress=False)
    assert leftovers(tmp_path, "t.txt") == []  # locks leave nothing
