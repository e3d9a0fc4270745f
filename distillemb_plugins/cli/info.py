"""`distillemb info`: what an encoder is."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import JsonFlag, print_fields, print_json

if TYPE_CHECKING:
    from ..encoder import DistillEmb

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
    facts = describe(model)
    if json:
        print_json(facts)
    elif card:
        typer.echo(model.files.card.rstrip() or "This encoder has no model card.")
    else:
        print_fields(_fields(facts))


def describe(model: DistillEmb) -> dict[str, Any]:
    """The facts about a loaded encoder, as plain JSON values; what its card tells stands under ``card``."""
    from ..evaluate.card_facts import card_facts
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
        "card": card_facts(model.files.card),
    }


def _fields(facts: dict[str, Any]) -> dict[str, str]:
    from ..evaluate.tables import format_bytes

    size = f"{format_bytes(facts['bytes'])} as {facts['storage']}"
    reads = f"{facts['characters']:,} known; the first {facts['max_chars']} of a word are read"
    fields = {
        "encoder": str(facts["path"]),
        "type": f"{facts['encoder_type']}, format {facts['format_version']}",
        "parameters": f"{facts['parameters']:,}",
        "dimensions": str(facts["dim"]),
        "size": f"{size} ({format_bytes(facts['directory_bytes'])} with its card and code)",
        "characters": reads + ("; lower-cased first" if facts["lowercase"] else ""),
    }
    return fields | _card_fields(facts["card"])


def _card_fields(card: dict[str, Any]) -> dict[str, str]:
    """What the card tells, one line each; what it does not tell is left out."""
    fields = {
        "languages": ", ".join(card["languages"]),
        "licence": card["licence"],
        "about": _short(card["summary"]),
        "settings": _short(_changed(card["settings"])),
        "command": _short(card["command"]),
    }
    fields["trained on"] = "\n".join(" · ".join(v for v in corpus.values() if v) for corpus in card["corpora"])
    for title, scores in card["scores"].items():
        fields[title.lower()] = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    return {name: value for name, value in fields.items() if value}


def _changed(settings: dict[str, Any]) -> str:
    """The settings that say most; all of them stand in the card."""
    shown = ("preset", "student", "losses", "epochs", "batch_size", "max_seconds", "seed")
    return ", ".join(f"{name} {settings[name]}" for name in shown if settings.get(name) is not None)


def _short(text: str) -> str:
    return textwrap.shorten(text, _LONGEST, placeholder=" …")
