"""Reports as one self-contained HTML page: a typed builder over one template, ``page.html``.

A report is a title, a lead, key figures and sections. Each section holds blocks in the order in which they are added:

    report = Report("A tagger", lead="What came out.")
    report.key_figure("81.2", "F1 on test", tone=1)
    section = report.section("Scores")
    section.table(["system", "F1"], [["without", "70.0"], ["with", "81.2"]], strong=["with"])
    section.bars({"PER": [Bar("without", 70.0), Bar("with", 81.2, tone=1)]})
    section.tagged([("annotated", None, entity_pieces(words, tags))])
    report.write("report.html")

Every text is escaped. For markup inside a sentence, pass `markupsafe.Markup`, whose ``format`` escapes its arguments:
``Markup("Run <code>{}</code>.").format(command)``. Empty tables, figures and sections leave no trace, so that a caller
needs no `if`. Opening a page fetches nothing: the style stands in it, pictures are data URIs, and it has no script. It
follows the reader's light or dark setting, and is made for phones (390 px) and screens alike.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..files import atomic_file

_COLORS = 8  # of labels, in the template


@dataclass(frozen=True)
class Bar:
    """One bar of a group.

    Attributes:
        value: Its length, 0 to 100.
        tone: Its color: 0 is grey, 1 and 2 stand out.
        text: What is written beside it; the value by default.
    """

    label: str
    value: float
    tone: int = 0
    text: str = ""


@dataclass(frozen=True)
class Piece:
    """A piece of a tagged sentence. label: its tag, empty for plain text. right: False marks a wrong tag."""

    text: str
    label: str = ""
    right: bool = True


@dataclass(frozen=True)
class Figure:
    """A picture. svg: its text. alt: what it shows, for those who cannot see it."""

    svg: str
    alt: str
    title: str = ""
    caption: str = ""

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode("utf-8")).decode("ascii")


@dataclass(frozen=True)
class NeighborRow:
    """A word, a note under it, and its neighbors with their cosines in each column (one model a column)."""

    word: str
    columns: Sequence[Sequence[tuple[str, float]]]
    note: str = ""


@dataclass
class Section:
    """A part of a report under a heading. Each method adds one block and returns the section.

    Args:
        heading: May be empty.
        warning: Whether the section is drawn as a warning.
    """

    heading: str = ""
    warning: bool = False
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def _add(self, kind: str, content: Any, **values: Any) -> Section:
        if content:
            self.blocks.append({"kind": kind, "content": content, **values})
        return self

    def text(self, text: str) -> Section:
        """Add a paragraph."""
        return self._add("text", text, style="")

    def note(self, text: str) -> Section:
        """Add a paragraph in small type: what a table counts, how a figure was made."""
        return self._add("text", text, style="note")

    def subheading(self, text: str) -> Section:
        """Add a heading inside the section."""
        return self._add("heading", text)

    def code(self, text: str) -> Section:
        """Add a block of code, or any text whose line breaks count."""
        return self._add("code", text)

    def items(self, lines: Iterable[str]) -> Section:
        """Add a list."""
        return self._add("items", list(lines))

    def quotes(self, lines: Iterable[str]) -> Section:
        """Add quotations, for lines of raw text."""
        return self._add("quotes", list(lines))

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        strong: Iterable[str] = (),
        texts: bool = False,
        caption: str = "",
    ) -> Section:
        """Add a table; the first cell of a row is the row's heading.

        Args:
            head: Headings of the columns. Without any text in them the table has no head.
            rows: Cells, as many as there are headings. No table is drawn without rows.
            strong: First cells of the rows to print in bold.
            texts: Whether the cells are sentences: they wrap and stand to the left. Figures stand to the right, and
                the table scrolls sideways where it must.
            caption: A line above the table.
        """
        return self._add("table", rows, head=head, strong=set(strong), texts=texts, caption=caption)

    def bars(self, groups: Mapping[str, Sequence[Bar]]) -> Section:
        """Add groups of bars, ``{name of the group: its bars}``, for scores in per cent."""
        return self._add("bars", groups)

    def figure(self, svg: str, alt: str, *, title: str = "", caption: str = "") -> Section:
        """Add one picture, see `Figure`."""
        return self.figures([Figure(svg, alt, title, caption)] if svg else [])

    def figures(self, figures: Sequence[Figure]) -> Section:
        """Add pictures, side by side where there is room."""
        return self._add("figures", figures)

    def neighbors(self, rows: Sequence[NeighborRow], head: Sequence[str] = ()) -> Section:
        """Add the neighbors of words, one row a word. head: names of the columns; may be left out for one column."""
        return self._add("neighbors", rows, head=head)

    def tagged(self, rows: Sequence[tuple[str, bool | None, Sequence[Piece]]]) -> Section:
        """Add one sentence as several annotators tag it.

        Args:
            rows: Of each annotator the name, whether all of its tags are right (None draws no mark), and the pieces of
                the sentence (`entity_pieces`, `span_pieces`, or one piece a word).
        """
        return self._add("tagged", rows)


@dataclass
class Report:
    """A page that is built step by step.

    Args:
        title: The heading of the page.
        lead: One or two sentences under it: what came out.
        labels: Labels of tagged sentences in the order in which they take colors. Labels that stand in sentences only
            come after them.
    """

    title: str
    lead: str = ""
    labels: Sequence[str] = ()
    key_figures: list[tuple[str, str, int]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def key_figure(self, value: str, label: str, tone: int = 0) -> None:
        """Add a figure to those that the reader sees first. tone: its color, as of a `Bar`."""
        self.key_figures.append((value, label, tone))

    def section(self, heading: str = "", *, warning: bool = False) -> Section:
        """Add a section, to be filled by its own methods. A section without blocks is not drawn."""
        self.sections.append(Section(heading, warning))
        return self.sections[-1]

    def html(self) -> str:
        """Draw the page.

        Raises:
            MissingExtraError: When Jinja is not installed.
        """
        drawn: str = _template().render(report=self, colors=self._colors())
        return drawn

    def write(self, path: str | Path) -> Path:
        """Write the page, complete or not at all, and return its path."""
        text = self.html()
        with atomic_file(path, "w") as stream:
            stream.write(text)
        return Path(path)

    def _colors(self) -> dict[str, int]:
        blocks = [block for section in self.sections for block in section.blocks if block["kind"] == "tagged"]
        found = {piece.label for block in blocks for *_, pieces in block["content"] for piece in pieces}
        labels = dict.fromkeys([*self.labels, *sorted(found)])
        return {label: n % _COLORS for n, label in enumerate(filter(None, labels))}


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))


def entity_pieces(words: Sequence[str], tags: Sequence[str]) -> list[Piece]:
    """Cut a sentence into entities and the text between them. tags: one a word, IOB2, IOBES or IO."""
    from ..evaluate.tagging import entities

    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    spans = [(starts[begin], starts[end] - 1, label) for label, begin, end in entities(tags)]
    return span_pieces(" ".join(words), spans)


def span_pieces(text: str, spans: Iterable[tuple[int, int, str]]) -> list[Piece]:
    """Cut a text into spans and what stands between them.

    Args:
        text: The sentence.
        spans: ``(start, end, label)`` in characters, end exclusive, without overlaps.
    """
    pieces, place = [], 0
    for start, end, label in sorted(spans):
        pieces += [Piece(text[place:start]), Piece(text[start:end], label)]
        place = end
    return [piece for piece in [*pieces, Piece(text[place:])] if piece.text]


def word_pieces(words: Sequence[str], tags: Sequence[str], gold: Sequence[str] | None = None) -> list[Piece]:
    """One piece a word with its tag. gold: the right tags; a tag that differs from its gold one is marked as wrong."""
    wanted = tags if gold is None else gold
    return [Piece(word, tag, tag == true) for word, tag, true in zip(words, tags, wanted, strict=True)]
