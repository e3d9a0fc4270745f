"""Text files of any compression, atomic writes, tokenisation, and light imports."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from distillemb_plugins.errors import DistillEmbError, MissingExtraError, require
from distillemb_plugins.files import (
    atomic_directory,
    atomic_file,
    directory_bytes,
    iter_lines,
    numbered_lines,
)
from distillemb_plugins.text import tokenize


def test_plain_and_compressed_files_read_alike(tmp_path: Path) -> None:
    text = "\ufeffሰላም\r\nọjọ́\n".encode()
    for name, data in {
        "a.txt": text,
        "a.txt.gz": gzip.compress(text),
        "a.txt.xz": lzma.compress(text),
        "a.txt.bz2": bz2.compress(text),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert list(iter_lines([tmp_path / name])) == ["ሰላም", "ọjọ́"]


def test_bad_files_are_named_with_their_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good\n\xff\xfe\n")
    with pytest.raises(DistillEmbError, match=r"bad\.txt, line 2 is not UTF-8"):
        list(numbered_lines(bad))
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(gzip.compress(b"line\n" * 10_000)[:-20])
    with pytest.raises(DistillEmbError, match="damaged"):
        list(iter_lines([cut]))
    with pytest.raises(DistillEmbError, match="no file"):
        list(iter_lines([tmp_path / "absent.txt"]))


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_file(target, "w") as stream:
        stream.write("new")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "folder") as work:
        (work / "half").write_text("written")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_finished_write_replaces(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "deep" / "file.txt", "w") as stream:
        stream.write("ẹ")
    assert (tmp_path / "deep" / "file.txt").read_text("utf-8") == "ẹ"
    (tmp_path / "folder").mkdir()  # an empty directory may be filled
    for content in ("1", "2"):
        with atomic_directory(tmp_path / "folder", overwrite=content == "2") as work:
            (work / content).write_text(content)
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["2"]
    assert directory_bytes(tmp_path / "folder") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "folder"]


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("Ng'ombe wangu, wapi?", ["Ng'ombe", "wangu", ",", "wapi", "?"]),
        ("ọjọ́ n’ẹ̀ka", ["ọjọ́", "n’ẹ̀ka"]),
        ("ሰላም፣ አዲስ አበባ።", ["ሰላም", "፣", "አዲስ", "አበባ", "።"]),
        ("3.5 na 1,000.", ["3.5", "na", "1,000", "."]),
        ("(a)--b", ["(", "a", ")", "-", "-", "b"]),
        ("", []),
    ],
)
def test_words_survive_whole(line: str, tokens: list[str]) -> None:
    assert tokenize(line) == tokens


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, distillemb_plugins, distillemb_plugins.encoder, distillemb_plugins.cli;"
        "heavy = ('torch', 'spacy', 'transformers', 'gensim', 'datasets', 'matplotlib');"
        "print([m for m in heavy if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_missing_extra_is_named_with_its_command() -> None:
    with pytest.raises(MissingExtraError, match=r'pip install "distillemb-plugins\[train\]"'):
        require("no_such_module_anywhere.part", "train")
    assert require("json", "train").loads("1") == 1
