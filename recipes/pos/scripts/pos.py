"""POS on MasakhaPOS and UD, in spaCy and Hugging Face, with arms that differ in the embedding alone.

    python scripts/pos.py spacy --trained-on swa --seed 0
    python scripts/pos.py table

Every run is skipped when its row is in results.jsonl, so an interrupted command goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.data.conll import Sentence
from distillemb_plugins.data.overlap import share_in_text
from distillemb_plugins.data.pos import JOINT, LANGUAGES, SETS, TREEBANKS, pos_files, read_pos, words_of
from distillemb_plugins.data.tagged import check_tagged, tagged_dataset
from distillemb_plugins.errors import DistillEmbError
from recipes import spacy_arms
from recipes.common import DEFAULT_DATA, add_result, corpus_files, markdown_table, read_results, replace_block, run_app
from recipes.pos import hf_side, report, spacy_side
from recipes.pos.scoring import accuracy

HERE = Path(__file__).resolve().parents[1]
KEY = ("side", "trained_on", "arm", "seed")
CHOICE_KEY = ("side", "trained_on", "arm", "setting")
STEPS = 160  # updates of about 500 words; the joint tagger as many a language
EPOCHS = 6
RAW_TEXT_OF = {"wo_wtb": "wol", "pcm_nsc": "pcm"}  # the language of a treebank
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")]
Work = Annotated[Path, typer.Option(help="Where teacher, encoder and tables are kept.")]
Sets = Annotated[list[str], typer.Option("--trained-on", help=f"Training set: {', '.join(SETS)}; repeat for several.")]
Arms = Annotated[list[str], typer.Option("--arm", help="Which arms; repeat for several.")]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seeds; repeat for several.")]
Languages = Annotated[list[str], typer.Option("--language", help="Languages of the joint tagger.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]


def check_choice(kind: str, given: list[str], known: tuple[str, ...]) -> None:
    """Raises `DistillEmbError` for a set or arm that does not exist."""
    for name in given:
        if name not in known:
            raise DistillEmbError(f"There is no {kind} {name}: choose from {', '.join(known)}.")


@app.command()
def check(data: Data = DEFAULT_DATA, trained_on: Sets = list(SETS[:-1]), readme: Path = HERE / "README.md") -> None:  # noqa: B006
    """Write a table of the data into the README (sizes, unseen words, sentences shared) and print all blemishes."""
    lines = []
    for name in trained_on:
        files = pos_files(data, name)
        parts = {split: read_pos(file) for split, file in files.items()}
        gold = parts["test"]
        unseen = accuracy(gold, [s.tags for s in gold], words_of(parts["train"]))["unseen_share"]
        trained = {tuple(sentence.words) for sentence in parts["train"]}
        shared = sum(tuple(sentence.words) in trained for sentence in gold)
        sizes = [f"{len(part):,} / {sum(map(len, part)):,}" for part in parts.values()]
        lines.append([report.starred(name), *sizes, f"{unseen:.0f}", str(shared), _in_raw_text(data, name, gold)])
        for problem in check_tagged(tagged_dataset(files, "pos"), files):
            typer.echo(f"{name}: {problem}")
    header = [
        "set",
        "train, sentences / words",
        "dev",
        "test",
        "unseen, % of test words",
        "test sentences also in train",
        "in the raw text, % of test sentences",
    ]
    replace_block(readme, "data", markdown_table(header, lines))


def _in_raw_text(data: Path, name: str, gold: Sequence[Sentence]) -> str:
    """How much of a test set stands, without tags, in the raw text behind teachers and tables; "" where none is."""
    language = RAW_TEXT_OF.get(name, name)
    if language not in spacy_arms.LANGUAGES or not (data / "corpora" / language).is_dir():
        return ""
    found = share_in_text({"test": [sentence.words for sentence in gold]}, corpus_files(data, [language]))
    return f"{100 * found['test']:.0f}"


@app.command()
def tables(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = list(SETS),  # noqa: B006
    arm: Arms = list(spacy_arms.TABLE_ARMS),  # noqa: B006
    work: Work = spacy_arms.WORK,
) -> None:
    """Write the tables of the table arms for all sets at once."""
    check_choice("table arm", arm, spacy_arms.TABLE_ARMS)
    spacy_side.make_tables(data, trained_on, work, arm)


@app.command()
def spacy(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = [*LANGUAGES, *TREEBANKS],  # noqa: B006
    arm: Arms = list(spacy_arms.ARMS),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    work: Work = spacy_arms.WORK,
    steps: Annotated[int, typer.Option(help="Updates of about 500 words; 0: 160, for joint 160 a language.")] = 0,
    language: Languages = list(LANGUAGES),  # noqa: B006
    results: Results = HERE / "results.jsonl",
) -> None:
    """Train and score spaCy taggers: every arm on every set with every seed."""
    check_choice("arm", arm, spacy_arms.ARMS)
    _each("spacy", data, trained_on, arm, seed, work, steps, language, results)


@app.command()
def hf(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = list(LANGUAGES),  # noqa: B006
    arm: Arms = list(hf_side.ARMS),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    work: Work = spacy_arms.WORK,
    epochs: Annotated[int, typer.Option(help="Passes over the training text; 0: 6.")] = 0,
    language: Languages = list(LANGUAGES),  # noqa: B006
    results: Results = HERE / "results.jsonl",
) -> None:
    """Train and score Hugging Face taggers: every arm on every set with every seed."""
    check_choice("arm", arm, hf_side.ARMS)
    _each("hf", data, trained_on, arm, seed, work, epochs, language, results)


def _each(
    side: str,
    data: Path,
    sets: list[str],
    arms: list[str],
    seeds: list[int],
    work: Path,
    amount: int,
    languages: list[str],
    results: Path,
) -> None:
    check_choice("training set", sets, SETS)
    run: Callable[..., dict[str, Any]] = spacy_side.run if side == "spacy" else hf_side.run
    for seed in seeds:
        for name in sets:
            for arm in arms:
                key = (side, name, arm, seed)
                if key not in {tuple(row[k] for k in KEY) for row in read_results(results)}:
                    size = amount or (_updates(name, languages) if side == "spacy" else EPOCHS)
                    row = run(data, name, arm, seed, work, size, languages=languages)
                    add_result(results, row, KEY)
                    typer.echo(f"{side} {name} {arm} {seed}: {row['test']['accuracy']} in {row['seconds']} s")


def _updates(name: str, languages: list[str]) -> int:
    return STEPS * len(languages) if name == JOINT else STEPS


@app.command()
def choose(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = ["swa", "xho"],  # noqa: B006
    arm: Arms = ["hash", "finetuned"],  # noqa: B006
    work: Work = spacy_arms.WORK,
    steps: Annotated[int, typer.Option(help="Updates of about 500 words (spaCy).")] = STEPS,
    epochs: Annotated[int, typer.Option(help="Passes over the training text (Hugging Face).")] = EPOCHS,
    results: Results = HERE / "settings.jsonl",
) -> None:
    """Score sizes and learning rates on dev (seed 0): of each spaCy arm, and of the fine-tuned Hugging Face tagger."""
    tries: dict[tuple[str, str, str, str], Callable[[], dict[str, Any]]] = {}
    for name in trained_on:
        for one in arm:
            for width, depth, rate in ((64, 2, 0.001), (64, 2, 0.002), (96, 4, 0.001), (96, 4, 0.002)):
                key = ("spacy", name, one, f"width {width}, depth {depth}, learning rate {rate}")
                sized = _sized(width, depth, rate)
                tries[key] = partial(spacy_side.run, data, name, one, 0, work, steps, overrides=sized)
        for factor in (0.1, 0.3, 1.0) if "finetuned" in arm else ():
            key = ("spacy", name, "finetuned", f"encoder at {factor:g} of the learning rate")
            rate_of = spacy_arms.embed_of(grad_factor=factor)
            tries[key] = partial(spacy_side.run, data, name, "finetuned", 0, work, steps, overrides=rate_of)
        for head, encoder in ((0.002, 0.0005), (0.005, 0.001), (0.005, 0.002)):
            key = ("hf", name, "finetuned", f"learning rates {head} (head) and {encoder} (encoder)")
            rates = {"learning_rate": head, "encoder_learning_rate": encoder}
            tries[key] = partial(hf_side.run, data, name, "finetuned", 0, work, epochs, overrides=rates)
    for key, run in tries.items():
        if key not in {tuple(row[k] for k in CHOICE_KEY) for row in read_results(results)}:
            row = run()
            kept = dict(zip(CHOICE_KEY, key, strict=True))
            add_result(results, kept | {"dev": row["dev"]["accuracy"], "cpu_seconds": row["cpu_seconds"]}, CHOICE_KEY)


def _sized(width: int, depth: int, rate: float) -> dict[str, Any]:
    model = {"embed": {"width": width}, "encode": {"depth": depth}}
    return {"components": {"tok2vec": {"model": model}}, "training": {"optimizer": {"learn_rate": rate}}}


@app.command()
def table(
    results: Results = HERE / "results.jsonl",
    settings: Annotated[Path, typer.Option(help="What `choose` found.")] = HERE / "settings.jsonl",
    readme: Path = HERE / "README.md",
) -> None:
    """Write the tables of all results found into the README."""
    rows = read_results(results)
    for side in report.SIDES:
        replace_block(readme, f"{side}-arms", report.table_of_arms(rows, side))
        replace_block(readme, f"{side}-languages", report.table_of_languages(rows, side))
        replace_block(readme, f"{side}-unseen", report.table_of_languages(rows, side, "unseen"))
        replace_block(readme, f"{side}-transfer", report.table_of_transfer(rows, side))
        replace_block(readme, f"{side}-differences", report.differences(rows, side))
    replace_block(readme, "joint", report.joint_gain(rows))
    replace_block(readme, "settings", report.table_of_settings(read_results(settings)))


@app.command(name="all")
def everything(data: Data = DEFAULT_DATA, seed: Seeds = [0, 1, 2], work: Work = spacy_arms.WORK) -> None:  # noqa: B006
    """Build what the arms read (unless it is there), train all taggers and write the tables."""
    build(data, work)
    check(data)
    tables(data, work=work)
    spacy(data, seed=seed, work=work)
    spacy(data, trained_on=[JOINT], seed=seed, work=work)
    hf(data, seed=seed, work=work)
    hf(data, trained_on=[JOINT], seed=seed, work=work)
    table()


@app.command()
def build(data: Data = DEFAULT_DATA, work: Work = spacy_arms.WORK) -> None:
    """Train the teacher and the floret table, count, compress and distil; what is there is not built again."""
    spacy_arms.teach(data, work)
    spacy_arms.count(data, work)
    spacy_arms.train_floret(data, work)
    spacy_arms.compress(work)
    spacy_arms.distill_encoder(work)
    spacy_arms.random_encoder(work)
    spacy_arms.distill_encoder(work, "svd")


if __name__ == "__main__":
    run_app(app)
