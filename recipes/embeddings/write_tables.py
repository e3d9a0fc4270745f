"""Write the tables and the plot of all results found into the README.

python recipes/embeddings/write_tables.py write     # from the results alone
python recipes/embeddings/write_tables.py data      # what the data sets hold; a few minutes
python recipes/embeddings/write_tables.py release   # the pipeline of all languages as a wheel, ready to be given away
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins import data as sets
from distillemb_plugins.data import pos
from distillemb_plugins.evaluate import seen_accuracy
from distillemb_plugins.evaluate.plots import line_plots
from distillemb_plugins.workflow import packages
from recipes import results as shared
from recipes.embeddings import grid
from recipes.embeddings.grid import HERE, SPLITS, SYSTEMS, TASKS, TEXT_TASKS
from recipes.results import RAW_TEXT, Languages, Rows, mean_spread, megabytes, pick, score, seed_means
from recipes.tables import languages_table, pos_blocks, starred, systems_table, tried_table

LOW_DATA_SYSTEMS = {name: system.low_data for name, system in SYSTEMS.items() if system.low_data}
SHARES = (10, 25, 50, 100)  # per cent of the training sentences
TREEBANK_TEXT = {"wo_wtb": "wol", "pcm_nsc": "pcm"}  # the language of a treebank
MANY = 0.2  # of a language's test sentences in the raw text: the means without such languages are given as well
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


def systems_of(rows: Rows) -> list[tuple[str, Rows]]:
    """The systems (of several models: model and system) that have rows of a task, in its order, and their rows."""
    several = len({row["model"] for row in rows}) > 1
    named = [
        (f"{model}, {system}" if several else system, pick(rows, model=model, system=system))
        for model, systems in (TASKS[rows[0]["task"]].models.items() if rows else ())
        for system in systems
    ]
    return [(label, own) for label, own in named if own]


def languages_of(rows: Rows) -> list[str]:
    """The languages that rows of a task have, in its order."""
    return [one for one in TASKS[rows[0]["task"]].languages if one != pos.JOINT and pick(rows, language=one)]


def models_table(rows: Rows, name: str) -> str:
    """A score of every model and system (rows) and language (columns)."""
    columns = {one: score(name, 1, "–", language=one) for one in languages_of(rows)}
    return shared.table("model, system", systems_of(rows), columns)


# -- NER


def low_data_points(rows: Rows) -> dict[str, dict[int, list[float]]]:
    """Mean test F1 by system and share, one for each seed, over the languages that every share has been run on."""
    found = pick(rows, system=tuple(LOW_DATA_SYSTEMS))
    languages = sorted(set.intersection(*({row["language"] for row in pick(found, share=one)} for one in SHARES)))
    points: dict[str, dict[int, list[float]]] = {}
    for system, share in product(LOW_DATA_SYSTEMS, SHARES):
        if means := seed_means(pick(found, system=system, share=share), "test_f1", languages):
            points.setdefault(system, {})[share] = means
    return {system: found for system, found in points.items() if len(found) > 1}


def low_data_table(rows: Rows) -> str:
    """Mean test F1 with a part of the training sentences."""
    points = low_data_points(rows).items()
    lines = [[system, *(mean_spread(found.get(share, [])) for share in SHARES)] for system, found in points]
    return shared.markdown_table(["mean test F1", *(f"{share} %" for share in SHARES)], lines)


# -- the data


def shares_in_raw_text(data: Path, language: str) -> dict[str, float]:
    """For each split of NER, the share of its sentences that stand in the language's raw text."""
    files = sets.task_files(data, "ner/masakhaner1", language).items()
    sentences = {split: [s.words for s in sets.read_sentences(file, sets.Layout())] for split, file in files}
    return sets.share_in_text(sentences, sets.corpus_files(data, [language]))


def raw_text_block(data: Path, languages: Sequence[str], rows: Rows) -> str:
    """The shares of NER sentences in raw text, and the mean test F1 over the languages that have few."""
    shares = {one: shares_in_raw_text(data, one) for one in languages}
    lines = [[one, *(f"{100 * found[split]:.0f} %" for split in SPLITS)] for one, found in shares.items()]
    text = shared.markdown_table(["in the raw text", *SPLITS], lines)
    few = [one for one, found in shares.items() if found["test"] < MANY]
    left_out = ", ".join(one for one in languages if one not in few)
    found = {system: seed_means(own, "test_f1", few) for system, own in systems_of(pick(rows, task="ner", share=100))}
    means = ", ".join(f"{system} {mean_spread(values)}" for system, values in found.items() if values)
    return f"{text}\n\nMean test F1 without {left_out}: {means}." if left_out else text


def pos_data_block(data: Path, names: Sequence[str]) -> str:
    """Sizes of the POS sets, unseen words, and test sentences that stand elsewhere; prints all blemishes."""
    lines = []
    for name in names:
        files = pos.pos_files(data, name)
        parts = {split: pos.read_pos(file) for split, file in files.items()}
        words, tags = [s.words for s in parts["test"]], [s.tags for s in parts["test"]]
        unseen = seen_accuracy(pos.words_of(parts["train"]), words, tags, tags)["unseen_share"]
        trained = {tuple(sentence.words) for sentence in parts["train"]}
        sizes = [f"{len(part):,} / {sum(map(len, part)):,}" for part in parts.values()]
        language, raw = TREEBANK_TEXT.get(name, name), ""
        if language in RAW_TEXT and (data / "corpora" / language).is_dir():
            raw = f"{100 * sets.share_in_text({'test': words}, sets.corpus_files(data, [language]))['test']:.0f}"
        lines.append([starred(name), *sizes, f"{unseen:.0f}", str(sum(tuple(w) in trained for w in words)), raw])
        for problem in sets.check_tagged(sets.tagged_dataset(files, "pos"), files):
            typer.echo(f"{name}: {problem}")
    header = ["set", "train, sentences / words", "dev", "test", "unseen, % of test words"]
    header += ["test sentences also in train", "in the raw text, % of test sentences"]
    return shared.markdown_table(header, lines)


def text_data_block(data: Path, places: Iterable[tuple[str, str]]) -> str:
    """What each set of texts holds after the checks, and how many texts they dropped."""
    lines = []
    for task, language in places:
        dataset, notes = grid.texts_of(data, task, language)
        sizes = [str(len(dataset[name])) for name in SPLITS]
        words = [f"{statistics.fmean(len(t.split()) for t in dataset[name]['text']):.0f}" for name in ("train", "test")]
        found = [match for note in notes if (match := re.match(r"(train|dev): (\d+) texts .*dropped", note))]
        dropped = {split: sum(int(match[2]) for match in found if match[1] == split) for split in ("train", "dev")}
        said = ", ".join(f"{count} {split}" for split, count in dropped.items() if count) or "none"
        lines.append([f"{task} {language}", str(len(sets.labels_of(dataset["train"]))), *sizes, *words, said])
    header = ["task, language", "classes", *SPLITS, "words a train text", "a test text", "dropped"]
    return shared.markdown_table(header, lines)


@app.command()
def write(
    results: shared.Results = HERE / "results.jsonl",
    tried: Annotated[Path, typer.Option(help="What was tried on dev.")] = HERE / "tried.jsonl",
    readme: shared.Readme = HERE / "README.md",
) -> None:
    """Write the tables of all results found, and the plot beside the README."""
    rows, studied = shared.read_results(results), shared.read_results(tried)
    studies = srsly.read_yaml(HERE / "studies.yml")
    order = [(t, one["system"], one.get("setting", "")) for t, planned in studies.items() for one in planned["tries"]]
    studied.sort(key=lambda row: order.index((row["task"], row["system"], row["setting"])))
    ner, tagged = pick(rows, task="ner"), pick(rows, task="pos")
    blocks = {}
    scores = {"dev F1": "dev_f1", "test F1": "test_f1", "seen": "test_f1_seen", "never seen": "test_f1_unseen"}
    for name, task, share in (("ner", "ner", 100), ("ner-new", "ner-new", 100), ("ner-few", "ner-new", 10)):
        if full := pick(rows, task=task, share=share):
            speed = [row | {"words_per_second": row["test_words_per_second"]} for row in full]
            languages = languages_of(full)
            blocks[f"{name}-languages"] = languages_table(full, SYSTEMS, languages, "test_f1", "test F1", mean=True)
            blocks[f"{name}-systems"] = systems_table(systems_of(speed), scores)
    if {row["share"] for row in ner} >= set(SHARES):
        blocks["ner-low-data"] = low_data_table(ner)
        points = low_data_points(ner).items()
        lines: dict[str, Any] = {LOW_DATA_SYSTEMS[one]: own for one, own in points if len(own) == len(SHARES)}
        plot = line_plots({"": lines}, "training sentences (per cent)", "mean test F1")
        shared.write_text(readme.with_name("low-data.svg"), plot)
    if tagged:
        pairs = product(grid.DISTILLED, [system for system in grid.COMMON if system not in grid.DISTILLED])
        groups = systems_of(pick(tagged, language=pos.LANGUAGES))
        blocks |= pos_blocks(tagged, groups, grid.COMMON, pairs, languages_of(tagged))
    scores = {"test weighted F1": "test_f1", "test macro F1": "test_macro_f1", "dev weighted F1": "dev_f1"}
    for task in TEXT_TASKS:
        if found := pick(rows, task=task):
            blocks[f"{task}-systems"] = systems_table(systems_of(found), scores)
            blocks[f"{task}-languages"] = models_table(found, "test_f1")
    blocks["ner-tried"] = tried_table(pick(studied, task="ner"), "dev_f1")
    blocks["pos-tried"] = tried_table(pick(studied, task="pos"), "dev.accuracy", seconds=True)
    blocks["text-tried"] = tried_table(pick(studied, task=TEXT_TASKS), "dev_f1")
    shared.write_blocks(readme, blocks)


@app.command("data")
def write_data(
    task: Annotated[list[str], typer.Option(help="Which tasks.")] = list(TASKS),
    language: Languages = [],
    data: shared.Data = shared.DEFAULT_DATA,
    results: shared.Results = HERE / "results.jsonl",
    readme: shared.Readme = HERE / "README.md",
) -> None:
    """Write what the data sets hold, and how much of them stands in the raw text; print all blemishes."""
    chosen = {name: [one for one in TASKS[name].languages if not language or one in language] for name in task}
    blocks = {}
    if ner := chosen.get("ner"):
        blocks["ner-raw-text"] = raw_text_block(data, ner, shared.read_results(results))
    if tagged := chosen.get("pos"):
        blocks["pos-data"] = pos_data_block(data, [one for one in tagged if one != pos.JOINT])
    if places := [(name, one) for name in chosen if name in TEXT_TASKS for one in chosen[name]]:
        blocks["text-data"] = text_data_block(data, places)
    shared.write_blocks(readme, blocks)


@app.command()
def release(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write into.")] = grid.WORK / "release",
    work: shared.Work = grid.WORK,
    results: shared.Results = HERE / "results.jsonl",
) -> None:
    """Make the pipeline of all languages (seed 0) a wheel with its scores, and open it in a fresh process."""
    system = (known := srsly.read_yaml(HERE / "release.yml"))["system"]
    pipeline = shared.needed(work / f"ner-{system}-0", f"embeddings/train.py ner --system {system} --seed 0")
    rows = pick(shared.read_results(results), task="ner", system=system, seed=0, share=100)
    scores = {f"test_f1_{row['language']}": row["test_f1"] / 100 for row in rows}
    wheel = packages.build_wheel(pipeline, out, known["name"], known["meta"] | {"performance": scores})
    found = packages.open_wheel(wheel, known["example"])["entities"]
    typer.echo(f"{wheel}: {megabytes(wheel.stat().st_size)}; in {known['example']!r} it finds {found}")


if __name__ == "__main__":
    shared.run_app(app)
