"""NER in spaCy with arms that differ in the embedding alone: scratch, static, frozen, finetuned; and a BiLSTM.

    python scripts/ner_spacy.py all --language swa --language amh --seed 0 --seed 1 --seed 2

Every step is skipped when its result is there, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_directory, directory_bytes
from recipes.common import (
    DEFAULT_DATA,
    add_result,
    corpus_files,
    markdown_table,
    mean_spread,
    megabytes,
    read_results,
    replace_block,
    run_app,
    task_files,
)

HERE = Path(__file__).resolve().parents[1]
ARMS = ("scratch", "static", "frozen", "finetuned", "bilstm")
TASK = "ner/masakhaner1"
KEY = ("language", "arm", "seed")
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")]
Languages = Annotated[list[str], typer.Option("--language", help="MasakhaNER language; repeat for several.")]
Work = Annotated[Path, typer.Option(help="Where teacher, encoder, table and pipelines are kept.")]


def teacher_path(work: Path, languages: list[str]) -> Path:
    return work / f"{'-'.join(sorted(languages))}-fasttext.bin"


@app.command()
def teach(data: Data = DEFAULT_DATA, language: Languages = ["swa", "amh"], work: Work = HERE / "training") -> None:  # noqa: B006
    """Train one fastText teacher on the raw text of the languages (CBOW, 300 dimensions, n-grams 4-5)."""
    from distillemb_plugins.teachers import train_teacher

    out = teacher_path(work, language)
    if not out.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        texts = corpus_files(data, sorted(language))
        train_teacher(texts, out, "fasttext", epochs=3, buckets=200_000, threads=1, resume=True)


@app.command()
def distill(
    data: Data = DEFAULT_DATA,
    language: Languages = ["swa", "amh"],  # noqa: B006
    work: Work = HERE / "training",
    max_seconds: Annotated[float, typer.Option(help="Stop after so much training.")] = 600,
) -> None:
    """Distil the teacher into one encoder for all the languages."""
    from distillemb_plugins.distill import DistillSettings
    from distillemb_plugins.distill import distill as run
    from distillemb_plugins.teachers import load_teacher

    out = work / "encoder"
    if not out.is_dir():
        teacher = load_teacher(teacher_path(work, language), limit=80_000)
        run([teacher], out, DistillSettings(preset="default", max_seconds=max_seconds), resume=True)


@app.command()
def vectors(data: Data = DEFAULT_DATA, language: Languages = ["swa", "amh"], work: Work = HERE / "training") -> None:  # noqa: B006
    """Write the static arm's table: fastText's vector of every word of the task, from its n-grams where it is unseen.

    Words that the task does not hold are left out: they change nothing here, and each checkpoint copies the table.
    """
    import spacy
    from spacy.vectors import Vectors

    from distillemb_plugins.teachers import load_teacher

    out = work / "vectors"
    if out.is_dir():
        return
    teacher = load_teacher(teacher_path(work, language))
    words = sorted(task_words(data, language))
    rows, found = teacher.lookup(words)
    nlp = spacy.blank("xx")
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings,
        data=rows[found],
        keys=[nlp.vocab.strings.add(word) for word, has in zip(words, found, strict=True) if has],
        name="fasttext",
    )
    with atomic_directory(out) as folder:
        nlp.to_disk(folder)


def task_words(data: Path, languages: list[str]) -> set[str]:
    """All words of the task's files, so that the static arm has fastText's own vector for unseen ones."""
    words = set()
    for language in languages:
        for file in task_files(data, TASK, language).values():
            words |= {line.split()[0] for line in file.read_text("utf-8-sig").splitlines() if line.strip()}
    return words


def load_arm(arm: str, overrides: dict[str, Any]) -> Any:
    """The config of an arm: scratch.cfg, with the arm's own file over it."""
    from spacy.util import load_config

    config = load_config(HERE / "configs" / "scratch.cfg", interpolate=False)
    if arm != "scratch":
        config = config.merge(load_config(HERE / "configs" / f"{arm}.cfg", interpolate=False))
    return config.merge(overrides)


@app.command()
def train(
    data: Data = DEFAULT_DATA,
    language: Languages = ["swa", "amh"],  # noqa: B006
    arm: Annotated[list[str], typer.Option(help="Which arms.")] = list(ARMS),  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Seeds; repeat for several.")] = [0, 1, 2],  # noqa: B006
    work: Work = HERE / "training",
    max_steps: Annotated[int, typer.Option(help="Updates of about 500 words each.")] = 1000,
    results: Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")] = HERE / "results.jsonl",
) -> None:
    """Train every arm on every language with every seed, and score dev and test."""
    unknown = set(arm) - set(ARMS)
    if unknown:
        raise DistillEmbError(f"There is no arm {sorted(unknown)[0]}: choose from {', '.join(ARMS)}.")
    done = {tuple(row[k] for k in KEY) for row in read_results(results)}
    for one_seed in seed:
        for one_language in language:
            for one_arm in arm:
                if (one_language, one_arm, one_seed) not in done:
                    row = run_arm(data, one_language, one_arm, one_seed, work, max_steps)
                    add_result(results, row, KEY)


def run_arm(data: Path, language: str, arm: str, seed: int, work: Path, max_steps: int) -> dict[str, Any]:
    """Train one pipeline, keep the best by dev F1, and score it: one row of the results."""
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as spacy_train

    files = task_files(data, TASK, language)
    paths = {"train": str(files["train"]), "dev": str(files["dev"])}
    paths |= {"vectors": str(work / "vectors")} if arm == "static" else {}
    paths |= {"encoder": str(work / "encoder")} if arm in ("frozen", "finetuned", "bilstm") else {}
    settings = {"max_steps": max_steps, "max_epochs": 0, "eval_frequency": max(1, max_steps // 10)}
    config = load_arm(arm, {"paths": paths, "system": {"seed": seed}, "training": settings})
    start = time.perf_counter()
    nlp = init_nlp(config.interpolate())
    out = work / f"{language}-{arm}-{seed}"
    out.mkdir(parents=True, exist_ok=True)
    spacy_train(nlp, out, use_gpu=-1)
    seconds = time.perf_counter() - start
    shutil.rmtree(out / "model-last")  # with the table inside, too large to keep twice
    best = spacy.load(out / "model-best")
    row = {"language": language, "arm": arm, "seed": seed, "max_steps": max_steps, "seconds": round(seconds, 1)}
    for split in ("dev", "test"):
        row |= score(best, files[split], split)
    return row | {"embedding_bytes": embedding_bytes(arm, work), "pipeline_bytes": directory_bytes(out / "model-best")}


def score(nlp: Any, file: Path, split: str) -> dict[str, Any]:
    """Corpus-level precision, recall and F1 (per cent) by spaCy's scorer, and words per second."""
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    examples = list(ConllCorpus(file)(nlp))
    scores = nlp.evaluate(examples)
    return {
        f"{split}_f1": round(100 * scores["ents_f"], 2),
        f"{split}_precision": round(100 * scores["ents_p"], 2),
        f"{split}_recall": round(100 * scores["ents_r"], 2),
        f"{split}_words_per_second": round(scores["speed"]),
        f"{split}_per_type": {kind: round(100 * s["f"], 2) for kind, s in sorted(scores["ents_per_type"].items())},
    }


def embedding_bytes(arm: str, work: Path) -> int:
    """Bytes of what an arm loads beside the pipeline's own weights."""
    if arm == "static":
        return next(work.glob("*-fasttext.bin")).stat().st_size  # table and n-grams
    if arm in ("frozen", "finetuned", "bilstm"):
        return (work / "encoder" / "model.safetensors").stat().st_size
    return 0


@app.command()
def table(results: Annotated[Path, typer.Option()] = HERE / "results.jsonl", readme: Path = HERE / "README.md") -> None:
    """Write the table of all results found into the README."""
    rows = read_results(results)
    lines = []
    for language in sorted({row["language"] for row in rows}):
        for arm in ARMS:
            found = [row for row in rows if (row["language"], row["arm"]) == (language, arm)]
            if found:
                lines.append(_line(language, arm, found))
    header = ["language, arm", "dev F1", "test F1", "seeds", "embedding", "pipeline", "minutes a run"]
    replace_block(readme, "table", markdown_table(header, lines))


def _line(language: str, arm: str, found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{language}, {arm}",
        mean_spread([row["dev_f1"] for row in found]),
        mean_spread([row["test_f1"] for row in found]),
        str(len(found)),
        megabytes(found[0]["embedding_bytes"]) if found[0]["embedding_bytes"] else "none",
        megabytes(found[0]["pipeline_bytes"]),
        mean_spread([row["seconds"] / 60 for row in found]),
    ]


@app.command(name="all")
def everything(
    data: Data = DEFAULT_DATA,
    language: Languages = ["swa", "amh"],  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Seeds; repeat for several.")] = [0, 1, 2],  # noqa: B006
    work: Work = HERE / "training",
) -> None:
    """Teach, distil, train all arms and write the table."""
    teach(data, language, work)
    distill(data, language, work)
    vectors(data, language, work)
    train(data, language, list(ARMS), seed, work)
    table()


if __name__ == "__main__":
    run_app(app)
