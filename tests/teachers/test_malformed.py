"""One table of malformed and unusual files runs through every reader of tables, and each advice is followed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.teachers import Teacher, load_teacher, save_teacher, teacher_from_keyed_vectors

ROWS = np.array([[0.5, -1.25, 3, 0.125], [1.5, 0.25, -2, 7], [-0.5, 2.5, 0.75, 1]], dtype=np.float32)
WORDS = ["nyumba", "mti", "ሰላም"]
Table = tuple[list[bytes], np.ndarray]


def text(words: list[bytes], rows: np.ndarray, n: int | None = None) -> bytes:
    lines = [word + b" " + " ".join(map(repr, row.tolist())).encode() for word, row in zip(words, rows, strict=True)]
    return b"\n".join([b"%d %d" % (len(words) if n is None else n, rows.shape[1]), *lines]) + b"\n"


def glove(words: list[bytes], rows: np.ndarray, n: int | None = None) -> bytes:
    return text(words, rows).split(b"\n", 1)[1]


def binary(words: list[bytes], rows: np.ndarray, n: int | None = None, newline: bytes = b"\n") -> bytes:
    head = b"%d %d\n" % (len(words) if n is None else n, rows.shape[1])
    return head + b"".join(w + b" " + r.astype("<f4").tobytes() + newline for w, r in zip(words, rows, strict=True))


def packed_rows(words: list[bytes], rows: np.ndarray, n: int | None = None) -> bytes:
    return binary(words, rows, n, newline=b"")


def fasttext(words: list[bytes], rows: np.ndarray, n: int | None = None) -> bytes:
    k = len(words)
    arguments = struct.pack("<12id", rows.shape[1], 5, 1, 1, 5, 1, 2, 2, 0, 0, 0, 100, 1e-4)
    dictionary = struct.pack("<iiiqq", k if n is None else n, k if n is None else n, 0, 10, -1)
    entries = b"".join(word + b"\0" + struct.pack("<qb", 9, 0) for word in words)
    matrix = struct.pack("<qq", *rows.shape) + rows.astype("<f4").tobytes()
    return struct.pack("<ii", 793712314, 12) + arguments + dictionary + entries + b"\0" + matrix + b"\0" + matrix


def npz(words: list[bytes], rows: np.ndarray, n: int | None = None) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, words=np.frombuffer(b"\n".join(words), np.uint8), vectors=rows if n is None else rows[:n])
    return stream.getvalue()


def safetensors(words: list[bytes], rows: np.ndarray, n: int | None = None) -> bytes:
    from safetensors.numpy import save

    kept = rows if n is None else rows[:n]
    return save({"words": np.frombuffer(b"\n".join(words), np.uint8), "vectors": np.ascontiguousarray(kept)})


def zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.vec", data)
        archive.writestr("README.txt", "about")
    return stream.getvalue()


Writer = Callable[..., bytes]
PLAIN: dict[str, Writer] = {
    "t.vec": text, "t.txt": glove, "t.bin": binary, "t.w2v": packed_rows, "ft.bin": fasttext,
    "t.npz": npz, "t.safetensors": safetensors,
}  # fmt: skip
READERS: dict[str, Writer] = PLAIN | {
    f"{name}{suffix}": (lambda words, rows, n=None, write=write, pack=pack: pack(write(words, rows, n)))
    for name, write in {"t.vec": text, "t.txt": glove, "t.bin": binary, "t.w2v": packed_rows}.items()
    for suffix, pack in {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zip": zipped}.items()
}
ENCODED = [word.encode() for word in WORDS]


def place(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refused(path: Path, message: str = ".", **options: object) -> str:
    with pytest.raises(DistillEmbError, match=message) as caught:
        load_teacher(path, **options)  # type: ignore[arg-type]
    said = str(caught.value)
    assert path.stem in said and "\n" not in said and len(said) < 600
    return said


@pytest.mark.parametrize("name", READERS)
def test_whole_tables_are_read(tmp_path: Path, name: str) -> None:
    teacher = load_teacher(place(tmp_path, name, READERS[name](ENCODED, ROWS)))
    assert teacher.words == WORDS
    np.testing.assert_array_equal(teacher.vectors, ROWS)


MALFORMED: dict[str, Callable[[Writer], bytes]] = {
    "empty": lambda write: b"",
    "too few rows": lambda write: write(ENCODED, ROWS, 2),
    "too many rows": lambda write: write(ENCODED, ROWS, 4),
    "nan": lambda write: write(ENCODED, np.array([*ROWS[:2], [1, np.nan, 2, 3]])),
    "infinite": lambda write: write(ENCODED, np.array([[1, np.inf, 2, 3], *ROWS[1:]])),
    "trailing": lambda write: write(ENCODED, ROWS) + b"abc def",
    "cut": lambda write: write(ENCODED, ROWS)[:-9],
    "cut row": lambda write: write(ENCODED, ROWS)[:-27],
    "nul": lambda write: write([b"a\0b", *ENCODED[1:]], ROWS),
    "no words": lambda write: write([], ROWS[:0]),
}
# What a format does not say, and so cannot be wrong.
SOUND = {
    ("t.txt", "too few rows"), ("t.txt", "too many rows"), ("t.npz", "too many rows"),
    ("t.safetensors", "too many rows"), ("ft.bin", "too many rows"), ("t.npz", "trailing"),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_tables_are_refused(tmp_path: Path, name: str, fault: str) -> None:
    base = re.sub(r"\.(gz|xz|bz2|zip)$", "", name)
    if (base, fault) in SOUND:
        pytest.skip("nothing is wrong there")
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zip": zipped}.get(
        name[len(base) :], bytes
    )
    refused(place(tmp_path, name, pack(MALFORMED[fault](PLAIN[base]))))


@pytest.mark.parametrize("name", ["t.vec", "t.txt", "t.npz", "t.safetensors", "ft.bin"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("phrase", ["Dar es Salaam", "a\u00a0b", ". . ."])
def test_words_may_hold_spaces_in_any_row(tmp_path: Path, name: str, at: int, phrase: str) -> None:
    words = [*WORDS[:at], phrase, *WORDS[at + 1 :]]
    teacher = load_teacher(place(tmp_path, name, PLAIN[name]([word.encode() for word in words], ROWS)))
    assert teacher.words == words
    np.testing.assert_array_equal(teacher.vectors, ROWS)


@pytest.mark.parametrize("newline", [b"\n", b""])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zip"])
def test_binary_tables_cannot_hold_spaces_and_the_advice_helps(
    tmp_path: Path, newline: bytes, at: int, suffix: str
) -> None:
    words = [*ENCODED[:at], b"Dar es Salaam", *ENCODED[at + 1 :]]
    rows = np.random.default_rng(at).normal(size=(3, 4)).astype(np.float32)
    data = binary(words, rows, newline=newline)
    pack = {"": bytes, ".gz": gzip.compress, ".zip": zipped}[suffix]
    refused(place(tmp_path, f"t.bin{suffix}", pack(data)), r"write the table as text \(\.vec\) or \.npz|damaged in row")
    keyed = pytest.importorskip("gensim.models").KeyedVectors(4)
    keyed.add_vectors([word.decode() for word in words], rows)
    keyed.save_word2vec_format(str(tmp_path / "t.vec"), binary=False)
    assert load_teacher(tmp_path / "t.vec").words == [word.decode() for word in words]
    saved = save_teacher(teacher_from_keyed_vectors(keyed), tmp_path / "t.npz")
    assert load_teacher(saved).words == [word.decode() for word in words]


@pytest.mark.parametrize("name", ["t.bin", "t.w2v", "t.bin.gz", "ft.bin"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_words_cut_inside_a_letter_are_left_out_with_a_warning(tmp_path: Path, name: str, at: int) -> None:
    words = [*ENCODED[:at], "sukɓ".encode()[:-1], *ENCODED[at + 1 :]]
    with pytest.warns(UserWarning, match="left out 1 words that are not UTF-8"):
        teacher = load_teacher(place(tmp_path, name, READERS[name](words, ROWS)))
    assert teacher.words == [word for row, word in enumerate(WORDS) if row != at]
    np.testing.assert_array_equal(teacher.vectors, np.delete(ROWS, at, axis=0))


@pytest.mark.parametrize("name", ["t.vec", "t.txt", "t.bin", "t.npz", "t.safetensors", "ft.bin"])
def test_the_first_of_equal_words_counts(tmp_path: Path, name: str) -> None:
    path = place(tmp_path, name, PLAIN[name]([ENCODED[0], ENCODED[1], ENCODED[0]], ROWS))
    with pytest.warns(UserWarning, match="1 repeated"):
        teacher = load_teacher(path)
    np.testing.assert_array_equal(teacher.vectors, ROWS[:2])


@pytest.mark.parametrize("name", ["t.vec", "t.txt", "t.bin", "t.vec.zip", "t.npz", "t.safetensors"])
def test_a_byte_order_mark_is_no_letter(tmp_path: Path, name: str) -> None:
    base = PLAIN[name.removesuffix(".zip")]
    if name in ("t.npz", "t.safetensors"):
        data = base([b"\xef\xbb\xbf" + ENCODED[0], *ENCODED[1:]], ROWS)
    else:
        data = b"\xef\xbb\xbf" + base(ENCODED, ROWS)
    assert load_teacher(place(tmp_path, name, zipped(data) if name.endswith("zip") else data)).words == WORDS


@pytest.mark.parametrize("write", [text, glove])
@pytest.mark.parametrize("change", [(b"\n", b"\r\n"), (b" ", b"\t"), (b" ", b"  "), (b"\n", b" \n"), (b"\n", b"\n\n")])
def test_ways_to_write_text(tmp_path: Path, write: Writer, change: tuple[bytes, bytes]) -> None:
    head, body = write(ENCODED, ROWS).split(b"\n", 1) if write is text else (b"", write(ENCODED, ROWS))
    data = (head + b"\n" if head else b"") + body.replace(*change)
    teacher = load_teacher(place(tmp_path, "t.vec", data))
    assert teacher.words == WORDS
    np.testing.assert_array_equal(teacher.vectors, ROWS)


@pytest.mark.parametrize("separator", [" ", "\t"])
@pytest.mark.parametrize("header", ["2 4\n", ""])
def test_further_columns_are_refused_and_the_advice_helps(tmp_path: Path, separator: str, header: str) -> None:
    rows = ["nyumba NOUN 0.1 -0.2 0.3 0.5", "mti NOUN 0.4 0.1 -0.6 0.2"]
    content = header + "".join(row.replace(" ", separator) + "\n" for row in rows)
    said = refused(place(tmp_path, "t.vec", content.encode()), f"line {2 if header else 1}: 'NOUN' stands between")
    assert "put a tab after words" in said
    removed = content.replace(f"NOUN{separator}", "")
    assert load_teacher(place(tmp_path, "t.vec", removed.encode())).words == ["nyumba", "mti"]
    marked = header + "".join(row.replace(" NOUN ", " NOUN\t") + "\n" for row in rows)
    assert load_teacher(place(tmp_path, "t.vec", marked.encode())).words == ["nyumba NOUN", "mti NOUN"]


def test_a_word_that_ends_with_a_number_needs_a_tab(tmp_path: Path) -> None:
    path = place(tmp_path, "t.vec", b"2 2\nBoeing 747 1 2\nmti 3 4\n")
    refused(path, "line 2: 3 numbers .* put a tab after the word")
    teacher = load_teacher(place(tmp_path, "t.vec", b"2 2\nBoeing 747\t1 2\nmti 3 4\n"))
    assert teacher.words == ["Boeing 747", "mti"]
    assert teacher.vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,1,2\nb,3,4\n", "line 1: commas .* tabs or spaces"),
        ("a, 1, 2\nb, 3, 4\n", "line 1: commas .* tabs or spaces"),
        ("2 2\na 1_0 2\nb 1 2\n", "line 2: could not convert '1_0'"),
        ("2 2\na 1 2\nb 1,5 2\n", "line 3: could not convert '1,5'"),
        ("2 2\na 1 2\nb 1 2 NOUN\n", "line 3: 3 numbers"),
        ("2 2\na ١ ٢\nb 1 2\n", "line 2: could not convert"),
        ("2 2\na 1 2\nb 1 2\nc 3", "line 4: 1 numbers"),
        ("3 2\na 1 2\nb 1 2\n", "line 1: the header says 3 words, but 2 follow"),
        ("1 2\na 1 2\nb 1 2\n", "line 1: the header says 1 words, but 2 follow"),
        ("2 2\na 1 2\n2 2\nb 1 2\n", "line 3: 1 numbers"),
    ],
)
def test_faulty_text_names_the_line(tmp_path: Path, content: str, message: str) -> None:
    refused(place(tmp_path, "t.vec", content.encode()), message)
    refused(place(tmp_path, "t.vec.zip", zipped(content.encode())), message)


def test_advice_for_text_leads_out(tmp_path: Path) -> None:
    for mended in ("a 1 2\nb 3 4\n", "a\t1\t2\nb\t3\t4\n", "2 2\na 1 2\nb 3 4\n"):
        assert load_teacher(place(tmp_path, "t.vec", mended.encode())).vectors.tolist() == [[1, 2], [3, 4]]
    path = place(tmp_path, "years.vec", b"2019 3\n2020 5\n2021 7\n")  # no header, though it looks like one
    assert "--format glove (format='glove')" in refused(path)
    teacher = load_teacher(path, format="glove")
    assert teacher.words == ["2019", "2020", "2021"]
    assert teacher.vectors.tolist() == [[3], [5], [7]]
    path = place(tmp_path, "more.bin", packed_rows(ENCODED, ROWS, 2))
    assert "a limit of 2" in refused(path)
    assert load_teacher(path, limit=2).words == WORDS[:2]


def test_the_user_can_say_the_format(tmp_path: Path) -> None:
    word = b"abcd"
    data = b"1 1\nw " + word + b"\n"  # letters by chance
    assert load_teacher(place(tmp_path, "t.bin", data)).vectors[0, 0] == np.frombuffer(word, "<f4")[0]
    named_text = place(tmp_path, "t.vec", data)
    refused(named_text, "could not convert")
    assert load_teacher(named_text, format="binary").words == ["w"]
    short = place(tmp_path, "short.bin", b"1 3\nw 1 2\n")  # text with a short row
    refused(short, format="binary")
    refused(short, "line 2: 2 numbers", format="text")
    said = refused(place(tmp_path, "odd.vec", b"2 2\n\xe9t\xe9 1\n\x00 1 2\n"))
    assert "--format text" in said
    with pytest.raises(DistillEmbError, match="choose one of text, glove, binary"):
        load_teacher(short, format="csv")
    for name, format in (
        ("t.npz", "npz"),
        ("t.safetensors", "safetensors"),
        ("ft.bin", "fasttext"),
        ("t.txt", "glove"),
    ):
        assert load_teacher(place(tmp_path, name, PLAIN[name](ENCODED, ROWS)), format=format).words == WORDS
        for other in ("text", "binary", "npz", "safetensors", "fasttext", "floret"):
            if other not in (format, "text"):
                refused(tmp_path / name, format=other)


@pytest.mark.parametrize("stored", ["float64", "float32", "float16", "bfloat16"])
def test_safetensors_of_every_type(tmp_path: Path, stored: str) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    vectors = torch.tensor(ROWS).to(getattr(torch, stored))
    save_file(
        {"vectors": vectors, "words": torch.tensor(list(b"\n".join(ENCODED)), dtype=torch.uint8)},
        tmp_path / "t.safetensors",
    )
    teacher = load_teacher(tmp_path / "t.safetensors")
    assert teacher.words == WORDS
    np.testing.assert_array_equal(teacher.vectors, vectors.float().numpy())
    assert load_teacher(tmp_path / "t.safetensors", limit=1).words == WORDS[:1]


@pytest.mark.parametrize("stored", ["float8_e4m3fn", "bool", "int8", "uint8", "complex64"])
def test_other_types_are_refused(tmp_path: Path, stored: str) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    vectors = torch.ones(3, 4).to(getattr(torch, stored))
    words = torch.tensor(list(b"\n".join(ENCODED)), dtype=torch.uint8)
    save_file({"vectors": vectors, "words": words}, tmp_path / "t.safetensors")
    refused(tmp_path / "t.safetensors", "float32|scale")


NPZ: dict[str, tuple[dict[str, object], str]] = {
    "counts": ({"words": np.array(WORDS), "vectors": ROWS, "counts": np.arange(2)}, "counts has shape"),
    "float counts": ({"words": np.array(WORDS), "vectors": ROWS, "counts": np.ones(3)}, "counts is of type float64"),
    "negative counts": ({"words": np.array(WORDS), "vectors": ROWS, "counts": np.array([1, -1, 2])}, "counted -1"),
    "no vectors": ({"words": np.array(WORDS)}, "holds no vectors: save the arrays under the names"),
    "objects": ({"words": np.array(WORDS, dtype=object), "vectors": ROWS}, "save the words with dtype str"),
    "void": ({"words": np.array(WORDS), "vectors": ROWS.astype(np.float16).view("V2")}, "write float32"),
    "scalar": ({"words": np.array(WORDS), "vectors": np.float32(1)}, "shape"),
    "table of words": ({"words": np.array([WORDS]), "vectors": ROWS}, "array of strings"),
    "no scale": ({"words": np.array(WORDS), "vectors": ROWS.astype(np.int8)}, "need the array 'scale'"),
}


@pytest.mark.parametrize("case", NPZ)
def test_bad_arrays_are_refused_and_the_advice_helps(tmp_path: Path, case: str) -> None:
    arrays, message = NPZ[case]
    np.savez(tmp_path / "t.npz", **arrays)  # type: ignore[arg-type]
    refused(tmp_path / "t.npz", message)
    sound = {"words": np.array(WORDS, dtype=str), "vectors": ROWS, "counts": np.array([3, 2, 1])}
    scaled = sound | {"vectors": np.ones((3, 4), np.int8), "scale": np.ones(3, np.float32)}
    for mended in (sound, scaled, sound | {"vectors": ROWS.astype(">f8")}):
        np.savez(tmp_path / "t.npz", **mended)  # type: ignore[arg-type]
        assert load_teacher(tmp_path / "t.npz").words == WORDS


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["t.kv", "t.model", "t.pkl", "t.pt", "t.ckpt"])
def test_pickles_of_every_protocol_are_never_opened(tmp_path: Path, name: str, protocol: int) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (place, (tmp_path, "sprung", b""))

    refused(place(tmp_path, name, pickle.dumps(Trap(), protocol)), "pickle")
    refused(place(tmp_path, f"{name}.gz", gzip.compress(pickle.dumps(Trap(), protocol))))
    assert not (tmp_path / "sprung").exists()


def test_foreign_files_are_named_in_one_sentence(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"vectors": torch.ones(2, 2)}, tmp_path / "t.bin")
    refused(tmp_path / "t.bin", "is a pickle")
    for name, head in {"t.h5": b"\x89HDF\r\n\x1a\n", "t.parquet": b"PAR1", "t.gguf": b"GGUF"}.items():
        refused(place(tmp_path, name, head + bytes(50)), r"write it as text \(\.vec\) or \.npz")
    refused(place(tmp_path, "t.vec.zst", b"\x28\xb5\x2f\xfd" + bytes(20)), "unpack it")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("wiki.bin", b"x")
        archive.writestr("wiki.vec", text(ENCODED, ROWS))
    path = place(tmp_path, "wiki.zip", inner.getvalue())
    refused(path, r"holds 2 \(wiki\.bin, wiki\.vec\): unpack it and give one")
    with zipfile.ZipFile(path) as archive:
        archive.extract("wiki.vec", tmp_path)
    assert load_teacher(tmp_path / "wiki.vec").words == WORDS
    for name in ("ft.bin", "t.npz", "t.safetensors"):
        data = PLAIN[name](ENCODED, ROWS)
        refused(place(tmp_path, f"{name}.gz", gzip.compress(data)), "must be unpacked first")
        assert (
            load_teacher(place(tmp_path, name, gzip.decompress((tmp_path / f"{name}.gz").read_bytes()))).words == WORDS
        )


@pytest.mark.parametrize("name", ["t.vec.gz", "t.vec.xz", "t.vec.bz2", "t.vec.zip", "t.bin.gz"])
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    words, rows = [f"w{i}".encode() for i in range(500)], rng.normal(size=(500, 4)).astype(np.float32)
    data = READERS[name](words, rows)
    for broken in (
        data[: len(data) // 2],
        data[: len(data) // 2] + b"\0" * 30 + data[len(data) // 2 + 30 :],
        data[:-3],
    ):
        refused(place(tmp_path, name, broken))


def test_concatenated_parts(tmp_path: Path) -> None:
    whole = text(ENCODED, ROWS)
    data = gzip.compress(whole[:20]) + gzip.compress(whole[20:])
    assert load_teacher(place(tmp_path, "t.vec.gz", data)).words == WORDS
    two = gzip.compress(whole) + gzip.compress(whole)
    refused(place(tmp_path, "two.vec.gz", two), "line 5: 1 numbers")


def test_rights_and_vanishing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place(tmp_path, "t.vec", text(ENCODED, ROWS))
    real = Path.open
    for error, message in (
        (PermissionError(13, "Permission denied"), "chmod"),
        (FileNotFoundError(2, "gone"), "any more"),
    ):

        def failing(self: Path, *args: object, error: OSError = error, **kwargs: object) -> object:
            if self == path:
                raise error
            return real(self, *args, **kwargs)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", failing)
        refused(path, message)
    monkeypatch.undo()
    assert load_teacher(path).words == WORDS


@pytest.mark.parametrize("mode", ["floret", "fasttext"])
def test_floret_models_answer_as_floret_does(tmp_path: Path, mode: str) -> None:
    floret = pytest.importorskip("floret")
    (tmp_path / "text").write_text("habari ya watoto wangu leo ሰላም ọ̀rọ̀ 😀x a\n" * 30)
    for hashes, min_n, max_n in ((2, 2, 3), (4, 1, 4), (1, 3, 5)):
        model = floret.train_unsupervised(
            str(tmp_path / "text"), dim=6, minCount=1, mode=mode, hashCount=hashes if mode == "floret" else 1,
            bucket=70, minn=min_n, maxn=max_n, epoch=1, thread=12, verbose=0,
        )  # fmt: skip
        model.save_model(str(tmp_path / "m.bin"))
        teacher = load_teacher(tmp_path / "m.bin")
        assert set(teacher.words) >= {"habari", "ሰላም", "😀x"}
        words = [*teacher.words, "unseen", "", "a b", "<", "x" * 40, "</s>", "ọ́"]
        wanted = np.array([model.get_word_vector(word) for word in words])
        np.testing.assert_allclose(teacher.lookup(words)[0], wanted, atol=1e-6)
        if mode == "floret":
            model.save_vectors(str(tmp_path / "m.vec"))
            assert set(teacher.words) <= set(load_teacher(tmp_path / "m.vec").words)
            model.save_floret_vectors(str(tmp_path / "m.floret"))
            table = load_teacher(tmp_path / "m.floret")
            assert len(table) == 0
            unseen = words[len(teacher) :]
            np.testing.assert_allclose(table.lookup(unseen)[0], wanted[len(teacher) :], atol=2e-4)  # five digits
            data = (tmp_path / "m.floret").read_bytes()
            for broken in (data[:-9], data + b"70 1 2 3 4 5 6\n", data.replace(b"\n3 ", b"\n4 ", 1)):
                refused(place(tmp_path, "broken.floret", broken))


def test_tables_without_words_lend_their_vectors(tmp_path: Path) -> None:
    rows = [f"{i} {i}.5 -{i}" for i in range(10)]
    data = "\n".join(["10 2 2 3 2 2166136261 < >", *rows]) + "\n"
    for name, content in (("t.floret", data.encode()), ("t.floret.gz", gzip.compress(data.encode()))):
        table = load_teacher(place(tmp_path, name, content))
        assert table.lookup(["never", "seen"])[1].all()
    with pytest.raises(DistillEmbError, match=r"give a table with words beside it, or the words") as caught:
        table.center()
    assert "with_words(words)" in str(caught.value)
    chosen = table.with_words(["mti", "nyumba", "mti"])
    assert chosen.words == ["mti", "nyumba"]
    chosen.center()
    distill = pytest.importorskip("distillemb_plugins.distill.targets")
    from distillemb_plugins.distill import DistillSettings

    with pytest.raises(DistillEmbError, match="give a table of word vectors beside it"):
        distill.build_targets([table], DistillSettings(held_out=0))
    beside = Teacher("t", [*WORDS, "leo"], np.eye(4, 2, dtype=np.float32) + 1)
    targets = distill.build_targets([beside, table], DistillSettings(held_out=0))
    assert targets.words == beside.words
    assert len(targets.names) == 2


def test_spacy_reads_the_same_vectors_from_floret_text(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    from spacy.vectors import Vectors

    data = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    lines = [f"{i} {' '.join(map(repr, row.tolist()))}" for i, row in enumerate(data)]
    header = "50 6 2 3 2 2166136261 < >"
    table = load_teacher(place(tmp_path, "t.floret", "\n".join([header, *lines]).encode()))
    vectors = Vectors(
        strings=spacy.blank("xx").vocab.strings, data=data, mode="floret", minn=2, maxn=3, hash_count=2,
        hash_seed=2166136261, bow="<", eow=">",
    )  # fmt: skip
    words = ["habari", "ọ̀rọ̀", "😀", "a"]
    np.testing.assert_allclose(table.lookup(words)[0], vectors.get_batch(words), atol=1e-6)
