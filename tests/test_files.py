"""Text files of any compression, atomic writes, tokenisation, and light imports."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from distillemb_plugins.errors import DistillEmbError, MissingExtraError, require
from distillemb_plugins.files import atomic_directory, atomic_file, directory_bytes, iter_lines, numbered_lines
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


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def test_packed_files_are_known_by_their_content_and_zips_hold_one(tmp_path: Path) -> None:
    text = b"one\ntwo\n"
    for number, data in enumerate((gzip.compress(text), lzma.compress(text), bz2.compress(text))):
        (tmp_path / f"{number}.txt").write_bytes(data)
        assert list(iter_lines([tmp_path / f"{number}.txt"])) == ["one", "two"]
    (tmp_path / "parts.gz").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    one = zipped(tmp_path / "one.zip", **{"README.md": b"x", "__MACOSX__._t": b"x", "data__": b"", "data__t.txt": text})
    for path in (tmp_path / "parts.gz", one):
        assert list(iter_lines([path])) == ["one", "two"]
    (tmp_path / "BZh.txt").write_text("BZh9 is a word\n")
    assert list(iter_lines([tmp_path / "BZh.txt"])) == ["BZh9 is a word"]


def test_what_cannot_be_unpacked_is_refused_and_the_advice_helps(tmp_path: Path) -> None:
    two = zipped(tmp_path / "two.zip", **{"a.txt": b"a\n", "b.txt": b"b\n"})
    none = zipped(tmp_path / "none.zip", LICENSE=b"x")
    damaged = zipped(tmp_path / "damaged.zip", **{"a.txt": b"a b c d\n" * 2000})
    data = damaged.read_bytes()
    damaged.write_bytes(data[:50] + b"\0\0\0\0" + data[54:])
    locked = zipped(tmp_path / "locked.zip", **{"a.txt": b"a\n"})
    raw = bytearray(locked.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1  # as if encrypted
    locked.write_bytes(raw)
    (tmp_path / "no.zip").write_bytes(b"no archive")
    (tmp_path / "t.txt.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    (tmp_path / "t.txt").write_bytes(b"\x28\xb5\x2f\xfd....")
    for name, message in {
        "two.zip": r"holds 2 \(a\.txt, b\.txt\): unpack it",
        "none.zip": "holds 0",
        "damaged.zip": "damaged",
        "locked.zip": "encrypted",
        "no.zip": "cannot be unpacked",
        "t.txt.zst": "unpack it, or pack it with gzip",
        "t.txt": "unpack it, or pack it with gzip",
    }.items():
        with pytest.raises(DistillEmbError, match=message) as caught:
            list(iter_lines([tmp_path / name]))
        assert name in str(caught.value)
    with zipfile.ZipFile(two) as archive:
        archive.extract("a.txt", tmp_path / "unpacked")
    assert list(iter_lines([tmp_path / "unpacked" / "a.txt"])) == ["a"]
    assert none.exists()


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
    cache = tmp_path / "folder" / "__pycache__"
    cache.mkdir()
    (cache / "module.pyc").write_text("compiled by whoever installs it")
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
