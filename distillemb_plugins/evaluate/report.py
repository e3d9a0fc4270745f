"""The report of an evaluation: tables, the plot of retention against size, and maps of words, on one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError
from ..report import Figure, NeighborRow, Report
from .evaluation import Evaluation
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


def write_report(
    path: str | Path,
    evaluation: Evaluation,
    *,
    title: str | None = None,
    others: Sequence[dict[str, Any]] = (),
    command: str = "",
) -> Path:
    """Write the report of an evaluation. It needs the extra "report".

    Args:
        path: The HTML file.
        evaluation: The scores.
        title: The heading of the page; the models' names by default.
        others: Evaluations written before (`Evaluation.to_dict`). Their models join the plot of retention against size.
        command: What was run, shown at the end.

    Returns:
        The path.

    Raises:
        DistillEmbError: When there is nothing to report, or one of `others` is not an evaluation.
        MissingExtraError: When the extra is not installed.
    """
    from .. import __version__

    models = evaluation.models
    if not models:
        raise DistillEmbError("There is nothing to report: evaluate an encoder or a table first.")
    report = Report(title or _title(evaluation))
    _add_best(report, evaluation)
    report.section("Overview").table(*summary_rows(evaluation)).note(held_out_note(evaluation))
    _add_size_plot(report, evaluation, others)
    section = report.section("Word similarity")
    section.table(*similarity_rows(evaluation, models), strong=("mean", "of the teacher"))
    section.note(similarity_note(evaluation))
    report.section("Analogies").table(*analogy_rows(models), strong=("all",))
    scored = [model for model in models if model.neighbors]
    words = scored[0].neighbors if scored else ()
    rows = [NeighborRow(word, [model.neighbors.get(word, []) for model in scored]) for word in words]
    report.section("Nearest neighbors").neighbors(rows, [model.name for model in scored])
    _add_maps(report, evaluation)
    report.section("How this was made").text(f"distillemb-plugins {__version__}").code(command)
    return report.write(path)


def _title(evaluation: Evaluation) -> str:
    names = ", ".join(student.name for student in evaluation.students[:3])
    if evaluation.teacher and names:
        return f"{names} beside {evaluation.teacher.name}"
    return names or evaluation.models[0].name


def _add_best(report: Report, evaluation: Evaluation) -> None:
    """The few numbers that matter most, of the student that keeps most (or of the only table)."""
    teacher = evaluation.teacher
    best = max(evaluation.students or evaluation.models, key=lambda model: model.retention or 0.0)
    if teacher and best.retention is not None:
        report.lead = (
            f"{best.name} keeps {format_percent(best.retention)} of what {teacher.name} scores on word similarity, "
            f"in {format_bytes(best.bytes)} instead of {format_bytes(teacher.bytes)}."
        )
    report.key_figure(format_bytes(best.bytes), f"size of {best.name}")
    if best.similarity and best.similarity.mean is not None:
        report.key_figure(format_number(best.similarity.mean), "mean similarity (Spearman)", tone=1)
    if best.retention is not None:
        report.key_figure(format_percent(best.retention), "of the teacher", tone=1)
    if best.held_out:
        report.key_figure(format_number(best.held_out.p_at_10), "P@10 on words never seen", tone=1)
    if best.speed:
        report.key_figure(f"{best.speed.words_per_second:,.0f}", "words a second, one thread")


def size_points(evaluation: Evaluation, others: Sequence[dict[str, Any]] = ()) -> list[SizePoint]:
    """The models that can be placed in the plot of retention against size."""
    teacher = evaluation.teacher
    if not teacher or not teacher.similarity:
        return []
    students = evaluation.students
    points = [SizePoint(s.name, s.bytes, 100 * s.retention, "student") for s in students if s.retention is not None]
    points.append(SizePoint(teacher.name, teacher.bytes, 100.0, "teacher"))
    try:
        earlier = [(s["name"], s["bytes"], s.get("retention")) for other in others for s in other["students"]]
    except (KeyError, TypeError) as error:
        raise DistillEmbError(
            "A file to compare with is not an evaluation: give the output of `distillemb evaluate --json`."
        ) from error
    return points + [SizePoint(name, size, 100 * kept, "other") for name, size, kept in earlier if kept is not None]


def _add_size_plot(report: Report, evaluation: Evaluation, others: Sequence[dict[str, Any]]) -> None:
    points = size_points(evaluation, others)
    if len(points) < 2:
        return
    caption = "Upper left is best: as good as the teacher, in few bytes."
    if others:
        caption += " Grey diamonds: models evaluated before."
    alt = "; ".join(f"{p.name}: {format_percent(p.score / 100)} in {format_bytes(p.bytes)}" for p in points)
    drawing = size_plot(points, "% of the teacher's mean similarity", line=100.0)
    report.section("Quality against size").figure(drawing, alt, caption=caption)


def _add_maps(report: Report, evaluation: Evaluation) -> None:
    word_map = evaluation.word_map
    if word_map is None or len(word_map.words) < 3:
        return
    count, names = len(word_map.words), word_map.names
    pictures = zip(names, word_maps(word_map.words, word_map.vectors), strict=True)
    figures = [Figure(svg, f"2-D map of {count} words in {name}", name) for name, svg in pictures]
    note = f"t-SNE of the vectors of {count} words. Colors are clusters in {names[0]}"
    if len(names) > 1:
        note += "; where they stay together, the student keeps its neighborhoods"
    report.section("Map of words").figures(figures).note(note + ".")
