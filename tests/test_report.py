"""The report builder: blocks, escaping, and a page that needs nothing from outside."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path

from markupsafe import Markup

from distillemb_plugins.report import Bar, Figure, NeighborRow, Piece, Report, entity_pieces, span_pieces, word_pieces


class Page(html.parser.HTMLParser):
    """Collects the text and what a browser would fetch, and checks that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def full_report() -> Report:
    report = Report("<T> & co", "A lead.", labels=("PER", "LOC"))
    report.key_figure("81.2", "F1 <b>", tone=1)
    section = report.section("Scores")
    section.text(Markup("Run <code>{}</code>.").format("<x>")).note("a note").subheading("sub").code("a\n  b")
    section.items(["one"]).quotes(["ሰላም <i>"])
    section.table(["system", "F1"], [["a<", "1.0"], ["b", "2.0"]], strong=["b"], caption="cap")
    section.bars({"PER": [Bar("without", 50), Bar("with", 120.0, tone=1, text="much")]})
    section.figures([Figure("<svg/>", 'an "alt"', "title", "caption")])
    section.neighbors([NeighborRow("w", [[("near", 0.5)], []], "note")], ["one", "two"])
    section.tagged([("annotated", None, [Piece("Asha", "PER"), Piece(" ran")]), ("tagger", False, [Piece("x", "NEW")])])
    report.section("A warning", warning=True).text("careful")
    report.section("Empty").table(["a"], []).figures([]).text("").bars({}).items([]).neighbors([]).tagged([])
    return report


def test_every_block_is_drawn_escaped_and_closed() -> None:
    text = full_report().html()
    page = Page(text)
    assert "<T> & co" in page.text and "F1 <b>" in page.text and "ሰላም <i>" in page.text
    assert "Run <code>&lt;x&gt;</code>." in text and "&lt;T&gt;" in text
    assert "a\n  b" in text
    for word in ("A lead.", "a note", "sub", "cap", "50.0", "much", "near", "0.50", "(unknown)", "Asha", "careful"):
        assert word in page.text
    assert "Empty" not in page.text
    assert 'style="width:100.0%"' in text


def test_the_page_fetches_nothing_and_has_no_script() -> None:
    text = full_report().html()
    assert Page(text).links == ["data:image/svg+xml;base64,PHN2Zy8+"]
    assert not re.search(r"https?://|url\(|@import|<script", text)
    assert "width=device-width" in text and "prefers-color-scheme: dark" in text


def test_tables_have_headers_for_screen_readers() -> None:
    scopes = [attributes.get("scope") for tag, attributes in Page(full_report().html()).tags if tag == "th"]
    assert scopes == ["col", "col", "row", "row", "col", "col", "col", "row"]
    images = [attributes for tag, attributes in Page(full_report().html()).tags if tag == "img"]
    assert [image["alt"] for image in images] == ['an "alt"']


def test_labels_keep_their_colors() -> None:
    text = full_report().html()
    assert 'class="entity c0">Asha' in text and 'class="entity c2">x' in text
    assert Report("r", labels=("A", "B")).html() == Report("r", labels=("A", "B")).html()


def test_write_is_whole(tmp_path: Path) -> None:
    path = Report("t").write(tmp_path / "deep" / "r.html")
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert [file.name for file in path.parent.iterdir()] == ["r.html"]


def test_pieces() -> None:
    words, tags = ["Asha", "Juma", "yuko", "Mwanza"], ["B-PER", "I-PER", "O", "B-LOC"]
    wanted = [Piece("Asha Juma", "PER"), Piece(" yuko "), Piece("Mwanza", "LOC")]
    assert entity_pieces(words, tags) == wanted
    assert span_pieces("Asha Juma yuko Mwanza", [(15, 21, "LOC"), (0, 9, "PER")]) == wanted
    assert word_pieces(["a", "b"], ["X", "Y"], ["X", "Z"]) == [Piece("a", "X"), Piece("b", "Y", right=False)]
