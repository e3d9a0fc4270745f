"""Make the encoders that are compared: of one language alone, and of eleven languages with one left out.

python recipes/transfer/prepare.py check       # says what is mended in the Tigrinya NER corpus
python recipes/transfer/prepare.py teach
python recipes/transfer/prepare.py distill
python recipes/transfer/prepare.py distill-without
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import corpus_files, tigrinya
from distillemb_plugins.data.contamination import TaskSentences
from distillemb_plugins.data.tigrinya import Sentence
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.files import iter_lines
from distillemb_plugins.locations import bundled, bundled_names
from distillemb_plugins.persistence import WEIGHTS_FILE
from distillemb_plugins.teachers import Teacher, load_teacher, train_teacher
from distillemb_plugins.text import tokenize
from recipes import results as shared
from recipes.results import DEFAULT_DATA, RAW_TEXT, Data, Languages, Results, Row, Rows, Work, add_result, pick

HERE = Path(__file__).resolve().parent
SETTINGS: Row = yaml.safe_load((HERE / "settings.yml").read_text("utf-8"))
WORK, RESULTS = HERE / "training", HERE / "results.jsonl"
LEFT_OUT = ("luo", "wol", "hau", "yor")
VOCABULARY = 80_000
MULTILINGUAL = "afro11-fasttext.npz"
ALL = "all"
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
Seconds = Annotated[float, typer.Option(help="Stop after so much training.")]


def teacher_path(work: Path, language: str) -> Path:
    """Where the teacher of a language is: with its n-grams, since the system static needs vectors of unseen words."""
    return work / f"{language}-fasttext.bin"


def encoder_path(work: Path, name: str) -> Path:
    """The directory of an encoder: one of ours by its name, or one that is bundled."""
    return bundled(name) if name in bundled_names() else work / f"encoder-{name}"


def clean_text(files: Iterable[Path], out: Path, sentences: Iterable[Sentence]) -> int:
    """Copy raw text into one file without the lines that are like one of the sentences; returns the lines left out."""
    known, lines = TaskSentences(" ".join(word for word, _ in one) for one in sentences), list(iter_lines(files))
    kept = [line for line in lines if not known.is_like(line)]
    shared.write_text(out, "".join(f"{line}\n" for line in kept))
    return len(lines) - len(kept)


def teach_language(data: Path, language: str, work: Path, held_back: Iterable[Sentence], **sizes: Any) -> int:
    """Train fastText on a language's text, without the lines that hold one of the sentences; returns their number."""
    text, classes = work / f"{language}.txt", SETTINGS["classes"].get(language, ())
    left_out = clean_text(corpus_files(data, [language], classes), text, held_back)
    settings = {**SETTINGS["teachers"]["all"], **SETTINGS["teachers"].get(language, {}), **sizes}
    train_teacher([text], teacher_path(work, language), "fasttext", **settings)
    return left_out


def word_rates(data: Path, words: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """How often each word occurs in a million words of each language's raw text, float64 ``[words]`` by language."""
    rates = {}
    for language in RAW_TEXT:
        if (data / "corpora" / language).is_dir():
            counts = Counter(word for line in iter_lines(corpus_files(data, [language])) for word in tokenize(line))
            rates[language] = np.array([counts[word] for word in words]) * (1e6 / max(1, counts.total()))
    return rates


def teacher_without(teacher: Teacher, language: str, rates: Mapping[str, NDArray[np.float64]]) -> Teacher:
    """The teacher without the words that are mostly of one language (`ALL`: with all words).

    A word goes when more than half of the sum of its rates is of that language. Rates, not counts: else a language of
    little text would keep its words wherever they occur in a large one too. A word that was never counted stays.
    """
    if language == ALL:
        return teacher
    shared.check_choice("language", [language], rates)
    return teacher.select(np.flatnonzero(rates[language] <= sum(rates.values()) / 2))


def distill_into(teacher: Teacher, out: Path, results: Path, **settings: Any) -> Row:
    """Distill a teacher with the default preset unless `out` is there; keep sizes, seconds and the last scores."""
    if not out.is_dir():
        distill([teacher], out, DistillSettings(**settings), resume=True)
    row: Row = {"task": "encoder", "language": out.name.removeprefix("encoder-"), "teacher_words": len(teacher)}
    row["bytes"] = (out / WEIGHTS_FILE).stat().st_size
    if last := shared.last_validation(out):
        row["distill_seconds"] = round(last["seconds"], 1)
        row |= {name: round(last["validation"][name], 3) for name in ("cosine", "p_at_10")}
    add_result(results, row, ("task", "language"))
    return row


def corpus_text(rows: Rows) -> str:
    """How the Tigrinya NER corpus is split, and what was mended in it."""
    return "".join(shared.fill(SETTINGS["corpus"], **row) for row in pick(rows, task="corpus"))


@app.command()
def check(data: Data = DEFAULT_DATA, results: Results = RESULTS) -> None:
    """Say what is mended in the Tigrinya NER corpus and how it is split, and keep the numbers for the README."""
    corpus = tigrinya.tigrinya_corpus(data)
    typer.echo("\n".join(corpus.mended))
    sizes = {name: len(sentences) for name, sentences in tigrinya.split(corpus.sentences).items()}
    row = {"task": "corpus", "language": "tir", "words": sum(map(len, corpus.sentences)), "sentences": sizes}
    row |= {"dropped": corpus.dropped, "mended": dict(corpus.kinds)}
    add_result(results, row, ("task", "language"))
    typer.echo(corpus_text([row]))


@app.command()
def teach(data: Data = DEFAULT_DATA, language: Languages = ["amh", "tir"], work: Work = WORK) -> None:
    """Train a fastText teacher on each language's text alone, without lines that hold a dev or test sentence."""
    parts = tigrinya.split(tigrinya.tigrinya_corpus(data).sentences)
    for one in language:
        if not teacher_path(work, one).is_file():
            left_out = teach_language(data, one, work, [*parts["dev"], *parts["test"]])
            typer.echo(f"{one}: {left_out} lines were left out, since they hold a dev or test sentence.")


@app.command("distill")
def distill_languages(
    language: Languages = ["amh", "tir"], work: Work = WORK, max_seconds: Seconds = 90, results: Results = RESULTS
) -> None:  # fmt: skip
    """Distill each language's teacher into an encoder of that language alone."""
    for one in language:
        teacher = load_teacher(teacher_path(work, one), limit=VOCABULARY)
        distill_into(teacher, encoder_path(work, one), results, max_seconds=max_seconds)


@app.command("distill-without")
def distill_without(
    data: Data = DEFAULT_DATA, language: Languages = [ALL, *LEFT_OUT], work: Work = WORK, max_seconds: Seconds = 60,
    results: Results = RESULTS,
) -> None:  # fmt: skip
    """Distill the teacher of eleven languages without the words of one of them; "all" with all words."""
    teacher = load_teacher(data / "teachers" / MULTILINGUAL)
    rates = word_rates(data, teacher.words)
    for one in language:
        out = encoder_path(work, one if one == ALL else f"without-{one}")
        distill_into(teacher_without(teacher, one, rates), out, results, max_seconds=max_seconds)


if __name__ == "__main__":
    shared.run_app(app)
