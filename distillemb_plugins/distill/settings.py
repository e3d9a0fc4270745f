"""The settings of a distillation: one place for each default, what it means, and what it may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DistillEmbError
from ..settings import ABOVE, FROM_ZERO, SHARE, check_choice, check_settings, is_number, meanings, setting

STUDENTS = (
    "distillemb-small", "distillemb-mid", "distillemb-large", "char-cnn", "char-rnn", "ngram-bag", "ngram-sam", "cnn"
)  # fmt: skip
LOSSES = ("triplet", "info_nce", "local", "global", "cosine", "similarity", "structure")

_AS_PUBLISHED: dict[str, Any] = {"center": False, "normalize": False, "learning_rate": 1e-3, "bf16": "off"}
_AS_PUBLISHED |= {"table_learning_rate": None, "betas": (0.9, 0.999), "hashed_characters": 0}
DEFAULT_PRESET = "default"
PRESETS: dict[str, dict[str, Any]] = {
    # The losses and the optimizer are those that won our own tables (see recipes/distill).
    DEFAULT_PRESET: {},
    # Mersha & Wu 2022, paper and published code: one triplet loss a teacher, averaged; no gradient clipping, no
    # warm-up; AdamW's own weight decay of 0.01.
    "distillemb": _AS_PUBLISHED
    | {
        "student": "distillemb-small",
        "max_chars": 13,
        "align": "center",
        "min_char_count": 100,
        "losses": {"triplet": 1.0},
        "hard_negatives": "window",
        "batch_size": 64,
        "epochs": 64,
        "weight_decay": 0.01,
        "clip": 0.0,
        "schedule": "step",
        "warmup": 0.0,
    },
    # Ohashi et al. 2020. The settings of the optimizer are not in our sources; these are ours.
    "tiny-embeddings": _AS_PUBLISHED
    | {"student": "char-cnn", "max_chars": 30, "losses": {"local": 1.0, "global": 1.0}, "batch_size": 128},
}
"""Named settings: what each changes of the defaults of `DistillSettings`."""

# Names in cards, checkpoints and commands that were written before these had their present ones.
_OLD_NAMES = {
    "centre": "center",
    "normalise": "normalize",
    "neighbours": "neighbors",
    "memory_words": "codebook_words",
    "memory_codes": "codebook_bytes",
}
# A setting of earlier versions that had an effect with the sampling "power" alone, which is no more.
_GONE = {"power": 0.5}


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under their present names, whichever spelling they have.

    Raises:
        DistillEmbError: One that is no more had an effect.
    """
    renamed = {_OLD_NAMES.get(name, name): value for name, value in values.items()}
    for name, old, new in (("hard_negatives", "neighbours", "neighbors"), ("align", "centre", "center")):
        if renamed.get(name) == old:
            renamed[name] = new
    for name, without_effect in _GONE.items():
        if (value := renamed.pop(name, without_effect)) != without_effect:
            raise DistillEmbError(f"{name} is {value!r}, and there is no such setting any more: leave it out.")
    return renamed


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """How a student is trained.

    A setting that is not given comes from `preset`, and what the preset does not change is the default below.
    `describe_settings` lists what each setting means. Names of earlier versions (``centre``, ``normalise``,
    ``neighbours``, ``memory_words``, ``memory_codes``) are still read.

    Raises:
        DistillEmbError: A value cannot be, or two settings do not go together.
    """

    preset: str = setting(
        DEFAULT_PRESET, "Settings to start from; what else is given changes it.", choices=tuple(PRESETS)
    )
    # the student
    student: str = setting("cnn", "Encoder type.", choices=STUDENTS)
    encoder_args: dict[str, Any] = setting({}, "Sizes that differ from the defaults of the encoder type.")  # noqa: RUF009
    max_chars: int = setting(16, "Characters of a word that are read.", least=1)
    align: str | None = setting(
        None, "Where a word stands in its row; None, as the student is made for.", choices=(None, "left", "center")
    )
    lowercase: bool | None = setting(None, "Lower-case words first; None does so if no teacher's word has a capital.")
    min_char_count: int = setting(1, "Characters seen less often in the training words are unknown.", least=1)
    max_characters: int | None = setting(None, "Most characters that are known.", least=1)
    more_characters: str = setting("", "Characters that are known whether or not the training words have them.")
    hashed_characters: int = setting(
        256, "Ids that unknown characters share by hash, a multiple of 4; 0 for a single one.", least=0
    )
    # the objective
    losses: dict[str, float] = setting(  # noqa: RUF009
        {"cosine": 1.0, "info_nce": 0.05}, f"Losses and their weights. Names: {', '.join(LOSSES)}."
    )
    temperature: float = setting(0.05, "Of info_nce.", number=ABOVE)
    margin: float = setting(1.0, "Of triplet.", number=FROM_ZERO)
    hard_negatives: str = setting(
        "none",
        "Negatives of triplet and info_nce: words of a random window of corpus tokens that are nearest to the word "
        "(DistillEmb), or some of the teacher's nearest neighbors.",
        choices=("none", "window", "neighbors"),
    )
    window: int = setting(32, "Corpus tokens of a run.", least=2)
    negatives: int = setting(1, "Hard negatives of an example.", least=1)
    neighbors: int = setting(32, "Nearest words that hard negatives are drawn from.", least=1)
    global_words: int = setting(10, "Words of the global loss, half nearest neighbors, half random.", least=2)
    combine: str = setting(
        "losses",
        "Several teachers as averaged losses, or as one teacher of their unit vectors (svd: of the concatenation).",
        choices=("losses", "concat", "average", "svd"),
    )
    dim: int | None = setting(None, "Width of the vectors, with combine svd.", least=1)
    center: bool = setting(True, "Subtract the teacher's mean vector (before remove_top and normalize).")
    remove_top: int = setting(0, "Main directions that are removed from the teacher.", least=0)
    normalize: bool = setting(True, "Scale the teacher's vectors to length 1.")
    # the training
    sampling: str = setting(
        "uniform", "Words are drawn once an epoch each, or by frequency.", choices=("uniform", "log")
    )
    batch_size: int = setting(1024, "Words of a step, over all processes.", least=2)
    epochs: int = setting(20, "Passes over as many examples as there are training words.", least=1)
    max_seconds: float | None = setting(
        None, "Stop after so much training time (validation not counted); the schedule is fitted to it.", number=ABOVE
    )
    learning_rate: float = setting(3e-3, "Highest learning rate of AdamW.", number=ABOVE)
    table_learning_rate: float | None = setting(
        1e-2, "Highest learning rate of embedding tables, without weight decay; None as the rest.", number=ABOVE
    )
    weight_decay: float = setting(0.0, "Of AdamW.", number=FROM_ZERO)
    betas: tuple[float, float] = setting((0.9, 0.98), "Of AdamW.")
    clip: float = setting(1.0, "Largest gradient norm, 0 for none.", number=FROM_ZERO)
    schedule: str = setting(
        "one_cycle", "Learning rate over time.", choices=("constant", "cosine", "one_cycle", "linear", "step")
    )
    warmup: float = setting(0.1, "Share of the training with a rising rate.", number=SHARE)
    gamma: float = setting(0.95, "Factor on the learning rate an epoch, with schedule step.", number=ABOVE)
    ema: float = setting(0.0, "Decay of the moving average of the weights, 0 for none.", number=SHARE)
    bf16: str = setting(
        "auto",
        "What is computed in bfloat16: the products of the losses, or all, the student as well. Where the hardware "
        "multiplies bfloat16, auto takes the losses, and on a CPU a cnn as well.",
        choices=("auto", "off", "losses", "all"),
    )
    # validation and output
    held_out: int | float = setting(0.02, "Words never trained on, for validation: a number (2000) or a share (0.02).")
    validate_every: int = setting(1, "Epochs between two validations.", least=1)
    monitor: str = setting(
        "cosine", "The score that patience looks at.", choices=("cosine", "p_at_1", "p_at_10", "overlap_at_10")
    )
    patience: int = setting(
        0, "Stop after so many validations without a better score and keep the best weights; 0 never.", least=0
    )
    checkpoint_seconds: float = setting(300.0, "Time between two checkpoints.", number=ABOVE)
    storage: str = setting("float32", "How the weights are stored.", choices=("float32", "float16", "int8"))
    codebook_words: int = setting(
        0, "Keep what the network misses of so many frequent training words, in a residual codebook; 0 none.", least=0
    )
    codebook_bytes: int = setting(16, "Bytes of a word in the residual codebook, besides 4 for its key.", least=1)
    device: str = setting("auto", "Where it is trained.", choices=("auto", "cpu"))
    seed: int = setting(0, "Equal seeds give equal encoders on one machine.", least=0)

    if not TYPE_CHECKING:  # type checkers see the one that dataclass makes

        def __init__(self, **given: Any) -> None:
            given, known = current_names(given), {one.name: one for one in fields(self)}
            if unknown := sorted(given.keys() - known.keys()):
                raise TypeError(f"DistillSettings has no setting {', '.join(unknown)}.")
            preset = given.setdefault("preset", known["preset"].default)
            check_choice("preset", preset, tuple(PRESETS))
            for name, value in {**default_settings(), **PRESETS[preset], **given}.items():
                object.__setattr__(self, name, dict(value) if isinstance(value, dict) else value)
            check_settings(self)
            _check_together(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; ``DistillSettings(**values)`` gives equal settings."""
        return asdict(self) | {"betas": list(self.betas)}

    @property
    def uses_hard_negatives(self) -> bool:
        """Whether a loss with weight above 0 reads mined negatives."""
        wanted = {name for name, weight in self.losses.items() if weight > 0}
        return "triplet" in wanted or ("info_nce" in wanted and self.hard_negatives != "none")

    @property
    def reads_corpus(self) -> bool:
        """Whether negatives are mined in a text."""
        return self.uses_hard_negatives and self.hard_negatives == "window"


def describe_settings() -> dict[str, str]:
    """Return what each setting means, by name."""
    return meanings(DistillSettings)


def check_corpus(settings: DistillSettings, corpus: Sequence[str | Path]) -> None:
    """Refuse the lack of a text that is needed, and files that do not exist."""
    if settings.reads_corpus and not corpus:
        raise DistillEmbError(
            "hard_negatives is 'window', and there is no corpus to take windows from: "
            "give text files (--corpus), or set hard_negatives to 'neighbors'."
        )
    for path in corpus:
        if not Path(path).is_file():
            raise DistillEmbError(f"There is no file {path}: check the path.")


def fitted_epochs(words: int) -> int:
    """Passes for a table of so many words, so that each word of a small one is seen often."""
    return min(60, max(20, round(400_000 / max(1, words))))


def default_settings() -> dict[str, Any]:
    """Return the default of each setting but `preset`, by name."""
    given = [one for one in fields(DistillSettings) if one.name != "preset"]
    return {one.name: one.default_factory() if callable(one.default_factory) else one.default for one in given}


def _check_together(settings: DistillSettings) -> None:
    betas, held, losses = settings.betas, settings.held_out, settings.losses
    if len(betas) != 2 or not all(is_number(beta) and 0 <= beta < 1 for beta in betas):
        raise DistillEmbError(f"betas are {betas!r}: give two numbers from 0 to below 1.")
    object.__setattr__(settings, "betas", (float(betas[0]), float(betas[1])))
    if not is_number(held) or held < 0 or (isinstance(held, float) and held >= 1):
        raise DistillEmbError(f"held_out is {held!r}: give a number of words, or a share from 0 to below 1.0.")
    if settings.patience and not held:
        raise DistillEmbError("patience needs a validation score, and held_out is 0: hold some words out.")
    if not isinstance(losses, dict) or not losses:
        raise DistillEmbError(f"losses are {losses!r}: give weights by name, such as {{'cosine': 1.0}}.")
    for name, weight in losses.items():
        check_choice("A loss", name, LOSSES)
        if not is_number(weight) or weight < 0:
            raise DistillEmbError(f"The weight of the loss {name} is {weight!r}: give a number of at least 0.")
    if sum(losses.values()) <= 0:
        raise DistillEmbError(f"The weights of the losses {', '.join(losses)} sum to nothing: give one above 0.")
    if losses.get("triplet", 0) > 0 and settings.hard_negatives == "none":
        raise DistillEmbError("The triplet loss needs negatives: set hard_negatives to 'window' or 'neighbors'.")
    others = {"neighbors": settings.neighbors, "window": settings.window - 1}
    if settings.negatives > others.get(settings.hard_negatives, math.inf):
        kind = settings.hard_negatives
        raise DistillEmbError(
            f"negatives is {settings.negatives}, and {kind} is {getattr(settings, kind)}, too few: raise {kind}."
        )
