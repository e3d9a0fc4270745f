"""The two tables of the distillation recipe.

    python scripts/tables.py a      # Tiny Word Embeddings, Table 1: English similarity against bytes
    python scripts/tables.py b      # DistillEmb: held-out words of the African teachers, at equal training time
    python scripts/tables.py write  # both tables into README.md, from what has been run

A row that is in results-a.jsonl or results-b.jsonl is not run again. Delete the line to repeat it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are not an installed package

from distillemb_plugins import DistillEmb
from distillemb_plugins.data.sources import corpus_files
from distillemb_plugins.distill import DistillSettings, distill, fit_residual_codebook
from distillemb_plugins.evaluate import (
    EmbeddingModel,
    nearest_words,
    read_analogies,
    read_pair_sets,
    score_analogies,
    score_similarity,
)
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.teachers import Teacher, load_teacher
from recipes.results import (
    DEFAULT_DATA,
    Cell,
    Data,
    Row,
    Work,
    fact,
    markdown_table,
    megabytes,
    read_results,
    run_app,
    run_missing,
    table,
    write_blocks,
)

HERE = Path(__file__).resolve().parents[1]
SETS = ("RG-65", "MC-30", "WordSim-353", "MEN", "Rare Words")
UNSEEN = ("MTurk-287", "YP-130", "VERB-143")  # their scores played no part in any choice
SHOWN = ("london", "flu")
AFRICAN = ["amh", "tir", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor"]
CODEBOOK = "memory."  # the prefix of the tensors of a residual codebook
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Seed = Annotated[int, typer.Option(help="Seed of the weights and of the sampling.")]
Only = Annotated[list[str] | None, typer.Option(help="Run only rows whose name holds this text; repeatable.")]


@dataclass(frozen=True)
class System:
    """A row of a table: settings that differ from the preset's, and the codebook that is fitted afterwards."""

    name: str
    settings: dict[str, Any]
    codebook: tuple[int, int] | None = None  # words, bytes of each
    network: str = ""  # the row whose network this one shares
    teachers: tuple[str, ...] = ("fasttext",)


# -- table A ---------------------------------------------------------------------------------------------------------

# Our rows keep the teacher's mean: without it the teacher itself scores lower on these sets.
FULL: dict[str, Any] = {"center": False, "storage": "int8", "epochs": 40}
SMALL = {**FULL, "encoder_args": {"buckets": 4000, "channels": 48, "hidden": 256}}


def systems_a() -> list[System]:
    """The paper's four students with each loss, then ours: the network alone, and with a residual codebook."""
    # Three and a half million weights of an LSTM would take hours on two cores.
    sizes = {"char-rnn": {"hidden": 256, "char_dim": 32}}
    # As many passes as a few minutes of one thread allow, the same for both losses.
    epochs = {"char-rnn": 4, "char-cnn": 4, "ngram-bag": 20, "ngram-sam": 5}
    rows = []
    for student in ("ngram-bag", "ngram-sam", "char-cnn", "char-rnn"):
        common: dict[str, Any] = {"preset": "tiny-embeddings", "student": student, "epochs": epochs[student]}
        # Rows of a table are met seldom: by held-out P@10, hashed tables want a higher rate.
        common["table_learning_rate"] = 1e-2 if student.startswith("ngram") else None
        common["encoder_args"] = sizes.get(student, {})
        rows += [System(f"{student}, local", {**common, "losses": {"local": 1.0}})]
        rows += [System(f"{student}, local + global", {**common, "losses": {"local": 1.0, "global": 1.0}})]
    for name, settings, codebooks in (
        ("cnn 0.3M", SMALL, ((15_000, 16), (40_000, 12))),
        ("cnn 0.9M", FULL, ((20_000, 16), (30_000, 20), (50_000, 30))),
    ):
        rows.append(System(name, settings))
        rows += [System(f"{name} + {w:,} words x {c}", settings, (w, c), name) for w, c in codebooks]
    return rows


@app.command()
def a(data: Data = DEFAULT_DATA, work: Work = HERE, seed: Seed = 0, only: Only = None) -> None:
    """Run the rows of table A that have not been run."""
    teacher = load_teacher(data / "teachers" / "eng-fasttext.npz")
    extra = load_teacher(data / "teachers" / "eng-fasttext-similarity-words.npz")
    pair_sets, unseen = (read_pair_sets(data / "tasks" / "sim", only=sets) for sets in (SETS, UNSEEN))
    vocabulary = teacher.words[:20_000]

    def scores(model: EmbeddingModel, nbytes: int) -> Row:
        found, others = (score_similarity(model.lookup, sets) for sets in (pair_sets, unseen))
        near = nearest_words(model, SHOWN, vocabulary, n=5)
        return {
            "spearman": {score.label: round(score.spearman or 0.0, 4) for score in found.sets},
            "mean": round(found.mean or 0.0, 4),
            "unseen": {score.label: round(score.spearman or 0.0, 4) for score in others.sets},
            "unseen_mean": round(others.mean or 0.0, 4),
            "bytes": nbytes,
            "neighbours": {word: [other for other, _ in words] for word, words in near.items()},
        }

    def of_system(run: Row) -> Row:
        path, network = _encoder_a(systems[run["name"]], teacher, seed, work / "encoders")
        nbytes = _bytes(path)
        model = EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path), run["name"], nbytes)
        return {**scores(model, nbytes), **_training(network)}

    systems = {system.name: system for system in systems_a()}
    results = work / "results-a.jsonl"
    whole = EmbeddingModel.from_table(teacher, extra)
    run_missing(results, [{"name": "teacher"}], ("name",), lambda run: scores(whole, teacher.nbytes))
    run_missing(results, _wanted(systems, seed, only), ("name",), of_system)


def _encoder_a(system: System, teacher: Teacher, seed: int, encoders: Path) -> tuple[Path, Path]:
    """The encoder of a row, and the one that was trained for it: another where only a codebook was added."""
    path, network = (encoders / _slug(name) for name in (system.name, system.network or system.name))
    if not network.is_dir():
        settings = DistillSettings(**system.settings, seed=seed, validate_every=4)
        distill([teacher], network, settings, resume=True)
    if system.codebook and not path.is_dir():
        files = fit_residual_codebook(read_encoder(network), teacher.normalize(), *system.codebook, seed=seed)
        DistillEmb(files).save_pretrained(path, storage="int8")
    return path, network


# -- table B ---------------------------------------------------------------------------------------------------------

# The published way, with two allowances that help it: the cleaned teacher, and the windows over the open text only.
TRIPLET = {"preset": "distillemb", "center": True, "normalize": True, "min_char_count": 1, "epochs": 64}
BEST = {"epochs": 1000}
TEACHER_B = "teacher (fastText)"


def systems_b() -> list[System]:
    """Network by loss at equal time, then two teachers."""
    return [
        System("distillemb-small, triplet (published)", TRIPLET),
        System("distillemb-small, ours", {**BEST, "student": "distillemb-small", "max_chars": 13}),
        System("cnn, triplet", {**TRIPLET, "student": "cnn", "max_chars": 16, "align": "left"}),
        System("cnn, ours", BEST),
        System("distillemb-small, triplet, two teachers (published)", TRIPLET, teachers=("word2vec", "fasttext")),
        System("cnn, ours, two teachers averaged", {**BEST, "combine": "average"}, teachers=("word2vec", "fasttext")),
    ]


@app.command()
def b(
    data: Data = DEFAULT_DATA,
    work: Work = HERE,
    seed: Seed = 0,
    only: Only = None,
    max_seconds: Annotated[float, typer.Option(help="Training time of each row, validation not counted.")] = 180,
    held_out: Annotated[int, typer.Option(help="Words that are held out.")] = 2000,
    words: Annotated[int, typer.Option(help="Words of the teachers, the most frequent.")] = 42_000,
) -> None:
    """Run the rows of table B that have not been run: 2,000 of the 42,000 most frequent words are held out."""
    tables = {
        name: load_teacher(data / "teachers" / f"afro11-{name}.npz", limit=words) for name in ("fasttext", "word2vec")
    }
    questions = read_analogies(data / "tasks" / "analogy" / "amh-word-analogy.txt")
    amharic = [word for word in tables["fasttext"].words if "ሀ" <= word[0] <= "፼"]

    def analogies(lookup: Callable[..., Any]) -> Row:
        score = score_analogies(lookup, questions, amharic)
        return {"analogies": score.accuracy, "analogies_asked": score.answered}

    def of_system(run: Row) -> Row:
        system, path = systems[run["name"]], work / "encoders" / _slug(run["name"])
        if not path.is_dir():
            settings = DistillSettings(
                **system.settings, max_seconds=max_seconds, seed=seed, held_out=held_out, validate_every=1000
            )
            corpus = corpus_files(data, AFRICAN, ("OPEN",)) if settings.hard_negatives == "window" else ()
            distill([tables[name] for name in system.teachers], path, settings, corpus)
        model = EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path), system.name, _bytes(path))
        return {"bytes": model.nbytes, **_training(path), **analogies(model.lookup)}

    systems = {system.name: system for system in systems_b()}
    results = work / "results-b.jsonl"
    run_missing(results, _wanted(systems, seed, only), ("name",), of_system)
    run_missing(results, [{"name": TEACHER_B}], ("name",), lambda run: analogies(tables["fasttext"].lookup))


# -- both ------------------------------------------------------------------------------------------------------------


def _wanted(names: Iterable[str], seed: int, only: list[str] | None) -> list[Row]:
    return [{"name": name, "seed": seed} for name in names if not only or any(text in name for text in only)]


def _training(network: Path) -> Row:
    """What the log of a network says: seconds, examples, and the scores on held-out words."""
    lines = [json.loads(line) for line in (network / "distill_log.jsonl").read_text("utf-8").splitlines()]
    last = [line for line in lines if "validation" in line][-1]
    tensors = read_encoder(network).tensors
    return {
        "parameters": sum(tensor.size for name, tensor in tensors.items() if not name.startswith(CODEBOOK)),
        "seconds": round(last["seconds"], 1),
        "examples": last["examples"],
        **last["validation"],
    }


def _bytes(path: Path) -> int:
    """Everything that is read to compute a vector: weights, configuration, characters."""
    return sum((path / name).stat().st_size for name in ("model.safetensors", "config.json", "tokenizer_config.json"))


def _slug(name: str) -> str:
    return re.sub(r"[(),]", "", name.replace(" + ", "-plus-")).replace(" ", "-")


@app.command()
def write(work: Work = HERE, readme: Annotated[Path, typer.Option(help="The page.")] = HERE / "README.md") -> None:
    """Write the tables of all results found into the README."""
    if rows := _ordered(work / "results-a.jsonl", ["teacher", *(system.name for system in systems_a())]):
        write_blocks(readme, {"table-a": _table_a(rows), "neighbours": _table_neighbors(rows)})
    if rows := _ordered(work / "results-b.jsonl", [*(system.name for system in systems_b()), TEACHER_B]):
        write_blocks(readme, {"table-b": _table_b(rows)})


def _ordered(results: Path, names: list[str]) -> list[Row]:
    found = {row["name"]: row for row in read_results(results)}
    return [found[name] for name in names if name in found]


def _table(rows: list[Row], columns: Mapping[str, Cell]) -> str:
    return table("", [(row["name"], [row]) for row in rows], columns)


def _table_a(rows: list[Row]) -> str:
    teacher = next(row for row in rows if row["name"] == "teacher")

    def retained(name: str) -> Cell:
        return lambda own: f"{100 * own[0][name] / teacher[name]:.1f} %" if name in own[0] else ""

    columns = {name: fact(f"spearman.{name}", ".3f") for name in SETS}
    columns["mean"] = lambda own: f"**{own[0]['mean']:.3f}**"
    columns["of the teacher"] = retained("mean")
    if any("unseen_mean" in row for row in rows):  # rows of earlier versions have none
        columns["of the teacher, unseen sets"] = retained("unseen_mean")
    columns["on disk"] = lambda own: megabytes(own[0]["bytes"])
    columns["held-out cosine"] = fact("cosine", ".3f")
    columns["minutes"] = lambda own: f"{own[0]['seconds'] / 60:.1f}" if "seconds" in own[0] else ""
    return _table(rows, columns)


def _table_neighbors(rows: list[Row]) -> str:
    lines = [[row["name"], *(", ".join(row["neighbours"][word]) for word in SHOWN)] for row in rows]
    return markdown_table(["", *SHOWN], lines)


def _table_b(rows: list[Row]) -> str:
    columns = {name: fact(name, ",.0f") for name in ("parameters", "seconds", "examples")}
    scores = {"cosine": "cosine", "P@1": "p_at_1", "P@10": "p_at_10", "overlap@10": "overlap_at_10"}
    columns |= {title: fact(name, ".3f") for title, name in scores.items()}
    columns["analogies"] = lambda own: "" if own[0]["analogies"] is None else f"{100 * own[0]['analogies']:.1f} %"
    return _table(rows, columns)


if __name__ == "__main__":
    run_app(app)
