"""Text out of small made-up files, one of each format of the public sources; and their cleaning."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from distillemb_plugins.data.cleaning import Cleaning, Lines, clean
from distillemb_plugins.data.extract import EXTRACTORS, extract

TMX = """<?xml version="1.0"?><tmx><body>
<tu><tuv xml:lang="en"><seg>Water</seg></tuv><tuv xml:lang="sw"><seg>Maji <b>safi</b></seg></tuv></tu>
</body></tmx>"""
STM = """;; made by hand
a 1 speaker 0.0 2.5 <o,f0,male> nanga [r] def %hum ci formation :fra bi () *
a 1 speaker 2.5 3.0 <o,f0,male> merci :fra beaucoup :fra
"""
CONLLU = """# sent_id = 1
# text = Abi you~ come?
1-2\tAbi you\t_\t_
1\tAbi\tabi\tADV
2\tyou~\tyou\tPRON
3\tcome\tcome\tVERB
4\t?\t?\tPUNCT

# text = Yes
1\tYes\tyes\tINTJ
"""
HTML = """<html><head><title>Gone</title><style>p {}</style></head><body><h1>ዜና</h1>
<p>አንድ&nbsp;<b>ሁለት</b> <<ሦስት>></p>ab<br/>cd<!-- not this --></body></html>"""
WIC = "<title>ልዩ <ADJ> ዞን <N>። <PUNC></title><body>\nአንድ <N>ሁለት <N>። <PUNC> ሦስት\n <N></body><copyright>X</copyright>"
STORY = "# Anansi\n\n##\nLwali lumu\n* License: [CC-BY{}]\n* Text: A. Writer\n"


def sheet(*texts: str) -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    items = "".join(f"<si><r><t>{text}</t></r></si>" for text in texts)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as book:
        book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{space}">{items}</sst>')
    return packed.getvalue()


@pytest.mark.parametrize(
    ("form", "data", "options", "lines"),
    [
        ("lines", "\ufeffone\r\ntwo\rthree\n", {}, ["one", "two", "three"]),
        ("lines", "Bw. Juma? Ni 3.5 tu\n", {"ends": ".?"}, ["Bw.", "Juma?", "Ni 3.5 tu"]),
        ("lines", b"caf\xe9", {}, ["caf\ufffd"]),
        ("column", 'ID\ttweet\n1\t"a b\n2\n3\tc "d"\n', {"name": "tweet", "quoted": False}, ['"a b', 'c "d"']),
        ("column", 'ha_review,s\n"one, two\nthree",1\n', {"name": "_review", "delimiter": ","}, ["one, two\nthree"]),
        ("column", '__label__joy\t"a b\n', {"name": 1, "quoted": False}, ['"a b']),
        ("column", 'Body\n"one\ntwo"\n', {"name": "Body", "split": True}, ["one", "two"]),
        ("json", '[{"question": "a", "n": 1, "more": {"text": "b"}}]', {"names": ["question", "text"]}, ["a", "b"]),
        ("json", '{"text": "a"}\n\n{"text": "b\u2028c"}\n', {"names": ["text"]}, ["a", "b\u2028c"]),
        ("tmx", TMX, {"without": ["en"]}, ["Maji safi"]),
        ("stm", STM, {}, ["nanga def ci formation bi"]),
        ("conllu-text", CONLLU, {}, ["Abi you~ come?", "Yes"]),
        ("conllu-forms", CONLLU, {}, ["Abi you come", "Yes"]),
        ("words", "Juma B-PER\nyupo O\r\n\t\n\nleo O\n", {}, ["Juma yupo", "leo"]),
        ("html", HTML, {}, ["ዜና", "አንድ ሁለት >", "ab", "cd"]),
        ("html", "<a><b>ፓርላማ</b></a>ው<br />\nነው", {"between": ""}, ["ፓርላማው", "ነው"]),
        ("tagged-news", WIC, {}, ["ልዩ ዞን ።", "አንድ ሁለት ።", "ሦስት"]),
        ("markdown-story", STORY.format(""), {}, ["Anansi", "Lwali lumu"]),
        ("markdown-story", STORY.format("-NC"), {}, []),
        ("xlsx", sheet("Jii 2", "mar\n3"), {}, ["Jii 2", "mar", "3"]),
    ],
)
def test_text_comes_out_of_each_format(form: str, data: str | bytes, options: dict[str, Any], lines: list[str]) -> None:
    found = extract("file", data.encode() if isinstance(data, str) else data, form, **options)
    cleaned = [line.strip(" ") if "\n" in line or "\u2028" in line else " ".join(line.split()) for line in found]
    assert [line for line in cleaned if line] == lines


def test_each_format_has_a_case() -> None:
    marks = test_text_comes_out_of_each_format.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {case[0] for case in marks} == set(EXTRACTORS)


def test_every_member_of_a_zip_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", json.dumps({"t": "one"}))
        archive.writestr("b.json", json.dumps({"t": "two"}))
    assert list(extract("x.json.zip", packed.getvalue(), "json", names=["t"])) == ["one", "two"]


def test_a_clean_line_is_composed_and_has_nothing_invisible() -> None:
    assert clean("\ufeffe\u0301 \t so\u00adma\u200b\x07  x") == "é soma x"
    assert clean("ab\u200dc") == "ab\u200dc" and clean("ab\u200dc", all_formats=True) == "abc"


def test_lines_are_taken_once_in_a_language() -> None:
    lines = Lines()
    raw = ["Habari za leo", "12 ...", "habari, za leo!", "Habari  za leo", "mbili tu"]
    assert list(lines.clean(raw, Cleaning())) == ["Habari za leo", "habari, za leo!", "mbili tu"]
    new, raw = (
        Cleaning(by_letters=True, min_words=3),
        ["HABARI ZA LEO?", "moja mbili", "moja mbili tatu", "not this one"],
    )
    assert list(lines.clean(raw, new, ["not this one"])) == ["moja mbili tatu"]
    assert list(lines.clean(["moja mbili tatu"], Cleaning())) == []
    assert list(lines.clean(["mbili, tatu", "tatu nne"], Cleaning(inside=True))) == ["tatu nne"]


def test_lines_in_another_script_are_left_out() -> None:
    ethiopic = Cleaning(ethiopic=True)
    assert list(Lines().clean(["ሰላም ነው hello", "ሰላም hello", "፲፱፻ 12"], ethiopic)) == ["ሰላም ነው hello", "፲፱፻ 12"]
