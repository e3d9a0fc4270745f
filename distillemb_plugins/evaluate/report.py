"""The report of an evaluation: tables, the plot of retention against size, and maps of words, on one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError
from ..report import Figure, NeighborRow, Report
from .evaluation import Evaluation, ModelScore
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
    if not evaluation.models:
        raise DistillEmbError("There is nothing to report: evaluate an encoder or a table first.")
    report = Report(title or _title(evaluation), _lead(evaluation))
    _key_figures(report, evaluation)
    report.section("Overview").table(*summary_rows(evaluation)).note(held_out_note(evaluation))
    _size_section(report, evaluation, others)
    head, rows = similarity_rows(evaluation, evaluation.models)
    section = report.section("Word similarity").table(head, rows, strong=("mean", "of the teacher"))
    section.note(similarity_note(evaluation) if rows else "")
    report.section("Analogies").table(*analogy_rows(evaluation.models), strong=("all",))
    _neighbors(report, evaluation.models)
    _map_section(report, evaluation)
    _provenance(report, command)
    return report.write(path)


def _title(evaluation: Evaluation) -> str:
    names = ", ".join(student.name for student in evaluation.students[:3])
    if evaluation.teacher and names:
        return f"{names} beside {evaluation.teacher.name}"
    return names or evaluation.models[0].name


def _lead(evaluation: Evaluation) -> str:
    teacher = evaluation.teacher
    rated = [student for student in evaluation.students if student.retention is not None]
    if not teacher or not rated:
        return ""
    best = _best(evaluation)
    return (
        f"{best.name} keeps {format_percent(best.retention)} of what {teacher.name} scores on word similarity, "
        f"in {format_bytes(best.bytes)} instead of {format_bytes(teacher.bytes)}."
    )


def _best(evaluation: Evaluation) -> ModelScore:
    """The student that keeps most; the first one when none is rated."""
    return max(evaluation.students or evaluation.models, key=lambda model: model.retention or 0.0)


def _key_figures(report: Report, evaluation: Evaluation) -> None:
    """The few numbers that matter most, of the best student (or of the only table)."""
    one = _best(evaluation)
    report.key_figure(format_bytes(one.bytes), f"size of {one.name}")
    if one.similarity and one.similarity.mean is not None:
        report.key_figure(format_number(one.similarity.mean), "mean similarity (Spearman)", tone=1)
    if one.retention is not None:
        report.key_figure(format_percent(one.retention), "of the teacher", tone=1)
    if one.held_out:
        report.key_figure(format_number(one.held_out.p_at_10), "P@10 on words never seen", tone=1)
    if one.speed:
        report.key_figure(f"{one.speed.words_per_second:,.0f}", "words a second, one thread")


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
        raise DistillEmbError(
            "A file to compare with is not an evaluation: give the output of `distillemb evaluate --json`."
        )
    return students


def _size_section(report: Report, evaluation: Evaluation, others: Sequence[dict[str, Any]]) -> None:
    points = size_points(evaluation, others)
    if len(points) < 2:
        return
    caption = "Upper left is best: as good as the teacher, in few bytes."
    if others:
        caption += " Grey diamonds: models evaluated before."
    alt = "; ".join(f"{p.name}: {format_percent(p.retention)} in {format_bytes(p.bytes)}" for p in points)
    report.section("Quality against size").figure(size_plot(points), alt, caption=caption)


def _neighbors(report: Report, models: Sequence[ModelScore]) -> None:
    scored = [model for model in models if model.neighbors]
    rows = [
        NeighborRow(word, [model.neighbors.get(word, []) for model in scored])
        for word in (scored[0].neighbors if scored else ())
    ]
    report.section("Nearest neighbors").neighbors(rows, [model.name for model in scored])


def _map_section(report: Report, evaluation: Evaluation) -> None:
    word_map = evaluation.word_map
    if word_map is None or len(word_map.words) < 3:
        return
    names = word_map.names
    pictures = word_maps(word_map.words, word_map.vectors)
    figures = [
        Figure(svg, f"2-D map of {len(word_map.words)} words in {name}", name)
        for name, svg in zip(names, pictures, strict=True)
    ]
    note = f"t-SNE of the vectors of {len(word_map.words)} words. Colors are clusters in {names[0]}"
    if len(names) > 1:
        note += "; where they stay together, the student keeps its neighborhoods"
    report.section("Map of words").figures(figures).note(note + ".")


def _provenance(report: Report, command: str) -> None:
    from .. import __version__

    report.section("How this was made").text(f"distillemb-plugins {__version__}").code(command)
