"""`distillemb info`: what an encoder is."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DistillEmbError
from .completion import encoders
from .output import JsonFlag, print_json

if TYPE_CHECKING:
    from ..coverage import Coverage
    from ..encoder import DistillEmb

# The settings that say most; the model card lists all of them.
_SETTINGS = ("preset", "student", "losses", "epochs", "batch_size", "max_seconds", "seed")


def info_command(
    encoder: Annotated[
        str, typer.Argument(help="Encoder directory, bundled name (afro11) or hub id.", autocompletion=encoders)
    ],
    card: Annotated[bool, typer.Option("--card", help="Print the whole model card.")] = False,
    text: Annotated[
        list[Path] | None,
        typer.Option("--text", "-t", help="Say which characters of this text the encoder does not know; repeatable."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Say what an encoder is, what it was trained on, and how it scores; with --text, whether it knows its letters.

    \b
    Example:
      distillemb info afro11
      distillemb info afro11 --text corpus.txt.xz
      distillemb info my-encoder --json
    """
    from ..encoder import DistillEmb

    missing = [file for file in text or () if not file.is_file()]
    if missing:
        raise DistillEmbError(f"There is no file {missing[0]} (--text): check the path.")
    model = DistillEmb.from_pretrained(encoder)
    found = text_coverage(model, text) if text else None
    if json:
        print_json(describe(model) | ({"coverage": found.to_dict()} if found else {}))
    elif found:
        typer.echo(f"{found.describe(letters=False)} {found.advice()}".strip())
        for what, some in (("unknown", found.unknown), ("read without its marks", found.bare)):
            for character, number in some.items():
                code_points = " ".join(f"U+{ord(one):04X}" for one in character)
                typer.echo(f"{number:>12,}  {character}  {code_points}  {what}")
    elif card:
        typer.echo(model.files.card.rstrip() or "This encoder has no model card.")
    else:
        fields = {name: value for name, value in _fields(model).items() if value}
        width = max(map(len, fields)) + 2
        for name, value in fields.items():  # further lines of a value stand under the first
            typer.echo(f"{name:<{width}}" + value.replace("\n", "\n" + " " * width))


def text_coverage(model: DistillEmb, files: list[Path]) -> Coverage:
    """Which characters of text files an encoder does not know."""
    from ..coverage import coverage
    from ..text import read_tokens

    counts: Counter[str] = Counter()
    for tokens in read_tokens(files, progress=sys.stderr.isatty()):
        counts.update(tokens)
    return coverage(model.characters, counts, model.facts.settings)


def describe(model: DistillEmb) -> dict[str, Any]:
    """Describe a loaded encoder in plain JSON values. Its `EncoderFacts` stand under ``facts``."""
    from ..files import directory_bytes, encoder_bytes

    path, config, characters = model.files.path, model.config, model.characters
    return {
        "path": path,
        "encoder_type": config["encoder_type"],
        "encoder_args": config.get("encoder_args", {}),
        "parameters": model.num_parameters,
        "dim": model.dim,
        "bytes": encoder_bytes(path) if path else None,
        "directory_bytes": directory_bytes(path) if path else None,
        "storage": config.get("storage", "float32"),
        "characters": len(characters.characters),
        "max_chars": characters.max_chars,
        "align": characters.align,
        "lowercase": characters.lowercase,
        "format_version": config.get("format_version"),
        "facts": model.facts.to_dict(),
    }


def _fields(model: DistillEmb) -> dict[str, str]:
    """What is known, one line each; empty where nothing is."""
    from ..evaluate.tables import format_bytes

    one, facts = describe(model), model.facts
    own, whole = format_bytes(one["bytes"]), format_bytes(one["directory_bytes"])
    reads = f"{one['characters']:,} known; the first {one['max_chars']} of a word are read"
    settings = [f"{name} {facts.settings[name]}" for name in _SETTINGS if facts.settings.get(name) is not None]
    return {
        "encoder": str(one["path"]),
        "type": f"{one['encoder_type']}, format {one['format_version']}",
        "parameters": f"{one['parameters']:,}",
        "dimensions": str(one["dim"]),
        "size": f"{own} as {one['storage']} ({whole} with its card and code)",
        "characters": reads + ("; lower-cased first" if one["lowercase"] else ""),
        "languages": ", ".join(facts.languages),
        "license": facts.license,
        "about": _short(f"{facts.title}. {facts.notes}".strip(". ")),
        "teachers": ", ".join(facts.teachers),
        "settings": _short(", ".join(settings)),
        "command": _short(facts.command),
        "trained on": "\n".join(" · ".join(filter(None, astuple(corpus))) for corpus in facts.corpora),
        **{
            title.lower(): ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            for title, scores in facts.scores.items()
        },
    }


def _short(text: str) -> str:
    return textwrap.shorten(text, 300, placeholder=" …")
