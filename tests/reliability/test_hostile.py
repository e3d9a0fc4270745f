"""Files made to hurt: headers that lie, bombs, paths that climb out, links. None of them costs memory or time."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmbError, files
from distillemb_plugins.persistence import read_encoder, resolve
from distillemb_plugins.runs import load_checkpoint, work_directory
from distillemb_plugins.teachers import Teacher, load_teacher, train_teacher
from distillemb_plugins.teachers.corpus import open_corpus

from .damage import FaultError, judge
from .samples import VECTORS, fasttext, npy, npz, safetensors, use_encoder, use_teacher

MANY = 10**12
MEGABYTES = 40


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTES << 20, f"{peak >> 20} MB"


def npy_header(shape: tuple[int, ...], descr: str = "<f4", fortran: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": fortran, "shape": shape})
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def safetensors_header(**tensors: Any) -> bytes:
    header = json.dumps({n: {"dtype": t, "shape": s, "data_offsets": o} for n, (t, s, o) in tensors.items()}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(64)


def words_npy(words: bytes = b"a\nb") -> bytes:
    return npy(np.frombuffer(words, np.uint8))


def other_method(data: bytes, flag: int = 0, method: int = 0) -> bytes:
    """An archive whose members claim to be encrypted (flag 1), or to be packed in another way."""
    changed = bytearray(data)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            struct.pack_into("<HH", changed, place + at, flag, method)
            place = data.find(mark, place + 1)
    return bytes(changed)


zeros = np.zeros((2, 2), np.float32)
BAD_TEACHERS: dict[str, bytes] = {
    "rows.vec": f"{MANY} 4\nya 1 2 3 4\n".encode(),
    "width.vec": f"1 {MANY}\nya 1 2 3 4\n".encode(),
    "both.vec": f"{10**30} {10**30}\nya 1 2 3 4\n".encode(),
    "wide.txt": b"ya" + b" 1" * 70_000 + b"\n",
    "rows.bin": f"{MANY} 4\n".encode() + b"ya " + VECTORS[0].tobytes(),
    "width.bin": f"1 {MANY}\n".encode() + b"ya " + VECTORS[0].tobytes(),
    "huge.bin": f"1 {10**30}\n".encode() + b"ya " + VECTORS[0].tobytes(),
    "size.fasttext.bin": fasttext(size=2**31 - 1),
    "rows.fasttext.bin": fasttext(n_rows=MANY),
    "width.fasttext.bin": fasttext(dim=2**31 - 1),
    "overflow.fasttext.bin": fasttext(n_rows=2**62),
    "rows.npz": zipped(words=words_npy(), vectors=npy_header((MANY, 4)) + bytes(32)),
    "columns.npz": zipped(words=words_npy(), vectors=npy_header((2, MANY)) + bytes(32)),
    "fortran.npz": zipped(words=words_npy(), vectors=npy_header((MANY, 4), fortran=True) + bytes(32)),
    "overflow.npz": zipped(words=words_npy(), vectors=npy_header((2**32, 2**32), fortran=True) + bytes(32)),
    "negative.npz": zipped(words=words_npy(), vectors=npy_header((-2, -2)) + bytes(32)),
    "word.npz": zipped(words=npy_header((2,), f"<U{10**8}") + bytes(64), vectors=npy(zeros)),
    "bomb.npz": zipped(words=words_npy(b"a" * (50 << 20)), vectors=npy(zeros)),
    "wide-bomb.npz": zipped(words=words_npy(b"a"), vectors=npy_header((1, 20 << 20)) + bytes(80 << 20)),
    "pickle.npz": npz(words=np.array(["a", "b"], dtype=object), vectors=zeros),
    "encrypted.npz": other_method(npz(words=np.array(["a", "b"]), vectors=zeros), flag=1),
    "method.npz": other_method(npz(words=np.array(["a", "b"]), vectors=zeros), method=77),
    "surrogate.npz": npz(words=np.array(["a", "\ud800"]), vectors=zeros),
    "no-code-point.npz": npz(words=np.array([1, 0x110000], "<u4").view("<U1"), vectors=zeros),
    "text-counts.npz": npz(words=np.array(["a", "b"]), vectors=zeros, counts=np.array(["x", "y"])),
    "below-zero.npz": npz(words=np.array(["a", "b"]), vectors=zeros, counts=np.array([1, -5])),
    "syntax.npz": zipped(words=words_npy(), vectors=npy_header((2, 4)).replace(b"(2, 4)", b"((((((")),
    "rows.safetensors": safetensors_header(words=("U8", [3], [0, 3]), vectors=("F32", [MANY, 4], [3, 64])),
    "offsets.safetensors": safetensors_header(words=("U8", [3], [0, 3]), vectors=("F32", [2, 2], [2**62, 2**63])),
    "header.safetensors": struct.pack("<Q", (1 << 32) - 1) + b'{"words"',
    "brackets.safetensors": safetensors({"vectors": zeros}, {"words": "[" * 100_000}),
    "long.safetensors": safetensors(
        {"vectors": np.zeros((5000, 2), "f4")}, {"words": "\n".join(["x" * 99_000, *map(str, range(4998))])}
    ),
    "cut.vec.gz": gzip.compress(b"2 2\nya 1 2\n" * 100)[:-20],
    "no-gzip.vec.gz": b"\x1f\x8b\x08\x00" + bytes(100),
    "no-xz.vec.xz": b"\xfd7zXZ\x00" + bytes(100),
    "pickle.kv": b"\x80\x04.",
}


@pytest.mark.parametrize("name", BAD_TEACHERS)
def test_a_teacher_that_lies_is_refused_and_costs_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BAD_TEACHERS[name])
    with little_memory():
        assert judge(use_teacher, path) == "refused"


def test_a_limit_does_not_let_a_lying_header_through(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(BAD_TEACHERS["columns.npz"])
    with little_memory(), pytest.raises(DistillEmbError, match="truncated|more than"):
        load_teacher(tmp_path / "t.npz", limit=1)


def test_a_wide_row_takes_no_more_than_itself(tmp_path: Path) -> None:
    (tmp_path / "t.vec").write_bytes(b"ya" + b" 1" * 60_000 + b"\n")
    with little_memory():  # and not room for 4096 such rows
        assert load_teacher(tmp_path / "t.vec").dim == 60_000


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 1 << 20)
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(b"ok\n" + bytes(20 << 20), 1))
    with little_memory(), pytest.raises(DistillEmbError, match=r"line 2 has no end in 1 MB"):
        list(files.iter_lines([tmp_path / "t.txt.gz"]))


def test_ngrams_that_are_not_finite_are_refused_when_asked_for(tmp_path: Path) -> None:
    model = fasttext()
    (tmp_path / "t.bin").write_bytes(model[: -20 * 16] + np.full(80, np.nan, "<f4").tobytes())
    with pytest.raises(DistillEmbError):
        use_teacher(tmp_path / "t.bin")
    with pytest.raises(DistillEmbError, match="its n-grams hold NaN"):
        Teacher("t", ["a"], zeros[:1], subwords=lambda words: np.full((len(words), 2), np.nan, "f4")).lookup(["b"])


NOT_THERE = ["", ".", "..", "../..", "/", "a\0b", "x" * 300, "x/" * 5000, "~", "__main__", "hf://", "hf://a/b",
             "/dev/zero", "/proc/self/mem", "../" * 40 + "etc", "\ud800"]  # fmt: skip


@pytest.mark.parametrize("name", NOT_THERE)
def test_names_that_stand_for_nothing_are_refused(name: str) -> None:
    for use in (use_teacher, use_encoder, lambda path: list(files.iter_lines([path]))):
        assert judge(use, name) == "refused"
    if not Path(name.replace("\0", "")[:100]).expanduser().is_dir():  # "~" stands for a directory without an encoder
        with pytest.raises(DistillEmbError):
            resolve(name)


@pytest.fixture
def copy(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder_dir, tmp_path / "copy"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def endless(file: Path) -> None:
    """A file of a terabyte that takes no room."""
    with file.open("wb") as stream:
        os.truncate(stream.fileno(), MANY)


def test_an_encoder_that_claims_to_be_huge_is_refused(copy: Path) -> None:
    args = json.loads((copy / "config.json").read_text("utf-8"))["encoder_args"]
    table = json.loads((copy / "tokenizer_config.json").read_text("utf-8"))["char_table"]
    for changes in ({name: MANY} for name in ("dim", "vocab_size", "max_chars", "format_version")):
        with damaged_copy(copy) as path, little_memory():
            change(path / "config.json", **changes)
            change(path / "tokenizer_config.json", char_table=table | {"max_chars": changes.get("max_chars", 13)})
            assert judge(use_encoder, path) == "refused", changes
    for name in args:
        for value in (MANY, 10**400, float("inf"), float("nan"), "wide", None, [MANY]):
            with damaged_copy(copy) as path, little_memory():
                change(path / "config.json", encoder_args=args | {name: value})
                judge(use_encoder, path)
    for name in ("config.json", "tokenizer_config.json", "model.safetensors"):
        with damaged_copy(copy) as path, little_memory():
            endless(path / name)
            assert judge(use_encoder, path) == "refused", name


@contextlib.contextmanager
def damaged_copy(path: Path) -> Iterator[Path]:
    other = path.with_name("damaged")
    shutil.copytree(path, other, symlinks=True)
    yield other
    shutil.rmtree(other)


def test_links_are_followed_to_files_and_nowhere_else(copy: Path, tmp_path: Path) -> None:
    """The hub's cache is made of links, so that they must be followed; what they lead to must be a regular file."""
    weights = copy / "model.safetensors"
    weights.replace(tmp_path / "blob")
    weights.symlink_to("../blob")
    assert judge(use_encoder, copy) == "opened"
    (tmp_path / "link").symlink_to(copy)
    assert read_encoder(tmp_path / "link").config["dim"] == 24
    for target in ("model.safetensors", "/dev/zero", "nowhere", str(tmp_path)):
        weights.unlink()
        weights.symlink_to(target)
        assert judge(use_encoder, copy) == "refused"
        assert judge(use_teacher, weights) == "refused"
    weights.unlink()
    os.mkfifo(weights)  # nobody writes: whoever opens it waits for ever
    assert judge(use_encoder, copy) == "refused"
    assert judge(use_teacher, weights) == "refused"


def test_saving_over_a_link_does_not_write_where_it_leads(copy: Path, tmp_path: Path) -> None:
    from distillemb_plugins import DistillEmb

    (tmp_path / "link").symlink_to(copy)
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    DistillEmb.from_pretrained(copy).save_pretrained(tmp_path / "link", storage="int8", overwrite=True)
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before
    assert read_encoder(tmp_path / "link").config["storage"] == "int8"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "link"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.json", "{"),
        ("settings.json", "[]"),
        ("corpus.json", '{"shards": 3}'),
        ("corpus.json", '{"shards": [["../../secret.txt", 5]], "counts": {}, "lines": 1, "words": 5}'),
        ("state.json", "{}"),
        ("state.json", '{"step": 1, "matrices": "../../secret.safetensors"}'),
        ("state.json", '{"step": 1, "matrices": 5}'),
    ],
)
def test_a_damaged_work_directory_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.safetensors").write_bytes(safetensors({"a": zeros}))
    out = tmp_path / "runs" / "t.npz"
    with work_directory(out, {}) as work:
        (work / name).write_text(content)

    def resume(_: object) -> None:
        with work_directory(out, {}, resume=True) as work:
            open_corpus(work)
            dict((load_checkpoint(work) or ({}, {}))[0])

    if name == "state.json":
        (out.with_name("t.npz.work") / "corpus.json").write_text('{"shards": [], "counts": {}, "lines": 0, "words": 0}')
    assert judge(resume, None) == "refused"


def test_what_a_killed_start_leaves_behind_is_no_foreign_directory(tmp_path: Path) -> None:
    text = tmp_path / "t.txt"
    text.write_text("moja mbili tatu\n" * 5)
    work = tmp_path / "t.npz.work"
    work.mkdir()
    (work / ".settings.json.tmp-1-abc").write_text("{")  # killed while the first file was written
    train_teacher([text], tmp_path / "t.npz", dim=4, min_count=1, buckets=10, epochs=1, threads=1, progress=False)
    assert not work.exists()
    work.mkdir()
    (work / "thesis.txt").write_text("mine")
    with pytest.raises(DistillEmbError, match="not a work directory"):
        train_teacher([text], tmp_path / "t.npz", dim=4, min_count=1, progress=False)
    assert (work / "thesis.txt").read_text() == "mine"


def test_the_judge_knows_a_fault() -> None:
    def raises(error: BaseException) -> None:
        raise error

    for error in (KeyError("x"), MemoryError(), DistillEmbError("two\nlines"), DistillEmbError("x" * 5000)):
        with pytest.raises(FaultError):
            judge(raises, error)
