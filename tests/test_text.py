"""Words in text: what is invisible, apostrophes, hooked letters, Ethiopic punctuation, normal forms, line ends."""

from __future__ import annotations

import codecs
import gzip
import json
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.characters import CharTable, split_characters
from distillemb_plugins.cli import app
from distillemb_plugins.files import iter_lines, text_lines
from distillemb_plugins.text import PATTERN, is_word, normalize, read_tokens, tokenize

INVISIBLE = [
    "\u00ad", "\u034f", "\u061c", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202e",
    "\u2060", "\u2066", "\u2069", "\ufe00", "\ufe0f", "\ufeff", "\U000e0020", "\U000e0100",
]  # fmt: skip


def runs(*arguments: str, text: str | bytes | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), input=text)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("mark", INVISIBLE, ids=lambda mark: f"U+{ord(mark):04X}")
def test_invisible_characters_are_no_words_and_cut_none(mark: str, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    line = f"{mark}mwa{mark}limu {mark} a{mark} b{mark}c, ng{mark}'{mark}ombe{mark}. 3.5 {mark}{mark}"
    plain = ["mwalimu", "a", "bc", ",", "ng'ombe", ".", "3.5"]
    tokens = tokenize(line)
    assert [normalize(token) for token in tokens] == plain == tokenize(normalize(line))
    position = 0
    for token in tokens:  # each stands in the text
        position = line.index(token, position) + len(token)
    (tmp_path / "t.txt").write_text(line, "utf-8")
    assert list(read_tokens([tmp_path / "t.txt"])) == [plain]
    assert split_characters(f"a{mark}\u0301{mark}") == ["á"]
    words = [f"{mark}so{mark}ma", f"o{mark}\u0301k{mark * 90}o", mark, "soma"]
    bare = ["soma", "óko", "", "soma"]
    table = CharTable(["s", "o", "m", "a", "k", "ó", mark], max_chars=5, align="center")
    np.testing.assert_array_equal(table.encode(words), table.encode(bare))
    for word, plain_word in zip(words, bare, strict=True):  # alone they go another way
        np.testing.assert_array_equal(table.encode([word]), table.encode([plain_word]))
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    np.testing.assert_allclose(encoder.encode(words), encoder.encode(bare), atol=1e-6)
    assert encoder.similarity("so" + mark + "ma", "soma") == pytest.approx(1)


def test_the_hugging_face_tokenizer_splits_with_the_same_pattern(tiny_encoder_dir: Path) -> None:
    import distillemb_plugins
    from distillemb_plugins.persistence import BUNDLED

    template = Path(distillemb_plugins.__file__).parent / "hf" / "tokenizer_template.json"
    for file in (template, tiny_encoder_dir / "tokenizer.json", BUNDLED / "afro11" / "tokenizer.json"):
        assert json.loads(file.read_text("utf-8"))["pre_tokenizer"]["pattern"]["Regex"] == PATTERN, file


@pytest.mark.parametrize("mark", ["\u00ad", "\u200b", "\u200d", "\ufeff", "\ufe0f", "\U000e0100"], ids=ascii)
def test_every_face_reads_invisible_characters_alike(mark: str, tiny_encoder_dir: Path) -> None:
    spacy = pytest.importorskip("spacy")
    from distillemb_plugins.hf import DistillEmbTokenizer
    from distillemb_plugins.spacy_plugin import set_vectors

    word = f"so{mark}ma"
    tokenizer = DistillEmbTokenizer.from_pretrained(tiny_encoder_dir)
    text = f"{mark}{word} {mark} a"
    assert tokenizer.tokenize(text) == tokenize(text) == [word, "a"]
    assert tokenizer(text)["char_ids"] == tokenizer("soma a")["char_ids"]
    split = tokenizer([word, mark], is_split_into_words=True)["char_ids"]
    assert split[0] == tokenizer("soma")["char_ids"][0]
    nlp = set_vectors(spacy.blank("xx"), str(tiny_encoder_dir))
    np.testing.assert_allclose(nlp.vocab[word].vector, nlp.vocab["soma"].vector, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # an apostrophe inside a word belongs to it, at an edge it may be a quotation mark
        ("ng'ombe ng’ombe ngʼombe n'ọ́jọ́", ["ng'ombe", "ng’ombe", "ngʼombe", "n'ọ́jọ́"]),
        ("'yar ’yar ya' ya’", ["'", "yar", "’", "yar", "ya", "'", "ya", "’"]),
        ("ʼyar 'yaʼ ʻokina oʻo", ["ʼyar", "'", "yaʼ", "ʻokina", "oʻo"]),  # U+02BC and U+02BB are letters
        ("‘yar’ n‘gombe", ["‘", "yar", "’", "n", "‘", "gombe"]),  # U+2018 opens a quotation
        ("ɓera Ɓera ɗan Ɗan ƙasa Ƙasa ƴanci Ƴanci", ["ɓera", "Ɓera", "ɗan", "Ɗan", "ƙasa", "Ƙasa", "ƴanci", "Ƴanci"]),
        ("ሰላም፡ልጅ።ቤት፣ውሃ፤ሀ፥ለ፦ሐ፧መ፨", list("x")),
        ("n'ọ́jọ́ mfano-mfano 3.5 1,000", ["n'ọ́jọ́", "mfano-mfano", "3.5", "1,000"]),
    ],
)
def test_what_the_docs_say_of_words(text: str, tokens: list[str]) -> None:
    if "፡" in text:
        tokens = ["ሰላም", "፡", "ልጅ", "።", "ቤት", "፣", "ውሃ", "፤", "ሀ", "፥", "ለ", "፦", "ሐ", "፧", "መ", "፨"]
        assert [token for token in tokens if not is_word(token)] == list("፡።፣፤፥፦፧፨")
    assert tokenize(text) == tokens
    decomposed = unicodedata.normalize("NFD", text)
    assert [normalize(token) for token in tokenize(decomposed)] == [normalize(token) for token in tokens]


def test_hooked_letters_are_letters_of_their_own_in_both_cases() -> None:
    table = CharTable.learn(["ɓɗƙƴbdky"], lowercase=True)
    np.testing.assert_array_equal(table.encode(["ƁƊƘƳ"]), table.encode(["ɓɗƙƴ"]))
    assert len({tuple(row) for row in table.encode(["ɓ", "b", "ɗ", "d", "ƙ", "k", "ƴ", "y"]).tolist()}) == 8


def test_decomposed_words_are_the_composed_ones(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    composed = ["ọ́kọ̀", "ilé", "akwụkwọ"]
    decomposed = [unicodedata.normalize("NFD", word) for word in composed]
    assert composed != decomposed
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    np.testing.assert_allclose(encoder.encode(decomposed), encoder.encode(composed), atol=1e-6)
    assert encoder.similarity(decomposed[0], composed[0]) == pytest.approx(1)
    assert encoder.most_similar(decomposed[0], [*composed, "soma"], n=9) == encoder.most_similar(
        composed[0], [*composed, "soma"], n=9
    )
    assert composed[0] not in dict(encoder.most_similar(decomposed[0], composed))
    (tmp_path / "words.txt").write_text("\n".join([*composed, "soma"]), "utf-8")
    found = [
        json.loads(runs("neighbors", str(tiny_encoder_dir), word, "-v", str(tmp_path / "words.txt"), "--json"))
        for word in (composed[0], decomposed[0])
    ]
    assert found[0] == found[1]
    assert composed[0] not in dict(next(iter(found[0].values()))["encoder"])
    text = [runs("vectors", str(tiny_encoder_dir), "-", "--text", text=" ".join(w)) for w in (composed, decomposed)]
    assert text[0] == text[1]


BOMS = "\ufeffmti\r\nmaji\rmoto\n\ufeffmwezi\n\ufeff\nnyo\ufeffta\tx\r\n"
WORDS = ["mti", "maji", "moto", "mwezi", "nyota"]


@pytest.mark.parametrize("way", ["plain", "gz", "stdin"])
@pytest.mark.parametrize("text", [False, True])
def test_a_byte_order_mark_is_in_no_word(way: str, text: bool, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    content = BOMS.replace("\tx", "").encode()
    file = tmp_path / {"plain": "w.txt", "gz": "w.txt.gz", "stdin": "-"}[way]
    file.write_bytes(gzip.compress(content) if way == "gz" else content)
    options = ["--text"] if text else []
    named = "-" if way == "stdin" else str(file)
    table = runs("vectors", str(tiny_encoder_dir), named, *options, text=content if way == "stdin" else None)
    rows = [line.split(" ") for line in table.splitlines()[1:]]
    assert [row[0] for row in rows] == WORDS
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), encoder.encode(WORDS), atol=1e-4)


def test_line_numbers_count_every_kind_of_line_end(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"a\r\nb\rc\n\nd")
    assert list(text_lines(tmp_path / "t.txt")) == [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, "d")]
    assert list(iter_lines([tmp_path / "t.txt"])) == ["a", "b", "c", "", "d"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\u000b", " "])
def test_a_line_separator_in_a_word_is_refused_and_cuts_text(
    separator: str, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "w.txt").write_text(f"soma\nki{separator}ta\n", "utf-8")
    result = CliRunner().invoke(app, ["vectors", str(tiny_encoder_dir), str(tmp_path / "w.txt")])
    assert result.exit_code == 2 and "line 2 is more than one word" in result.stderr
    table = runs("vectors", str(tiny_encoder_dir), str(tmp_path / "w.txt"), "--text")  # as the message says
    assert [line.split(" ")[0] for line in table.splitlines()[1:]] == ["soma", "ki", "ta"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_utf_16_is_named_and_the_advice_helps(encoding: str, way: str, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    content = "mti\nmaji\n".encode(encoding)
    (tmp_path / "w.txt").write_bytes(content)
    named = str(tmp_path / "w.txt") if way == "file" else "-"
    given: Any = content if way == "stdin" else None
    result = CliRunner().invoke(app, ["vectors", str(tiny_encoder_dir), named], input=given)
    assert result.exit_code == 2 and "is UTF-16 or UTF-32, not UTF-8" in result.stderr
    assert "iconv -f utf-16 -t utf-8" in result.stderr
    if way == "file" and encoding == "utf-16" and shutil.which("iconv"):
        command = ["iconv", "-f", "utf-16", "-t", "utf-8", str(tmp_path / "w.txt")]
        converted = subprocess.run(command, capture_output=True, check=True).stdout
        assert "mti" in runs("vectors", str(tiny_encoder_dir), "-", text=converted)


def test_other_encodings_are_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_bytes(b"mti\nol\xe9\n")
    with pytest.raises(DistillEmbError, match=r"w\.txt, line 2 is not UTF-8"):
        list(iter_lines([tmp_path / "w.txt"]))
    (tmp_path / "w.txt").write_bytes(codecs.BOM_UTF8)
    assert list(iter_lines([tmp_path / "w.txt"])) == [""]
