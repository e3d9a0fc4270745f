"""The encoders that are compared: of one language alone, and of eleven languages with one left out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.distill import distill as run_distillation
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.teachers import Teacher, load_teacher, train_teacher
from distillemb_plugins.text import tokenize
from recipes.common import corpus_files
from recipes.transfer.scripts.tigrinya import Sentence, letters, sentence_letters

WINDOW = 25  # letters by which a test sentence is recognised in raw text
LANGUAGES = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "tir", "wol", "yor")
VOCABULARY = 80_000
TEACHER = {"dim": 300, "buckets": 200_000}
EPOCHS = {"amh": 3, "tir": 5}  # about as many words read in both
# Amharic has enough text that is open; of Tigrinya everything is needed.
TEXT_CLASSES: dict[str, tuple[str, ...]] = {"amh": ("OPEN",), "tir": ()}
MULTILINGUAL = "afro11-fasttext.npz"
ALL = "all"


# -- text and teachers of one language ---------------------------------------------------------------------------------


def clean_text(files: Iterable[Path], out: Path, sentences: Iterable[Sentence]) -> int:
    """Copy raw text into one file without the lines that hold one of the sentences; returns the lines left out.

    A sentence is recognised by its first 25 letters anywhere in a line, a shorter one by a whole line, both without
    spaces and punctuation.
    """
    known = {sentence_letters(sentence)[:WINDOW] for sentence in sentences}
    left_out = 0
    with atomic_file(out, "w") as stream:
        for line in iter_lines(files):
            if _holds(letters(line), known):
                left_out += 1
            else:
                stream.write(line + "\n")
    return left_out


def _holds(text: str, known: set[str]) -> bool:
    return text in known or any(text[n : n + WINDOW] in known for n in range(len(text) - WINDOW + 1))


def teacher_path(work: Path, language: str) -> Path:
    """Where the teacher of a language is: with its n-grams, since the static arm needs vectors of unseen words."""
    return work / f"{language}-fasttext.bin"


def teach_language(data: Path, language: str, work: Path, held_back: Iterable[Sentence], **sizes: Any) -> int:
    """Train fastText (CBOW, n-grams 4-5) on the text of one language alone; returns the lines left out of its text.

    held_back: dev and test sentences whose lines are no part of the text. sizes: other than in `TEACHER`.
    """
    work.mkdir(parents=True, exist_ok=True)
    text = work / f"{language}.txt"
    left_out = clean_text(corpus_files(data, [language], TEXT_CLASSES.get(language, ())), text, held_back)
    out = teacher_path(work, language)
    settings: dict[str, Any] = {**TEACHER, "epochs": EPOCHS.get(language, 3), **sizes}
    train_teacher([text], out, "fasttext", threads=1, resume=True, progress=False, **settings)
    return left_out


# -- the teacher of all languages without one --------------------------------------------------------------------------


def word_rates(data: Path, words: list[str], languages: Iterable[str], out: Path) -> NDArray[np.float64]:
    """How often each word occurs in a million words of each language's raw text, float64 ``[words, languages]``.

    All raw text of the shared corpora is counted, once: the table is kept in `out` (.npz).
    """
    languages = list(languages)
    digest = hashlib.sha256("\n".join([*languages, *words]).encode()).hexdigest()
    if out.is_file():
        with np.load(out) as kept:
            if str(kept["digest"]) == digest:
                return np.asarray(kept["rates"], dtype=np.float64)
    rates = np.zeros((len(words), len(languages)))
    for column, language in enumerate(languages):
        counts: Counter[str] = Counter()
        for line in iter_lines(corpus_files(data, [language])):
            counts.update(tokenize(line))
        rates[:, column] = [counts[word] for word in words]
        rates[:, column] *= 1e6 / max(1, counts.total())
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as stream:
        np.savez_compressed(stream, rates=rates, digest=np.array(digest))
    return rates


def words_without(rates: NDArray[np.float64], column: int) -> NDArray[np.bool_]:
    """Which words are not mostly of one language: where less than half of the sum of a word's rates is of its column.

    Rates, not counts: else a language of little text would keep its words wherever they occur in a large one too. A
    word that was never counted stays.
    """
    kept: NDArray[np.bool_] = rates[:, column] <= rates.sum(axis=1) / 2
    return kept


def teacher_without(data: Path, language: str, work: Path) -> Teacher:
    """The teacher of the eleven languages, without the words of one of them (`ALL`: with all words)."""
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
    return teacher.select(np.flatnonzero(words_without(rates, found.index(language))))


# -- distillation ------------------------------------------------------------------------------------------------------


def encoder_path(work: Path, name: str) -> Path:
    """The directory of an encoder: one of ours by its name, or the one that is bundled."""
    return resolve("afro11") if name == "afro11" else work / f"encoder-{name}"


def distil(teacher: Teacher, out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Distil a teacher with the default preset and `settings`; the facts of the encoder for the results.

    facts: teacher words, seconds of training, bytes of the weights, and its scores on held-out words.
    """
    if not out.is_dir():
        run_distillation([teacher], out, DistillSettings(preset="default", **settings), resume=True)
    return {"teacher_words": len(teacher), "bytes": encoder_bytes(out), **facts_of_log(out)}


def encoder_bytes(encoder: Path) -> int:
    """Bytes of an encoder's weights."""
    return (encoder / "model.safetensors").stat().st_size


def facts_of_log(encoder: Path) -> dict[str, float]:
    """Seconds of training and the last scores on held-out words, from the log of the distillation."""
    lines = (encoder / "distill_log.jsonl").read_text("utf-8").splitlines()
    entries = [entry for entry in map(json.loads, lines) if "validation" in entry]
    if not entries:
        return {}
    scores = {name: round(entries[-1]["validation"][name], 3) for name in ("cosine", "p_at_10")}
    return {"distill_seconds": round(entries[-1]["seconds"], 1), **scores}
