"""The tables of the distillation recipe.

    python scripts/tables.py a      # Tiny Word Embeddings, Table 1: English similarity against bytes
    python scripts/tables.py b      # DistillEmb: held-out words of the African teachers, at equal training time
    python scripts/tables.py c      # context layers over afro11, by the words that they read and by their size
    python scripts/tables.py write  # all into README.md, from what has been run

The rows are in tables.yml. One that is in results-a.jsonl, -b or -c is not run again. Delete the line to repeat it.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are not an installed package

from distillemb_plugins import DistillEmb, evaluate, hf  # noqa: F401, hf registers
from distillemb_plugins.data import Layout, Sentence, corpus_files, read_sentences, task_files
from distillemb_plugins.distill import DistillSettings, distill, fit_residual_codebook
from distillemb_plugins.evaluate import EmbeddingModel, entity_scores
from distillemb_plugins.evaluate.plots import line_plots
from distillemb_plugins.locations import bundled
from distillemb_plugins.persistence import WEIGHTS_FILE, read_encoder
from distillemb_plugins.pretrain import PretrainSettings, pretrain
from distillemb_plugins.teachers import Teacher, load_teacher
from recipes import results as shared
from recipes.distill.scripts import afro11
from recipes.results import Cell, Data, Row, Work, fact, megabytes, pick, run_missing, table

HERE = Path(__file__).resolve().parents[1]
SYSTEMS: dict[str, dict[str, Row]] = yaml.safe_load((HERE / "tables.yml").read_text("utf-8"))
SETS = ("RG-65", "MC-30", "WordSim-353", "MEN", "Rare Words")
OTHERS = ("MTurk-287", "YP-130", "VERB-143")  # they played no part in any choice
SHOWN = ("london", "flu")
AFRICAN = list(shared.RAW_TEXT)
NER_LANGUAGES = [one for one in AFRICAN if one != "tir"]
TEACHER_A, TEACHER_B = "teacher", "teacher (fastText)"
CODEBOOK = "memory."  # the prefix of the tensors of a residual codebook
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Seed = Annotated[int, typer.Option(help="Seed of the weights and of the sampling.")]
Only = Annotated[list[str] | None, typer.Option(help="Run only rows whose name holds this text; repeatable.")]


@app.command()
def a(data: Data = shared.DEFAULT_DATA, work: Work = HERE, seed: Seed = 0, only: Only = None) -> None:
    """Run the rows of table A that have not been run."""
    teacher = load_teacher(data / "teachers" / "eng-fasttext.npz")
    extra = load_teacher(data / "teachers" / "eng-fasttext-similarity-words.npz")
    pair_sets = evaluate.read_pair_sets(data / "tasks" / "sim", only=(*SETS, *OTHERS))

    def do(run: Row) -> Row:
        if run["name"] == TEACHER_A:
            model, training = EmbeddingModel.from_table(teacher, extra), {}
        else:
            path, network = _encoder_a(run["name"], teacher, seed, work / "encoders")
            model, training = _model(path, run["name"]), _training(network)
        found = evaluate.score_similarity(model.lookup, pair_sets)
        scores = {score.label: round(score.spearman or 0.0, 4) for score in found.sets}
        near = evaluate.nearest_words(model, SHOWN, teacher.words[:20_000], n=5)
        return {
            "spearman": scores,
            "mean": round(found.mean or 0.0, 4),
            "others": round(statistics.fmean(scores[name] for name in OTHERS), 4),
            "bytes": model.nbytes,
            "neighbours": {word: [other for other, _ in words] for word, words in near.items()},
            **training,
        }

    run_missing(work / "results-a.jsonl", [{"name": TEACHER_A}, *_wanted("a", seed, only)], ("name",), do)


def _encoder_a(name: str, teacher: Teacher, seed: int, encoders: Path) -> tuple[Path, Path]:
    """The encoder of a row, and the one that was trained for it: another where only a codebook was added."""
    system = SYSTEMS["a"][name]
    path, network = (encoders / _slug(one) for one in (name, system.get("network", name)))
    if not network.is_dir():
        settings = DistillSettings(**system["settings"], seed=seed, validate_every=4)
        distill([teacher], network, settings, resume=True)
    if "codebook" in system and not path.is_dir():
        files = fit_residual_codebook(read_encoder(network), teacher.normalize(), *system["codebook"], seed=seed)
        DistillEmb(files).save_pretrained(path, storage="int8")
    return path, network


@app.command()
def b(
    data: Data = shared.DEFAULT_DATA,
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
    questions = evaluate.read_analogies(data / "tasks" / "analogy" / "amh-word-analogy.txt")
    amharic = [word for word in tables["fasttext"].words if "ሀ" <= word[0] <= "፼"]

    def analogies(lookup: Callable[..., Any]) -> Row:
        score = evaluate.score_analogies(lookup, questions, amharic)
        return {"analogies": score.accuracy, "analogies_asked": score.answered}

    def do(run: Row) -> Row:
        if run["name"] == TEACHER_B:
            return analogies(tables["fasttext"].lookup)
        system, path = SYSTEMS["b"][run["name"]], work / "encoders" / _slug(run["name"])
        if not path.is_dir():
            limits: Row = {"max_seconds": max_seconds, "seed": seed, "held_out": held_out, "validate_every": 1000}
            settings = DistillSettings(**system["settings"], **limits)
            corpus = corpus_files(data, AFRICAN, ("OPEN",)) if settings.hard_negatives == "window" else ()
            distill([tables[name] for name in system.get("teachers", ["fasttext"])], path, settings, corpus)
        model = _model(path, run["name"])
        return {"bytes": model.nbytes, **_training(path), **analogies(model.lookup)}

    run_missing(work / "results-b.jsonl", [*_wanted("b", seed, only), {"name": TEACHER_B}], ("name",), do)


@app.command()
def c(data: Data = shared.DEFAULT_DATA, work: Work = HERE, seed: Seed = 0, only: Only = None) -> None:
    """Run the rows of table C that have not been run. They need the text that `afro11.py text` writes."""
    texts = shared.needed(work / "encoders" / afro11.TEXT, "distill/scripts/afro11.py text") / "corpora"
    parts: dict[str, list[Sentence]] = {"train": [], "dev": []}
    for split, language in product(parts, NER_LANGUAGES):
        parts[split] += read_sentences(task_files(data, "ner/masakhaner1", language)[split], Layout())

    def do(run: Row) -> Row:
        path = work / "encoders" / _slug(run["name"])
        settings = PretrainSettings(**afro11.KNOWN["pretraining"] | SYSTEMS["c"][run["name"]], seed=seed)
        pretrain([texts / language for language in AFRICAN], bundled("afro11"), path, settings, resume=True)
        last = shared.last_validation(path, "pretrain_log.jsonl")
        row = {"words": last["examples"], "seconds": round(last["seconds"], 1), **last["validation"]}
        return {**row, "bytes": (path / WEIGHTS_FILE).stat().st_size, "dev_f1": round(_linear_f1(path, **parts), 2)}

    run_missing(work / "results-c.jsonl", _wanted("c", seed, only), ("name",), do)


def _linear_f1(path: Path, train: list[Sentence], dev: list[Sentence]) -> float:
    """F1 on dev, in per cent, of a linear classifier that reads a word's frozen state in context and nothing else."""
    model, tokenizer = AutoModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)

    def states(sentences: list[Sentence]) -> NDArray[np.float32]:
        given = (tokenizer(s.words, is_split_into_words=True, return_tensors="pt") for s in sentences)
        with torch.inference_mode():
            return np.concatenate([model(**one).last_hidden_state[0].numpy() for one in given])

    classifier = LogisticRegression(max_iter=300).fit(states(train), [tag for s in train for tag in s.tags])
    found = iter(classifier.predict(states(dev)))
    return entity_scores([s.tags for s in dev], [[next(found) for _ in s.words] for s in dev])["f1"]


def _wanted(kind: str, seed: int, only: list[str] | None) -> list[Row]:
    return [{"name": one, "seed": seed} for one in SYSTEMS[kind] if not only or any(text in one for text in only)]


def _model(path: Path, name: str) -> EmbeddingModel:
    """An encoder, with the bytes of all that is read to compute a vector: weights, configuration, characters."""
    read = ("model.safetensors", "config.json", "tokenizer_config.json")
    nbytes = sum((path / file).stat().st_size for file in read)
    return EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path), name, nbytes)


def _training(network: Path) -> Row:
    """What the log of a network says: seconds, examples, and the scores on held-out words."""
    last, tensors = shared.last_validation(network), read_encoder(network).tensors
    return {
        "parameters": sum(tensor.size for name, tensor in tensors.items() if not name.startswith(CODEBOOK)),
        "seconds": round(last["seconds"], 1),
        "examples": last["examples"],
        **last["validation"],
    }


def _slug(name: str) -> str:
    return re.sub(r"[(),]", "", name.replace(" + ", "-plus-")).replace(" ", "-")


@app.command()
def write(work: Work = HERE, readme: shared.Readme = HERE / "README.md") -> None:
    """Write the tables of all results found into the README."""
    rows_a, rows_b, rows_c = (shared.read_results(work / f"results-{kind}.jsonl") for kind in SYSTEMS)
    similarity = [(name, pick(rows_a, name=name)) for name in (TEACHER_A, *SYSTEMS["a"])]
    held_out = [(name, pick(rows_b, name=name)) for name in (*SYSTEMS["b"], TEACHER_B)]
    near = {word: fact(f"neighbours.{word}") for word in SHOWN}
    blocks = {"table-a": table("", similarity, _columns_a(similarity)), "neighbours": table("", similarity, near)}
    layers = [(name, pick(rows_c, name=name)) for name in SYSTEMS["c"]]
    blocks |= {"table-b": table("", held_out, _columns_b()), "table-c": table("", layers, _columns_c())}
    shared.write_blocks(readme, blocks)
    sizes: dict[str, dict[float, list[float]]] = {}
    for row in sorted(rows_c, key=lambda row: row["words"]):
        sizes.setdefault(row["name"].partition(",")[0], {})[float(f"{row['words'] / 1e6:.2g}")] = [row["dev_f1"]]
    plot = line_plots({"": sizes}, "million words read", "F1 on dev, linear classifier of the states", log=True)
    shared.write_text(readme.with_name("context.svg"), plot)


def _columns_a(groups: list[tuple[str, list[Row]]]) -> dict[str, Cell]:
    columns = {name: fact(f"spearman.{name}", ".3f") for name in SETS}
    columns["mean"] = lambda own: f"**{own[0]['mean']:.3f}**"
    teacher = next(iter(groups[0][1]), Row())
    shares = {"of the teacher": "mean", "of the teacher, other sets": "others"}
    columns |= {title: _percent(name, teacher[name]) for title, name in shares.items() if name in teacher}
    columns["on disk"] = lambda own: megabytes(own[0]["bytes"])
    columns["held-out cosine"] = fact("cosine", ".3f")
    columns["minutes"] = lambda own: f"{own[0]['seconds'] / 60:.1f}" if "seconds" in own[0] else ""
    return columns


def _percent(name: str, of: float = 1) -> Cell:
    return lambda own: "" if own[0].get(name) is None else f"{100 * own[0][name] / of:.1f} %"


def _columns_b() -> dict[str, Cell]:
    columns = {name: fact(name, ",.0f") for name in ("parameters", "seconds", "examples")}
    scores = {"cosine": "cosine", "P@1": "p_at_1", "P@10": "p_at_10", "overlap@10": "overlap_at_10"}
    columns |= {title: fact(name, ".3f") for title, name in scores.items()}
    columns["analogies"] = _percent("analogies")
    return columns


def _columns_c() -> dict[str, Cell]:
    columns = {"hidden words guessed": _percent("accuracy"), "entities, dev F1": fact("dev_f1", ".1f")}
    return columns | {"on disk": lambda own: megabytes(own[0]["bytes"])}


if __name__ == "__main__":
    shared.run_app(app)
