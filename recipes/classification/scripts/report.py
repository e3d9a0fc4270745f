"""The README's tables, from the results and the data."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.classification.scripts.arms import ARMS, TASK_LANGUAGES, labels_of
from recipes.common import markdown_table, mean_spread, megabytes, replace_block, whole_seeds

if TYPE_CHECKING:
    from datasets import DatasetDict

Row = dict[str, Any]
NOTHING = "–"


def write_tables(rows: Sequence[Row], readme: Path) -> None:
    """For each task that has results: the means over its languages, and the F1 of every language."""
    for task in sorted({row["task"] for row in rows}):
        found = [row for row in rows if row["task"] == task]
        replace_block(readme, f"{task}-means", means_table(found))
        replace_block(readme, f"{task}-languages", languages_table(found))


def write_settings(rows: Sequence[Row], readme: Path) -> None:
    """Dev F1 for each share of the pipeline's rate at which the encoder learnt, if any was tried."""
    if rows:
        tasks = sorted({(row["task"], row["language"]) for row in rows})
        lines = []
        for factor in sorted({row["grad_factor"] for row in rows}):
            found = {(row["task"], row["language"]): row["dev_f1"] for row in rows if row["grad_factor"] == factor}
            lines.append([f"{factor:g}", *(f"{found[key]:.1f}" if key in found else NOTHING for key in tasks)])
        header = ["encoder's share of the rate", *(f"{task} {language}" for task, language in tasks)]
        replace_block(readme, "settings", markdown_table(header, lines))


def arms_of(rows: Sequence[Row]) -> Iterable[tuple[str, str, list[Row]]]:
    """Model, arm and its rows, in the order of `ARMS`, where there are any."""
    for model, arms in ARMS.items():
        for arm in arms:
            found = [row for row in rows if (row["model"], row["arm"]) == (model, arm)]
            if found:
                yield model, arm, found


def common_languages(rows: Sequence[Row], model: str) -> list[str]:
    """The languages that every arm of the model has, of the arms that have any."""
    found = [row for row in rows if row["model"] == model]
    of_arms = [{row["language"] for row in found if row["arm"] == arm} for arm in {row["arm"] for row in found}]
    return sorted(set.intersection(*of_arms)) if of_arms else []


def means_table(rows: Sequence[Row]) -> str:
    """Means over the languages for each seed, then mean and spread over the seeds."""
    header = [
        "model, arm",
        "languages",
        "test weighted F1",
        "test macro F1",
        "dev weighted F1",
        "seeds",
        "seconds a run",
    ]
    lines = []
    for model, arm, found in arms_of(rows):
        languages = common_languages(rows, model)
        kept = whole_seeds(found, "language", languages)
        if not kept:
            continue
        figures = [_seed_means(kept, name) for name in ("test_f1", "test_macro_f1", "dev_f1")]
        seconds = f"{statistics.fmean(row['seconds'] for row in kept):.0f}"
        size = megabytes(kept[0]["embedding_bytes"]) if kept[0]["embedding_bytes"] else "none"
        seeds = str(len({row["seed"] for row in kept}))
        lines.append([f"{model}, {arm}", str(len(languages)), *map(mean_spread, figures), seeds, seconds, size])
    return markdown_table([*header, "embedding"], lines)


def _seed_means(rows: Sequence[Row], name: str) -> list[float]:
    seeds = sorted({row["seed"] for row in rows})
    return [statistics.fmean(row[name] for row in rows if row["seed"] == seed) for seed in seeds]


def languages_table(rows: Sequence[Row]) -> str:
    """Weighted F1 on test of each model and arm in each language."""
    languages = [one for one in TASK_LANGUAGES[rows[0]["task"]] if any(row["language"] == one for row in rows)]
    lines = []
    for model, arm, found in arms_of(rows):
        cells = [[row["test_f1"] for row in found if row["language"] == one] for one in languages]
        lines.append([f"{model}, {arm}", *(mean_spread(cell) if cell else NOTHING for cell in cells)])
    return markdown_table(["model, arm", *languages], lines)


def write_data(found: Mapping[tuple[str, str], tuple[DatasetDict, Sequence[str]]], readme: Path) -> None:
    """What each data set holds after the checks, and what they dropped."""
    header = ["task, language", "classes", "train", "dev", "test", "words a train text", "a test text", "dropped"]
    lines = []
    for (task, language), (dataset, notes) in found.items():
        sizes = [str(len(dataset[name])) for name in ("train", "dev", "test")]
        words = [f"{statistics.fmean(len(t.split()) for t in dataset[name]['text']):.0f}" for name in ("train", "test")]
        classes = str(len(labels_of(dataset["train"])))
        lines.append([f"{task} {language}", classes, *sizes, *words, dropped(notes)])
    replace_block(readme, "data", markdown_table(header, lines))


def dropped(notes: Sequence[str]) -> str:
    """How many texts the checks took out of train and of dev."""
    counts = {"train": 0, "dev": 0}
    for note in notes:
        match = re.match(r"(train|dev): (\d+) texts .*dropped", note)
        if match:
            counts[match[1]] += int(match[2])
    said = [f"{count} {name}" for name, count in counts.items() if count]
    return ", ".join(said) or "none"
