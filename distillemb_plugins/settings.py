"""Fields of settings: a default, what it means, and what it may be, each written once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any

from .errors import DistillEmbError

_RANGES: dict[str, Callable[[float], bool]] = {
    "above 0": lambda value: value > 0,
    "of at least 0": lambda value: value >= 0,
    "from 0 to below 1": lambda value: 0 <= value < 1,
    "from 0 to 1": lambda value: 0 <= value <= 1,
}
ABOVE, FROM_ZERO, SHARE, TO_ONE = _RANGES


def setting(
    default: Any, doc: str, *, choices: tuple[Any, ...] = (), least: int | None = None, number: str | None = None
) -> Any:
    """A field with its meaning and its check: one of `choices`, an integer from `least`, or a `number` of a range."""
    if choices:
        doc = f"{doc} One of {', '.join(map(str, choices))}."
    metadata = {"doc": doc, "choices": choices, "least": least, "number": number}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def meanings(settings: type) -> dict[str, str]:
    """What each setting means, by its name."""
    return {one.name: one.metadata["doc"] for one in fields(settings)}


def check_settings(settings: Any) -> None:
    """Raise `DistillEmbError` for the first setting that is not what it may be."""
    for one in fields(settings):
        value = getattr(settings, one.name)
        choices, least, number = (one.metadata[name] for name in ("choices", "least", "number"))
        if choices:
            check_choice(one.name, value, choices)
        if value is None and "None" in str(one.type):
            continue
        if least is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise DistillEmbError(f"{one.name} is {value!r}: give a whole number of at least {least}.")
        if number is not None and not (is_number(value) and _RANGES[number](value)):
            raise DistillEmbError(f"{one.name} is {value!r}: give a number {number}.")


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise `DistillEmbError` for a value that is none of the choices."""
    if value not in choices:
        raise DistillEmbError(f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}.")


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
