"""Train Hugging Face taggers, for entities and for parts of speech. A run that has a row of results is left out.

python recipes/tagging/train.py ner --mode joint --init-from ppmi_svd --seed 0
python recipes/tagging/train.py pos --trained-on swa --system finetuned
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import (
    add_sentences,
    check_tagged,
    join_datasets,
    labels_of,
    named_tags,
    tagged_dataset,
    task_files,
)
from distillemb_plugins.data import pos as pos_sets
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.tagging import entity_scores, per_type, seen_accuracy, seen_scores
from distillemb_plugins.files import atomic_directory, directory_bytes
from distillemb_plugins.locations import bundled
from recipes.results import DEFAULT_DATA, add_result, check_choice, read_results, run_app, run_missing

HERE = Path(__file__).resolve().parent
WORK = HERE / "training"
SETTINGS: dict[str, Any] = yaml.safe_load((HERE / "settings.yml").read_text("utf-8"))
NER, POS = SETTINGS["ner"], SETTINGS["pos"]
ENCODERS = {"fasttext": "afro11-encoder", "ppmi_svd": "afro11-ppmi_svd-encoder", "random": "afro11-random"}
SHIPPED = ("afro11", "afro11-context")
STARTS = (*SHIPPED, "fasttext", "ppmi_svd")
TASK, MORE = "ner/masakhaner1", "ner/masakhaner2"
NOT_IN_MORE = ("amh",)
ALL_AT_ONCE = ("joint", "extended", "refined")  # one tagger for all languages
GOES_ON_FROM = {"refined": "extended"}
NER_KEY = ("language", "mode", "init_from", "seed")
POS_KEY = ("trained_on", "system", "seed")
STUDY_KEY = ("trained_on", "system", "setting")
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with tasks/.")]
Work = Annotated[Path, typer.Option(help="Where taggers are kept.")]
Encoders = Annotated[Path, typer.Option(help=f"Folder with the encoders {', '.join(ENCODERS.values())}.")]
Encoder = Annotated[Path | None, typer.Option(help="An encoder directory to begin with, in the place of these.")]
Languages = Annotated[list[str], typer.Option("--language", help="Languages; repeat for several.")]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seeds; repeat for several.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]
Sets = Annotated[list[str], typer.Option("--trained-on", help=f"Sets: {', '.join(pos_sets.SETS)}.")]
Systems = Annotated[list[str], typer.Option("--system", help=f"Systems: {', '.join(POS['systems'])}.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training sentences; 0: as chosen on dev.")]
DEFAULT_ENCODERS = HERE.parent / "embeddings" / "training"  # where recipes/embeddings makes them


def find_encoder(encoders: Path, name: str) -> Path:
    """The directory of an encoder. Raises `DistillEmbError` when it was not made."""
    if name in SHIPPED:
        return bundled(name)
    path = encoders / ENCODERS[name]
    if not path.is_dir():
        raise DistillEmbError(
            f"{path} is not there: run `python recipes/embeddings/prepare.py all`, or give --encoder."
        )
    return path


@app.command()
def ner(
    data: Data = DEFAULT_DATA,
    language: Languages = NER["languages"],
    mode: Annotated[list[str], typer.Option(help=", ".join(NER["modes"]) + ".")] = ["single", "joint"],
    init_from: Annotated[
        str, typer.Option(help=f"What comes with the package, or the teacher of the encoder: {', '.join(STARTS)}.")
    ] = "afro11",
    encoder: Encoder = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    seed: Seeds = [0, 1, 2],
    epochs: Epochs = 0,
    work: Work = WORK,
    results: Results = HERE / "results-ner.jsonl",
) -> None:
    """Train NER taggers and score dev and test."""
    check_choice("mode", mode, NER["modes"])
    if encoder is None:
        check_choice("encoder", [init_from], STARTS)
    tasks = {name: load_task(data, name) for name in language}
    for one_seed in seed:
        for one_mode in mode:
            done = {tuple(row[k] for k in NER_KEY) for row in read_results(results)}
            missing = [name for name in language if (name, one_mode, init_from, one_seed) not in done]
            if not missing:
                continue
            source = work / tagger_name(GOES_ON_FROM.get(one_mode, ""), init_from, one_seed)
            if one_mode not in GOES_ON_FROM:
                source = encoder or find_encoder(encoders, init_from)
            chosen = extend_tasks(data, tasks) if one_mode == "extended" else tasks
            for group in [language] if one_mode in ALL_AT_ONCE else [[name] for name in missing]:
                run = {"mode": one_mode, "init_from": init_from, "seed": one_seed}
                train_ner({name: chosen[name] for name in group}, run, source, work, results, epochs)


def tagger_name(mode: str, init_from: str, seed: int, language: str = "") -> str:
    """The name of a tagger's directory."""
    return f"hf-{mode}{language and '-' + language}-{init_from}-{seed}"


def load_task(data: Path, language: str) -> Any:
    """The task of a language. Its blemishes are told."""
    files = task_files(data, TASK, language)
    dataset = tagged_dataset(files)
    for problem in check_tagged(dataset, files):
        typer.echo(f"{language}: {problem}", err=True)
    return dataset


def extend_tasks(data: Path, tasks: dict[str, Any]) -> dict[str, Any]:
    """The tasks with the training sentences of MasakhaNER 2.0, in the languages that it has."""
    extended = dict(tasks)
    for language, task in tasks.items():
        if language not in NOT_IN_MORE:
            more = tagged_dataset({"train": task_files(data, MORE, language)["train"]})
            extended[language] = add_sentences(task, more["train"])
        counts = [len(each[language]["train"]) for each in (tasks, extended)]
        typer.echo(f"{language}: {counts[0]} training sentences, {counts[1]} when extended", err=True)
    return extended


def train_ner(tasks: dict[str, Any], run: dict[str, Any], source: Path, work: Path, results: Path, epochs: int) -> None:
    """Train one tagger on the tasks, and keep it, its learning curve, and a row of results a language."""
    from distillemb_plugins.distill.losses import uses_bf16
    from distillemb_plugins.finetune import FineTuneArguments, build_model, fine_tune

    mode, seed = run["mode"], run["seed"]
    if not source.is_dir():
        before = GOES_ON_FROM.get(mode)
        raise DistillEmbError(f"{source} is not there: run `train.py ner --mode {before} --seed {seed}` first.")
    out = work / tagger_name(mode, run["init_from"], seed, "" if mode in ALL_AT_ONCE else next(iter(tasks)))
    joined = join_datasets(tasks)
    over = NER["over_context"] if run["init_from"] == "afro11-context" else {"head": {}, "training": {}}
    head = {**NER["head"], **over["head"]}
    model, tokenizer = build_model(source, labels_of(joined["train"]), seed=seed, **head)
    settings = {**NER["common"], **NER["modes"][mode], **over["training"]}
    settings |= {"num_train_epochs": epochs} if epochs else {}
    settings["bf16"] = uses_bf16("auto", model.device)
    args = FineTuneArguments(str(work / f"{out.name}.work"), **settings, seed=seed, disable_tqdm=False)
    trained = fine_tune(model, tokenizer, joined, args)
    with atomic_directory(out, overwrite=True) as folder:
        trained.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(trained.history), "utf-8")
    for language, task in tasks.items():
        row = {"language": language, **run, "epochs": settings["num_train_epochs"]}
        row |= {"seconds": round(trained.seconds), "bytes": directory_bytes(out)}
        add_result(results, row | ner_scores(trained.model, tokenizer, task), NER_KEY)


def ner_scores(model: Any, tokenizer: Any, task: Any) -> dict[str, Any]:
    """Scores of dev and test (per cent, corpus-level), of each entity type, and of entities seen in training or not."""
    from distillemb_plugins.finetune import predict

    row: dict[str, Any] = {}
    gold = {split: named_tags(sentences) for split, sentences in task.items()}
    for split in ("dev", "test"):
        begin = time.perf_counter()
        found = predict(model, tokenizer, task[split])
        words = sum(map(len, found))
        row |= {f"{split}_{k}": round(v, 2) for k, v in entity_scores(gold[split], found).items()}
        row[f"{split}_words_per_second"] = round(words / (time.perf_counter() - begin))
        row[f"{split}_per_type"] = per_type(gold[split], found)
    known = zip(task["train"]["tokens"], gold["train"], strict=True)
    seen = seen_scores(known, task["test"]["tokens"], gold["test"], found)
    return row | {f"test_{k}": round(v, 2) for k, v in seen.items()}


@app.command()
def pos(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = list(pos_sets.LANGUAGES),
    system: Systems = list(POS["systems"]),
    language: Languages = list(pos_sets.LANGUAGES),
    encoder: Encoder = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    seed: Seeds = [0, 1, 2],
    epochs: Epochs = 0,
    results: Results = HERE / "results-pos.jsonl",
) -> None:
    """Train POS taggers and score dev, test, and the tests of transfer. The set "joint" holds all languages."""
    check_choice("training set", trained_on, pos_sets.SETS)
    check_choice("system", system, POS["systems"])
    runs = [{"trained_on": t, "system": s, "seed": one} for one in seed for t in trained_on for s in system]
    settings = {"num_train_epochs": epochs} if epochs else {}

    def do(run: dict[str, Any]) -> dict[str, Any]:
        begins_with = encoder or find_encoder(encoders, POS["systems"][run["system"]])
        return train_pos(data, run, begins_with, settings, language)

    run_missing(results, runs, POS_KEY, do)


@app.command()
def study(
    data: Data = DEFAULT_DATA,
    trained_on: Sets = ["swa", "xho"],
    encoder: Encoder = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    epochs: Epochs = 0,
    results: Results = HERE / "tried-pos.jsonl",
) -> None:
    """Score learning rates of the fine-tuned POS tagger on dev (seed 0)."""
    rates = {f"learning rates {head} (head) and {below} (encoder)": (head, below) for head, below in POS["study"]}

    def do(run: dict[str, Any]) -> dict[str, Any]:
        head, below = rates[run["setting"]]
        settings = {"learning_rate": head, "encoder_learning_rate": below}
        settings |= {"num_train_epochs": epochs} if epochs else {}
        row = train_pos(data, {**run, "seed": 0}, encoder or find_encoder(encoders, "fasttext"), settings)
        return {"dev": row["dev"]["accuracy"], "cpu_seconds": row["cpu_seconds"]}

    runs = [{"trained_on": name, "system": "finetuned", "setting": one} for name in trained_on for one in rates]
    run_missing(results, runs, STUDY_KEY, do)


def train_pos(
    data: Path,
    run: Mapping[str, Any],
    encoder: Path,
    settings: Mapping[str, Any],
    languages: Sequence[str] = pos_sets.LANGUAGES,
) -> dict[str, Any]:
    """Train one tagger, keep the best by dev accuracy, and score it: the rest of a row of results."""
    from distillemb_plugins.finetune import FineTuneArguments, build_model, fine_tune

    files = pos_sets.pos_files(data, run["trained_on"], languages)
    dataset = tagged_dataset({split: files[split] for split in ("train", "dev")}, "pos")
    head = {**POS["head"], "freeze_encoder": run["system"] == "frozen"}
    model, tokenizer = build_model(encoder, labels_of(dataset["train"]), seed=run["seed"], **head)
    given = {**POS["common"], **settings}
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        args = FineTuneArguments(f"{folder}/run", **given, seed=run["seed"])
        trained = fine_tune(model, tokenizer, dataset, args)
        cpu = time.process_time() - start
        trained.model.save_pretrained(f"{folder}/model")
        size = directory_bytes(Path(folder) / "model")
    row = {"steps": given["num_train_epochs"], "seconds": round(trained.seconds, 1), "cpu_seconds": round(cpu, 1)}
    row |= pos_scores(trained.model, tokenizer, data, run["trained_on"], files)
    return row | {"embedding_bytes": (encoder / "model.safetensors").stat().st_size, "model_bytes": size}


def pos_scores(model: Any, tokenizer: Any, data: Path, trained_on: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """Accuracy on dev, test and the tests of transfer that the data has, and words tagged in a second."""
    from datasets import Dataset

    from distillemb_plugins.finetune import predict

    known = pos_sets.words_of(pos_sets.read_pos(files["train"]))
    speed = 0.0

    def score(file: Path, plain: bool = False) -> dict[str, Any]:
        nonlocal speed
        gold = pos_sets.read_pos(file, plain)
        words, tags = [s.words for s in gold], [s.tags for s in gold]
        begin = time.perf_counter()
        found = predict(model, tokenizer, Dataset.from_dict({"tokens": words}))
        speed = sum(map(len, words)) / (time.perf_counter() - begin)
        return seen_accuracy(known, words, tags, found)

    row: dict[str, Any] = {split: score(files[split]) for split in ("dev", "test")}
    row |= {"words_per_second": round(speed), "transfer": {}}
    for test in pos_sets.transfer_tests(trained_on):
        other = pos_sets.transfer_file(data, test)
        if other is not None:
            row["transfer"][test.name] = score(other, test.plain)
    return row


if __name__ == "__main__":
    run_app(app)
