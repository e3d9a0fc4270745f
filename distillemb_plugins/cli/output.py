"""What every verb prints with: JSON, a table, a word list."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..teachers import Teacher

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON to standard output instead of text.")]

_LIST_SUFFIXES = (".txt", ".lst", ".words", "")
_PACKED = (".gz", ".xz", ".bz2")


def print_json(values: Any) -> None:
    """One JSON document on standard output; numbers that JSON lacks (NaN) are an error, not a surprise."""
    typer.echo(json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    """Paths as text, NumPy numbers as Python's."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def command_line() -> str:
    """The running command as it may be published: folders of this machine and flags of the moment left out."""
    left_out = ("--resume", "--overwrite", "--json", "--debug")
    arguments = [Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:] if a not in left_out]
    return shlex.join(["distillemb", *arguments])


def print_fields(fields: dict[str, str]) -> None:
    """Names and values in two columns; further lines of a value stand under the first."""
    width = max(len(name) for name in fields) + 2
    for name, value in fields.items():
        typer.echo(f"{name:<{width}}" + value.replace("\n", "\n" + " " * width))


def is_word_list(path: Path) -> bool:
    """Whether a file is a plain list of words (by its suffix), not a table."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    return (suffixes[-1] if suffixes else "") in _LIST_SUFFIXES


def read_words(path: Path, limit: int | None = None) -> list[str]:
    """The distinct words of a word list (one a line, further tab-separated columns ignored) or of a table.

    Raises `DistillEmbError` when there are none.
    """
    if not is_word_list(path) or _begins_like_table(path):
        from ..teachers import load_teacher

        return load_teacher(path, limit).words
    words: dict[str, None] = {}
    for word in _listed(path):
        words[word] = None
        if limit is not None and len(words) >= limit:
            break
    if not words:
        from ..errors import DistillEmbError

        raise DistillEmbError(f"{path} holds no words: write one word a line.")
    return list(words)


def _listed(path: Path) -> Iterator[str]:
    from ..files import iter_lines

    for line in iter_lines([path]):
        word = line.split("\t", 1)[0].strip()
        if word:
            yield word


def _begins_like_table(path: Path) -> bool:
    """Whether the first two lines are those of a word2vec text table (these are often called .txt)."""
    from itertools import islice

    from ..files import iter_lines

    lines = [line.split() for line in islice(iter_lines([path]), 2)]
    return len(lines) == 2 and len(lines[0]) == 2 and all(n.isdigit() for n in lines[0]) and len(lines[1]) > 3


def load_teachers(paths: list[Path], limit: int | None = None) -> list[Teacher]:
    """Open teacher tables in the order given."""
    from ..teachers import load_teacher

    return [load_teacher(path, limit) for path in paths]
