"""The two tables of the distillation recipe.

    python scripts/tables.py a      # Tiny Word Embeddings, Table 1: English similarity against bytes
    python scripts/tables.py b      # DistillEmb: held-out words of the African teachers, at equal training time
    python scripts/tables.py write  # both tables into README.md, from what has been run

A row that is in results-a.jsonl or results-b.jsonl is not run again; delete the line to repeat it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins import DistillEmb
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
from recipes.common import (
    DEFAULT_DATA,
    add_result,
    corpus_files,
    markdown_table,
    megabytes,
    read_results,
    replace_block,
    run_app,
)

HERE = Path(__file__).resolve().parents[1]
SETS = ("RG-65", "MC-30", "WordSim-353", "MEN", "Rare Words")
AFRICAN = ["amh", "tir", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor"]
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/, teachers/ and tasks/.")]
Seconds = Annotated[float, typer.Option(help="Training time of each row, validation not counted.")]
Seed = Annotated[int, typer.Option(help="Seed of the weights and of the sampling.")]
Only = Annotated[str, typer.Option(help="Run only rows whose name holds this text.")]


@dataclass(frozen=True)
class Row:
    """A row of a table: settings that differ from the preset's, and the memory that is fitted afterwards."""

    name: str
    settings: dict[str, Any]
    memory: tuple[int, int] | None = None  # words, codes
    network: str | None = None  # a row that shares its network with others
    teachers: tuple[str, ...] = field(default=("fasttext",))


# -- table A ---------------------------------------------------------------------------------------------------------

LOCAL, BOTH = {"local": 1.0}, {"local": 1.0, "global": 1.0}
# Our rows keep the teacher's mean: without it the teacher itself scores lower on these sets.
SMALL: dict[str, Any] = {
    "centre": False,
    "encoder_args": {"buckets": 4000, "channels": 48, "hidden": 256},
    "storage": "int8",
    "epochs": 40,
}
FULL: dict[str, Any] = {"centre": False, "storage": "int8", "epochs": 40}


def table_a_rows() -> list[Row]:
    """The paper's four students with each loss, then ours: the network alone, and with a memory."""
    # Three and a half million weights of an LSTM would take hours on two cores.
    sizes = {"char-rnn": {"hidden": 256, "char_dim": 32}}
    # As many passes as a few minutes of one thread allow, the same for both losses.
    epochs = {"char-rnn": 4, "char-cnn": 4, "ngram-bag": 20, "ngram-sam": 5}
    rows = [
        Row(
            f"{student}, {what}",
            {
                "preset": "tiny-embeddings",
                "student": student,
                "losses": losses,
                "encoder_args": sizes.get(student, {}),
                "epochs": epochs[student],
                # Rows of a table are met seldom: by held-out P@10, hashed tables want a higher rate.
                "table_learning_rate": 1e-2 if student.startswith("ngram") else None,
            },
        )
        for student in ("ngram-bag", "ngram-sam", "char-cnn", "char-rnn")
        for what, losses in (("local", LOCAL), ("local + global", BOTH))
    ]
    for name, settings, memories in (
        ("cnn 0.3M", SMALL, ((15_000, 16), (40_000, 12))),
        ("cnn 0.9M", FULL, ((20_000, 16), (30_000, 20), (50_000, 30))),
    ):
        rows.append(Row(name, settings, network=name))
        rows += [Row(f"{name} + {w:,} words x {c}", settings, (w, c), name) for w, c in memories]
    return rows


@app.command()
def a(data: Data = DEFAULT_DATA, seed: Seed = 0, only: Only = "") -> None:
    """Run the rows of table A that have not been run."""
    teacher = load_teacher(data / "teachers" / "eng-fasttext.npz")
    extra = load_teacher(data / "teachers" / "eng-fasttext-similarity-words.npz")
    pair_sets = read_pair_sets(data / "tasks" / "sim", only=SETS)
    whole = EmbeddingModel.from_table(teacher, extra)
    vocabulary = teacher.words[:20_000]
    if "teacher" not in {result["name"] for result in read_results(HERE / "results-a.jsonl")}:
        result = _similarity(whole, pair_sets) | {"neighbours": _neighbours(whole, vocabulary)}
        add_result(HERE / "results-a.jsonl", {"name": "teacher", **result, "bytes": teacher.nbytes}, ("name",))
    for row in _to_run(table_a_rows(), "a", only):
        path = _encoder_a(row, teacher, seed)
        subject = EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path), row.name, _bytes(path))
        result = _similarity(subject, pair_sets) | {"neighbours": _neighbours(subject, vocabulary)}
        add_result(HERE / "results-a.jsonl", {"name": row.name, "seed": seed, **result, **_training(path)}, ("name",))


def _encoder_a(row: Row, teacher: Teacher, seed: int) -> Path:
    """The encoder directory of a row: distilled, or a shared network with the row's memory."""
    network = HERE / "encoders" / _slug(row.network or row.name)
    if not network.is_dir():
        settings = DistillSettings(**row.settings, seed=seed, validate_every=4)
        distill([teacher], network, settings, resume=True)
    if row.memory is None:
        return network
    path = HERE / "encoders" / _slug(row.name)
    if not path.is_dir():
        hybrid = fit_residual_codebook(read_encoder(network), teacher.normalize(), *row.memory, seed=seed)
        DistillEmb(hybrid).save_pretrained(path, storage="int8")
    return path


def _similarity(subject: EmbeddingModel, pair_sets: list[Any]) -> dict[str, Any]:
    scores = score_similarity(subject.lookup, pair_sets)
    return {
        "spearman": {score.label: round(score.spearman or 0.0, 4) for score in scores.sets},
        "mean": round(scores.mean or 0.0, 4),
        "bytes": subject.nbytes,
    }


def _neighbours(subject: EmbeddingModel, vocabulary: list[str]) -> dict[str, list[str]]:
    found = nearest_words(subject, ["london", "flu"], vocabulary, n=5)
    return {word: [other for other, _ in near] for word, near in found.items()}


# -- table B ---------------------------------------------------------------------------------------------------------

# The published way, with two allowances that help it: the cleaned teacher, and the windows over the open text only.
TRIPLET = {"preset": "distillemb", "centre": True, "normalise": True, "min_char_count": 1, "epochs": 64}
BEST = {"preset": "default", "epochs": 1000}


def table_b_rows() -> list[Row]:
    """Network by loss at equal time, then two teachers."""
    return [
        Row("distillemb-small, triplet (published)", TRIPLET),
        Row("distillemb-small, ours", {**BEST, "student": "distillemb-small", "max_chars": 13}),
        Row("cnn, triplet", {**TRIPLET, "student": "cnn", "max_chars": 16, "align": "left"}),
        Row("cnn, ours", BEST),
        Row("distillemb-small, triplet, two teachers (published)", TRIPLET, teachers=("word2vec", "fasttext")),
        Row("cnn, ours, two teachers averaged", {**BEST, "combine": "average"}, teachers=("word2vec", "fasttext")),
    ]


@app.command()
def b(
    data: Data = DEFAULT_DATA, max_seconds: Seconds = 180, seed: Seed = 0, only: Only = "", words: int = 42_000
) -> None:
    """Run the rows of table B that have not been run: 2,000 of the 42,000 most frequent words are held out."""
    tables = {
        name: load_teacher(data / "teachers" / f"afro11-{name}.npz", limit=words) for name in ("fasttext", "word2vec")
    }
    corpus = corpus_files(data, AFRICAN, ("OPEN",))
    questions = read_analogies(data / "tasks" / "analogy" / "amh-word-analogy.txt")
    for row in _to_run(table_b_rows(), "b", only):
        path = HERE / "encoders" / _slug(row.name)
        if not path.is_dir():
            settings = DistillSettings(
                **row.settings, max_seconds=max_seconds, seed=seed, held_out=2000, validate_every=1000
            )
            needs_windows = settings.hard_negatives == "window"
            distill([tables[t] for t in row.teachers], path, settings, corpus if needs_windows else ())
        encoder = DistillEmb.from_pretrained(path)
        subject = EmbeddingModel.from_encoder(encoder, row.name, _bytes(path))
        analogies = _analogies(subject.lookup, questions, tables["fasttext"].words)
        result = {"name": row.name, "seed": seed, "bytes": subject.nbytes, **_training(path), **analogies}
        add_result(HERE / "results-b.jsonl", result, ("name",))
    if not only:
        teacher = {
            "name": "teacher (fastText)",
            **_analogies(tables["fasttext"].lookup, questions, tables["fasttext"].words),
        }
        add_result(HERE / "results-b.jsonl", teacher, ("name",))


def _analogies(lookup: Callable[..., Any], questions: dict[str, Any], words: list[str]) -> dict[str, Any]:
    amharic = [word for word in words if "ሀ" <= word[0] <= "፼"]
    score = score_analogies(lookup, questions, amharic)
    return {"analogies": score.accuracy, "analogies_asked": score.answered}


# -- both ------------------------------------------------------------------------------------------------------------


def _to_run(rows: list[Row], table: str, only: str) -> Iterator[Row]:
    done = {result["name"] for result in read_results(HERE / f"results-{table}.jsonl")}
    return (row for row in rows if row.name not in done and only in row.name)


def _training(path: Path) -> dict[str, Any]:
    """What the log says of the training: seconds, examples, and the scores on held-out words."""
    network = path
    if not (path / "distill_log.jsonl").is_file():
        network = HERE / "encoders" / _slug(path.name.split("-plus-")[0])
    lines = [json.loads(line) for line in (network / "distill_log.jsonl").read_text("utf-8").splitlines()]
    last = [line for line in lines if "validation" in line][-1]
    encoder = DistillEmb.from_pretrained(path)
    network_parameters = sum(t.size for n, t in encoder.files.tensors.items() if not n.startswith("memory."))
    return {
        "parameters": network_parameters,
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
def write(readme: Path = HERE / "README.md") -> None:
    """Write the tables of all results found into the README."""
    a_rows = {row["name"]: row for row in read_results(HERE / "results-a.jsonl")}
    if a_rows:
        order = ["teacher", *(row.name for row in table_a_rows())]
        replace_block(readme, "table-a", _table_a([a_rows[name] for name in order if name in a_rows]))
        replace_block(readme, "neighbours", _table_neighbours([a_rows[name] for name in order if name in a_rows]))
    b_rows = {row["name"]: row for row in read_results(HERE / "results-b.jsonl")}
    if b_rows:
        order = [row.name for row in table_b_rows()] + ["teacher (fastText)"]
        replace_block(readme, "table-b", _table_b([b_rows[name] for name in order if name in b_rows]))


def _table_a(rows: list[dict[str, Any]]) -> str:
    teacher = next(row["mean"] for row in rows if row["name"] == "teacher")
    header = ["", *SETS, "mean", "of the teacher", "on disk", "held-out cosine", "minutes"]
    lines = [
        [
            row["name"],
            *(f"{row['spearman'][name]:.3f}" for name in SETS),
            f"**{row['mean']:.3f}**",
            f"{100 * row['mean'] / teacher:.1f} %",
            megabytes(row["bytes"]),
            f"{row['cosine']:.3f}" if "cosine" in row else "",
            f"{row['seconds'] / 60:.1f}" if "seconds" in row else "",
        ]
        for row in rows
    ]
    return markdown_table(header, lines)


def _table_neighbours(rows: list[dict[str, Any]]) -> str:
    return markdown_table(
        ["", "london", "flu"],
        [[row["name"], *(", ".join(row["neighbours"][w]) for w in ("london", "flu"))] for row in rows],
    )


def _table_b(rows: list[dict[str, Any]]) -> str:
    header = ["", "parameters", "seconds", "examples", "cosine", "P@1", "P@10", "overlap@10", "analogies"]
    lines = []
    for row in rows:
        scores = [f"{row[k]:.3f}" if k in row else "" for k in ("cosine", "p_at_1", "p_at_10", "overlap_at_10")]
        training = [f"{row[k]:,.0f}" if k in row else "" for k in ("parameters", "seconds", "examples")]
        analogies = "" if row["analogies"] is None else f"{100 * row['analogies']:.1f} %"
        lines.append([row["name"], *training, *scores, analogies])
    return markdown_table(header, lines)


if __name__ == "__main__":
    run_app(app)
