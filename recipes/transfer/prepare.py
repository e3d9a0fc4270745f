"""Make the encoders that are compared: of one language alone, and of eleven languages with one left out.

python recipes/transfer/prepare.py check       # says what is mended in the Tigrinya NER corpus
python recipes/transfer/prepare.py teach
python recipes/transfer/prepare.py distill
python recipes/transfer/prepare.py distill-without
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import tigrinya
from distillemb_plugins.data.sources import corpus_files
from distillemb_plugins.data.tigrinya import Sentence, letters, sentence_letters
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.teachers import Teacher, load_teacher, train_teacher
from distillemb_plugins.text import tokenize
from recipes.results import DEFAULT_DATA, Data, Results, Row, Work, add_result, run_app
from recipes.transfer import write_tables
from recipes.transfer.write_tables import HERE

WORK, RESULTS = HERE / "training", HERE / "results.jsonl"
WINDOW = 25  # letters by which a test sentence is recognized in raw text
LANGUAGES = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "tir", "wol", "yor")
LEFT_OUT = ("luo", "wol", "hau", "yor")
VOCABULARY = 80_000
# About as many words are read in both. Amharic has enough text that is open; of Tigrinya everything is needed.
EPOCHS = {"amh": 3, "tir": 5}
TEXT_CLASSES: dict[str, tuple[str, ...]] = {"amh": ("OPEN",)}
MULTILINGUAL = "afro11-fasttext.npz"
ALL = "all"
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
Languages = Annotated[list[str], typer.Option("--language", help="Languages; repeat for several.")]
Seconds = Annotated[float, typer.Option(help="Stop after so much training.")]


def teacher_path(work: Path, language: str) -> Path:
    """Where the teacher of a language is: with its n-grams, since the system static needs vectors of unseen words."""
    return work / f"{language}-fasttext.bin"


def encoder_path(work: Path, name: str) -> Path:
    """The directory of an encoder: one of ours by its name, or the one that is bundled."""
    return resolve("afro11") if name == "afro11" else work / f"encoder-{name}"


def weights_bytes(encoder: Path) -> int:
    """Bytes of an encoder's weights."""
    return (encoder / "model.safetensors").stat().st_size


def clean_text(files: Iterable[Path], out: Path, sentences: Iterable[Sentence]) -> int:
    """Copy raw text into one file without the lines that hold one of the sentences; returns the lines left out.

    A sentence is recognized by its first 25 letters anywhere in a line, a shorter one by a whole line, both without
    spaces and punctuation.
    """
    known = {sentence_letters(sentence)[:WINDOW] for sentence in sentences}
    left_out = 0
    with atomic_file(out, "w") as stream:
        for line in iter_lines(files):
            text = letters(line)
            if text in known or any(text[n : n + WINDOW] in known for n in range(len(text) - WINDOW + 1)):
                left_out += 1
            else:
                stream.write(line + "\n")
    return left_out


def teach_language(data: Path, language: str, work: Path, held_back: Iterable[Sentence], **sizes: Any) -> int:
    """Train fastText on a language's text, without the lines that hold one of the sentences; returns their number."""
    work.mkdir(parents=True, exist_ok=True)
    text = work / f"{language}.txt"
    left_out = clean_text(corpus_files(data, [language], TEXT_CLASSES.get(language, ())), text, held_back)
    settings: dict[str, Any] = {"dim": 300, "skipgram": False, "min_count": 5, "min_n": 4, "buckets": 200_000}
    settings |= {"epochs": EPOCHS.get(language, 3), "threads": 1} | sizes
    out = teacher_path(work, language)
    train_teacher([text], out, "fasttext", resume=True, overwrite=True, progress=False, **settings)
    return left_out


def word_rates(data: Path, words: list[str], languages: Sequence[str], out: Path) -> NDArray[np.float64]:
    """How often each word occurs in a million words of each language's raw text, float64 ``[words, languages]``.

    All raw text is counted, once: the table is kept in `out` (.npz).
    """
    digest = hashlib.sha256("\n".join([*languages, *words]).encode()).hexdigest()
    if out.is_file():
        with np.load(out) as kept:
            if str(kept["digest"]) == digest:
                return np.asarray(kept["rates"], dtype=np.float64)
    rates = np.zeros((len(words), len(languages)))
    for column, language in enumerate(languages):
        counts = Counter(word for line in iter_lines(corpus_files(data, [language])) for word in tokenize(line))
        rates[:, column] = [counts[word] for word in words]
        rates[:, column] *= 1e6 / max(1, counts.total())
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as stream:
        np.savez_compressed(stream, rates=rates, digest=np.array(digest))
    return rates


def teacher_without(data: Path, language: str, work: Path) -> Teacher:
    """The teacher of the eleven languages, without the words that are mostly of one of them (`ALL`: with all words).

    A word goes when more than half of the sum of its rates is of that language. Rates, not counts: else a language of
    little text would keep its words wherever they occur in a large one too. A word that was never counted stays.
    """
    file = data / "teachers" / MULTILINGUAL
    if not file.is_file():
        raise DistillEmbError(f"There is no teacher {file}: give --data DIR with teachers/{MULTILINGUAL}.")
    teacher = load_teacher(file)
    if language == ALL:
        return teacher
    if language not in LANGUAGES:
        raise DistillEmbError(f"{language} is none of the teacher's languages: choose from {', '.join(LANGUAGES)}.")
    found = [one for one in LANGUAGES if (data / "corpora" / one).is_dir()]
    rates = word_rates(data, teacher.words, found, work / "word-rates.npz")
    return teacher.select(np.flatnonzero(rates[:, found.index(language)] <= rates.sum(axis=1) / 2))


def distill_into(teacher: Teacher, out: Path, settings: Row) -> Row:
    """Distill a teacher with the default preset unless `out` is there; sizes, seconds and the last scores."""
    if not out.is_dir():
        distill([teacher], out, DistillSettings(preset="default", **settings), resume=True)
    facts: Row = {"teacher_words": len(teacher), "bytes": weights_bytes(out)}
    entries = map(json.loads, (out / "distill_log.jsonl").read_text("utf-8").splitlines())
    if scored := [entry for entry in entries if "validation" in entry]:
        facts["distill_seconds"] = round(scored[-1]["seconds"], 1)
        facts |= {name: round(scored[-1]["validation"][name], 3) for name in ("cosine", "p_at_10")}
    return facts


def _distill(teacher: Teacher, name: str, work: Path, seconds: float, results: Path) -> None:
    facts = distill_into(teacher, encoder_path(work, name), {"max_seconds": seconds})
    add_result(results, {"task": "encoder", "language": name, **facts}, ("task", "language"))


@app.command()
def check(data: Data = DEFAULT_DATA, results: Results = RESULTS) -> None:
    """Say what is mended in the Tigrinya NER corpus and how it is split, and keep the numbers for the README."""
    corpus = tigrinya.tigrinya_corpus(data)
    typer.echo("\n".join(corpus.mended))
    sizes = {name: len(sentences) for name, sentences in tigrinya.split(corpus.sentences).items()}
    row = {"task": "corpus", "language": "tir", "words": sum(map(len, corpus.sentences)), "sentences": sizes}
    row |= {"dropped": corpus.dropped, "mended": dict(corpus.kinds)}
    add_result(results, row, ("task", "language"))
    typer.echo(write_tables.corpus_text([row]))


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
        _distill(load_teacher(teacher_path(work, one), limit=VOCABULARY), one, work, max_seconds, results)


@app.command("distill-without")
def distill_without(
    data: Data = DEFAULT_DATA, language: Languages = [ALL, *LEFT_OUT], work: Work = WORK, max_seconds: Seconds = 60,
    results: Results = RESULTS,
) -> None:  # fmt: skip
    """Distill the teacher of eleven languages without the words of one of them; "all" with all words."""
    for one in language:
        name = one if one == ALL else f"without-{one}"
        _distill(teacher_without(data, one, work), name, work, max_seconds, results)


if __name__ == "__main__":
    run_app(app)
