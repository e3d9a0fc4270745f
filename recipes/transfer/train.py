"""Train and score: Tigrinya NER and sentiment with a part of the data, and NER in a language left out.

    python recipes/transfer/train.py ner
    python recipes/transfer/train.py sentiment --seed 0 --system amharic
    python recipes/transfer/train.py left-out --language luo
    python recipes/transfer/train.py write     # the tables and the plot of all results found

A run that has a row in results.jsonl is not done again.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from datasets import DatasetDict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import classification_dataset, labels_of, named_tags, tagged_dataset, task_files, tigrinya
from distillemb_plugins.evaluate import class_scores, entity_scores
from distillemb_plugins.evaluate.plots import line_plots
from distillemb_plugins.finetune import FineTuneArguments, build_model, fine_tune, predict
from distillemb_plugins.finetune.table import table_model
from distillemb_plugins.persistence import WEIGHTS_FILE
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from recipes import results as shared
from recipes.results import Cell, Row, Rows, fact, mean_spread, megabytes, pick, score, seed_means, seeds, table
from recipes.transfer import prepare
from recipes.transfer.prepare import LEFT_OUT, RESULTS, SETTINGS, corpus_text, encoder_path, teacher_path

SHARES = (0.33, 0.66, 1.0)
# What tells one row from another: the task, and all settings of its training.
KEY: tuple[str, ...] = ("task", "language", "system", "share", "seed")
KEY += ("epochs", "limit", "hidden", "learning_rate", "encoder_learning_rate")
TASKS: dict[str, Row] = SETTINGS["training"]
SYSTEMS: dict[str, Row] = {task: SETTINGS["left-out" if task == "left-out" else "systems"] for task in TASKS}
TITLES = {"ner": "Tigrinya NER", "sentiment": "Tigrinya sentiment"}
NAMES = {group: {name: one["title"] for name, one in SETTINGS[group].items()} for group in ("systems", "left-out")}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@lru_cache(maxsize=1)
def read_dataset(task: str, language: str, data: Path) -> Any:
    """The splits of a task."""
    if task == "ner":
        return tigrinya.tigrinya_dataset(data)
    if task == "sentiment":
        return classification_dataset(data, "tir-sentiment", "tir")
    return tagged_dataset(task_files(data, "ner/masakhaner1", language))


def part_of(dataset: Any, share: float, seed: int, limit: int) -> Any:
    """The dataset with a share of its training data, or of `limit` of it (0: all); larger shares hold smaller ones."""
    order = list(range(len(dataset["train"])))
    random.Random(seed).shuffle(order)
    order = order[: limit or None]
    return {**dataset, "train": dataset["train"].select(sorted(order[: round(share * len(order))]))}


def make_model(task: str, system: str, path: Path, words: Iterable[str], labels: Sequence[str], **settings: Any) -> Any:
    """A model that is not trained, its tokenizer, and the bytes of the embedding below its head.

    The system static holds a table of the task's words, centered and at length 1 as the encoders' targets were, unseen
    words by their n-grams; it is not trained.
    """
    settings |= {"tagger": task != "sentiment", "head": "bilstm" if task == "sentiment" else "bilstm-crf"}
    if system == "static":
        known = load_teacher(path).center().normalize().with_words(sorted(words))
        return *table_model(known.words, known.vectors, labels, **settings), path.stat().st_size
    model, tokenizer = build_model(path, labels, pretrained=system != "random", **settings)
    if system != "random":
        return model, tokenizer, (path / WEIGHTS_FILE).stat().st_size
    return model, tokenizer, 4 * sum(parameter.numel() for parameter in model.distillemb.encoder.parameters())


def needed_path(task: str, system: str, language: str, work: Path) -> Path:
    """The encoder or teacher of a system. Raises `DistillEmbError` when it is not there."""
    step = "teach" if system == "static" else "distill-without" if task == "left-out" else "distill"
    name = SYSTEMS[task][system].get("encoder", "").format(language=language)
    path = teacher_path(work, "tir") if system == "static" else encoder_path(work, name)
    return shared.needed(path, f"transfer/prepare.py {step}")


def run_row(run: Row, data: Path, work: Path) -> Row:
    """Train and score one run: the rest of its row."""
    task, system, seed = run["task"], run["system"], run["seed"]
    path = needed_path(task, system, run["language"], work)
    dataset = read_dataset(task, run["language"], data)
    labels, texts = labels_of(dataset["train"]), task == "sentiment"
    sentences = [map(tokenize, split["text"]) if texts else split["tokens"] for split in dataset.values()]
    words = {word for split in sentences for sentence in split for word in sentence}
    model, tokenizer, size = make_model(task, system, path, words, labels, head_hidden_size=run["hidden"], seed=seed)
    part = part_of(dataset, run["share"], seed, run["limit"])
    with tempfile.TemporaryDirectory() as folder:
        settings = {**TASKS[task], "num_train_epochs": run["epochs"], "seed": seed}
        result = fine_tune(model, tokenizer, DatasetDict(part), FineTuneArguments(folder, **settings))
    found = predict(result.model, tokenizer, part["test"])
    gold = [labels[label] for label in part["test"]["label"]] if texts else named_tags(part["test"])
    scores = (class_scores if texts else entity_scores)(gold, found)
    row = {f"dev_{name}": round(result.dev[name], 2) for name in ("f1", "macro_f1", "accuracy") if name in result.dev}
    row |= {f"test_{name}": round(value, 2) for name, value in scores.items()}
    row |= {"train_rows": len(part["train"]), "test_rows": len(part["test"])}
    return row | {"embedding_bytes": size, "seconds": round(result.seconds, 1)}


def settled(rows: Rows) -> Rows:
    """The rows without those of a task that were trained with other settings than most of that task's rows."""
    settings = [(row["task"], *map(row.get, KEY[5:])) for row in rows]
    most = {setting[0]: setting for setting, _ in reversed(Counter(settings).most_common())}
    return [row for row, setting in zip(rows, settings, strict=True) if setting == most[row["task"]]]


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
    return table("system", [(label, pick(found, system=one)) for one, label in NAMES["systems"].items()], columns)


def left_out_table(rows: Rows) -> str:
    """Test F1 of each language with encoders distilled without and with it, and their means."""
    found = pick(rows, task="left-out")
    languages = sorted({row["language"] for row in found})
    groups = [(language, pick(found, language=language)) for language in languages]
    columns = {label: score("test_f1", nothing="-", system=one) for one, label in NAMES["left-out"].items()}
    means = [mean_spread(seed_means(pick(found, system=one), "test_f1", languages)) or "-" for one in NAMES["left-out"]]
    return table("language", groups, {**columns, "seeds": seeds}, ["mean", *means, ""])


def cost_table(rows: Rows) -> str:
    """Training sentences and minutes of one run with all of the data."""
    found = pick(rows, share=1.0)
    groups = [
        (TITLES.get(task, f"{language} NER, left out"), pick(found, task=task, language=language))
        for task, language in sorted({(row["task"], row["language"]) for row in found})
    ]
    columns: dict[str, Cell] = {"training rows at 100 %": fact("train_rows", ","), "test rows": fact("test_rows", ",")}
    columns |= {"epochs": fact("epochs"), "minutes a run": shared.minutes}
    return table("task", groups, columns)


def share_plot(rows: Rows) -> str:
    """Mean test F1 against the share of the training data, a line for each system and a panel for each task, as SVG."""
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for task, title in TITLES.items():
        for system, label in NAMES["systems"].items():
            for row in sorted(pick(rows, task=task, system=system), key=lambda row: float(row["share"])):
                line = panels.setdefault(title, {}).setdefault(label, {})
                line.setdefault(100 * row["share"], []).append(row["test_f1"])
    return line_plots(panels, "% of the training data", "test F1")


def write(results: Path, readme: Path) -> None:
    """Write every table that has results, and the plot when a Tigrinya task has some."""
    rows = settled(shared.read_results(results))
    blocks = {"corpus": corpus_text(rows), "encoders": encoder_table(rows)}
    blocks |= {task: share_table(rows, task) for task in TITLES}
    shared.write_blocks(readme, blocks | {"left-out": left_out_table(rows), "cost": cost_table(rows)})
    if pick(rows, task=tuple(TITLES)):
        shared.write_text(readme.with_name("shares.svg"), share_plot(rows))


@app.command(help=__doc__)
def train(
    task: Annotated[str, typer.Argument(help=f"One of {', '.join(TASKS)}, or write.")],
    system: Annotated[list[str], typer.Option(help="Which systems; all of the task.")] = [],
    share: Annotated[list[float], typer.Option(help="Shares of the training data.")] = list(SHARES),
    language: shared.Languages = list(LEFT_OUT),
    seed: shared.Seeds = [0, 1, 2],
    epochs: shared.Epochs = 0,
    limit: Annotated[int, typer.Option(help="Comments (sentiment) of which shares are taken; 0: all.")] = 6000,
    hidden: Annotated[int, typer.Option(help="Units of the BiLSTM, each way.")] = 128,
    data: shared.Data = shared.DEFAULT_DATA,
    work: shared.Work = prepare.WORK,
    results: shared.Results = RESULTS,
    readme: shared.Readme = prepare.HERE / "README.md",
) -> None:
    shared.check_choice("task", [task], [*TASKS, "write"])
    if task == "write":
        write(results, readme)
        return
    shared.check_choice("system", system, SYSTEMS[task])
    fixed: Row = {"task": task, "limit": limit if task == "sentiment" else 0, "hidden": hidden}
    fixed |= {name: getattr(FineTuneArguments, name) for name in ("learning_rate", "encoder_learning_rate")}
    fixed["epochs"] = epochs or TASKS[task]["num_train_epochs"]
    places = product(language, [1.0]) if task == "left-out" else product(["tir"], share)
    runs = [
        {"language": place, "share": part, "system": one, "seed": number, **fixed}
        for number, (place, part), one in product(seed, list(places), system or SYSTEMS[task])
    ]
    shared.run_missing(results, runs, KEY, lambda run: run_row(run, data, work))


if __name__ == "__main__":
    shared.run_app(app)
