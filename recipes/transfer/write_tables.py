"""Write the tables and the plot of all results found into the README.

python recipes/transfer/write_tables.py
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import typer
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.evaluate.plots import line_plots
from recipes import results as shared
from recipes.results import Cell, Row, Rows, fact, mean_spread, megabytes, pick, score, seed_means, seeds, table

HERE = Path(__file__).resolve().parent
SETTINGS: Row = yaml.safe_load((HERE / "settings.yml").read_text("utf-8"))
TASKS = {"ner": "Tigrinya NER", "sentiment": "Tigrinya sentiment"}
TRAINED_WITH = ("epochs", "limit", "hidden", "learning_rate", "encoder_learning_rate")
SYSTEMS, LEFT_OUT = (
    {name: system["title"] for name, system in SETTINGS[group].items()} for group in ("systems", "left-out")
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def settled(rows: Rows) -> Rows:
    """The rows without those of a task that were trained with other settings than most of that task's rows."""
    settings = [(row["task"], *(row.get(name) for name in TRAINED_WITH)) for row in rows]
    most: dict[str, tuple[Any, ...]] = {}
    for setting, _ in Counter(settings).most_common():
        most.setdefault(setting[0], setting)
    return [row for row, setting in zip(rows, settings, strict=True) if setting == most[row["task"]]]


def corpus_text(rows: Rows) -> str:
    """How the Tigrinya NER corpus is split, and what was mended in it."""
    for row in pick(rows, task="corpus"):
        sizes = ", ".join(f"{count:,} {name}" for name, count in row["sentences"].items())
        mended = ", ".join(f"{count} x {kind}" for kind, count in sorted(row["mended"].items()))
        return (
            f"{sum(row['sentences'].values()):,} sentences ({sizes}), {row['words']:,} words. Repeated sentences "
            f"dropped: {row['dropped']}. Lines mended: {sum(row['mended'].values())} ({mended})."
        )
    return ""


def encoder_table(rows: Rows) -> str:
    """What the encoders were distilled from, and how near they came."""
    columns = {"teacher's words": fact("teacher_words", ","), "seconds of distillation": fact("distill_seconds", ".0f")}
    columns["bytes"] = lambda own: megabytes(own[0]["bytes"])
    columns |= {"held-out cosine": fact("cosine", ".3f"), "P@10": fact("p_at_10", ".3f")}
    found = [(row["language"], [row]) for row in pick(rows, task="encoder") if "cosine" in row]
    return table("encoder", found, columns)


def share_table(rows: Rows, task: str) -> str:
    """Test F1 of every system at every share of the training data; for sentiment the paper's figures beside it."""
    found = pick(rows, task=task)
    shares = sorted({row["share"] for row in found})
    columns = {f"{100 * share:.0f} % of the data": score("test_f1", nothing="-", share=share) for share in shares}
    columns |= {"dev, 100 %": score("dev_f1", nothing="-", share=1.0), "seeds": seeds}
    columns["embedding"] = lambda own: megabytes(own[0]["embedding_bytes"])
    if task == "sentiment":
        columns["the paper's, 33 / 66 / 100 %"] = lambda own: (
            " / ".join(f"{one:.2f}" for one in SETTINGS["published"].get(own[0]["system"], ())) or "-"
        )
    return table("system", [(label, pick(found, system=one)) for one, label in SYSTEMS.items()], columns)


def left_out_table(rows: Rows) -> str:
    """Test F1 of each language with encoders distilled without and with it, and their means."""
    found = pick(rows, task="left-out")
    languages = sorted({row["language"] for row in found})
    groups = [(language, pick(found, language=language)) for language in languages]
    columns = {label: score("test_f1", nothing="-", system=one) for one, label in LEFT_OUT.items()}
    means = [mean_spread(seed_means(pick(found, system=one), "test_f1", languages)) or "-" for one in LEFT_OUT]
    return table("language", groups, {**columns, "seeds": seeds}, ["mean", *means, ""])


def cost_table(rows: Rows) -> str:
    """Training sentences and minutes of one run with all of the data."""
    found = pick(rows, share=1.0)
    groups = [
        (TASKS.get(task, f"{language} NER, left out"), pick(found, task=task, language=language))
        for task, language in sorted({(row["task"], row["language"]) for row in found})
    ]
    columns: dict[str, Cell] = {"training rows at 100 %": fact("train_rows", ","), "test rows": fact("test_rows", ",")}
    columns |= {"epochs": fact("epochs"), "minutes a run": shared.minutes}
    return table("task", groups, columns)


def share_plot(rows: Rows) -> str:
    """Mean test F1 against the share of the training data, a line for each system and a panel for each task, as SVG."""
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for task, title in TASKS.items():
        for system, label in SYSTEMS.items():
            for row in sorted(pick(rows, task=task, system=system), key=lambda row: float(row["share"])):
                line = panels.setdefault(title, {}).setdefault(label, {})
                line.setdefault(100 * row["share"], []).append(row["test_f1"])
    return line_plots(panels, "% of the training data", "test F1")


@app.command(help=__doc__)
def write(results: shared.Results = HERE / "results.jsonl", readme: shared.Readme = HERE / "README.md") -> None:
    """Write every table that has results, and the plot when a Tigrinya task has some."""
    rows = settled(shared.read_results(results))
    blocks = {"corpus": corpus_text(rows), "encoders": encoder_table(rows)}
    blocks |= {task: share_table(rows, task) for task in TASKS}
    shared.write_blocks(readme, blocks | {"left-out": left_out_table(rows), "cost": cost_table(rows)})
    if pick(rows, task=tuple(TASKS)):
        shared.write_text(readme.with_name("shares.svg"), share_plot(rows))


if __name__ == "__main__":
    shared.run_app(app)
