"""Reading teacher tables: every format, what a limit leaves out, and bad files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import Teacher, load_teacher, save_teacher

WORDS = ["ya", "watoto", "ሰላም", "ọ̀rọ̀", "ng'ombe"]
VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def text_table(header: bool = True, words: list[str] = WORDS) -> str:
    rows = [f"{word} {' '.join(map(repr, row.tolist()))}" for word, row in zip(words, VECTORS, strict=False)]
    return "\n".join(["5 4", *rows] if header else rows) + "\n"


def binary_table(newline: bytes = b"\n") -> bytes:
    rows = [w.encode() + b" " + v.tobytes() + newline for w, v in zip(WORDS, VECTORS, strict=True)]
    return b"5 4\n" + b"".join(rows)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def assert_same(teacher: Teacher, n: int = 5, atol: float = 0.0) -> None:
    assert teacher.words == WORDS[:n]
    np.testing.assert_allclose(teacher.vectors, VECTORS[:n], atol=atol, rtol=0)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(("suffix", "pack"), [("", None), (".gz", gzip), (".xz", lzma), (".bz2", bz2)])
def test_word2vec_text(tmp_path: Path, header: bool, suffix: str, pack: object) -> None:
    content = text_table(header).encode()
    path = write(tmp_path / f"t.vec{suffix}", pack.compress(content) if pack else content)  # type: ignore[attr-defined]
    assert_same(load_teacher(path))
    assert_same(load_teacher(path, limit=3), 3)
    assert load_teacher(path).name == "t"


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_word2vec_binary_plain_and_packed(tmp_path: Path, newline: bytes) -> None:
    assert_same(load_teacher(write(tmp_path / "t.bin", binary_table(newline))))
    packed = write(tmp_path / "t.bin.gz", gzip.compress(binary_table(newline)))
    assert_same(load_teacher(packed, limit=2), 2)


def test_text_with_trailing_spaces_tabs_crlf_bom_and_spaced_words(tmp_path: Path) -> None:
    lines = "\ufeff. . . 1 2 \r\na\t3\t4\r\n\u00a0 5 6\r\n"
    teacher = load_teacher(write(tmp_path / "t.txt", "3 2\n" + lines.replace("\ufeff", "")))
    assert teacher.words == [". . .", "a", "\u00a0"]
    assert teacher.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert load_teacher(write(tmp_path / "bom.txt", "\ufeff1 2\na 1 2\n")).words == ["a"]


def test_rows_past_the_limit_are_not_read(tmp_path: Path) -> None:
    """Whatever stands after the limit is broken, and nobody notices."""
    text = write(tmp_path / "t.vec", "5 4\n" + "\n".join(text_table(False).split("\n")[:3]) + "\nbad nan x\n\xff")
    with text.open("ab") as stream:
        stream.write(b"\xff\xfe 1 2")
    binary = write(tmp_path / "t.bin", binary_table()[:-30])
    for path in (text, binary):
        assert_same(load_teacher(path, limit=3), 3)
        with pytest.raises(DistillEmbError):
            load_teacher(path)


def test_npz_past_the_limit_is_not_read(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(9000)]
    vectors = np.ones((9000, 4), np.float32)
    vectors[3:] = 2
    for name in ("t.npz", "t.safetensors"):
        path = save_teacher(Teacher("t", words, vectors), tmp_path / name)
        data = path.read_bytes()
        end = data.rindex(vectors[-1:].tobytes())
        path.write_bytes(data[:end] + struct.pack("<f", np.nan) + data[end + 4 :])  # breaks the checksum too
        assert load_teacher(path, limit=3).vectors.tolist() == [[1.0] * 4] * 3
        with pytest.raises(DistillEmbError):
            load_teacher(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".vec", ".vec.xz"])
@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_what_is_saved_is_read(tmp_path: Path, suffix: str, storage: str) -> None:
    counts = np.array([50, 40, 3, 2, 1])
    path = save_teacher(Teacher("t", WORDS, VECTORS, counts), tmp_path / f"t{suffix}", storage)
    teacher = load_teacher(path)
    exact = storage == "float32" and ".vec" not in suffix
    assert_same(teacher, atol=0 if exact else 1e-5 if ".vec" in suffix else 0.02)
    cosine = (teacher.normalize().vectors * Teacher("t", WORDS, VECTORS).normalize().vectors).sum(axis=1)
    assert cosine.min() > 0.9998
    if ".vec" not in suffix:
        assert teacher.counts is not None
        assert teacher.counts.tolist() == counts.tolist()
        head = load_teacher(path, limit=2)
        assert_same(head, 2, atol=0.02)
        np.testing.assert_array_equal(head.vectors, teacher.vectors[:2])


def test_npz_with_string_words_compressed_or_by_columns(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", words=np.array(WORDS), vectors=VECTORS)
    np.savez(tmp_path / "b.npz", words=np.array(WORDS), vectors=np.asfortranarray(VECTORS))
    for name in "ab":
        assert_same(load_teacher(tmp_path / f"{name}.npz"))
        assert_same(load_teacher(tmp_path / f"{name}.npz", limit=2), 2)


@pytest.mark.parametrize("words", ["\n".join(WORDS), '["ya", "watoto", "ሰላም", "ọ̀rọ̀", "ng\'ombe"]'])
def test_safetensors_with_words_in_the_metadata(tmp_path: Path, words: str) -> None:
    from safetensors.numpy import save_file

    save_file({"vectors": VECTORS}, tmp_path / "t.safetensors", {"words": words})
    assert_same(load_teacher(tmp_path / "t.safetensors"))


def test_more_rows_than_one_block(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(9000)]
    table = Teacher("t", words, np.random.default_rng(1).normal(size=(9000, 3)).astype(np.float32))
    for suffix in (".vec", ".npz", ".safetensors"):
        read = load_teacher(save_teacher(table, tmp_path / f"t{suffix}"), limit=8500)
        assert read.words == words[:8500]
        np.testing.assert_allclose(read.vectors, table.vectors[:8500], atol=1e-5)
        assert read.vectors.nbytes == 8500 * 3 * 4


def test_repeated_and_empty_words_are_left_out_with_one_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "t.vec", "4 2\na 1 2\nb 3 4\na 5 6\n 7 8\n")
    with pytest.warns(UserWarning, match="1 repeated .* 1 empty"):
        teacher = load_teacher(path)
    assert teacher.words == ["a", "b"]
    assert teacher.vectors.tolist() == [[1, 2], [3, 4]]
    path = write(tmp_path / "t.vec", "a 1\na 2\nb 3\nc 4\n")
    with pytest.warns(UserWarning):
        assert load_teacher(path, limit=2).words == ["a", "b"]  # a repeated row does not use up the limit


def test_words_that_look_the_same_in_nfc_are_both_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "t.vec", "\u1ecd\u0300 1 2\no\u0323\u0300 3 4\n")
    assert len(load_teacher(path)) == 2


BAD = {
    "ragged": ("2 3\na 1 2 3\nb 1 2\n", r"bad\.vec, line 3: 2 numbers after the word, but the table has 3"),
    "ragged-long": ("a 1 2 3\nb 1 2 3 4\n", "line 2: 4 numbers"),
    "header-width": ("2 5\na 1 2 3\nb 1 2 3\n", "line 2: 3 numbers .* 5 columns"),
    "header-count": ("9 3\na 1 2 3\nb 1 2 3\n", "line 1: the header says 9 words, but 2 follow"),
    "header-negative": ("-1 3\na 1 2 3\n", "line 1: the header says -1 words"),
    "zero-width": ("2 0\na\nb\n", "line 1: the header says 2 words of 0 numbers"),
    "no-numbers": ("habari\nwatoto\n", "line 1: 0 numbers"),
    "not-numbers": ("the cat sat\non the mat\n", "line 1: could not convert"),
    "nan": ("2 2\na 1 2\nb nan 2\n", "line 3: the vector of 'b' holds NaN"),
    "infinite": ("a 1 2\n\nb 1e99 2\n", "line 3: the vector of 'b' holds NaN or infinity"),
    "empty": ("", "is empty"),
    "blank": ("\n\n", "is empty"),
    "not-utf8": (b"2 2\na 1 2\n\xe9t\xe9 1 2\n", "line 3 is not UTF-8"),
    "header-only": ("2 2\n", "says 2 words, but 0 follow"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_text_tables(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    with pytest.raises(DistillEmbError, match=message) as caught:
        load_teacher(write(tmp_path / "bad.vec", content))
    assert "\n" not in str(caught.value)
    assert "bad.vec" in str(caught.value)


def test_bad_binary_tables(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match=r"row 5: fetch it again"):
        load_teacher(write(tmp_path / "t.bin", binary_table()[:-4]))
    with pytest.raises(DistillEmbError, match="row 2"):  # a wrong width shows as a damaged second row
        load_teacher(write(tmp_path / "t.bin", binary_table().replace(b"5 4\n", b"5 3\n", 1)))
    broken = b"1 2\nab " + struct.pack("<2f", 1, np.inf)
    with pytest.raises(DistillEmbError, match="row 1: the vector of 'ab' holds NaN or infinity"):
        load_teacher(write(tmp_path / "t.bin", broken))


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (write, (tmp_path / "sprung", b""))

    for name in ("t.kv", "t.model", "t.bin"):
        with pytest.raises(DistillEmbError, match=r"KeyedVectors\.save_word2vec_format"):
            load_teacher(write(tmp_path / name, pickle.dumps(Trap())))
    np.savez(tmp_path / "t.npz", words=np.array([Trap()] * 5, dtype=object), vectors=VECTORS)
    with pytest.raises(DistillEmbError, match="pickle"):
        load_teacher(tmp_path / "t.npz")
    assert not (tmp_path / "sprung").exists()


NPZ = {
    "no words": ({"vectors": VECTORS}, "holds no words"),
    "fewer words": ({"words": np.array(WORDS[:3]), "vectors": VECTORS}, "3 words but 5 vectors"),
    "more words": ({"words": np.array([*WORDS, "x"]), "vectors": VECTORS}, "more words than its 5"),
    "no scale": ({"words": np.array(WORDS), "vectors": np.ones((5, 4), np.int8)}, "need the array 'scale'"),
    "scale": ({"words": np.array(WORDS), "vectors": VECTORS, "scale": np.ones(4)}, r"scale has shape \(4,\)"),
    "flat": ({"words": np.array(WORDS), "vectors": VECTORS[:, 0]}, "shape"),
    "zero width": ({"words": np.array(WORDS), "vectors": VECTORS[:, :0]}, "shape"),
    "not utf-8": ({"words": np.frombuffer(b"a\n\xff", np.uint8), "vectors": VECTORS[:2]}, "word 2 is not UTF-8"),
    "nan": ({"words": np.array(WORDS[:1]), "vectors": np.full((1, 2), np.nan)}, "row 1: the vector of 'ya'"),
    "complex": ({"words": np.array(WORDS), "vectors": VECTORS.astype(complex)}, "complex"),
}


@pytest.mark.parametrize("case", NPZ)
def test_bad_npz(tmp_path: Path, case: str) -> None:
    arrays, message = NPZ[case]
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DistillEmbError, match=message):
        load_teacher(tmp_path / "t.npz")


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    for suffix in (".npz", ".safetensors"):
        path = save_teacher(Teacher("t", WORDS, VECTORS), tmp_path / f"t{suffix}")
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(DistillEmbError, match=r"damaged or (truncated|cut short)"):
            load_teacher(path)
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("readme", "x")
    np.save(tmp_path / "t.npy", VECTORS)
    (tmp_path / "directory").mkdir()
    write(tmp_path / "t.vec.gz", b"no gzip")
    for name, message in {
        "t.zip": "holds no vectors and no words",
        "t.npy": "vectors without words",
        "directory": "neither a spaCy pipeline",
        "absent.vec": "no file",
        "t.vec.gz": "cannot be read",
    }.items():
        with pytest.raises(DistillEmbError, match=message):
            load_teacher(tmp_path / name)
    with pytest.raises(DistillEmbError, match="limit=0"):
        load_teacher(write(tmp_path / "t.vec", text_table()), limit=0)
    with pytest.raises(DistillEmbError, match="hf://owner"):
        load_teacher("hf://nobody")


def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "t.vec", "old")
    with pytest.raises(DistillEmbError, match=r"'a b' cannot stand in this format: write \.npz"):
        save_teacher(Teacher("t", ["a b"], VECTORS[:1]), path)
    with pytest.raises(DistillEmbError, match="name it so"):
        save_teacher(Teacher("t", WORDS, VECTORS), tmp_path / "t.bin")
    with pytest.raises(DistillEmbError, match="storage is 'int4'"):
        save_teacher(Teacher("t", WORDS, VECTORS), tmp_path / "t.npz", storage="int4")
    assert [file.name for file in tmp_path.iterdir()] == ["t.vec"]
    assert path.read_text() == "old"
