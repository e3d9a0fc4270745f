"""The settings of a distillation, checked before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import DistillEmbError
from .presets import DEFAULT, PRESETS

LOSSES = ("triplet", "info_nce", "local", "global", "cosine", "similarity", "structure")
HARD_NEGATIVES = ("none", "window", "neighbours")
COMBINATIONS = ("losses", "concat", "average", "svd")
SAMPLINGS = ("uniform", "log", "power")
SCHEDULES = ("constant", "cosine", "one_cycle", "linear", "step")
BF16 = ("auto", "off", "losses", "all")
STORAGES = ("float32", "float16", "int8")
ALIGNMENTS = (None, "left", "centre")
SCORES = ("cosine", "p_at_1", "p_at_10", "overlap_at_10")


class _FromPreset:
    """Stands where a setting was not given; `DistillSettings` puts the preset's value in its place."""

    def __repr__(self) -> str:
        return "<from the preset>"


_FROM_PRESET: Any = _FromPreset()


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """How a student is trained. What is not given comes from `preset` (see `presets.py`).

    Student:
    student: encoder type. encoder_args: sizes that differ from its defaults. max_chars: characters of a word that
    are read. align: ``"left"``, ``"centre"`` or None (what the student is made for). lowercase: lower-case words
    first; None does so when no teacher's word has a capital. min_char_count, max_characters: which characters are
    known: those seen this often in the training words (weighted by the teacher's counts when it has any), at most
    so many.

    Objective:
    losses: weights by name (triplet, info_nce, local, global, cosine, similarity, structure).
    temperature: of info_nce. margin: of triplet. hard_negatives: ``"none"``, ``"window"`` (the nearest words of a
    random run of `window` corpus tokens: DistillEmb) or ``"neighbours"`` (drawn from the teacher's `neighbours`
    nearest words). negatives: hard negatives an example. global_words: words of the global loss, half nearest
    neighbours, half random. combine: several teachers as averaged ``"losses"``, or one teacher made by ``"concat"``,
    ``"average"`` (both of unit vectors) or ``"svd"`` (of the concatenation, to `dim` columns).
    centre, remove_top, normalise: teacher clean-up, in this order.

    Training:
    sampling: words drawn ``"uniform"`` (each once an epoch), or by ``"log"`` of or ``"power"`` of their frequency.
    batch_size: examples a step, over all processes. epochs: passes over as many examples as there are training
    words. max_seconds: stop after so much training time (validation not counted), the schedule fitted to it.
    learning_rate, weight_decay, betas: AdamW. table_learning_rate: of embedding tables, when it differs.
    clip: largest gradient norm, 0 for none. schedule: constant, cosine, one_cycle, linear or step (times `gamma` an
    epoch). warmup: share of the steps with a rising rate. ema: decay of averaged weights, 0 for none.
    bf16: ``"off"``, ``"losses"`` (the similarity products of the batch), ``"all"`` (the student as well), or
    ``"auto"``: where the hardware multiplies bfloat16 by itself, the losses, and on a CPU a `cnn` as well.

    Validation and output:
    held_out: words never trained on, a number (int) or a share (float below 1). validate_every: epochs.
    monitor: the score that counts. patience: stop after so many validations without a better one and keep the best
    weights; 0 trains to the end. checkpoint_seconds: time between checkpoints. storage: float32, float16 or int8.
    memory_words: keep what the network misses of so many of the most frequent training words beside it (see
    `memory.fit_memory`), 0 for none. memory_codes: bytes for each. Held-out words are never kept, so that their
    scores stay the network's.
    device: ``"auto"`` or ``"cpu"``. seed: equal seeds give equal bytes on one machine.

    Raises `DistillEmbError`, one sentence, for a setting that cannot be.
    """

    preset: str = "default"
    student: str = _FROM_PRESET
    encoder_args: dict[str, Any] = _FROM_PRESET
    max_chars: int = _FROM_PRESET
    align: str | None = _FROM_PRESET
    lowercase: bool | None = _FROM_PRESET
    min_char_count: int = _FROM_PRESET
    max_characters: int | None = _FROM_PRESET
    losses: dict[str, float] = _FROM_PRESET
    temperature: float = _FROM_PRESET
    margin: float = _FROM_PRESET
    hard_negatives: str = _FROM_PRESET
    window: int = _FROM_PRESET
    negatives: int = _FROM_PRESET
    neighbours: int = _FROM_PRESET
    global_words: int = _FROM_PRESET
    combine: str = _FROM_PRESET
    dim: int | None = _FROM_PRESET
    centre: bool = _FROM_PRESET
    remove_top: int = _FROM_PRESET
    normalise: bool = _FROM_PRESET
    sampling: str = _FROM_PRESET
    power: float = _FROM_PRESET
    batch_size: int = _FROM_PRESET
    epochs: int = _FROM_PRESET
    max_seconds: float | None = _FROM_PRESET
    learning_rate: float = _FROM_PRESET
    table_learning_rate: float | None = _FROM_PRESET
    weight_decay: float = _FROM_PRESET
    betas: tuple[float, float] = _FROM_PRESET
    clip: float = _FROM_PRESET
    schedule: str = _FROM_PRESET
    warmup: float = _FROM_PRESET
    gamma: float = _FROM_PRESET
    ema: float = _FROM_PRESET
    bf16: str = _FROM_PRESET
    held_out: int | float = _FROM_PRESET
    validate_every: int = _FROM_PRESET
    monitor: str = _FROM_PRESET
    patience: int = _FROM_PRESET
    checkpoint_seconds: float = _FROM_PRESET
    storage: str = _FROM_PRESET
    memory_words: int = _FROM_PRESET
    memory_codes: int = _FROM_PRESET
    device: str = _FROM_PRESET
    seed: int = _FROM_PRESET

    def __post_init__(self) -> None:
        _one_of("preset", self.preset, tuple(PRESETS))
        values = {**DEFAULT, **PRESETS[self.preset]}
        for field in fields(self):
            if getattr(self, field.name) is _FROM_PRESET:
                value = values[field.name]
                object.__setattr__(self, field.name, dict(value) if isinstance(value, dict) else value)
        _check_choices(self)
        _check_numbers(self)
        _check_losses(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``DistillSettings(**values)`` gives equal settings."""
        return asdict(self) | {"betas": list(self.betas)}

    @property
    def uses_hard_negatives(self) -> bool:
        """Whether a loss with weight above 0 reads mined negatives."""
        wanted = {name for name, weight in self.losses.items() if weight > 0}
        return "triplet" in wanted or ("info_nce" in wanted and self.hard_negatives != "none")


def _one_of(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise DistillEmbError(f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}.")


def _check_choices(settings: DistillSettings) -> None:
    from ..inference.students import FORWARDS

    choices = {
        "student": tuple(FORWARDS),
        "hard_negatives": HARD_NEGATIVES,
        "combine": COMBINATIONS,
        "sampling": SAMPLINGS,
        "schedule": SCHEDULES,
        "bf16": BF16,
        "storage": STORAGES,
        "align": ALIGNMENTS,
        "monitor": SCORES,
        "device": ("auto", "cpu"),
    }
    for name, allowed in choices.items():
        _one_of(name, getattr(settings, name), allowed)


def _check_numbers(settings: DistillSettings) -> None:
    for name, least in _WHOLE.items():
        value = getattr(settings, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise DistillEmbError(f"{name} is {value!r}: give a whole number of at least {least}.")
    for name, (holds, what) in _REAL.items():
        value = getattr(settings, name)
        if value is not None and not (_is_number(value) and holds(value)):
            raise DistillEmbError(f"{name} is {value!r}: give a number {what}.")
    betas = settings.betas
    if len(betas) != 2 or not all(_is_number(beta) and 0 <= beta < 1 for beta in betas):
        raise DistillEmbError(f"betas are {betas!r}: give two numbers from 0 to below 1.")
    object.__setattr__(settings, "betas", (float(betas[0]), float(betas[1])))
    held = settings.held_out
    if isinstance(held, bool) or not _is_number(held) or held < 0 or (isinstance(held, float) and held >= 1):
        raise DistillEmbError(f"held_out is {held!r}: give a number of words, or a share from 0 to below 1.0.")
    if settings.patience and not held:
        raise DistillEmbError("patience needs a validation score, and held_out is 0: hold some words out.")


def _check_losses(settings: DistillSettings) -> None:
    losses = settings.losses
    if not isinstance(losses, Mapping) or not losses:
        raise DistillEmbError(f"losses are {losses!r}: give weights by name, such as {{'cosine': 1.0}}.")
    for name, weight in losses.items():
        _one_of("A loss", name, LOSSES)
        if not _is_number(weight) or weight < 0:
            raise DistillEmbError(f"The weight of the loss {name} is {weight!r}: give a number of at least 0.")
    if sum(losses.values()) <= 0:
        raise DistillEmbError(f"The weights of the losses {', '.join(losses)} sum to nothing: give one above 0.")
    if losses.get("triplet", 0) > 0 and settings.hard_negatives == "none":
        raise DistillEmbError("The triplet loss needs negatives: set hard_negatives to 'window' or 'neighbours'.")
    if settings.hard_negatives == "neighbours" and settings.negatives > settings.neighbours:
        raise DistillEmbError(
            f"negatives is {settings.negatives}, but only {settings.neighbours} neighbours are kept: raise neighbours."
        )
    if settings.hard_negatives == "window" and settings.negatives >= settings.window:
        raise DistillEmbError(
            f"negatives is {settings.negatives}, and a window of {settings.window} tokens cannot give so many: "
            "raise window."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_WHOLE = {
    "max_chars": 1,
    "min_char_count": 1,
    "max_characters": 1,
    "window": 2,
    "negatives": 1,
    "neighbours": 1,
    "global_words": 2,
    "dim": 1,
    "remove_top": 0,
    "batch_size": 2,
    "epochs": 1,
    "validate_every": 1,
    "patience": 0,
    "memory_words": 0,
    "memory_codes": 1,
    "seed": 0,
}
_ABOVE: tuple[Callable[[float], bool], str] = (lambda value: value > 0, "above 0")
_FROM_ZERO: tuple[Callable[[float], bool], str] = (lambda value: value >= 0, "of at least 0")
_SHARE: tuple[Callable[[float], bool], str] = (lambda value: 0 <= value < 1, "from 0 to below 1")
_REAL: dict[str, tuple[Callable[[float], bool], str]] = {
    "temperature": _ABOVE,
    "margin": _FROM_ZERO,
    "power": _FROM_ZERO,
    "max_seconds": _ABOVE,
    "learning_rate": _ABOVE,
    "table_learning_rate": _ABOVE,
    "weight_decay": _FROM_ZERO,
    "clip": _FROM_ZERO,
    "warmup": _SHARE,
    "gamma": _ABOVE,
    "ema": _SHARE,
    "checkpoint_seconds": _ABOVE,
}
