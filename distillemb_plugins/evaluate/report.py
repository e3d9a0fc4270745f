"""One self-contained report.html: tables, the plot of retention against size, and maps of words.

Nothing is fetched when it is opened: the style stands in the page, and pictures are SVG in data URIs.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError
from ..files import atomic_file
from .evaluation import Evaluation, SubjectScore
from .plots import SizePoint, size_plot, word_maps
from .tables import (
    analogy_rows,
    format_bytes,
    format_number,
    format_percent,
    held_out_note,
    similarity_note,
    similarity_rows,
    summary_rows,
)

_STYLE = """
:root { color-scheme: light; --ink: #222; --faint: #667; --line: #e3e3e8; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f6f8; color: var(--ink); line-height: 1.5;
  font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Ethiopic", "Abyssinica SIL", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; margin: 1rem 0; }
.lead { font-size: 1.05rem; color: var(--faint); margin: 0 0 1rem; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.5rem; color: var(--accent); font-variant-numeric: tabular-nums; }
.tile span { color: var(--faint); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: right; padding: .28rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
table:not(.words) th:first-child, table:not(.words) td:first-child { position: sticky; left: 0; background: #fff; }
table.words td, table.words th { text-align: left; }
tr.strong td { font-weight: 600; }
.note, figcaption { color: var(--faint); font-size: .85rem; margin: .5rem 0 0; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
figure.small img { max-width: 640px; margin: 0 auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); gap: 1.2rem; }
.pair h3, .words-block h3 { font-size: .95rem; margin: .6rem 0 .3rem; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: .4rem 1.6rem; }
code { background: #f0f0f4; border-radius: 4px; padding: .1rem .3rem; overflow-wrap: anywhere; }
@media (max-width: 600px) {
  main { padding: 1rem .7rem 3rem; } section { padding: .8rem; } h1 { font-size: 1.3rem; }
  .pair figure { overflow-x: auto; } .pair figure img { width: 560px; max-width: none; }
}
"""


def write_report(
    path: str | Path,
    evaluation: Evaluation,
    *,
    title: str | None = None,
    others: Sequence[dict[str, Any]] = (),
    command: str = "",
) -> Path:
    """Write the report of an evaluation.

    others: evaluations written before (`Evaluation.to_dict`), whose models join the plot of retention against
    size. command: what was run, shown at the end. Needs the extra "report". Returns the path.
    """
    if not evaluation.subjects:
        raise DistillEmbError("There is nothing to report: evaluate an encoder or a table first.")
    sections = [
        _section("Overview", html_table(*summary_rows(evaluation)) + _held_out_note(evaluation)),
        _size_section(evaluation, others),
        _similarity_section(evaluation),
        _section("Analogies", html_table(*analogy_rows(evaluation.subjects), strong=("all",))),
        _section("Nearest neighbours", _neighbours(evaluation.subjects)),
        _map_section(evaluation),
        _section("How this was made", _provenance(command)),
    ]
    body = _lead(evaluation) + _tiles(evaluation) + "".join(sections)
    path = Path(path)
    with atomic_file(path, "w") as stream:
        stream.write(page(title or _title(evaluation), body))
    return path


# -- building blocks, for other reports too ------------------------------------------------------------------


def page(title: str, body: str) -> str:
    """A complete HTML page. body: HTML that goes under the heading."""
    name = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{name}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def html_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], strong: Iterable[str] = (), css_class: str = ""
) -> str:
    """A table that scrolls sideways when it must; rows whose first cell is in `strong` are bold."""
    if not rows:
        return ""
    bold = set(strong)
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = [
        f"<tr{' class=strong' if row[0] in bold else ''}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    ]
    name = f' class="{css_class}"' if css_class else ""
    return f'<div class="scroll"><table{name}><tr>{cells}</tr>{"".join(lines)}</table></div>'


def svg_figure(svg: str, alt: str, caption: str = "", css_class: str = "") -> str:
    """A figure whose picture stands in the page as a data URI."""
    data = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    name = f' class="{css_class}"' if css_class else ""
    note = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    image = f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure{name}>{image}{note}</figure>"


def _section(heading: str, body: str) -> str:
    return f"<section><h2>{html.escape(heading)}</h2>{body}</section>\n" if body else ""


# -- the parts of this report --------------------------------------------------------------------------------


def _title(evaluation: Evaluation) -> str:
    names = ", ".join(student.name for student in evaluation.students[:3])
    if evaluation.teacher and names:
        return f"{names} beside {evaluation.teacher.name}"
    return names or evaluation.subjects[0].name


def _lead(evaluation: Evaluation) -> str:
    teacher = evaluation.teacher
    rated = [student for student in evaluation.students if student.retention is not None]
    if not teacher or not rated:
        return ""
    best = _best(evaluation)
    text = (
        f"{best.name} keeps {format_percent(best.retention)} of what {teacher.name} scores on word similarity, "
        f"in {format_bytes(best.bytes)} instead of {format_bytes(teacher.bytes)}."
    )
    return f'<p class="lead">{html.escape(text)}</p>\n'


def _best(evaluation: Evaluation) -> SubjectScore:
    """The student that keeps most; the first one when none is rated."""
    return max(evaluation.students or evaluation.subjects, key=lambda subject: subject.retention or 0.0)


def _tiles(evaluation: Evaluation) -> str:
    """The few numbers that matter most, of the best student (or of the only table)."""
    one = _best(evaluation)
    tiles = [(format_bytes(one.bytes), f"size of {one.name}")]
    if one.similarity and one.similarity.mean is not None:
        tiles.append((format_number(one.similarity.mean), "mean similarity (Spearman)"))
    if one.retention is not None:
        tiles.append((format_percent(one.retention), "of the teacher"))
    if one.held_out:
        tiles.append((format_number(one.held_out.p_at_10), "P@10 on words never seen"))
    if one.speed:
        tiles.append((f"{one.speed.words_per_second:,.0f}", "words a second, one thread"))
    cells = "".join(
        f'<div class="tile"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>' for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>\n'


def size_points(evaluation: Evaluation, others: Sequence[dict[str, Any]] = ()) -> list[SizePoint]:
    """The models that can be placed in the plot of retention against size."""
    if not evaluation.teacher or not evaluation.teacher.similarity:
        return []
    points = [
        SizePoint(s.name, s.bytes, s.retention, "student") for s in evaluation.students if s.retention is not None
    ]
    points.append(SizePoint(evaluation.teacher.name, evaluation.teacher.bytes, 1.0, "teacher"))
    for other in others:
        for student in _students(other):
            if student.get("retention") is not None:
                points.append(SizePoint(student["name"], student["bytes"], student["retention"], "other"))
    return points


def _students(other: dict[str, Any]) -> list[dict[str, Any]]:
    students = other.get("students")
    if not isinstance(students, list) or any(not {"name", "bytes"} <= set(s) for s in students):
        raise DistillEmbError("A file to compare with is no evaluation: give what `distillemb evaluate --json` wrote.")
    return students


def _held_out_note(evaluation: Evaluation) -> str:
    held = [subject.held_out for subject in evaluation.subjects if subject.held_out]
    return f'<p class="note">{html.escape(held_out_note(held[0]))}</p>' if held else ""


def _size_section(evaluation: Evaluation, others: Sequence[dict[str, Any]]) -> str:
    points = size_points(evaluation, others)
    if len(points) < 2:
        return ""
    caption = "Upper left is best: as good as the teacher, in few bytes."
    if others:
        caption += " Grey diamonds: models evaluated before."
    alt = "; ".join(f"{p.name}: {format_percent(p.retention)} in {format_bytes(p.bytes)}" for p in points)
    return _section("Quality against size", svg_figure(size_plot(points), alt, caption, "small"))


def _similarity_section(evaluation: Evaluation) -> str:
    head, rows = similarity_rows(evaluation, evaluation.subjects)
    if not rows:
        return ""
    note = f'<p class="note">{html.escape(similarity_note(evaluation))}</p>'
    return _section("Word similarity", html_table(head, rows, strong=("mean", "of the teacher")) + note)


def _neighbours(subjects: Sequence[SubjectScore]) -> str:
    scored = [subject for subject in subjects if subject.neighbours]
    blocks = []
    for word in scored[0].neighbours if scored else ():
        lists = [subject.neighbours.get(word, []) for subject in scored]
        rows = [
            [f"{one[i][0]}  {one[i][1]:.2f}" if i < len(one) else "" for one in lists]
            for i in range(max(len(one) for one in lists))
        ] or [["(unknown)" for _ in lists]]
        head = [subject.name for subject in scored]
        blocks.append(
            f'<div class="words-block"><h3>{html.escape(word)}</h3>{html_table(head, rows, css_class="words")}</div>'
        )
    return f'<div class="columns">{"".join(blocks)}</div>' if blocks else ""


def _map_section(evaluation: Evaluation) -> str:
    word_map = evaluation.word_map
    if word_map is None or len(word_map.words) < 3:
        return ""
    names = word_map.names
    pictures = word_maps(word_map.words, word_map.vectors)
    figures = [
        f"<div><h3>{html.escape(name)}</h3>{svg_figure(svg, f'2-D map of {len(word_map.words)} words in {name}')}</div>"
        for name, svg in zip(names, pictures, strict=True)
    ]
    note = f"t-SNE of the vectors of {len(word_map.words)} words. Colours are clusters in {names[0]}"
    if len(names) > 1:
        note += "; where they stay together, the student keeps its neighbourhoods"
    return _section(
        "Map of words", f'<div class="pair">{"".join(figures)}</div><p class="note">{html.escape(note)}.</p>'
    )


def _provenance(command: str) -> str:
    from .. import __version__

    text = f"<p>distillemb-plugins {html.escape(__version__)}"
    return text + (f": <code>{html.escape(command)}</code></p>" if command else "</p>")
