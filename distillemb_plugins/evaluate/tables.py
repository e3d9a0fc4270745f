"""An evaluation as plain text tables, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .retention import UNKNOWN_SETTINGS

if TYPE_CHECKING:
    from .evaluation import Evaluation, ModelScore

MISSING = "-"
_SIDE_BY_SIDE = 4  # models beside each other before the table is broken in two
_NAME_WIDTH = 26


def format_number(value: float | None, digits: int = 3) -> str:
    """A score as ``.581``-like text with a leading zero; ``-`` when there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"


def format_percent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.1f} %"


def format_bytes(count: float) -> str:
    """Bytes in the decimal unit that fits: ``2.41 MB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def text_width(text: str) -> int:
    """Columns a terminal takes: marks have none, wide East Asian letters two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shorten(text: str, width: int = _NAME_WIDTH) -> str:
    """The text, its middle left out when it is longer than `width`."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + "…" + text[-(width - 1 - head) :]


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns aligned with spaces: the first `left` to the left, the others to the right."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(text_width(line[i]) for line in lines) for i in range(len(head))]

    def pad(text: str, i: int) -> str:
        space = " " * (widths[i] - text_width(text))
        return text + space if i < left else space + text

    drawn = ["  ".join(pad(cell, i) for i, cell in enumerate(line)).rstrip() for line in lines]
    return "\n".join([drawn[0], "-" * min(sum(widths) + 2 * (len(widths) - 1), 110), *drawn[1:]])


def format_evaluation(evaluation: Evaluation) -> str:
    """Every table of an evaluation, one under the other."""
    parts = [_summary(evaluation)]
    models = evaluation.models
    for start in range(0, len(models), _SIDE_BY_SIDE):
        block = models[start : start + _SIDE_BY_SIDE]
        parts += [_similarity(evaluation, block), _analogies(block), _neighbors(block)]
    return "\n\n".join(part for part in parts if part)


def summary_rows(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the overview, one row a model; columns that nobody has are left out."""
    head = [
        "model",
        "size",
        "similarity",
        "retention",
        "analogies",
        "held-out cosine",
        "P@1",
        "P@10",
        "overlap@10",
    ]
    head += ["words/s"]
    rows = []
    for model in evaluation.models:
        held = model.held_out
        rows.append(
            [
                shorten(model.name) + (" (teacher)" if model is evaluation.teacher else ""),
                format_bytes(model.bytes),
                format_number(model.similarity.mean if model.similarity else None),
                MISSING if model is evaluation.teacher else format_percent(model.retention),
                format_number(model.analogies.accuracy if model.analogies else None),
                format_number(held.cosine if held else None),
                format_number(held.p_at_1 if held else None),
                format_number(held.p_at_10 if held else None),
                format_number(held.overlap_at_10 if held else None),
                f"{model.speed.words_per_second:,.0f}" if model.speed else MISSING,
            ]
        )
    used = [i for i in range(len(head)) if i < 2 or any(row[i] != MISSING for row in rows)]
    return [head[i] for i in used], [[row[i] for i in used] for row in rows]


def similarity_rows(evaluation: Evaluation, models: Sequence[ModelScore]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the similarity sets, one column a model, the mean and the retention below."""
    scored = [model for model in models if model.similarity]
    if not scored or not scored[0].similarity:
        return [], []
    first = scored[0].similarity
    reference = evaluation.teacher or scored[0]
    oov = reference.similarity.sets if reference.similarity else first.sets
    head = ["set", *[shorten(model.name) for model in scored], "pairs", "unknown"]
    rows = []
    for i, one in enumerate(first.sets):
        mark = "" if one.label in first.mean_of else " *"
        counts = [
            f"{one.scored:,}" if one.scored == one.pairs else f"{one.scored:,}/{one.pairs:,}",
            f"{oov[i].oov:,}",
        ]
        values = [format_number(s.similarity.sets[i].spearman) for s in scored if s.similarity]
        rows.append([one.label + mark, *values, *counts])
    rows.append(["mean", *[format_number(s.similarity.mean) for s in scored if s.similarity], "", ""])
    if evaluation.teacher and evaluation.students:
        kept = ["" if s is evaluation.teacher else format_percent(s.retention) for s in scored]
        rows.append(["of the teacher", *kept, "", ""])
    return head, rows


def similarity_note(evaluation: Evaluation) -> str:
    """What the similarity numbers count."""
    scores = [s.similarity for s in evaluation.models if s.similarity]
    if not scores:
        return ""
    whose = "the teacher" if evaluation.teacher else "the first table or encoder"
    note = f"Spearman's rho. Unknown: pairs with a word that {whose} lacks"
    note += ", counted with similarity 0." if evaluation.every_pair else ", left out for all."
    if any(one.label not in scores[0].mean_of for one in scores[0].sets):
        note += " * not in the mean."
    return note


def _summary(evaluation: Evaluation) -> str:
    head, rows = summary_rows(evaluation)
    return "\n".join(part for part in (format_table(head, rows), held_out_note(evaluation)) if part)


def held_out_note(evaluation: Evaluation) -> str:
    """What the scores on held-out words are, and whose settings are unknown."""
    scored = [model for model in evaluation.models if model.held_out]
    if not scored or not scored[0].held_out:
        return ""
    first = scored[0].held_out
    unknown = [model.name for model in scored if model.held_out and not model.held_out.settings_known]
    return " ".join(
        [
            f"Cosine, P@k, overlap@10: {first.words:,} words held out from training, their teacher vectors sought "
            f"among {first.candidates:,}.",
            *(f"{name} {UNKNOWN_SETTINGS}" for name in unknown),
        ]
    )


def _similarity(evaluation: Evaluation, models: Sequence[ModelScore]) -> str:
    head, rows = similarity_rows(evaluation, models)
    return format_table(head, rows) + "\n" + similarity_note(evaluation) if rows else ""


def analogy_rows(models: Sequence[ModelScore]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the analogy sections, one column a model."""
    scored = [model for model in models if model.analogies]
    if not scored or not scored[0].analogies:
        return [], []
    head = ["section", *[shorten(model.name) for model in scored], "asked", "skipped"]
    rows = []
    for i, section in enumerate(scored[0].analogies.sections):
        asked = section.questions - section.skipped
        right = [s.analogies.sections[i].top1 for s in scored if s.analogies]
        values = [format_number(count / asked if asked else None) for count in right]
        rows.append([section.name, *values, f"{asked:,}", f"{section.skipped:,}"])
    first = scored[0].analogies
    totals = [format_number(s.analogies.accuracy) for s in scored if s.analogies]
    top5 = [format_number(s.analogies.accuracy_top5) for s in scored if s.analogies]
    rows.append(["all", *totals, f"{first.answered:,}", f"{first.skipped:,}"])
    rows.append(["all, among the first 5", *top5, "", ""])
    return head, rows


def _analogies(models: Sequence[ModelScore]) -> str:
    head, rows = analogy_rows(models)
    return "Analogies, share answered right\n" + format_table(head, rows) if rows else ""


def _neighbors(models: Sequence[ModelScore]) -> str:
    """Lists of neighbors side by side, a table for each word."""
    scored = [model for model in models if model.neighbors]
    words = list(scored[0].neighbors) if scored else []
    tables = []
    for word in words:
        lists = [model.neighbors.get(word, []) for model in scored]
        longest = max(len(one) for one in lists)
        cells = [[_neighbor(one, i) for one in lists] for i in range(longest)] or [["(unknown)"] * len(lists)]
        head = [f"{word}: {shorten(scored[0].name)}", *[shorten(model.name) for model in scored[1:]]]
        tables.append(format_table(head, cells, left=len(lists)))
    return "\n\n".join(tables)


def _neighbor(neighbors: Sequence[tuple[str, float]], i: int) -> str:
    return f"{neighbors[i][0]} {neighbors[i][1]:.2f}" if i < len(neighbors) else ""
