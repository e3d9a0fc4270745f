"""Transfer: encoders distilled on another language, fine-tuned on Tigrinya; and NER in a language left out.

    python scripts/transfer.py all                        # everything; goes on where it stopped
    python scripts/transfer.py ner --seed 0 --arm amharic # one part

A row that is in results.jsonl is not run again.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from transformers import EvalPrediction

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.data.classification import classification_dataset
from distillemb_plugins.data.sources import task_file
from distillemb_plugins.data.tagged import labels_of, named_tags, tagged_dataset
from distillemb_plugins.finetune.trainer import TrainSettings, predict, score_classes, score_entities, train_model
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from recipes.common import DEFAULT_DATA, add_result, read_results, run_app, task_files
from recipes.transfer.scripts import encoders, report, tigrinya
from recipes.transfer.scripts.arms import LEFT_OUT_ARMS, TIGRINYA_ARMS, Arm, Head, left_out_arm, tigrinya_arm

HERE = Path(__file__).resolve().parents[1]
WORK = HERE / "training"
RESULTS = HERE / "results.jsonl"
SHARES = (0.33, 0.66, 1.0)
LEFT_OUT = ("luo", "wol", "hau", "yor")
NER_CORPUS = "tir-mehari/Tigrinya-NER-Dataset.txt"
# What tells one row from another: the task, and all settings of its training.
TRAINING = ("epochs", "learning_rate", "encoder_learning_rate")
KEY = ("task", "language", "arm", "share", "seed", "limit", "hidden", *TRAINING)
SETTINGS = {
    "ner": TrainSettings(epochs=6, batch_size=16),
    "sentiment": TrainSettings(epochs=3, batch_size=32, max_words=64),
    "left-out": TrainSettings(epochs=5, batch_size=16),
}
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/, teachers/ and tasks/.")]
Work = Annotated[Path, typer.Option(help="Where teachers and encoders are kept.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]
Arms = Annotated[list[str], typer.Option("--arm", help="Which arms; repeat for several.")]
Shares = Annotated[list[float], typer.Option("--share", help="Share of the training data; repeat for several.")]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seeds; repeat for several.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training sentences; 0: the recipe's.")]
Languages = Annotated[list[str], typer.Option("--language", help="Languages; repeat for several.")]


# -- encoders ----------------------------------------------------------------------------------------------------------


@app.command()
def teach(data: Data = DEFAULT_DATA, language: Languages = ["amh", "tir"], work: Work = WORK) -> None:  # noqa: B006
    """Train a fastText teacher on each language's text alone, without lines that hold a dev or test sentence."""
    parts = tigrinya.split(tigrinya_corpus(data).sentences)
    for one in language:
        if not encoders.teacher_path(work, one).is_file():
            left_out = encoders.teach_language(data, one, work, [*parts["dev"], *parts["test"]])
            typer.echo(f"{one}: {left_out} lines were left out, since they hold a dev or test sentence.")


@app.command()
def distill(
    language: Languages = ["amh", "tir"],  # noqa: B006
    work: Work = WORK,
    max_seconds: Annotated[float, typer.Option(help="Stop after so much training.")] = 90,
    results: Results = RESULTS,
) -> None:
    """Distil each language's teacher into an encoder of that language alone."""
    for one in language:
        teacher = load_teacher(encoders.teacher_path(work, one), limit=encoders.VOCABULARY)
        facts = encoders.distil(teacher, encoders.encoder_path(work, one), {"max_seconds": max_seconds})
        add_result(results, {"task": "encoder", "language": one, **facts}, ("task", "language"))


@app.command("distill-without")
def distill_without(
    data: Data = DEFAULT_DATA,
    language: Languages = [encoders.ALL, *LEFT_OUT],  # noqa: B006
    work: Work = WORK,
    max_seconds: Annotated[float, typer.Option(help="Stop after so much training.")] = 60,
    results: Results = RESULTS,
) -> None:
    """Distil the teacher of eleven languages without the words of one of them; "all" with all words."""
    for one in language:
        name = one if one == encoders.ALL else f"without-{one}"
        teacher = encoders.teacher_without(data, one, work)
        facts = encoders.distil(teacher, encoders.encoder_path(work, name), {"max_seconds": max_seconds})
        add_result(results, {"task": "encoder", "language": name, **facts}, ("task", "language"))


# -- tasks -------------------------------------------------------------------------------------------------------------


def tigrinya_corpus(data: Path) -> tigrinya.Corpus:
    """The Tigrinya NER corpus, mended."""
    return tigrinya.read_corpus(task_file(data, "ner", NER_CORPUS) or data / "tasks" / "ner" / NER_CORPUS)


@app.command()
def check(data: Data = DEFAULT_DATA, results: Results = RESULTS) -> None:
    """Say what was mended in the Tigrinya NER corpus and how it is split, and keep the numbers for the README."""
    corpus = tigrinya_corpus(data)
    for line in corpus.mended:
        typer.echo(line)
    sizes = {name: len(sentences) for name, sentences in tigrinya.split(corpus.sentences).items()}
    row = {"task": "corpus", "language": "tir", "words": corpus.words, "sentences": sizes}
    row |= {"dropped": corpus.dropped, "mended": dict(corpus.kinds)}
    add_result(results, row, ("task", "language"))
    typer.echo(report.corpus_text([row]))


def part_of(dataset: Any, share: float, seed: int, limit: int) -> Any:
    """The dataset with a share of its training data, or of `limit` of it (0: all); larger shares hold smaller ones."""
    order = list(range(len(dataset["train"])))
    random.Random(seed).shuffle(order)
    order = order[: limit or None]
    parts = dict(dataset)
    parts["train"] = dataset["train"].select(sorted(order[: round(share * len(order))]))
    return parts


def run_row(row: dict[str, Any], arm: Callable[[], Arm], dataset: Any, settings: TrainSettings, results: Path) -> None:
    """Train and score one arm, unless `results` holds a row with the same key."""
    row = row | {name: asdict(settings)[name] for name in TRAINING}
    key = [row.get(name) for name in KEY]
    if any([other.get(name) for name in KEY] == key for other in read_results(results)):
        return
    built, data = arm(), part_of(dataset, row["share"], row["seed"], row["limit"])
    with tempfile.TemporaryDirectory() as work:
        result = train_model(built.model, built.characters, data, settings, Path(work) / "model")
    scores = {
        f"dev_{name}": round(result.dev[name], 2) for name in ("f1", "macro_f1", "accuracy") if name in result.dev
    }
    scores |= {f"test_{name}": round(value, 2) for name, value in scores_on_test(result.model, built, data).items()}
    sizes = {"train_rows": len(data["train"]), "test_rows": len(data["test"])}
    facts = {"embedding_bytes": built.embedding_bytes, "seconds": round(result.seconds, 1)}
    add_result(results, row | sizes | scores | facts, KEY)


def scores_on_test(model: Any, arm: Arm, dataset: Any) -> dict[str, float]:
    """Scores on test, per cent: of entities for a tagger, of classes for a classifier."""
    found = predict(model, arm.characters, dataset["test"])
    if "tags" in dataset["test"].column_names:
        return score_entities(named_tags(dataset["test"]), found)
    gold = [dataset["test"].features["label"].names[label] for label in dataset["test"]["label"]]
    return score_classes(EvalPrediction(np.array(found), np.array(gold)))


@app.command()
def ner(
    data: Data = DEFAULT_DATA,
    arm: Arms = list(TIGRINYA_ARMS),  # noqa: B006
    share: Shares = list(SHARES),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    epochs: Epochs = 0,
    hidden: int = 128,
    work: Work = WORK,
    results: Results = RESULTS,
) -> None:
    """Tigrinya NER with every arm and share of the training data."""
    dataset = tigrinya.tigrinya_dataset(tigrinya.split(tigrinya_corpus(data).sentences))
    head = Head("ner", tigrinya.TAGS, hidden)
    words = {word for split in dataset.values() for sentence in split["tokens"] for word in sentence}
    run_tigrinya("ner", head, dataset, words, arm, share, seed, epochs, 0, work, results)


def run_tigrinya(
    task: str,
    head: Head,
    dataset: Any,
    words: Iterable[str],
    arms: list[str],
    shares: list[float],
    seeds: list[int],
    epochs: int,
    limit: int,
    work: Path,
    results: Path,
) -> None:
    """Every arm, share and seed of a Tigrinya task."""
    for one_seed in seeds:
        for one_share in shares:
            for one in arms:
                settings = replace(SETTINGS[task], seed=one_seed, epochs=epochs or SETTINGS[task].epochs)
                row = {"task": task, "language": "tir", "arm": one, "share": one_share, "seed": one_seed}
                build = partial(tigrinya_arm, one, words, head, one_seed, work)
                run_row(row | {"limit": limit, "hidden": head.hidden}, build, dataset, settings, results)


@app.command()
def sentiment(
    data: Data = DEFAULT_DATA,
    arm: Arms = list(TIGRINYA_ARMS),  # noqa: B006
    share: Shares = list(SHARES),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    epochs: Epochs = 0,
    limit: Annotated[int, typer.Option(help="Training comments of which shares are taken; 0: all.")] = 6000,
    hidden: int = 128,
    work: Work = WORK,
    results: Results = RESULTS,
) -> None:
    """Tigrinya sentiment with every arm and share of the training data."""
    dataset = classification_dataset(data, "tir-sentiment", "tir")
    head = Head("sentiment", dataset["train"].features["label"].names, hidden)
    words = {word for split in dataset.values() for text in split["text"] for word in tokenize(text)}
    run_tigrinya("sentiment", head, dataset, words, arm, share, seed, epochs, limit, work, results)


@app.command("left-out")
def left_out(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LEFT_OUT),  # noqa: B006
    arm: Arms = list(LEFT_OUT_ARMS),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    epochs: Epochs = 0,
    hidden: int = 128,
    work: Work = WORK,
    results: Results = RESULTS,
) -> None:
    """MasakhaNER in a language with encoders distilled without and with it, and with random weights."""
    for one_seed in seed:
        for one_language in language:
            dataset = tagged_dataset(task_files(data, "ner/masakhaner1", one_language))
            head = Head("ner", labels_of(dataset["train"]), hidden)
            for one in arm:
                settings = SETTINGS["left-out"]
                settings = replace(settings, seed=one_seed, epochs=epochs or settings.epochs)
                row = {"task": "left-out", "language": one_language, "arm": one, "share": 1.0, "seed": one_seed}
                build = partial(left_out_arm, one, one_language, head, one_seed, work)
                run_row(row | {"limit": 0, "hidden": hidden}, build, dataset, settings, results)


@app.command()
def table(results: Results = RESULTS, readme: Path = HERE / "README.md", plot: Path = HERE / "shares.svg") -> None:
    """Write the tables of all results found into the README, and draw the plot."""
    report.write(read_results(results), readme, plot)


@app.command(name="all")
def everything(data: Data = DEFAULT_DATA, work: Work = WORK, seed: Seeds = [0, 1, 2]) -> None:  # noqa: B006
    """Teach, distil, train all arms of all tasks, and write the tables."""
    check(data)
    teach(data, work=work)
    distill(work=work)
    distill_without(data, work=work)
    for one_seed in seed:
        for task in (ner, sentiment, left_out):
            task(data, seed=[one_seed], work=work)
    table()


if __name__ == "__main__":
    run_app(app)
