"""The report's pictures, as SVG with real text (so that the reader's browser brings the fonts of any script)."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import require
from ..vectors import Floats, unit_rows

# Okabe-Ito: told apart also by most color-blind readers.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#7F3C8D", "#6B6B6B")
INK, FAINT = "#222222", "#8a8a8a"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "distillemb",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Noto Sans", "Noto Sans Ethiopic", "Abyssinica SIL"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_MAP_SEED = 0
_MAP_PERPLEXITY = 12
_MAP_CLUSTERS = 8


@dataclass(frozen=True)
class SizePoint:
    """One model in a plot of quality against size. score: per cent; role: names its color and marker."""

    name: str
    bytes: int
    score: float
    role: str


ROLES = {"student": (COLORS[0], "o"), "teacher": (INK, "s"), "other": (FAINT, "D")}


def size_plot(
    points: Sequence[SizePoint],
    y_label: str,
    roles: Mapping[str, tuple[str, str]] = ROLES,
    line: float | None = None,
    size: tuple[float, float] = (4.6, 3.3),
    legend: bool = False,
) -> str:
    """Scores against sizes (bytes, log scale), a name beside each point, as SVG.

    roles: color and marker of each role, named below with `legend`. line: a score that the others are held against; the
    axis then begins at 0. size: width and height in inches.
    """
    with figure_of(*size) as (figure, axes):
        for role, (color, marker) in roles.items():
            if own := [(point.bytes / 1e6, point.score) for point in points if point.role == role]:
                axes.scatter(*zip(*own, strict=True), s=46, c=color, marker=marker, zorder=3, label=role)
        scores, sizes = [point.score for point in points], [point.bytes / 1e6 for point in points]
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 2.2, max(sizes) * 3.2)
        if line is None:
            axes.set_ylim(min(scores) - 3, max(scores) + 3)
        else:
            axes.set_ylim(min(0.0, min(scores) - 5), max(line + 8, max(scores) + 10))
            axes.axhline(line, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(require("matplotlib.ticker", "report").LogFormatter())  # 3, not 3 x 10^0
        axes.set_xlabel("size in MB (log scale)")
        axes.set_ylabel(y_label)
        axes.grid(axis="y", color="#e6e6e6", linewidth=0.6, zorder=0)
        _label_points(axes, points, roles, line)
        if legend:
            figure.legend(loc="outside lower center", ncols=len(roles), frameon=False, fontsize=8)
        return svg_text(figure)


def _label_points(
    axes: Any, points: Sequence[SizePoint], roles: Mapping[str, tuple[str, str]], line: float | None
) -> None:
    """Names beside the points, moved where they would cover a point or a name before; above the line."""
    low, high = axes.get_ylim()
    step = 0.052 * (high - low)
    left, right = np.log10(axes.get_xlim())
    letter = 0.066 / axes.figure.get_figwidth() * (right - left)  # width of a letter of these names, in decades
    taken = [(np.log10(point.bytes), 0.1, point.score) for point in points]  # left end, width, height
    for point in sorted(points, key=lambda p: -p.score):
        x, width, level = np.log10(point.bytes) + 0.06, letter * len(point.name), point.score
        level += 0.9 * step if line is not None and abs(level - line) < step / 2 else 0
        for move in range(8 * len(points)):
            height = level + (-1) ** move * (move // 2) * step / 4
            if not any(
                x - size < other < x + width and abs(height - at) < 0.9 * step
                for other, size, at in taken
                if (other, at) != (np.log10(point.bytes), point.score)
            ):
                break
        taken.append((x, width, height))
        color = roles[point.role][0]
        moved = {"arrowstyle": "-", "color": color, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            point.name,
            (point.bytes / 1e6, point.score),
            xytext=(point.bytes / 1e6 * 1.14, height),
            color=color,
            va="center",
            fontsize=8,
            arrowprops=moved if abs(point.score - height) > step / 2 else None,
        )


def line_plots(
    panels: Mapping[str, Mapping[str, Mapping[Any, Sequence[float]]]], x_label: str, y_label: str, log: bool = False
) -> str:
    """Lines through means, with bands from the lowest to the highest value, as SVG.

    panels: by title, side by side: the lines by label, each with its values (of several seeds) at places on the axis.
    log: Whether equal steps of the axis are equal factors; only the places of the values are marked.
    """
    colors: dict[str, str] = {}
    with figure_of(3.8 * len(panels) + 0.4, 3.6, len(panels)) as (drawing, side_by_side):
        for axes, (title, lines) in zip(side_by_side, panels.items(), strict=True):
            for label, points in lines.items():
                color = colors.setdefault(label, COLORS[len(colors) % len(COLORS)])
                means, *band = ([of(values) for values in points.values()] for of in (fmean, min, max))
                axes.plot(list(points), means, marker="o", markersize=4, color=color, label=label)
                axes.fill_between(list(points), *band, color=color, alpha=0.12)
            axes.set(title=title, xlabel=x_label, ylabel=y_label)
            axes.grid(alpha=0.3)
            if log:
                places = sorted({place for points in lines.values() for place in points})
                axes.set_xscale("log")
                axes.set_xticks(places, labels=[f"{place:g}" for place in places])
                axes.minorticks_off()
        named = {
            label: line for axes in side_by_side for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if named:
            place = {"loc": "outside lower center", "ncols": min(3, 1 + len(panels)), "frameon": False, "fontsize": 8}
            drawing.legend(named.values(), named.keys(), **place)
        return svg_text(drawing)


def bar_plot(rows: Mapping[str, Mapping[str, float]], x_label: str, width: float = 4.2) -> str:
    """Bars from 0 for each row, one a system, as SVG. It is narrow, so that it can be read on a telephone.

    Args:
        rows: By label, from above: the values by system. A system that a row lacks has no bar there.
        x_label: What the values are.
        width: In inches.
    """
    systems = list(dict.fromkeys(system for values in rows.values() for system in values))
    thickness = 0.8 / max(1, len(systems))
    with figure_of(width, 1.1 + len(rows) * (0.14 + 0.11 * len(systems))) as (drawing, axes):
        for number, system in enumerate(systems):
            places = {
                place + (number - (len(systems) - 1) / 2) * thickness: values[system]
                for place, values in enumerate(rows.values())
                if system in values
            }
            axes.barh(list(places), list(places.values()), thickness, color=COLORS[number % len(COLORS)], label=system)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(x_label)
        axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        if systems:
            drawing.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
        return svg_text(drawing)


def word_maps(words: Sequence[str], tables: Sequence[Floats]) -> list[str]:
    """A 2-D map of the same words in each table, as SVG, the first one first.

    tables: float32 [n, dim] each. t-SNE of the unit vectors; every further map starts from the first one's
    layout, and colors are the first one's clusters, so that what moved can be seen.
    """
    layouts: list[NDArray[np.float64]] = []
    for table in tables:
        layouts.append(_layout(table, layouts[0] if layouts else None))
    colors = _clusters(tables[0])
    return [_word_map(words, layout, colors) for layout in layouts]


def _layout(table: Floats, start: NDArray[np.float64] | None) -> NDArray[np.float64]:
    unit = unit_rows(table).astype(np.float64)
    plane = _two_components(unit)
    if len(unit) < 8:  # too few for neighbourhoods to mean anything
        return plane
    init = plane if start is None else start
    init = init / max(float(init.std()), 1e-12) * 1e-4
    tsne = require("sklearn.manifold", "report").TSNE(
        n_components=2,
        metric="euclidean",
        init=init.astype(np.float32),
        perplexity=min(_MAP_PERPLEXITY, (len(unit) - 1) / 3),
        random_state=_MAP_SEED,
        n_jobs=1,
    )
    return np.asarray(tsne.fit_transform(unit.astype(np.float32)), dtype=np.float64)


def _two_components(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first two principal components, float64 [n, 2]."""
    left, scale, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    plane = np.zeros((len(unit), 2))
    plane[:, : min(2, len(scale))] = (left * scale)[:, :2]
    return plane


def _clusters(table: Floats) -> list[str]:
    count = min(_MAP_CLUSTERS, len(table))
    means = require("sklearn.cluster", "report").KMeans(count, n_init=4, random_state=_MAP_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct vectors than clusters: fewer colors, no harm
        return [COLORS[label] for label in means.fit_predict(unit_rows(table))]


def _word_map(words: Sequence[str], layout: NDArray[np.float64], colors: Sequence[str]) -> str:
    with figure_of(6.2, 5.4) as (figure, axes):
        places = _spread(layout)
        axes.set_xlim(-0.02, 1.14)
        axes.set_ylim(-0.03, 1.03)
        axes.scatter(places[:, 0], places[:, 1], c=list(colors), s=6, linewidths=0)
        for word, (x, y), color in zip(words, places, colors, strict=True):
            axes.text(x + 0.008, y, word.replace("$", r"\$"), color=color, fontsize=8, va="center")
        axes.set_axis_off()
        return svg_text(figure)


def _spread(layout: NDArray[np.float64]) -> NDArray[np.float64]:
    """The layout in the unit square, each coordinate half way to its rank: order stays, words cover each other less."""
    low, span = layout.min(axis=0), np.ptp(layout, axis=0)
    scaled = (layout - low) / np.where(span > 0, span, 1)
    ranks = layout.argsort(axis=0, kind="stable").argsort(axis=0) / max(1, len(layout) - 1)
    return (scaled + ranks) / 2


@contextmanager
def figure_of(width: float, height: float, panels: int = 0) -> Iterator[tuple[Any, Any]]:
    """A figure of its own, without pyplot's global state. width, height: inches.

    panels: how many side by side. Gives the figure and its axes, with `panels` a list of them.
    """
    matplotlib = require("matplotlib", "report")
    figures = require("matplotlib.figure", "report")
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # fonts are the browser's matter
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = figures.Figure(figsize=(width, height), layout="constrained")
        yield figure, list(figure.subplots(1, panels, squeeze=False)[0]) if panels else figure.subplots()


def svg_text(figure: Any) -> str:
    """A figure as SVG, the same text from the same figures. It is white, because pages may be dark."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
