"""Text classification with word vectors: a linear model, spaCy's textcat and a BiLSTM, each with several embeddings.

    python scripts/classify.py prepare
    python scripts/classify.py linear
    python scripts/classify.py textcat --task afrisenti --language amh --seed 0
    python scripts/classify.py bilstm --task masakhanews
    python scripts/classify.py table

Every step is skipped when its result is there, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.data.classification import load_classification
from distillemb_plugins.errors import DistillEmbError
from recipes import spacy_arms
from recipes.classification.scripts import report
from recipes.classification.scripts.arms import (
    ARMS,
    DETERMINISTIC,
    TASK_LANGUAGES,
    check_arm,
    embedding_bytes,
    table_name,
    words_of,
)
from recipes.common import DEFAULT_DATA, add_result, read_results, run_app

if TYPE_CHECKING:
    from datasets import DatasetDict

HERE = Path(__file__).resolve().parents[1]
KEY = ("task", "language", "model", "arm", "seed")
MAIN_TASKS = ("afrisenti", "masakhanews")
SEEDS = (0, 1, 2)
# Networks take minutes on one thread: unless others are asked for, they are trained in these languages.
NETWORK_LANGUAGES = {"afrisenti": ("amh", "hau", "ibo", "swa", "yor"), "masakhanews": ("amh", "hau", "swa", "yor")}
UPDATES = {"masakhanews": 300}  # of 32 texts; there are fewer articles than tweets, and they are longer
MOST_UPDATES = 600
GRAD_FACTORS = (0.1, 0.3, 1.0)
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Data set; afrisenti and masakhanews if not given.")]
Languages = Annotated[list[str] | None, typer.Option("--language", help="Which languages; all that the set has.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", help="Which arms; all that the model has.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Seeds; 0, 1 and 2 if not given.")]
Encoders = Annotated[Path, typer.Option(help="Where teacher, encoder and tables are kept.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]
Updates = Annotated[int | None, typer.Option(help="About so many updates of 32 texts; see UPDATES if not given.")]


def chosen_languages(task: str, language: Sequence[str] | None, model: str = "linear") -> list[str]:
    """The languages of a task that are wanted. Raises `DistillEmbError` for a task that is none."""
    if task not in TASK_LANGUAGES:
        raise DistillEmbError(f"There is no task {task}: choose from {', '.join(TASK_LANGUAGES)}.")
    usual = TASK_LANGUAGES[task] if model == "linear" else NETWORK_LANGUAGES.get(task, TASK_LANGUAGES[task])
    return [one for one in TASK_LANGUAGES[task] if one in (language or usual)]


@app.command()
def prepare(
    data: Data = DEFAULT_DATA,
    task: Tasks = None,
    language: Languages = None,
    encoders: Encoders = spacy_arms.WORK,
) -> None:
    """Make what the arms read: the fastText teacher, the encoder, its random twin, and the tables of the tasks."""
    spacy_arms.teach(data, encoders)
    spacy_arms.distill_encoder(encoders)
    spacy_arms.random_encoder(encoders)
    tables(data, task, language, encoders)


@app.command()
def tables(
    data: Data = DEFAULT_DATA,
    task: Tasks = None,
    language: Languages = None,
    encoders: Encoders = spacy_arms.WORK,
) -> None:
    """Write fastText's vectors of each task's words, those of unseen words from their n-grams."""
    words = {}
    for one_task in task or MAIN_TASKS:
        for one in chosen_languages(one_task, language):
            name = table_name(one_task, one)
            if not spacy_arms.table_path("static", name, encoders).is_dir():
                words[name] = words_of(load_classification(data, one_task, one)[0])
    spacy_arms.word_tables(words, ["static"], encoders)


@app.command()
def linear(
    data: Data = DEFAULT_DATA,
    task: Tasks = None,
    language: Languages = None,
    arm: Arms = None,
    seed: Seeds = None,
    encoders: Encoders = spacy_arms.WORK,
    results: Results = HERE / "results.jsonl",
) -> None:
    """Logistic regression on averaged vectors. Only the arm `random` depends on the seed; the others run once."""
    from recipes.classification.scripts.linear import run_linear

    run_all("linear", run_linear, data, task, language, arm, seed, encoders, results)


@app.command()
def textcat(
    data: Data = DEFAULT_DATA,
    task: Tasks = None,
    language: Languages = None,
    arm: Arms = None,
    seed: Seeds = None,
    encoders: Encoders = spacy_arms.WORK,
    results: Results = HERE / "results.jsonl",
    updates: Updates = None,
) -> None:
    """spaCy's textcat over a tok2vec, in arms that differ in the embedding alone."""
    from recipes.classification.scripts.textcat import run_textcat

    run_all("textcat", with_updates(run_textcat, updates), data, task, language, arm, seed, encoders, results)


@app.command()
def bilstm(
    data: Data = DEFAULT_DATA,
    task: Tasks = None,
    language: Languages = None,
    arm: Arms = None,
    seed: Seeds = None,
    encoders: Encoders = spacy_arms.WORK,
    results: Results = HERE / "results.jsonl",
    updates: Updates = None,
) -> None:
    """The paper's BiLSTM classifier, over the encoder or a static table."""
    from recipes.classification.scripts.bilstm import run_bilstm

    run_all("bilstm", with_updates(run_bilstm, updates), data, task, language, arm, seed, encoders, results)


@app.command()
def choose(
    data: Data = DEFAULT_DATA,
    task: Tasks = None,
    language: Annotated[str, typer.Option(help="On whose dev texts.")] = "hau",
    encoders: Encoders = spacy_arms.WORK,
    results: Results = HERE / "settings.jsonl",
    updates: Updates = None,
) -> None:
    """Score on dev (seed 0) how fast the encoder should learn in textcat, as shares of the pipeline's rate."""
    from recipes.classification.scripts.textcat import FINETUNE, run_textcat

    for one_task in task or MAIN_TASKS:
        dataset, _ = load_classification(data, one_task, language)
        for factor in GRAD_FACTORS:
            key = {"task": one_task, "language": language, "grad_factor": factor}
            if any(all(row[k] == v for k, v in key.items()) for row in read_results(results)):
                continue
            number = updates or UPDATES.get(one_task, MOST_UPDATES)
            settings = {**FINETUNE, "grad_factor": factor}
            row = run_textcat(dataset, one_task, language, "finetuned", 0, encoders, number, settings)
            add_result(results, key | {"dev_f1": row["dev_f1"]}, tuple(key))


def with_updates(run: Callable[..., dict[str, Any]], updates: int | None) -> Callable[..., dict[str, Any]]:
    """A network's run with the number of updates, the task's own unless one is given."""

    def one(dataset: DatasetDict, task: str, *args: Any) -> dict[str, Any]:
        number = updates or UPDATES.get(task, MOST_UPDATES)
        return {"updates": number, **run(dataset, task, *args, number)}

    return one


def run_all(
    model: str,
    run: Callable[..., dict[str, Any]],
    data: Path,
    task: Sequence[str] | None,
    language: Sequence[str] | None,
    arm: Sequence[str] | None,
    seed: Sequence[int] | None,
    encoders: Path,
    results: Path,
) -> None:
    """Run what is not in the results yet, and write each row as it comes."""
    arms = list(arm or ARMS[model])
    for one_arm in arms:
        check_arm(model, one_arm)
    runs = [(a, s) for s in seed or SEEDS for a in arms if (model, a) not in DETERMINISTIC]
    runs += [(a, 0) for a in arms if (model, a) in DETERMINISTIC]
    for one_task in task or MAIN_TASKS:
        for one_language in chosen_languages(one_task, language, model):
            done = {tuple(row[k] for k in KEY) for row in read_results(results)}
            wanted = [pair for pair in runs if (one_task, one_language, model, *pair) not in done]
            if not wanted:
                continue
            dataset, _ = load_classification(data, one_task, one_language)
            for one_arm, one_seed in wanted:
                start = time.process_time()  # of the processor: other work on the machine does not count
                found = run(dataset, one_task, one_language, one_arm, one_seed, encoders)
                found["seconds"] = round(time.process_time() - start, 1)
                add_result(
                    results, _row(model, one_task, one_language, one_arm, one_seed, dataset, encoders, found), KEY
                )


def _row(
    model: str,
    task: str,
    language: str,
    arm: str,
    seed: int,
    dataset: DatasetDict,
    encoders: Path,
    found: dict[str, Any],
) -> dict[str, Any]:
    row: dict[str, Any] = {"task": task, "language": language, "model": model, "arm": arm, "seed": seed}
    row |= found | {"embedding_bytes": embedding_bytes(arm, encoders), "texts": {k: len(v) for k, v in dataset.items()}}
    print(f"{task} {language} {model} {arm} {seed}: test F1 {row['test_f1']}, {row['seconds']} s", flush=True)
    return row


@app.command()
def check(data: Data = DEFAULT_DATA, task: Tasks = None, readme: Path = HERE / "README.md") -> None:
    """Write the sizes of the data sets, and what was dropped from them, into the README."""
    found = {}
    for one_task in task or MAIN_TASKS:
        for language in chosen_languages(one_task, None):
            found[one_task, language] = load_classification(data, one_task, language)
    report.write_data(found, readme)


@app.command()
def table(
    results: Results = HERE / "results.jsonl",
    readme: Path = HERE / "README.md",
    settings: Annotated[Path, typer.Option(help="What `choose` found.")] = HERE / "settings.jsonl",
) -> None:
    """Write the tables of all results found into the README."""
    report.write_tables(read_results(results), readme)
    report.write_settings(read_results(settings), readme)


@app.command(name="all")
def everything(data: Data = DEFAULT_DATA, seed: Seeds = None) -> None:
    """Prepare, train everything and write the tables."""
    prepare(data)
    for step in (linear, textcat, bilstm):
        step(data, seed=seed)
    check(data)
    table()


if __name__ == "__main__":
    run_app(app)
