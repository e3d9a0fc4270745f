"""Write the tables and the plot of all results found into the README.

python recipes/transfer/tabulate.py
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.evaluate.plots import COLORS, figure_of, svg_text
from distillemb_plugins.files import atomic_file
from recipes.results import markdown_table, mean_spread, megabytes, pick, read_results, replace_block, run_app

HERE = Path(__file__).resolve().parent
TIGRINYA_SYSTEMS = ("random", "amharic", "tigrinya", "afro11", "static")
LEFT_OUT_SYSTEMS = ("random", "without", "with")  # weights; the encoder of all languages but one; of all
Rows = list[dict[str, Any]]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
TASKS = {"ner": "NER", "sentiment": "sentiment"}
SETTINGS = ("epochs", "limit", "hidden", "learning_rate", "encoder_learning_rate")
# Mersha & Wu 2022, Tigrinya sentiment with 33, 66 and 100 % of their data.
PUBLISHED = {
    "random": (81.97, 85.12, 85.96),
    "amharic": (84.26, 86.32, 87.50),
    "tigrinya": (84.22, 86.25, 87.91),
    "static": (80.25, 87.41, 87.91),
}
LABELS = {
    "random": "random weights",
    "amharic": "distilled, Amharic only",
    "tigrinya": "distilled, Tigrinya only",
    "afro11": "afro11 (bundled)",
    "static": "static fastText, Tigrinya",
}


def settled(rows: Rows) -> Rows:
    """The rows without those of a task that were trained with other settings than most of that task's rows."""

    def setting(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in SETTINGS)

    counts: dict[str, Counter[tuple[Any, ...]]] = {}
    for row in rows:
        counts.setdefault(row["task"], Counter())[setting(row)] += 1
    return [row for row in rows if setting(row) == counts[row["task"]].most_common(1)[0][0]]


def corpus_text(rows: Rows) -> str:
    """How the Tigrinya NER corpus is split, and what was mended in it."""
    found = pick(rows, task="corpus")
    if not found:
        return ""
    row = found[0]
    sizes = ", ".join(f"{count:,} {name}" for name, count in row["sentences"].items())
    mended = ", ".join(f"{count} x {kind}" for kind, count in sorted(row["mended"].items()))
    return (
        f"{sum(row['sentences'].values()):,} sentences ({sizes}), {row['words']:,} words. Repeated sentences dropped: "
        f"{row['dropped']}. Lines mended: {sum(row['mended'].values())} ({mended})."
    )


def encoder_table(rows: Rows) -> str:
    """What the encoders were distilled from, and how near they came."""
    header = ["encoder", "teacher's words", "seconds of distillation", "bytes", "held-out cosine", "P@10"]
    lines = [
        [
            row["language"],
            f"{row['teacher_words']:,}",
            f"{row['distill_seconds']:.0f}",
            megabytes(row["bytes"]),
            f"{row['cosine']:.3f}",
            f"{row['p_at_10']:.3f}",
        ]
        for row in pick(rows, task="encoder")
        if "cosine" in row
    ]
    return markdown_table(header, lines) if lines else ""


def share_table(rows: Rows, task: str) -> str:
    """Test F1 of every system at every share of the training data; for sentiment the paper's figures beside it."""
    found = pick(rows, task=task)
    shares = sorted({row["share"] for row in found})
    header = ["system", *(f"{100 * share:.0f} % of the data" for share in shares)]
    header += ["dev, 100 %", "seeds", "embedding"]
    header += ["the paper's, 33 / 66 / 100 %"] if task == "sentiment" else []
    lines = []
    for system, label in LABELS.items():
        own = pick(found, system=system)
        if own:
            lines.append([label, *(_scores(pick(own, share=share), "test_f1") for share in shares)])
            lines[-1] += [_scores(pick(own, share=1.0), "dev_f1"), _seeds(own), megabytes(own[0]["embedding_bytes"])]
            if task == "sentiment":
                lines[-1].append(" / ".join(f"{score:.2f}" for score in PUBLISHED.get(system, ())) or "-")
    return markdown_table(header, lines) if lines else ""


def left_out_table(rows: Rows) -> str:
    """Test F1 of each language with encoders distilled without and with it, and their means."""
    found = pick(rows, task="left-out")
    languages = sorted({row["language"] for row in found})
    lines = []
    for language in languages:
        own = [_scores(pick(found, language=language, system=system), "test_f1") for system in LEFT_OUT_SYSTEMS]
        lines.append([language, *own, _seeds(pick(found, language=language))])
    means = [_mean_over(pick(found, system=system), languages) for system in LEFT_OUT_SYSTEMS]
    header = ["language", "random weights", "distilled without it", "distilled with it", "seeds"]
    return markdown_table(header, [*lines, ["mean", *means, ""]]) if lines else ""


def _mean_over(rows: Rows, languages: Iterable[str]) -> str:
    """Mean over the languages in each seed that has them all, then mean and spread over those seeds."""
    by_seed: dict[int, dict[str, float]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], {})[row["language"]] = row["test_f1"]
    means = [sum(own.values()) / len(own) for own in by_seed.values() if own.keys() == set(languages)]
    return mean_spread(means) if means else "-"


def cost_table(rows: Rows) -> str:
    """Training sentences and minutes of one run with all of the data."""
    lines = []
    for task, language, title in _tasks(rows):
        own = pick(rows, task=task, language=language, share=1.0)
        for epochs in sorted({row["epochs"] for row in own}):
            runs = pick(own, epochs=epochs)
            sizes = [f"{runs[0]['train_rows']:,}", f"{runs[0]['test_rows']:,}", str(epochs)]
            lines.append([title, *sizes, mean_spread([row["seconds"] / 60 for row in runs])])
    header = ["task", "training rows at 100 %", "test rows", "epochs", "minutes a run"]
    return markdown_table(header, lines) if lines else ""


def _tasks(rows: Rows) -> list[tuple[str, str, str]]:
    """Task, language and title of everything that was trained."""
    found = sorted({(row["task"], row["language"]) for row in rows if "system" in row})
    titles = {"ner": "Tigrinya NER", "sentiment": "Tigrinya sentiment"}
    return [(task, language, titles.get(task, f"{language} NER, left out")) for task, language in found]


def _scores(rows: Rows, name: str) -> str:
    return mean_spread([row[name] for row in rows]) if rows else "-"


def _seeds(rows: Rows) -> str:
    return str(len({row["seed"] for row in rows}))


def share_plot(rows: Rows) -> str:
    """Mean test F1 against the share of the training data, a line for each system and a panel for each task, as SVG."""
    tasks = [task for task in TASKS if pick(rows, task=task)]
    with figure_of(3.8 * len(tasks) + 0.4, 3.6, len(tasks)) as (figure, panels):
        for task, axes in zip(tasks, panels, strict=True):
            for colour, system in zip(COLORS, TIGRINYA_SYSTEMS, strict=False):
                own = pick(rows, task=task, system=system)
                shares = sorted({row["share"] for row in own})
                scores = [[row["test_f1"] for row in pick(own, share=share)] for share in shares]
                if not own:
                    continue
                places = [100 * share for share in shares]
                axes.plot(places, [sum(s) / len(s) for s in scores], marker="o", color=colour, label=LABELS[system])
                axes.fill_between(places, [min(s) for s in scores], [max(s) for s in scores], color=colour, alpha=0.12)
            axes.set_title(f"Tigrinya {TASKS[task]}")
            axes.set_xlabel("% of the training data")
            axes.set_ylabel("test F1")
        named = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        return svg_text(figure)


@app.command(help=__doc__)
def write(
    results: Annotated[Path, typer.Option(help="The scores (JSON lines).")] = HERE / "results.jsonl",
    readme: Annotated[Path, typer.Option(help="Where the tables go; the plot goes beside it.")] = HERE / "README.md",
) -> None:
    """Write every table that has results, and the plot when a Tigrinya task has some."""
    rows = settled(read_results(results))
    blocks = {
        "corpus": corpus_text(rows),
        "encoders": encoder_table(rows),
        "ner": share_table(rows, "ner"),
        "sentiment": share_table(rows, "sentiment"),
        "left-out": left_out_table(rows),
        "cost": cost_table(rows),
    }
    for name, text in blocks.items():
        if text:
            replace_block(readme, name, text)
    if any(row["task"] in TASKS for row in rows):
        with atomic_file(readme.with_name("shares.svg"), "w") as stream:
            stream.write(share_plot(rows))


if __name__ == "__main__":
    run_app(app)
