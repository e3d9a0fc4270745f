"""Train and score the grid: every system of a task in every language with every seed.

    python recipes/embeddings/train.py ner
    python recipes/embeddings/train.py pos --language swa --system frozen --seed 0
    python recipes/embeddings/train.py ner --study     # what studies.yml names, scored on dev

A run that has a row in the results is not done again.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import spacy
import srsly
import typer
from thinc.api import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.files import directory_bytes
from distillemb_plugins.runs import read_json, write_json
from distillemb_plugins.spacy_plugin.configs import build_config
from distillemb_plugins.spacy_plugin.training import TrainedPipeline, train_pipeline
from recipes.embeddings import classifiers, grid
from recipes.embeddings.grid import HERE, SYSTEMS, TASKS, System, Task, source, table_path
from recipes.results import DEFAULT_DATA, Data, Languages, Row, Seeds, Work, check_choice, run_app, run_missing

KEY = ("task", "model", "language", "system", "seed", "share", "steps")
TRIED_KEY = ("task", "language", "system", "setting", "seed")
ONCE = ("tf-idf", "static", "frozen-afro11", "frozen")  # of the linear model: nothing is drawn
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def runs_of(
    task: Task, model: str, languages: list[str], systems: list[str], seeds: list[int], shares: list[int], steps: int
) -> list[Row]:
    """The runs of a model that are asked for, by `KEY`; no names mean all of the task."""
    known, linear = task.models[model], model == "linear"
    check_choice("system", systems, known, f"The {model} model has")
    usual = (not linear and task.network_languages) or task.languages
    chosen = [one for one in task.languages if one in (languages or usual)]
    runs: list[Row] = []
    for seed, language, share, system in product(seeds, chosen, shares, systems or known):
        run: Row = {"task": task.name, "model": model, "language": language, "system": system}
        run |= {"seed": 0 if linear and system in ONCE else seed, "share": share}
        run["steps"] = 0 if linear else steps or SYSTEMS.get(system, System()).steps or task.steps_for(language, share)
        runs += [run] if run not in runs else []
    return runs


def train_run(task: Task, data: Path, work: Path, run: Row) -> Row:
    """Train and score one run: the rest of its row."""
    start = time.process_time()
    if run["model"] in ("linear", "bilstm"):
        row: Row = getattr(classifiers, f"run_{run['model']}")(task, data, work, run)
        row["seconds"] = round(time.process_time() - start, 1)
    else:
        trained = train_spacy(task, data, work, run)
        row = {"seconds": round(trained.seconds, 1), **task.score(trained.nlp, data, run), "model_bytes": trained.bytes}
    typer.echo(f"{' '.join(str(run[name]) for name in KEY)}: {row['seconds']} s")
    return row | {"embedding_bytes": grid.embedding_bytes(run["system"], work, run["seed"])}


def train_spacy(task: Task, data: Path, work: Path, run: Row, **overrides: Any) -> TrainedPipeline:
    """Train the pipeline of a run; overrides: of its config, with dotted keys."""
    system = SYSTEMS[run["system"]]
    if system.together:
        path = pipeline_of_all(data, work, run)
        return TrainedPipeline(spacy.load(path), read_json(path.with_suffix(".json"))["seconds"], directory_bytes(path))
    share = run["share"] if task.name == "ner" else 100  # all of its own sentences for a new language
    first = {**run, "system": system.begins_with, "share": share, "steps": TASKS["ner"].steps_for("", share)}
    begin = str(pipeline_of_all(data, work, first)) if system.begins_with else None
    with task.corpora(data, run) as files:
        return train_pipeline(run_config(task, work, run, {**files, **overrides}, begin))


def pipeline_of_all(data: Path, work: Path, run: Row) -> Path:
    """The NER pipeline of all languages. It is trained once, with as many updates a language, and kept."""
    part = "" if run["share"] == 100 else f"-{run['share']}"
    task, kept = TASKS["ner"], work / f"ner-{run['system']}{part}-{run['seed']}"
    assert isinstance(task, grid.NerTask)
    if not kept.with_suffix(".json").is_file():
        with task.all_corpora(data, run["share"]) as files:
            steps = run["steps"] * len(task.languages)
            trained = train_pipeline(run_config(task, work, run | {"steps": steps}, files), kept)
        write_json(kept.with_suffix(".json"), {"seconds": trained.seconds / len(task.languages)})
    return kept


def run_config(task: Task, work: Path, run: Row, overrides: Row, begin: str | None = None) -> Any:
    """The config of a run: the package's, the overlay in configs/, the system, overrides. begin: what learns on."""
    system = SYSTEMS[run["system"]]
    changes: Row = dict(Config().from_disk(HERE / "configs" / f"{task.config}.cfg", interpolate=False))
    changes |= {"system.seed": run["seed"], "training.max_steps": run["steps"]}
    changes["training.eval_frequency"] = max(1, run["steps"] // task.evaluations)
    if run["system"] in grid.TABLES:
        table = table_path(run["system"], task.name, run["language"], work)
        changes |= {"components.tok2vec.model.embed.include_static_vectors": True, "paths.vectors": str(table)}
    elif system.reads and not begin:
        changes["paths.encoder"] = str(source(run["system"], work, run["seed"]))
    if system.embedding in ("trainable", "context"):
        rate = system.grad_factor if task.grad_factor is None else task.grad_factor
        embed = "embed." if system.embedding == "trainable" else ""
        changes[f"components.tok2vec.model.{embed}grad_factor"] = rate
    return build_config(task.config, system.embedding, {**changes, **system.overrides, **overrides}, begin)


def study(task: Task, data: Path, work: Path, languages: list[str], seeds: list[int], steps: int, out: Path) -> None:
    """Score the tries of studies.yml on dev alone."""
    planned = srsly.read_yaml(HERE / "studies.yml")[task.name]
    tries = {(one["system"], one.get("setting", "")): one for one in planned["tries"]}
    runs = [
        {"task": task.name, "language": language, "system": system, "setting": setting, "seed": seed}
        for (system, setting), language, seed in product(tries, languages or planned["languages"], seeds)
    ]

    def do(run: Row) -> Row:
        changes = tries[run["system"], run["setting"]].get("overrides", {})
        whole = {**run, "share": 100, "steps": steps or task.steps_for(run["language"], 100)}
        trained = train_spacy(task, data, work, whole, **changes)
        return {"seconds": round(trained.seconds, 1), **task.score(trained.nlp, data, whole, ["dev"])}

    run_missing(out, runs, TRIED_KEY, do)


@app.command(help=__doc__)
def train(
    task: Annotated[str, typer.Argument(help=f"One of {', '.join(TASKS)}.")],
    model: Annotated[list[str], typer.Option(help="Which models; all if not given.")] = [],
    language: Languages = [],
    system: Annotated[list[str], typer.Option(help="Which systems; all that the model has.")] = [],
    seed: Seeds = [0, 1, 2],
    share: Annotated[list[int], typer.Option(help="Per cent of the training sentences (NER).")] = [100],
    steps: Annotated[int, typer.Option(help="Updates of a run; 0: the task's.")] = 0,
    only_study: Annotated[bool, typer.Option("--study", help="Score what studies.yml names, on dev.")] = False,
    data: Data = DEFAULT_DATA,
    work: Work = grid.WORK,
    results: Annotated[Path | None, typer.Option(help="Where the scores are kept (JSON lines).")] = None,
) -> None:
    check_choice("task", [task], TASKS)
    chosen = TASKS[task]
    if only_study:
        study(chosen, data, work, language, seed[:1], steps, results or HERE / "tried.jsonl")
        return
    check_choice("model", model, chosen.models)
    check_choice("language", language, chosen.languages)
    runs = [run for one in model or chosen.models for run in runs_of(chosen, one, language, system, seed, share, steps)]
    run_missing(results or HERE / "results.jsonl", runs, KEY, lambda run: train_run(chosen, data, work, run))


if __name__ == "__main__":
    run_app(app)
