"""Train and score: Tigrinya NER and sentiment with a part of the data, and NER in a language left out.

    python recipes/transfer/train.py ner
    python recipes/transfer/train.py sentiment --seed 0 --system amharic
    python recipes/transfer/train.py left-out --language luo

A run that has a row in results.jsonl is not done again.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from datasets import DatasetDict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import classification_dataset, labels_of, named_tags, tagged_dataset, task_files, tigrinya
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate import class_scores, entity_scores
from distillemb_plugins.finetune import FineTuneArguments, build_model, fine_tune, predict
from distillemb_plugins.finetune.table import table_model
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from recipes.results import DEFAULT_DATA, Data, Results, Row, Work, check_choice, run_app, run_missing
from recipes.transfer.prepare import LEFT_OUT, RESULTS, WORK, encoder_path, teacher_path, weights_bytes
from recipes.transfer.write_tables import SETTINGS

SHARES = (0.33, 0.66, 1.0)
# What tells one row from another: the task, and all settings of its training.
KEY: tuple[str, ...] = ("task", "language", "system", "share", "seed", "limit", "hidden")
KEY += ("epochs", "learning_rate", "encoder_learning_rate")
TASKS: dict[str, Row] = SETTINGS["training"]
SYSTEMS: dict[str, Row] = {task: SETTINGS["left-out" if task == "left-out" else "systems"] for task in TASKS}
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
        wanted = sorted(set(words))
        rows, found = load_teacher(path).center().normalize().lookup(wanted)
        known = [word for word, has in zip(wanted, found, strict=True) if has]
        return *table_model(known, rows[found], labels, **settings), path.stat().st_size
    model, tokenizer = build_model(path, labels, pretrained=system != "random", **settings)
    if system != "random":
        return model, tokenizer, weights_bytes(path)
    return model, tokenizer, 4 * sum(parameter.numel() for parameter in model.distillemb.encoder.parameters())


def needed_path(task: str, system: str, language: str, work: Path) -> Path:
    """The encoder or teacher of a system. Raises `DistillEmbError` when it is not there."""
    step = "teach" if system == "static" else "distill-without" if task == "left-out" else "distill"
    name = SYSTEMS[task][system].get("encoder", "").format(language=language)
    path = teacher_path(work, "tir") if system == "static" else encoder_path(work, name)
    if not path.exists():
        raise DistillEmbError(f"There is no {path}: run `python recipes/transfer/prepare.py {step}` first.")
    return path


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


@app.command(help=__doc__)
def train(
    task: Annotated[str, typer.Argument(help=f"One of {', '.join(TASKS)}.")],
    system: Annotated[list[str], typer.Option(help="Which systems; all of the task.")] = [],
    share: Annotated[list[float], typer.Option(help="Shares of the training data.")] = list(SHARES),
    language: Annotated[list[str], typer.Option(help="Languages left out.")] = list(LEFT_OUT),
    seed: Annotated[list[int], typer.Option(help="Seeds.")] = [0, 1, 2],
    epochs: Annotated[int, typer.Option(help="Passes over the training sentences; 0: the recipe's.")] = 0,
    limit: Annotated[int, typer.Option(help="Comments (sentiment) of which shares are taken; 0: all.")] = 6000,
    hidden: Annotated[int, typer.Option(help="Units of the BiLSTM, each way.")] = 128,
    data: Data = DEFAULT_DATA,
    work: Work = WORK,
    results: Results = RESULTS,
) -> None:
    """Train and score every system of a task with every seed."""
    check_choice("task", [task], TASKS)
    check_choice("system", system, SYSTEMS[task])
    fixed: Row = {"task": task, "limit": limit if task == "sentiment" else 0, "hidden": hidden}
    fixed |= {name: getattr(FineTuneArguments, name) for name in ("learning_rate", "encoder_learning_rate")}
    fixed["epochs"] = epochs or TASKS[task]["num_train_epochs"]
    places = product(language, [1.0]) if task == "left-out" else product(["tir"], share)
    runs = [
        {"language": place, "share": part, "system": one, "seed": number, **fixed}
        for number, (place, part), one in product(seed, list(places), system or SYSTEMS[task])
    ]
    run_missing(results, runs, KEY, lambda run: run_row(run, data, work))


if __name__ == "__main__":
    run_app(app)
