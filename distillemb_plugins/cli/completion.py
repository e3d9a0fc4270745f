"""What the shell completes: names of encoders beside paths, and names of settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from glob import escape
from pathlib import Path

from ..distill.settings import PRESETS, STUDENTS
from ..locations import bundled_names

Completer = Callable[[str], list[str]]


def names(known: Iterable[str]) -> Completer:
    """Complete one of some names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


def encoders(incomplete: str) -> list[str]:
    """Complete the name of a bundled encoder or a path: once there are names, the shell adds no paths by itself."""
    folder, start = Path(incomplete).parent, Path(incomplete).name
    if incomplete.endswith("/"):
        folder, start = Path(incomplete), ""
    paths = folder.expanduser().glob(f"{escape(start)}*") if incomplete else Path().glob("*")
    shown = incomplete[: len(incomplete) - len(start)]  # as it was typed: ~ and ./ stay
    found = sorted(f"{shown}{path.name}" + "/" * path.is_dir() for path in paths if path.name[0] != "." or start)
    return [*names(bundled_names())(incomplete), *found]


presets = names(PRESETS)
students = names(STUDENTS)
tasks = names(("ner", "pos", "ner-pos", "textcat"))
embeddings = names(("trainable", "context", "static", "none"))
