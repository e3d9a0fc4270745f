"""Pieces of HTML for the reports that are not on `distillemb_plugins.report` yet."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

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
