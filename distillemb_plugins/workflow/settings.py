"""What a build is asked for, and the settings that follow from how much text there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError, require

BUNDLED = "afro11"
# own: distilled from the text alone. joint: from the text and the bundled encoder together. afro11: it as it is.
ENCODERS = ("own", "joint", BUNDLED)
WITHOUT = "without"  # the tagger that has no encoder
DEFAULT_ENCODER = "joint"  # without tagged sentences, nothing can be compared
AUTO = "auto"
TASKS = ("ner", "pos")
SCORE_NAMES = {"ner": "F1", "pos": "accuracy"}
STEPS_FILE = "work/steps.json"
MIN_WORDS = 20_000
_MIN_CODEBOOK_WORDS = 1000  # a codebook has 256 entries, which have to be learned from more words than that


@dataclass(frozen=True)
class BuildSettings:
    """What `build` is asked for.

    Attributes:
        texts: Raw text files, or folders of them.
        out: The folder that everything goes into.
        language: The language's code, such as ``luo``. Several are separated by commas.
        conll: Tagged sentences: a folder with train, dev and test files, or one file. Without them no tagger is made.
        task: ``"ner"`` (IOB2 tags) or ``"pos"`` (universal tags).
        encoders: The encoders that are made and compared on dev, from `ENCODERS`.
        keep: The encoder that is kept. The best one on dev when empty.
        title: The language's name, for the report and the cards.
        license: A license id, for the cards.
        sources: ``NAME|LICENSE|URL`` of each text, for the cards.
        notes: A paragraph for the encoder's card.
        seed: Seed of everything that is drawn.
        steps: Updates of each spaCy tagger.
        evaluations: How often each spaCy tagger is scored on dev.
        epochs: Passes of the Hugging Face tagger.
        columns: Columns of the CoNLL files. The first one is the word, the last one the tag.
        min_words: A text of fewer words is refused.
        threads: Threads of the fastText training, all when None. With 1 a run can be repeated exactly.
        wheel: Whether the spaCy pipeline is packaged as a wheel.
        hf: Whether a Hugging Face directory is made.
        maps: Whether maps of words are drawn, which needs matplotlib.
        words: Words whose nearest neighbors are shown. Chosen by frequency when empty.
        test_all: Score every tagger on test, not only the one without an encoder and the chosen one.
        mine_text: Give the text to the distillation, which then finds hard negatives in it.
        teacher: What differs from `teacher_settings` (arguments of `train_teacher`).
        teacher_file: The teacher's file within ``work``. The suffix says the format.
        student: What differs from `student_settings` (fields of `DistillSettings`).
        tagger: What differs from the shipped spaCy config, by dotted names.
        progress: Show progress bars.
        quiet: Do not print the steps.
        command: The command that was run, for the report and the cards.
    """

    texts: tuple[Path, ...]
    out: Path
    language: str
    conll: Path | None = None
    task: str = "ner"
    encoders: tuple[str, ...] = ENCODERS
    keep: str = ""
    title: str = ""
    license: str = ""
    sources: tuple[str, ...] = ()
    notes: str = ""
    seed: int = 0
    steps: int = 1000
    evaluations: int = 10
    epochs: int = 20
    columns: int = 2
    min_words: int = MIN_WORDS
    threads: int | None = 1
    wheel: bool = True
    hf: bool = True
    maps: bool = True
    words: tuple[str, ...] = ()
    test_all: bool = False
    mine_text: bool = False
    teacher: Mapping[str, Any] = field(default_factory=dict)
    teacher_file: str = "teacher.npz"
    student: Mapping[str, Any] = field(default_factory=dict)
    tagger: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = True
    quiet: bool = False
    command: str = ""

    @property
    def name(self) -> str:
        """The language's name, or its code."""
        return self.title or self.language


def parse_encoders(names: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """The encoders of a command line, each once; ``auto`` stands for all."""
    return ENCODERS if AUTO in names else tuple(dict.fromkeys(names))


def require_extras(settings: BuildSettings) -> None:
    """Check that what a build needs is installed, before minutes of work.

    Raises:
        MissingExtraError: Naming the extra.
    """
    whole = settings.hf or settings.wheel
    for module in ("spacy", "torch", "accelerate", "gensim"):
        require(module, "build" if whole else "spacy,train")
    if settings.maps:
        require("matplotlib", "build")
    if settings.wheel:
        require("setuptools", "build")
    if settings.hf:
        for module in ("transformers", "datasets") if settings.conll else ("transformers",):
            require(module, "build")


def checked(settings: BuildSettings) -> BuildSettings:
    """The settings, with one encoder when there is nothing to compare encoders on.

    Raises:
        DistillEmbError: An encoder or a task is unknown, the language is empty, or `out` holds something else.
    """
    out = settings.out
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / STEPS_FILE).is_file())):
        raise DistillEmbError(f"{out} holds something else than a build: give another folder with -o.")
    unknown = [name for name in settings.encoders if name not in ENCODERS]
    if unknown or not settings.encoders:
        raise DistillEmbError(
            f"There is no encoder {', '.join(unknown)}: choose from {', '.join(ENCODERS)}, or {AUTO}."
        )
    if settings.task not in TASKS:
        raise DistillEmbError(f"There is no task {settings.task}: choose from {', '.join(TASKS)}.")
    if not settings.language.strip():
        raise DistillEmbError("--language is empty: give the language's code, such as luo.")
    if settings.conll is None and len(settings.encoders) > 1:
        return replace(settings, encoders=(DEFAULT_ENCODER,))
    return settings


def teacher_settings(words: int) -> dict[str, Any]:
    """The settings of fastText for a text of so many words.

    With little text: skip-gram, which learns more from each occurrence than CBOW, words seen twice, more passes, and
    fewer rows for the n-grams. With plenty of text: the defaults of `train_teacher`.
    """
    if words < 2_000_000:
        return {"skipgram": True, "min_count": 2, "epochs": 10, "min_n": 3, "buckets": 50_000}
    if words < 20_000_000:
        return {"skipgram": True, "min_count": 3, "epochs": 5, "min_n": 3, "buckets": 200_000}
    return {"skipgram": False, "min_count": 5, "epochs": 5}


def student_settings(vocabulary: int) -> dict[str, Any]:
    """The settings of the distillation for a teacher of so many words.

    Enough passes that each word is seen often, a residual codebook for the frequent words (16 bytes each), and int8.
    Characters seen less than five times stay unknown, so that the student learns what an unknown one is.
    """
    epochs = min(60, max(20, round(400_000 / max(1, vocabulary))))
    words = min(vocabulary, 20_000) if vocabulary >= _MIN_CODEBOOK_WORDS else 0
    return {"epochs": epochs, "codebook_words": words, "storage": "int8", "min_char_count": 5}
