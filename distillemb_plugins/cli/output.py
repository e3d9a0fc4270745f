"""What verbs share: options, printing of JSON, settings by name, what the user states about an encoder."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import DistillEmbError

if TYPE_CHECKING:
    from ..facts import EncoderFacts

StorageName = Literal["float32", "float16", "int8"]
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
VocabularyOption = Annotated[
    Path | None,
    typer.Option("--vocabulary", "-v", help="Candidate words: a list or a table. Default: the words of the tables."),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Use the first so many candidates only.")]


def refuse_unread(context: typer.Context, names: Collection[str], why: str) -> None:
    """Refuse options that were given on the command line and would do nothing, and say why."""
    for name in sorted(names):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise DistillEmbError(f"--{name.replace('_', '-')} does nothing here ({why}): leave it out.")


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


def parse_settings(
    given: list[str] | None, known: Collection[str], rename: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> dict[str, Any]:
    """``["temperature=0.1"]`` as values of the settings that are `known`."""
    values: dict[str, Any] = {}
    for item in given or ():
        name, sign, text = item.partition("=")
        named = rename({name.strip().replace("-", "_"): parse_value(text)})
        if not sign or not named.keys() <= set(known):
            raise DistillEmbError(
                f"--set {item} names no setting: write NAME=VALUE with one of {', '.join(sorted(known))}."
            )
        values |= named
    return values


def parse_value(text: str) -> Any:
    """JSON where it is JSON, text otherwise."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def stated_facts(languages: list[str], license: str, sources: list[str]) -> EncoderFacts:
    """What is known beyond the settings: the command, and what the user knows of the texts."""
    from ..data.record import stated_corpora
    from ..facts import EncoderFacts

    corpora = tuple(stated_corpora(sources))
    return EncoderFacts(languages=tuple(languages), license=license, corpora=corpora, command=command_line())
