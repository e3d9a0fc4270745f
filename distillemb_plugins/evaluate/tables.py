"""An evaluation as tables: head and rows, which the report draws, and plain text for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING

from .retention import UNKNOWN_SETTINGS

if TYPE_CHECKING:
    from .evaluation import Evaluation, ModelScore
    from .models import Neighbors

MISSING = "-"
_SIDE_BY_SIDE = 4  # models beside each other before the table is broken in two
_NAME_WIDTH = 26
_RULE = "As a rule, P@10 above 0.5 is good; below 0.2 the training was short (--epochs)."

Rows = tuple[list[str], list[list[str]]]
"""The head of a table, and its rows; both empty when there is nothing to show."""


def format_number(value: float | None) -> str:
    """A score with three decimals, or "-" when there is none."""
    return MISSING if value is None else f"{value:.3f}"


def format_percent(value: float | None) -> str:
    """A share in per cent, or "-" when there is none."""
    return MISSING if value is None else f"{100 * value:.1f} %"


def format_bytes(count: float) -> str:
    """Bytes in the decimal unit that fits: ``2.41 MB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns aligned with spaces: the first `left` to the left, the others to the right."""
    widths = [max(map(_width, column)) for column in zip(head, *rows, strict=True)]

    def draw(line: Sequence[str]) -> str:
        pads = [" " * (width - _width(cell)) for width, cell in zip(widths, line, strict=True)]
        cells = (c + pad if i < left else pad + c for i, (c, pad) in enumerate(zip(line, pads, strict=True)))
        return "  ".join(cells).rstrip()

    return "\n".join([draw(head), "-" * min(sum(widths) + 2 * (len(widths) - 1), 110), *map(draw, rows)])


def _width(text: str) -> int:
    """Columns a terminal takes: marks have none, wide East Asian letters two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _short(name: str) -> str:
    """A name, its middle left out when it is too long for a column."""
    half = (_NAME_WIDTH - 1) // 2
    return name if len(name) <= _NAME_WIDTH else f"{name[:half]}…{name[half + 1 - _NAME_WIDTH :]}"


def format_evaluation(evaluation: Evaluation) -> str:
    """Every table of an evaluation, one under the other."""
    parts = [_with_note(format_table(*summary_rows(evaluation)), held_out_note(evaluation))]
    models = evaluation.models
    for start in range(0, len(models), _SIDE_BY_SIDE):
        block = models[start : start + _SIDE_BY_SIDE]
        head, rows = similarity_rows(evaluation, block)
        parts += [_with_note(format_table(head, rows), similarity_note(evaluation))] if rows else []
        head, rows = analogy_rows(block)
        parts += ["Analogies, share answered right\n" + format_table(head, rows)] if rows else []
        scored = [model for model in block if model.neighbors]
        first, *others = [_short(model.name) for model in scored] or [""]
        for word in scored[0].neighbors if scored else ():
            lists = [model.neighbors.get(word, []) for model in scored]
            parts.append(neighbor_table([f"{word}: {first}", *others], lists))
    return "\n\n".join(parts)


def _with_note(table: str, note: str) -> str:
    return f"{table}\n{note}" if note else table


def neighbor_table(head: Sequence[str], lists: Sequence[Neighbors], cell: str = "{0} {1:.2f}") -> str:
    """Lists of neighbors side by side. cell: how a word and its cosine are written."""
    lines = zip_longest(*lists)
    rows = [[cell.format(*one) if one else "" for one in line] for line in lines] or [["(unknown)"] * len(lists)]
    return format_table(head, rows, left=len(lists))


def summary_rows(evaluation: Evaluation) -> Rows:
    """The overview, one row a model; columns that nobody has are left out."""
    cells = []
    for model in evaluation.models:
        own = model is evaluation.teacher
        held = asdict(model.held_out) if model.held_out else {}
        line = {
            "model": _short(model.name) + (" (teacher)" if own else ""),
            "size": format_bytes(model.bytes),
            "similarity": format_number(model.similarity.mean if model.similarity else None),
            "retention": MISSING if own else format_percent(model.retention),
            "analogies": format_number(model.analogies.accuracy if model.analogies else None),
            "held-out cosine": format_number(held.get("cosine")),
            "P@1": format_number(held.get("p_at_1")),
            "P@10": format_number(held.get("p_at_10")),
            "overlap@10": format_number(held.get("overlap_at_10")),
            "words/s": f"{model.speed.words_per_second:,.0f}" if model.speed else MISSING,
        }
        cells.append(line)
    used = [name for name in cells[0] if any(line[name] != MISSING for line in cells)]
    return used, [[line[name] for name in used] for line in cells]


def held_out_note(evaluation: Evaluation) -> str:
    """What the scores on held-out words are, and whose settings are unknown."""
    scored = [(model.name, model.held_out) for model in evaluation.models if model.held_out]
    if not scored:
        return ""
    first = scored[0][1]
    unknown = [f" {name} {UNKNOWN_SETTINGS}" for name, score in scored if not score.settings_known]
    return (
        f"Cosine, P@k, overlap@10: {first.words:,} words held out from training, their teacher vectors sought "
        f"among {first.candidates:,}. {_RULE}"
    ) + "".join(unknown)


def similarity_rows(evaluation: Evaluation, models: Sequence[ModelScore]) -> Rows:
    """The similarity sets, one column a model, the mean and the retention below."""
    scored = [(model, model.similarity) for model in models if model.similarity]
    if not scored:
        return [], []
    first = scored[0][1]
    reference = (evaluation.teacher.similarity if evaluation.teacher else None) or first
    head = ["set", *[_short(model.name) for model, _ in scored], "pairs", "unknown"]
    rows = []
    for i, one in enumerate(first.sets):
        mark = "" if one.label in first.mean_of else " *"
        pairs = f"{one.scored:,}" if one.scored == one.pairs else f"{one.scored:,}/{one.pairs:,}"
        values = [format_number(score.sets[i].spearman) for _, score in scored]
        rows.append([one.label + mark, *values, pairs, f"{reference.sets[i].oov:,}"])
    rows.append(["mean", *[format_number(score.mean) for _, score in scored], "", ""])
    if evaluation.teacher and evaluation.students:
        kept = ["" if model is evaluation.teacher else format_percent(model.retention) for model, _ in scored]
        rows.append(["of the teacher", *kept, "", ""])
    return head, rows


def similarity_note(evaluation: Evaluation) -> str:
    """What the similarity numbers count."""
    score = next((model.similarity for model in evaluation.models if model.similarity), None)
    if score is None:
        return ""
    whose = "the teacher" if evaluation.teacher else "the first table or encoder"
    counted = "counted with similarity 0" if evaluation.every_pair else "left out for all"
    left_out = " * not in the mean." if any(one.label not in score.mean_of for one in score.sets) else ""
    meaning = "Spearman's rho: 1 orders the pairs as people do, 0 as chance does."
    return f"{meaning} Unknown: pairs with a word that {whose} lacks, {counted}.{left_out}"


def analogy_rows(models: Sequence[ModelScore]) -> Rows:
    """The sections of the analogies, one column a model."""
    scored = [(model.name, model.analogies) for model in models if model.analogies]
    if not scored:
        return [], []
    scores = [score for _, score in scored]
    first = scores[0]
    rows = []
    for i, section in enumerate(first.sections):
        asked = section.questions - section.skipped
        values = [format_number(score.sections[i].top1 / asked if asked else None) for score in scores]
        rows.append([section.name, *values, f"{asked:,}", f"{section.skipped:,}"])
    totals = [format_number(score.accuracy) for score in scores]
    rows.append(["all", *totals, f"{first.answered:,}", f"{first.skipped:,}"])
    rows.append(["all, among the first 5", *[format_number(score.accuracy_top5) for score in scores], "", ""])
    return ["section", *[_short(name) for name, _ in scored], "asked", "skipped"], rows
