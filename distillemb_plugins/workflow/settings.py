"""What a build is asked for, and the settings that follow from how much text there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..distill.settings import fitted_epochs
from ..errors import DistillEmbError, require
from ..settings import setting
from ..teachers.amount import LITTLE_WORDS, MIN_WORDS, fitted_settings

BUNDLED = "afro11"
ENCODERS = ("own", "joint", BUNDLED)
WITHOUT = "without"  # the tagger that has no encoder
DEFAULT_ENCODER = "joint"  # without tagged sentences, nothing can be compared
AUTO = "auto"
SCORE_NAMES = {"ner": "F1", "pos": "accuracy"}  # of each task
STEPS_FILE = "work/steps.json"
_MIN_CODEBOOK_WORDS = 1000  # a codebook has 256 entries, which have to be learned from more words than that


@dataclass(frozen=True)
class BuildSettings:
    """What `build` is asked for."""

    texts: tuple[Path, ...] = setting(MISSING, "Raw text: folders of .txt files (also .gz/.xz/.bz2; UTF-8), or files.")
    out: Path = setting(MISSING, "Folder that everything goes into.")  # noqa: RUF009
    language: str = setting(MISSING, "The language's code, such as luo or yo; several separated by commas.")
    conll: Path | None = setting(  # noqa: RUF009
        None, "Tagged sentences: a folder with train, dev, test files, or one file; word and tag a line."
    )
    task: str = setting("ner", "What the tags are: ner (IOB2) or pos (universal tags, also CoNLL-U).")
    encoders: tuple[str, ...] = setting(
        ENCODERS,
        "own (from this text alone), joint (from this text and afro11) or afro11 (as it is); several are compared on "
        "dev.",
    )
    keep: str = setting("", "The encoder that is kept; the best one on dev when empty.")
    title: str = setting("", "The language's name, for the report and the cards.")
    license: str = setting("", "For the cards: a license id, such as cc-by-sa-4.0.")
    sources: tuple[str, ...] = setting((), "For the cards: NAME|LICENSE|URL of each text.")
    notes: str = setting("", "A paragraph for the encoder's card.")
    seed: int = setting(0, "Seed of everything that is drawn.")
    steps: int = setting(1000, "Updates of each spaCy tagger, of 300 words.")
    evaluations: int = setting(10, "How often each spaCy tagger is scored on dev.")
    epochs: int = setting(20, "Passes of the Hugging Face tagger.")
    layout: Mapping[str, Any] = setting({}, "Options of Layout, where the columns of tagged files are in doubt.")
    min_words: int = setting(MIN_WORDS, "Refuse a text of fewer words.")
    threads: int | None = setting(1, "For fastText, all when none are given; with 1 a run can be repeated exactly.")
    wheel: bool = setting(True, "Package the spaCy pipeline as a wheel.")
    hf: bool = setting(True, "Make a Hugging Face directory.")
    maps: bool = setting(True, "Draw maps of words, which needs matplotlib.")
    words: tuple[str, ...] = setting((), "Words whose neighbors are shown; chosen by frequency when empty.")
    test_all: bool = setting(False, "Score every tagger on test, not only the one without an encoder and the chosen.")
    teacher: Mapping[str, Any] = setting({}, "Arguments of train_teacher that differ from teacher_settings.")
    teacher_file: str = setting("teacher.npz", "The teacher's file within work/; the suffix says the format.")
    student: Mapping[str, Any] = setting(
        {}, "Fields of DistillSettings that differ from student_settings; hard_negatives window reads the text."
    )
    tagger: Mapping[str, Any] = setting({}, "Values that differ from the shipped spaCy config, by dotted names.")
    progress: bool = setting(True, "Show progress bars.")
    quiet: bool = setting(False, "Do not print the steps.")
    command: str = setting("", "The command that was run, for the report and the cards.")


def parse_encoders(names: Sequence[str]) -> tuple[str, ...]:
    """The encoders of a command line, each once; ``auto`` stands for all."""
    return ENCODERS if AUTO in names else tuple(dict.fromkeys(names))


def require_extras(settings: BuildSettings) -> None:
    """Check that what a build needs is installed, before minutes of work."""
    for module in ("spacy", "torch", "accelerate", "gensim"):
        require(module, "build" if settings.hf or settings.wheel else "spacy,train")
    wanted = {
        "matplotlib": settings.maps,
        "setuptools": settings.wheel,
        "transformers": settings.hf,
        "datasets": settings.hf and settings.conll,
    }
    for module in (name for name, needed in wanted.items() if needed):
        require(module, "build")


def checked(settings: BuildSettings) -> BuildSettings:
    """The settings, with one encoder when there is nothing to compare encoders on; or what is wrong with them."""
    out = settings.out
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / STEPS_FILE).is_file())):
        raise DistillEmbError(f"{out} holds something else than a build: give another folder with -o.")
    unknown = [name for name in settings.encoders if name not in ENCODERS]
    if unknown or not settings.encoders:
        raise DistillEmbError(
            f"There is no encoder {', '.join(unknown)}: choose from {', '.join(ENCODERS)}, or {AUTO}."
        )
    for place, option in [*((text, "texts") for text in settings.texts), (settings.conll, "--conll")]:
        if place is not None and not place.exists():
            raise DistillEmbError(f"There is no {place} ({option}): check the path.")
    if settings.task not in SCORE_NAMES:
        raise DistillEmbError(f"There is no task {settings.task}: choose from {', '.join(SCORE_NAMES)}.")
    if not settings.language.strip():
        raise DistillEmbError("--language is empty: give the language's code, such as luo.")
    if settings.conll is None and len(settings.encoders) > 1:
        return replace(settings, encoders=(DEFAULT_ENCODER,))
    return settings


def teacher_settings(words: int, tagged: bool) -> dict[str, Any]:
    """The settings of the teacher for a text of so many words.

    Names and parts of speech go by the words just beside a word. Where there is text enough to count these, the counted
    teacher is the better one for taggers: on dev, in each language of `recipes/embeddings` with millions of words.
    """
    if tagged and words >= LITTLE_WORDS:
        return {"algorithm": "ppmi-svd", "dim": 200, "min_count": 5}  # as in recipes/embeddings/prepare.yml
    return fitted_settings(words)


def student_settings(vocabulary: int) -> dict[str, Any]:
    """The settings of the distillation for a teacher of so many words.

    Enough passes that each word is seen often, a residual codebook for the frequent words (16 bytes each), and int8.
    Characters seen less than five times stay unknown, so that the student learns what an unknown one is.
    """
    words = min(vocabulary, 20_000) if vocabulary >= _MIN_CODEBOOK_WORDS else 0
    return {"epochs": fitted_epochs(vocabulary), "codebook_words": words, "storage": "int8", "min_char_count": 5}


def tagger_name(kind: str) -> str:
    """What a tagger is called in a sentence."""
    names = {WITHOUT: "without an encoder", "own": "with your own encoder", "joint": "with the joint encoder"}
    return names.get(kind, f"with {kind}")


# The quickstart's taggers by the names of their directories, with the encoder of each.
SYSTEMS = {"scratch": WITHOUT, "afro11": BUNDLED, "distilled": "own"}


class LookedUp(NamedTuple):
    """A word with its neighbors and their cosines, the nearest first."""

    word: str
    language: str
    meaning: str
    near: list[tuple[str, float]]


class FirstLook(NamedTuple):
    """The bundled encoder's neighbors of words that it knows and of words that it never saw."""

    words: list[LookedUp]
    unseen: list[LookedUp]
    candidates: int
    dim: int
    size: int
