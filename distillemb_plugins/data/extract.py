"""The text in public files: one small function a format, from bytes to lines. `cleaning` tidies what comes out."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_REMARK = re.compile(r"\[[^\]]*\]|%\S*|\(\)|[*~^#=]")
_FOREIGN = re.compile(r":\s*[a-z]{3}\b")
_SILENT = re.compile(r"<(title|script|style)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_LINE_END = re.compile(r"<br\s*/?>|</(?:p|h[1-6]|div|li|tr)\s*>", re.IGNORECASE)


def _text(data: bytes) -> str:
    """UTF-8 as text. What a file has of another encoding is marked, as a browser marks it."""
    return data.decode("utf-8-sig", "replace")


def plain_lines(data: bytes, *, ends: str = "") -> Iterator[str]:
    """The lines of a text file. They end in LF, CRLF or CR.

    ends: characters that end a line too when white space follows: for a file without lines, what ends a sentence.
    """
    after = rf"|(?<=[{re.escape(ends)}])\s+" if ends else ""
    yield from re.split(rf"\r\n?|\n{after}", _text(data))


def column(
    data: bytes, *, name: str | int, delimiter: str = "\t", quoted: bool = True, split: bool = False
) -> Iterator[str]:
    """One column of a table: its name or the end of that, or without a header its number from 0.

    quoted: whether a value may stand in quotation marks, and then hold the delimiter and line ends. split: whether each
    line of a value is a line of text, and not the whole value.
    """
    text = io.StringIO(_text(data), newline="")
    rows = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    place = name if isinstance(name, int) else next(n for n, title in enumerate(next(rows)) if title.endswith(name))
    for row in rows:
        if len(row) > place:
            yield from row[place].split("\n") if split else [row[place]]


def json_fields(data: bytes, *, names: Iterable[str]) -> Iterator[str]:
    """The texts of named fields, however deep they stand, of one JSON document or of several (JSON lines).

    Args:
        data: The file.
        names: Of the fields.
    """
    text, place, wanted, decoder = _text(data).strip(), 0, frozenset(names), json.JSONDecoder()
    while place < len(text):
        document, end = decoder.raw_decode(text, place)
        yield from _texts(document, wanted)
        place = end + len(text[end : end + 80]) - len(text[end : end + 80].lstrip())


def _texts(value: Any, names: frozenset[str]) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key in names and isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict | list):
            yield from _texts(inner, names)


def tmx(data: bytes, *, without: Sequence[str]) -> Iterator[str]:
    """The segments of a translation memory.

    Args:
        data: The file.
        without: Languages to leave out, as ``xml:lang`` gives them.
    """
    for variant in ElementTree.fromstring(data).iter("tuv"):
        if variant.get(_XML_LANGUAGE, "").lower() not in without:
            yield from ("".join(segment.itertext()) for segment in variant.iter("seg"))


def stm(data: bytes) -> Iterator[str]:
    """The segments of a transcript in NIST's STM format, without remarks (``[r]``, ``%hum``) and marks of editing.

    A word of another language has its tag after it (``word :fra``). The tags are removed, and segments of which more
    than half of the words have one are left out.
    """
    for line in plain_lines(data):
        if line.startswith(";;") or "<o" not in line:
            continue
        text = _REMARK.sub(" ", line.partition("<o")[2].partition(">")[2])
        text, foreign = _FOREIGN.subn(" ", text)
        if 2 * foreign <= len(text.split()):
            yield text


def conllu_text(data: bytes) -> Iterator[str]:
    """The sentences of a CoNLL-U file as their ``# text`` gives them."""
    yield from (line.partition("=")[2] for line in plain_lines(data) if re.match(r"# text *=", line))


def conllu_forms(data: bytes) -> Iterator[str]:
    """The sentences of a CoNLL-U file from its forms, without punctuation and ``~`` (a word that is cut off)."""
    for block in re.split(r"\n\s*\n", _text(data)):
        rows = [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
        yield " ".join(row[1] for row in rows if row[0].isdigit() and row[3] != "PUNCT").replace("~", "")


def tagged_words(data: bytes) -> Iterator[str]:
    """The sentences of a file that has a word and its tag a line, and a blank line after each sentence."""
    for block in re.split(r"\n\s*\n", _text(data)):
        yield " ".join(line.split()[0] for line in block.splitlines() if line.strip())


def page(data: bytes, *, between: str = " ") -> Iterator[str]:
    """The text of an HTML page or of another marked-up file, without title, scripts, styles and comments.

    between: what a tag that ends no line becomes.
    """
    text = _LINE_END.sub("\n", _SILENT.sub(" ", _text(data)))
    yield from html.unescape(re.sub(r"<[^>]+>", between, text)).split("\n")


def tagged_news(data: bytes) -> Iterator[str]:
    """The sentences of Amharic news with a tag ``<N>`` after each word, from its titles and bodies."""
    for part in re.findall(r"<(title|body)>(.*?)</\1>", _text(data), re.DOTALL):
        yield from re.split(r"(?<=።)", html.unescape(re.sub(r"<[^>]+>", " ", part[1]).replace("\n", " ")))


def story(data: bytes) -> Iterator[str]:
    """The lines of a story in Markdown, unless its license is non-commercial. Items (``* ``) are about the story."""
    lines = list(plain_lines(data))
    if not any(line.startswith("* License:") and "NC" in line for line in lines):
        yield from (line.lstrip("#") for line in lines if not line.startswith("* "))


def sheet_strings(data: bytes) -> Iterator[str]:
    """The texts of a workbook (.xlsx), a line each."""
    with zipfile.ZipFile(io.BytesIO(data)) as book, book.open("xl/sharedStrings.xml") as stream:
        root = ElementTree.parse(stream).getroot()
    space = root.tag.partition("}")[0] + "}"
    for item in root.iter(f"{space}si"):
        yield from plain_lines("".join(text.text or "" for text in item.iter(f"{space}t")).encode())


EXTRACTORS: dict[str, Callable[..., Iterator[str]]] = {
    "lines": plain_lines,
    "column": column,
    "json": json_fields,
    "tmx": tmx,
    "stm": stm,
    "conllu-text": conllu_text,
    "conllu-forms": conllu_forms,
    "words": tagged_words,
    "html": page,
    "tagged-news": tagged_news,
    "markdown-story": story,
    "xlsx": sheet_strings,
}
"""The formats that a manifest may name."""


def extract(path: str, data: bytes, form: str, **options: Any) -> Iterator[str]:
    """Stream the text of a file. Of a ``.zip`` every member is read.

    Args:
        path: Of the file, for its ending.
        data: Its content.
        form: One of `EXTRACTORS`.
        **options: Of that extractor.
    """
    if PurePosixPath(path).suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from extract(name, archive.read(name), form, **options)
        return
    yield from EXTRACTORS[form](data, **options)
