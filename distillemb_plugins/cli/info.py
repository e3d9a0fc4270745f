"""`distillemb info`: what an encoder is."""

from __future__ import annotations

import textwrap
from dataclasses import astuple
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import JsonFlag, print_fields, print_json

if TYPE_CHECKING:
    from ..encoder import DistillEmb
    from ..facts import EncoderFacts

_LONGEST = 300


def info_command(
    encoder: Annotated[str, typer.Argument(help="Encoder directory, bundled name (afro11) or hub id.")],
    card: Annotated[bool, typer.Option("--card", help="Print the whole model card.")] = False,
    json: JsonFlag = False,
) -> None:
    """Say what an encoder is, what it was trained on, and how it scores.

    \b
    Example:
      distillemb info afro11
      distillemb info my-encoder --json
    """
    from ..encoder import DistillEmb

    model = DistillEmb.from_pretrained(encoder)
    if json:
        print_json(describe(model))
    elif card:
        typer.echo(model.files.card.rstrip() or "This encoder has no model card.")
    else:
        print_fields(_fields(describe(model)) | _known(model.facts))


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


def _fields(facts: dict[str, Any]) -> dict[str, str]:
    from ..evaluate.tables import format_bytes

    size = f"{format_bytes(facts['bytes'])} as {facts['storage']}"
    reads = f"{facts['characters']:,} known; the first {facts['max_chars']} of a word are read"
    return {
        "encoder": str(facts["path"]),
        "type": f"{facts['encoder_type']}, format {facts['format_version']}",
        "parameters": f"{facts['parameters']:,}",
        "dimensions": str(facts["dim"]),
        "size": f"{size} ({format_bytes(facts['directory_bytes'])} with its card and code)",
        "characters": reads + ("; lower-cased first" if facts["lowercase"] else ""),
    }


def _known(facts: EncoderFacts) -> dict[str, str]:
    """What is known, one line each. What is not is left out."""
    fields = {
        "languages": ", ".join(facts.languages),
        "license": facts.license,
        "about": _short(f"{facts.title}. {facts.notes}".strip(". ")),
        "teachers": ", ".join(facts.teachers),
        "settings": _short(_changed(facts.settings)),
        "command": _short(facts.command),
        "trained on": "\n".join(" · ".join(filter(None, astuple(corpus))) for corpus in facts.corpora),
    }
    for title, scores in facts.scores.items():
        fields[title.lower()] = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    return {name: value for name, value in fields.items() if value}


def _changed(settings: dict[str, Any]) -> str:
    """The settings that say most; the model card lists all of them."""
    shown = ("preset", "student", "losses", "epochs", "batch_size", "max_seconds", "seed")
    return ", ".join(f"{name} {settings[name]}" for name in shown if settings.get(name) is not None)


def _short(text: str) -> str:
    return textwrap.shorten(text, _LONGEST, placeholder=" …")
