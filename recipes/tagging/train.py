"""Train Hugging Face taggers, for entities and for parts of speech. A run that has a row of results is left out.

python recipes/tagging/train.py ner --mode joint --init-from ppmi_svd --seed 0
python recipes/tagging/train.py pos --trained-on swa --system finetuned
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import yaml
from datasets import Dataset, DatasetDict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins import data as sets
from distillemb_plugins.data import Sentence
from distillemb_plugins.data import pos as pos_sets
from distillemb_plugins.distill.losses import uses_bf16
from distillemb_plugins.files import atomic_directory, directory_bytes
from distillemb_plugins.finetune import FineTuneArguments, build_model, fine_tune, predict
from distillemb_plugins.locations import bundled, bundled_names
from distillemb_plugins.runs import read_json
from recipes import results as shared
from recipes.results import DEFAULT_DATA, Data, Epochs, Languages, Results, Row, Seeds, Work, check_choice
from recipes.tables import Tag, ner_scores, pos_scores

HERE = Path(__file__).resolve().parent
WORK = HERE / "training"
SETTINGS: Row = yaml.safe_load((HERE / "settings.yml").read_text("utf-8"))
NER, POS = SETTINGS["ner"], SETTINGS["pos"]
ENCODERS: dict[str, str] = SETTINGS["encoders"]
STARTS = (*bundled_names(), "fasttext", "ppmi_svd")
TASK, MORE = "ner/masakhaner1", "ner/masakhaner2"
NOT_IN_MORE = ("amh",)
ALL_AT_ONCE = ("joint", "tenth", "extended", "refined")  # one tagger for all languages
GOES_ON_FROM = {"refined": "extended"}
SPLITS = ("train", "dev", "test")
NER_KEY = ("language", "mode", "init_from", "seed")
POS_KEY = ("trained_on", "system", "seed")
STUDY_KEY = ("trained_on", "system", "setting")
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Encoders = Annotated[Path, typer.Option(help=f"Folder with the encoders {', '.join(ENCODERS.values())}.")]
Sets = Annotated[list[str], typer.Option("--trained-on", help=f"Sets: {', '.join(pos_sets.SETS)}.")]
Systems = Annotated[list[str], typer.Option("--system", help=f"Systems: {', '.join(POS['systems'])}.")]
DEFAULT_ENCODERS = HERE.parent / "embeddings" / "training"  # where recipes/embeddings makes them


def find_encoder(encoders: Path, name: str) -> Path:
    """The directory of an encoder. Raises `DistillEmbError` when it was not made."""
    if name in bundled_names():
        return bundled(name)
    return shared.needed(encoders / ENCODERS[name], "embeddings/prepare.py all")


def fit(encoder: Path, dataset: Any, folder: Path, head: Row, settings: Row) -> tuple[Any, Any]:
    """Fine-tune a tagger on an encoder; settings: of `FineTuneArguments`. What came out, and its tokenizer."""
    if read_json(encoder / "config.json").get("context_layers"):
        head, settings = head | SETTINGS["over_context"]["head"], settings | SETTINGS["over_context"]["training"]
    model, tokenizer = build_model(encoder, sets.labels_of(dataset["train"]), seed=settings["seed"], **head)
    return fine_tune(model, tokenizer, dataset, FineTuneArguments(str(folder), **settings)), tokenizer


def tagger(model: Any, tokenizer: Any) -> Tag:
    """Tags sentences; the speed is by the clock."""

    def tag(sentences: Sequence[Sentence]) -> tuple[list[list[str]], int]:
        begin = time.perf_counter()
        found = predict(model, tokenizer, Dataset.from_dict({"tokens": [s.words for s in sentences]}))
        return found, round(sum(map(len, found)) / (time.perf_counter() - begin))

    return tag


@app.command()
def ner(
    data: Data = DEFAULT_DATA,
    language: Languages = NER["languages"],
    mode: Annotated[list[str], typer.Option(help=", ".join(NER["modes"]) + ".")] = ["single", "joint"],
    init_from: Annotated[
        list[str],
        typer.Option(help=f"What comes with the package, or the teacher of the encoder: {', '.join(STARTS)}."),
    ] = ["afro11"],
    encoders: Encoders = DEFAULT_ENCODERS,
    seed: Seeds = [0, 1, 2],
    epochs: Epochs = 0,
    work: Work = WORK,
    results: Results = HERE / "results-ner.jsonl",
) -> None:
    """Train NER taggers and score dev and test."""
    check_choice("mode", mode, NER["modes"])
    check_choice("encoder", init_from, STARTS)
    tasks = {name: load_task(data, name) for name in language}
    for one_seed, one_mode, start in product(seed, mode, init_from):
        run = {"mode": one_mode, "init_from": start, "seed": one_seed}
        done = {row["language"] for row in shared.pick(shared.read_results(results), **run)}
        missing = [name for name in language if name not in done]
        if not missing:
            continue
        source = work / tagger_name(GOES_ON_FROM.get(one_mode, ""), start, one_seed)
        if one_mode not in GOES_ON_FROM:
            source = find_encoder(encoders, start)
        chosen = extend_tasks(data, tasks) if one_mode == "extended" else tasks
        if one_mode == "tenth":
            chosen = {name: with_a_tenth(task) for name, task in tasks.items()}
        for group in [language] if one_mode in ALL_AT_ONCE else [[name] for name in missing]:
            train_ner({name: chosen[name] for name in group}, run, source, work, results, epochs)


def tagger_name(mode: str, init_from: str, seed: int, language: str = "") -> str:
    """The name of a tagger's directory."""
    return f"hf-{mode}{language and '-' + language}-{init_from}-{seed}"


def load_task(data: Path, language: str) -> Any:
    """The task of a language. Its blemishes are told."""
    files = sets.task_files(data, TASK, language)
    dataset = sets.tagged_dataset(files)
    for problem in sets.check_tagged(dataset, files):
        typer.echo(f"{language}: {problem}", err=True)
    return dataset


def with_a_tenth(task: Any) -> Any:
    """The task with a tenth of its training sentences, those that recipes/embeddings takes too (`--share 10`)."""
    order = list(range(len(task["train"])))
    random.Random(0).shuffle(order)
    return DatasetDict({**task, "train": task["train"].select(order[: max(1, round(0.1 * len(order)))])})


def extend_tasks(data: Path, tasks: dict[str, Any]) -> dict[str, Any]:
    """The tasks with the training sentences of MasakhaNER 2.0, in the languages that it has."""
    extended = dict(tasks)
    for language, task in tasks.items():
        if language not in NOT_IN_MORE:
            more = sets.tagged_dataset({"train": sets.task_files(data, MORE, language)["train"]})
            extended[language] = sets.add_sentences(task, more["train"])
        counts = [len(each[language]["train"]) for each in (tasks, extended)]
        typer.echo(f"{language}: {counts[0]} training sentences, {counts[1]} when extended", err=True)
    return extended


def train_ner(tasks: dict[str, Any], run: Row, source: Path, work: Path, results: Path, epochs: int) -> None:
    """Train one tagger on the tasks, and keep it, its learning curve, and a row of results a language."""
    mode, seed = run["mode"], run["seed"]
    shared.needed(source, f"tagging/train.py ner --mode {GOES_ON_FROM.get(mode)} --seed {seed}")
    out = work / tagger_name(mode, run["init_from"], seed, "" if mode in ALL_AT_ONCE else next(iter(tasks)))
    settings = {**NER["common"], **NER["modes"][mode], "seed": seed, "disable_tqdm": False}
    settings |= {"num_train_epochs": epochs} if epochs else {}
    settings["bf16"] = uses_bf16("auto", torch.device("cpu"))
    trained, tokenizer = fit(source, sets.join_datasets(tasks), work / f"{out.name}.work", NER["head"], settings)
    with atomic_directory(out, overwrite=True) as folder:
        trained.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(trained.history), "utf-8")
    for language, task in tasks.items():
        row = {"language": language, **run, "epochs": settings["num_train_epochs"]}
        row |= {"seconds": round(trained.seconds), "bytes": directory_bytes(out)}
        tagged = {split: zip(task[split]["tokens"], sets.named_tags(task[split]), strict=True) for split in SPLITS}
        parts = {split: [Sentence(words, tags=tags) for words, tags in pairs] for split, pairs in tagged.items()}
        row |= ner_scores(tagger(trained.model, tokenizer), parts.pop("train"), parts)
        shared.add_result(results, row, NER_KEY)


@app.command()
def pos(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = list(pos_sets.LANGUAGES),
    system: Systems = list(POS["systems"]),
    language: Languages = list(pos_sets.LANGUAGES),
    encoders: Encoders = DEFAULT_ENCODERS,
    seed: Seeds = [0, 1, 2],
    epochs: Epochs = 0,
    results: Results = HERE / "results-pos.jsonl",
) -> None:
    """Train POS taggers and score dev, test, and the tests of transfer. The set "joint" holds all languages."""
    check_choice("training set", trained_on, pos_sets.SETS)
    check_choice("system", system, POS["systems"])
    runs = [{"trained_on": t, "system": s, "seed": one} for one in seed for t in trained_on for s in system]

    def do(run: Row) -> Row:
        return train_pos(data, run, find_encoder(encoders, POS["systems"][run["system"]]), epochs, language)

    shared.run_missing(results, runs, POS_KEY, do)


@app.command()
def study(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = ["swa", "xho"],
    encoders: Encoders = DEFAULT_ENCODERS,
    epochs: Epochs = 0,
    results: Results = HERE / "tried-pos.jsonl",
) -> None:
    """Score learning rates of the fine-tuned POS tagger on dev (seed 0)."""
    rates = {f"learning rates {head} (head) and {below} (encoder)": (head, below) for head, below in POS["study"]}
    runs = [{"trained_on": name, "system": "finetuned", "setting": one} for name in trained_on for one in rates]

    def do(run: Row) -> Row:
        head, below = rates[run["setting"]]
        tried = {"splits": ["dev"], "learning_rate": head, "encoder_learning_rate": below}
        row = train_pos(data, {**run, "seed": 0}, find_encoder(encoders, "fasttext"), epochs, **tried)
        return {"dev": row["dev"]["accuracy"], "cpu_seconds": row["cpu_seconds"]}

    shared.run_missing(results, runs, STUDY_KEY, do)


def train_pos(
    data: Path, run: Row, encoder: Path, epochs: int, languages: Sequence[str] = pos_sets.LANGUAGES,
    splits: Sequence[str] = ("dev", "test"), **tried: Any,
) -> Row:  # fmt: skip
    """Train one tagger, keep the best by dev accuracy, and score it: the rest of a row of results."""
    files = pos_sets.pos_files(data, run["trained_on"], languages)
    dataset = sets.tagged_dataset({split: files[split] for split in ("train", "dev")}, "pos")
    head = {**POS["head"], "freeze_encoder": run["system"] == "frozen"}
    settings = {**POS["common"], **tried, "seed": run["seed"]} | ({"num_train_epochs": epochs} if epochs else {})
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained, tokenizer = fit(encoder, dataset, Path(folder) / "run", head, settings)
        cpu = time.process_time() - start
        trained.model.save_pretrained(f"{folder}/model")
        size = directory_bytes(Path(folder) / "model")
    row = {"steps": settings["num_train_epochs"], "seconds": round(trained.seconds, 1), "cpu_seconds": round(cpu, 1)}
    row |= pos_scores(tagger(trained.model, tokenizer), data, run["trained_on"], files, splits)
    return row | {"embedding_bytes": (encoder / "model.safetensors").stat().st_size, "model_bytes": size}


if __name__ == "__main__":
    shared.run_app(app)
