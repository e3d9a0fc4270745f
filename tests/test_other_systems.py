"""What is different on Windows and macOS, simulated: renaming, locks, flushing, line ends, processes."""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from distillemb_plugins import DistillEmb, files
from distillemb_plugins.cli import app
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_directory, atomic_file, locked, remove_directory
from distillemb_plugins.inference.threads import usable_cores
from distillemb_plugins.persistence import read_encoder, write_encoder
from distillemb_plugins.runs import load_checkpoint, save_checkpoint, work_directory
from distillemb_plugins.spacy_plugin.fork_safety import make_torch_fork_safe
from distillemb_plugins.teachers import training


class Windows:
    """The rules of Windows that POSIX lacks. held: how often the files below a path are still refused to be renamed."""

    def __init__(self) -> None:
        self.held: dict[Path, int] = {}

    def check(self, *paths: Path) -> None:
        for path in paths:
            for held, times in self.held.items():
                if times and (held == path or path in held.parents):
                    self.held[held] -= 1
                    raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rename, fsync, fdopen, write_text = Path.replace, os.fsync, os.fdopen, Path.write_text
        mode_of = access_mode()

        def replace(source: Path, target: Any) -> Path:
            self.check(source, Path(target))
            if Path(target).is_dir():
                raise PermissionError(errno.EACCES, "Access is denied", str(target))
            return rename(source, target)

        def flush(handle: int) -> None:
            if mode_of(handle) == os.O_RDONLY:
                raise OSError(errno.EBADF, "Bad file descriptor")
            fsync(handle)

        def text_open(handle: int, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if "b" not in mode and named.get("newline") is None:
                named["newline"] = "\r\n"
            return fdopen(handle, mode, *rest, **named)

        def text_write(path: Path, text: str, encoding: str | None = None, *rest: Any, **named: Any) -> int:
            return write_text(path, text, encoding, *rest, newline=named.get("newline") or "\r\n")

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr(Path, "write_text", text_write)
        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(os, "fdopen", text_open)
        monkeypatch.setattr(files, "_WAITS", (0.0, 0.0, 0.0))
        without_exchange(monkeypatch, TypeError("bad argument type"))
        without_posix(monkeypatch)


def access_mode() -> Callable[[int], int]:
    """How a file is open: for reading, writing or both."""
    fcntl = pytest.importorskip("fcntl")
    return lambda handle: int(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE)


def without_exchange(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def library(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", library)


def without_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for name in ("sched_getaffinity", "register_at_fork"):
        monkeypatch.delattr(os, name, raising=False)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    simulated = Windows()
    simulated.patch(monkeypatch)
    return simulated


def test_a_file_that_a_reader_has_open_is_replaced_when_it_lets_go(windows: Windows, tmp_path: Path) -> None:
    target = tmp_path / "f.txt"
    target.write_bytes(b"old")
    windows.held[target] = 3
    with atomic_file(target, "w") as stream:
        stream.write("new\n")
    assert target.read_bytes() == b"new\n"  # and no CRLF
    windows.held[target] = 99
    with pytest.raises(PermissionError), atomic_file(target, "w") as stream:
        stream.write("newer")
    assert target.read_bytes() == b"new\n" and [file.name for file in tmp_path.iterdir()] == ["f.txt"]


def test_a_directory_is_replaced_though_it_cannot_be_renamed_over(windows: Windows, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()  # an empty one does not count
    for content in ("1", "2"):
        with atomic_directory(out, overwrite=content == "2") as work:
            (work / content).write_text(content)
    assert [file.name for file in out.iterdir()] == ["2"]
    with pytest.raises(DistillEmbError, match="already exists"), atomic_directory(out):
        pass
    windows.held[out / "2"] = 99
    with pytest.raises(PermissionError), atomic_directory(out, overwrite=True) as work:
        (work / "3").write_text("3")
    with pytest.raises(PermissionError):
        remove_directory(out)
    assert [file.name for file in out.iterdir()] == ["2"] and [file.name for file in tmp_path.iterdir()] == ["out"]


def test_without_locks_a_directory_is_still_made_and_removed(windows: Windows, tmp_path: Path) -> None:
    for content in (False, True):
        with locked(tmp_path / "work") as _, locked(tmp_path / "work", wait=True):
            assert (tmp_path / "work").is_dir()
            if content:
                (tmp_path / "work" / "f").write_text("x")
        assert (tmp_path / "work").is_dir() is content


def test_a_run_is_interrupted_and_goes_on(windows: Windows, tmp_path: Path) -> None:
    tensors = {"x": np.arange(3, dtype=np.float32)}
    with work_directory(tmp_path / "out", {"dim": 3}) as work:
        for step in (1, 2):
            save_checkpoint(work, tensors, {"step": step})
    windows.held[work / "checkpoint.safetensors"] = 2
    with work_directory(tmp_path / "out", {"dim": 3}, resume=True) as work:
        save_checkpoint(work, tensors, {"step": 3})
        found = load_checkpoint(work)
        assert found is not None and found[1] == {"step": 3}
    with work_directory(tmp_path / "out", {"dim": 4}, overwrite=True) as work:
        assert load_checkpoint(work) is None


def test_an_encoder_has_the_same_bytes_everywhere(
    tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_encoder(tiny_encoder_dir)

    def write(path: Path) -> dict[str, bytes]:
        write_encoder(path / "e", read.config, read.tensors, read.characters, card=read.card, facts=read.facts)
        write_encoder(path / "e", read.config, read.tensors, read.characters, overwrite=True)
        return {file.name: file.read_bytes() for file in (path / "e").iterdir()}

    here = write(tmp_path / "here")
    Windows().patch(monkeypatch)
    assert write(tmp_path / "there") == here
    np.testing.assert_array_equal(
        DistillEmb.from_pretrained(tmp_path / "there" / "e").encode(["soma"]),
        DistillEmb.from_pretrained(tiny_encoder_dir).encode(["soma"]),
    )


def test_a_model_of_hugging_face_has_the_same_bytes_everywhere(
    tiny_encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distillemb_plugins.hf import DistillEmbModel

    model = DistillEmbModel.from_pretrained(tiny_encoder_dir)
    model.save_pretrained(tmp_path / "here")
    Windows().patch(monkeypatch)
    model.save_pretrained(tmp_path / "there")
    for name in ("README.md", "tokenizer_config.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_a_refusal_of_the_system_is_one_sentence(windows: Windows, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes(b"soma\n")
    out = tmp_path / "out.vec"
    out.write_bytes(b"old")
    windows.held[out] = 99
    result = CliRunner().invoke(app, ["vectors", str(tiny_encoder_dir), str(words), "-o", str(out)])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "The process cannot access the file: nothing was written under the final name." in result.stderr
    assert out.read_bytes() == b"old"


def test_macos_has_no_exchange_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_exchange(monkeypatch, AttributeError("dlsym(RTLD_DEFAULT, renameat2): symbol not found"))
    for content in ("1", "2"):
        with atomic_directory(tmp_path / "out", overwrite=True) as work:
            (work / content).write_text(content)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["2"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_cores_and_forks_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    without_posix(monkeypatch)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == 3 and training.usable_cores is usable_cores
    make_torch_fork_safe.cache_clear()
    make_torch_fork_safe()
    make_torch_fork_safe.cache_clear()


def test_an_encoder_goes_to_a_process_that_is_spawned(tiny_encoder_dir: Path) -> None:
    """As on Windows and macOS, where a new process inherits nothing."""
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(encoder.encode, ["soma", "ሰላም"]).result(timeout=120)
    np.testing.assert_array_equal(there, encoder.encode(["soma", "ሰላም"]))
