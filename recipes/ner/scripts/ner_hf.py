"""NER in Hugging Face: BiLSTM-CRF taggers over the fine-tuned encoder, a language each and all ten languages at once.

    python scripts/ner_hf.py encoder          # teach and distil the encoder
    python scripts/ner_hf.py train --mode joint --seed 0 --seed 1 --seed 2
    python scripts/ner_hf.py table

Modes: `single` trains each language alone, `joint` one tagger on all, `tuned` goes on from the joint tagger in each
language. `extended` is `joint` with the training sentences of MasakhaNER 2.0 beside those of 1.0, but for what stands
in the dev and test sets of 1.0; `refined` goes on from it with MasakhaNER 1.0 alone.

Starts: `encoder`, `random` (nothing pretrained), and `context` (the layers above the encoder pretrained on raw text by
`ner_hf.py context`). Every step is skipped when its result is there.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.data.tagged import (
    add_sentences,
    apart_from,
    check_tagged,
    join_datasets,
    labels_of,
    named_tags,
    tagged_dataset,
)
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_directory, atomic_file, directory_bytes
from distillemb_plugins.finetune.trainer import TrainSettings, predict, score_entities, train_model
from recipes import spacy_arms
from recipes.common import (
    DEFAULT_DATA,
    add_result,
    markdown_table,
    mean_spread,
    megabytes,
    read_results,
    replace_block,
    run_app,
    task_files,
)
from recipes.ner.scripts.seen import seen_scores

HERE = Path(__file__).resolve().parents[1]
TASK = "ner/masakhaner1"
LANGUAGES = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor")
MORE = "ner/masakhaner2"  # holds all of LANGUAGES but Amharic
MODES = ("single", "joint", "tuned", "extended", "refined")
DEFAULT_MODES = ("single", "joint", "tuned")
ALL_AT_ONCE = ("joint", "extended", "refined")
GOES_ON_FROM = {"tuned": "joint", "refined": "extended"}
KEY = ("language", "mode", "start", "seed")
STARTS = ("random", "encoder", "svd", "context")
# What stands in the literature: RESEARCH.md's sources, test F1 of each language.
PUBLISHED = {
    "DistillEmb (3.3M)": (56.31, 86.50, 83.45, 70.71, 79.19, 73.56, 79.43, 82.50, 64.75, 77.59),
    "AfriBERTa-small (97M)": (67.90, 89.01, 86.63, 69.91, 76.44, 67.31, 82.92, 85.68, 60.10, 76.08),
    "XLM-R-base (270M)": (70.62, 89.50, 84.78, 73.32, 79.69, 74.86, 87.26, 87.37, 63.86, 78.26),
}
# Chosen on dev; see the README.
SINGLE = TrainSettings(epochs=15, batch_size=16, bfloat16=True, evaluations=8)
JOINT = TrainSettings(
    epochs=12,
    batch_size=64,
    learning_rate=3e-3,
    encoder_learning_rate=1e-3,
    average=0.995,
    bfloat16=True,
    evaluations=6,
)
EXTENDED = dataclasses.replace(JOINT, epochs=5)
TUNED = TrainSettings(epochs=5, learning_rate=5e-4, encoder_learning_rate=2e-4, bfloat16=True, evaluations=5)
REFINED = dataclasses.replace(JOINT, epochs=5, learning_rate=2e-3, encoder_learning_rate=7e-4)
SETTINGS = {"single": SINGLE, "joint": JOINT, "tuned": TUNED, "extended": EXTENDED, "refined": REFINED}
HEAD = {"head": "bilstm-crf", "shape_features": True, "head_activation": "relu", "head_dropout": 0.3}
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/, teachers/ and tasks/.")]
Work = Annotated[Path, typer.Option(help="Where encoders and taggers are kept.")]
Languages = Annotated[list[str], typer.Option("--language", help="MasakhaNER language; repeat for several.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]


@app.command()
def encoder(data: Data = DEFAULT_DATA, work: Work = spacy_arms.WORK) -> None:
    """Teach and distil the encoders of the spaCy arms, which are fine-tuned here too."""
    spacy_arms.teach(data, work)
    spacy_arms.distill_encoder(work)
    spacy_arms.count(data, work)
    spacy_arms.distill_encoder(work, "svd")


@app.command()
def context(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    work: Work = HERE / "training",
    words: int = 1_000_000,
) -> None:
    """Pretrain the context layers on raw text (see pretrain_context.py)."""
    from recipes.ner.scripts.pretrain_context import main as pretrain

    if not (work / "hf-context").is_dir():
        pretrain(spacy_arms.encoder_path(work), work / "hf-context", data, language, words)


@app.command()
def train(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    mode: Annotated[list[str], typer.Option(help=", ".join(MODES) + ".")] = list(DEFAULT_MODES),  # noqa: B006
    start: Annotated[
        str, typer.Option(help="random: nothing pretrained; encoder; svd: that of the counted table; context.")
    ] = "encoder",
    seed: Annotated[list[int], typer.Option(help="Seeds; repeat for several.")] = [0, 1, 2],  # noqa: B006
    work: Work = HERE / "training",
    results: Results = HERE / "results-hf.jsonl",
    epochs: Annotated[int, typer.Option(help="Passes; 0: as chosen on dev.")] = 0,
) -> None:
    """Train taggers and score dev and test."""
    if set(mode) - set(MODES) or start not in STARTS:
        raise DistillEmbError(f"Modes are {', '.join(MODES)}, starts {', '.join(STARTS)}.")
    tasks = {name: load_task(data, name) for name in language}
    done = {tuple(row[k] for k in KEY) for row in read_results(results)}
    for one_seed in seed:
        for one_mode in mode:
            missing = [name for name in language if (name, one_mode, start, one_seed) not in done]
            if not missing:
                continue
            chosen = extended_tasks(data, tasks) if one_mode == "extended" else tasks
            for group in [language] if one_mode in ALL_AT_ONCE else [[name] for name in missing]:
                run({name: chosen[name] for name in group}, one_mode, start, one_seed, work, results, epochs)


def load_task(data: Path, language: str) -> Any:
    """The task of a language; its blemishes are told."""
    files = task_files(data, TASK, language)
    dataset = tagged_dataset(files)
    for problem in check_tagged(dataset, files):
        typer.echo(f"{language}: {problem}", err=True)
    return dataset


def extended_tasks(data: Path, tasks: dict[str, Any]) -> dict[str, Any]:
    """The tasks with the training sentences of MasakhaNER 2.0, in the languages that it has."""
    extended = dict(tasks)
    for language, task in tasks.items():
        if language != "amh":
            more = tagged_dataset({"train": task_files(data, MORE, language)["train"]})
            extended[language] = add_sentences(task, more["train"])
        counts = [len(each[language]["train"]) for each in (tasks, extended)]
        typer.echo(f"{language}: {counts[0]} training sentences, {counts[1]} when extended", err=True)
    return extended


def run(tasks: dict[str, Any], mode: str, start: str, seed: int, work: Path, results: Path, epochs: int) -> None:
    """Train one tagger on the tasks and keep it, its learning curve, and a row of results a language."""
    from transformers import AutoTokenizer

    import distillemb_plugins.hf  # noqa: F401 - so that the Auto classes know ours

    name = mode if mode in ALL_AT_ONCE else f"{mode}-{next(iter(tasks))}"
    out = work / f"hf-{name}-{start}-{seed}"
    settings = dataclasses.replace(SETTINGS[mode], seed=seed, resume=True)
    settings = dataclasses.replace(settings, epochs=epochs) if epochs else settings
    joined = join_datasets(tasks)
    source = work / f"hf-{GOES_ON_FROM[mode]}-{start}-{seed}" if mode in GOES_ON_FROM else base(start, work)
    if not source.is_dir():
        raise DistillEmbError(f"{source} is not there: run `train --mode {GOES_ON_FROM[mode]} --seed {seed}` first.")
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = open_model(source, labels_of(joined["train"]), start, seed)
    trained = train_model(model, tokenizer.characters, joined, settings, work / f"{out.name}.work", progress=True)
    with atomic_directory(out, overwrite=True) as folder:
        trained.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(trained.history), "utf-8")
    for language, task in tasks.items():
        row = {"language": language, "mode": mode, "start": start, "seed": seed, "epochs": settings.epochs}
        row |= {"seconds": round(trained.seconds), "bytes": directory_bytes(out)}
        add_result(results, row | score(trained.model, tokenizer.characters, task), KEY)


def base(start: str, work: Path) -> Path:
    """The directory that training starts from. Raises `DistillEmbError` when the step that makes it was not run."""
    if start == "context":
        path = work / "hf-context"
    else:
        path = spacy_arms.encoder_path(work, "svd" if start == "svd" else "fasttext")
    if not path.is_dir():
        step = "context" if start == "context" else "encoder"
        raise DistillEmbError(f"{path} is not there: run `python scripts/ner_hf.py {step}` first.")
    return path


def open_model(source: Path, names: Sequence[str], start: str, seed: int) -> Any:
    """A tagger with what is pretrained in `source`; with start "random", the same with fresh weights throughout."""
    import torch

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    torch.manual_seed(seed)
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: n for n, name in enumerate(names)}}
    model = DistillEmbForTokenClassification.from_pretrained(
        source, ignore_mismatched_sizes=True, num_labels=len(names), **labels, **HEAD
    )
    if start == "random":
        model.config.memory = None
        torch.manual_seed(seed)
        return DistillEmbForTokenClassification(model.config)
    return model


def score(model: Any, characters: Any, task: Any) -> dict[str, Any]:
    """Scores of dev and test (per cent, corpus-level), of each entity type, and of entities seen in training or not."""
    row: dict[str, Any] = {}
    gold = {split: named_tags(sentences) for split, sentences in task.items()}
    for split in ("dev", "test"):
        begin = time.perf_counter()
        found = predict(model, characters, task[split])
        words = sum(len(tags) for tags in found)
        row |= {f"{split}_{k}": round(v, 2) for k, v in score_entities(gold[split], found).items()}
        row[f"{split}_words_per_second"] = round(words / (time.perf_counter() - begin))
        row[f"{split}_per_type"] = per_type(gold[split], found)
    known = list(zip(task["train"]["tokens"], gold["train"], strict=True))
    row |= {
        f"test_{k}": round(v, 2) for k, v in seen_scores(known, task["test"]["tokens"], gold["test"], found).items()
    }
    return row


def per_type(gold: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    """F1 of each entity type, from seqeval's report."""
    from seqeval.metrics import classification_report

    report = classification_report(gold, found, output_dict=True, zero_division=0)
    return {kind: round(100 * float(s["f1-score"]), 2) for kind, s in sorted(report.items()) if "avg" not in kind}


@app.command()
def table(results: Results = HERE / "results-hf.jsonl", readme: Path = HERE / "README.md") -> None:
    """Write the tables of all results found into the README, beside the published ones."""
    rows = read_results(results)
    kinds = sorted({(row["mode"], row["start"]) for row in rows}, key=lambda kind: (MODES.index(kind[0]), kind[1]))
    header = ["test F1", *LANGUAGES, "mean", "dev mean", "seeds", "on disk", "minutes"]
    lines = [
        _line(f"{mode}, {start}", [r for r in rows if (r["mode"], r["start"]) == (mode, start)])
        for mode, start in kinds
    ]
    for name, scores in PUBLISHED.items():
        lines.append([f"*{name}*", *(f"{s:.1f}" for s in scores), f"{sum(scores) / len(scores):.2f}", "", "", "", ""])
    replace_block(readme, "hf", markdown_table(header, lines))


def _line(name: str, rows: list[dict[str, Any]]) -> list[str]:
    seeds = sorted({row["seed"] for row in rows})
    by_language = {language: [r for r in rows if r["language"] == language] for language in LANGUAGES}
    whole = [s for s in seeds if all(any(r["seed"] == s for r in found) for found in by_language.values())]
    means = {split: [_mean(rows, s, split) for s in whole] for split in ("dev", "test")}
    return [
        name,
        *(mean_spread([r["test_f1"] for r in found]) if found else "" for found in by_language.values()),
        mean_spread(means["test"], 2) if whole else "",
        mean_spread(means["dev"], 2) if whole else "",
        str(len(seeds)),
        megabytes(max(row["bytes"] for row in rows)),
        mean_spread([row["seconds"] / 60 for row in rows]),
    ]


def _mean(rows: list[dict[str, Any]], seed: int, split: str) -> float:
    scores = [row[f"{split}_f1"] for row in rows if row["seed"] == seed]
    return sum(scores) / len(scores)


@app.command()
def apart(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    work: Work = HERE / "training",
    start: Annotated[str, typer.Option(help="What the taggers started from: encoder or svd.")] = "svd",
    seed: Annotated[int, typer.Option(help="Whose taggers.")] = 0,
    readme: Path = HERE / "README.md",
) -> None:
    """Score joint and refined taggers on the test sentences that have nothing of the added ones; into the README."""
    tasks = {name: load_task(data, name) for name in language}
    extended = extended_tasks(data, tasks)
    kept = {name: apart_from(task["test"], added_to(task, extended[name])) for name, task in tasks.items()}
    means = []
    for mode in ("joint", "refined"):
        scores = [f1_of(work / f"hf-{mode}-{start}-{seed}", sentences) for sentences in kept.values()]
        means.append(f"{mode} {sum(scores) / len(scores):.2f}")
    counts = [sum(map(len, each)) for each in (kept.values(), (task["test"] for task in tasks.values()))]
    text = (
        f"On the {counts[0]:,} of {counts[1]:,} test sentences that have no run of six words in common with the added "
        f"sentences of their language, the mean F1 is: {', '.join(means)} (start {start}, seed {seed})."
    )
    replace_block(readme, "apart", text)


def added_to(task: Any, extended: Any) -> Any:
    """The training sentences that the extended task has more."""
    return extended["train"].select(list(range(len(task["train"]), len(extended["train"]))))


def f1_of(tagger: Path, sentences: Any) -> float:
    """Corpus-level F1 (per cent) of a tagger's directory on tagged sentences."""
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    if not tagger.is_dir():
        raise DistillEmbError(f"{tagger} is not there: train it first.")
    model = DistillEmbForTokenClassification.from_pretrained(tagger).eval()
    found = predict(model, AutoTokenizer.from_pretrained(tagger).characters, sentences)
    return score_entities(named_tags(sentences), found)["f1"]


@app.command()
def report(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    tagger: Annotated[Path, typer.Option(help="A tagger's directory.")] = HERE / "training" / "hf-refined-svd-0",
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file to write.")] = HERE / "report.html",
    split: Annotated[str, typer.Option(help="dev or test.")] = "dev",
) -> None:
    """Write report.html: seqeval's report by type, confusions, the most frequent errors, the learning curve."""
    from recipes.ner.scripts.errors_report import write_errors

    if not tagger.is_dir():
        raise DistillEmbError(f"{tagger} is not there: train it first, or give --tagger DIR.")
    write_errors(tagger, {name: load_task(data, name)[split] for name in language}, out, split)
    typer.echo(f"{out}")


@app.command()
def release(
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory to write.")] = HERE / "training" / "release",
    work: Work = HERE / "training",
    results: Results = HERE / "results-hf.jsonl",
) -> None:
    """Keep the tagger of all languages that is best on dev as a directory for `AutoModelForTokenClassification`."""
    rows = [row for row in read_results(results) if row["mode"] in ALL_AT_ONCE]
    totals: Counter[tuple[str, str, int]] = Counter()
    for row in rows:
        totals[row["mode"], row["start"], row["seed"]] += row["dev_f1"]
    if not totals:
        raise DistillEmbError(f"{results} holds no joint tagger: run `python scripts/ner_hf.py train --mode joint`.")
    (mode, start, seed), _ = totals.most_common(1)[0]
    best = [row for row in rows if (row["mode"], row["start"], row["seed"]) == (mode, start, seed)]
    save_release(work / f"hf-{mode}-{start}-{seed}", best, out)
    typer.echo(f"{out}: {megabytes(directory_bytes(out))}")


def save_release(tagger: Path, rows: list[dict[str, Any]], out: Path) -> None:
    """Write the tagger with its scores in the card."""
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    if not tagger.is_dir():
        raise DistillEmbError(f"{tagger} is not there: train it again (`train --mode joint`).")
    scores = markdown_table(
        ["language", "dev F1", "test F1"],
        [[row["language"], f"{row['dev_f1']:.1f}", f"{row['test_f1']:.1f}"] for row in rows],
    )
    model = DistillEmbForTokenClassification.from_pretrained(tagger)
    typer.echo(f"{tagger.name}, the best on dev", err=True)
    with atomic_directory(out, overwrite=True) as folder:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tagger).save_pretrained(folder)
        with atomic_file(folder / "README.md", "w") as stream:
            text = TRAINED_ON["joint" if rows[0]["mode"] == "joint" else "extended"]
            stream.write(CARD.format(scores=scores, trained_on=text))


TRAINED_ON = {
    "joint": "Trained on MasakhaNER 1.0 (CC BY-NC 4.0: no commercial use) in all of them at once.",
    "extended": "Trained on MasakhaNER 1.0 and 2.0 (both CC BY-NC 4.0: no commercial use) in all of them at once. No "
    "sentence of MasakhaNER 1.0's dev and test sets was among them.",
}
CARD = """---
license: cc-by-nc-4.0
library_name: transformers
pipeline_tag: token-classification
tags: [named-entity-recognition, distillemb]
---
# Named entities in ten African languages

A BiLSTM-CRF over word vectors computed from characters, for Amharic, Hausa, Igbo, Kinyarwanda, Luganda, Luo, Nigerian
Pidgin, Swahili, Wolof and Yoruba. Entity types: PER, LOC, ORG, DATE. {trained_on}

F1 over the corpus on MasakhaNER 1.0, per cent:

{scores}

    from transformers import pipeline
    tagger = pipeline("token-classification", "DIR", trust_remote_code=True, aggregation_strategy="simple")
    tagger("Rais Samia alitembelea Nairobi")

News text is what it was trained and scored on; expect less on other text, and on languages that are not named here.
"""

if __name__ == "__main__":
    run_app(app)
