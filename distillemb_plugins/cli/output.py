"""What every verb prints with: JSON, names and values, the command itself."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON to standard output instead of text.")]

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="What the tables are, where their content deceives: text, glove (text without a header), binary, "
        "fasttext, floret, npz or safetensors.",
        show_default=False,
    ),
]


def print_json(values: Any) -> None:
    """Print one JSON document to standard output; numbers that JSON lacks (NaN) are an error."""
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
    """Print names and values in two columns; further lines of a value stand under the first."""
    width = max(len(name) for name in fields) + 2
    for name, value in fields.items():
        typer.echo(f"{name:<{width}}" + value.replace("\n", "\n" + " " * width))
