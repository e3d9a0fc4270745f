"""The model card: the README.md of an encoder directory."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

_PACKAGES = ("distillemb-plugins", "numpy", "torch", "accelerate", "transformers", "safetensors")


@dataclass(frozen=True)
class Corpus:
    """A text that an encoder or its teachers were trained on. licence and source in words, or a URL."""

    name: str
    licence: str = "not stated"
    source: str = ""


@dataclass(frozen=True)
class CardInfo:
    """What a card tells beyond what the training knows by itself.

    title: heading. languages: codes such as ``sw``. licence: a Hugging Face licence id. corpora: every text behind
    the encoder. command: what made it. notes: a paragraph, Markdown.
    """

    title: str = ""
    languages: tuple[str, ...] = ()
    licence: str = ""
    corpora: tuple[Corpus, ...] = ()
    command: str = ""
    notes: str = ""
    extra_scores: dict[str, dict[str, float]] = field(default_factory=dict)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that took part; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def render_card(
    info: CardInfo,
    *,
    name: str,
    config: Mapping[str, Any],
    parameters: int,
    teachers: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    scores: Mapping[str, float] | None = None,
) -> str:
    """The card as Markdown with Hugging Face front matter.

    name: of the encoder. config: its configuration. parameters: number of its weights. teachers: their names.
    settings: of the distillation. scores: on held-out words.
    """
    parts = [
        _front_matter(info),
        f"# {info.title or name}\n",
        f"Word vectors of {config['dim']} dimensions computed from the characters of a word by the student "
        f"`{config['encoder_type']}` ({parameters:,} parameters), distilled from {_listed(teachers) or 'a table'}.\n",
        info.notes.strip() + "\n" if info.notes else "",
        _usage(name),
        _corpora(info.corpora),
        _score_section(scores, info.extra_scores),
        _section("Command", f"```\n{info.command}\n```" if info.command else ""),
        _section("Settings", _json_block(settings)),
        _section("Versions", _json_block(versions())),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(info: CardInfo) -> str:
    lines = ["---"]
    if info.languages:
        lines += ["language:", *(f"- {code}" for code in info.languages)]
    if info.licence:
        lines.append(f"license: {info.licence}")
    lines += ["library_name: distillemb-plugins", "pipeline_tag: feature-extraction"]
    lines += ["tags:", "- word-embeddings", "- character-level", "- distillation", "---", ""]
    return "\n".join(lines)


def _usage(name: str) -> str:
    return _section(
        "Use",
        "```python\nfrom distillemb_plugins import DistillEmb\n\n"
        f'encoder = DistillEmb.from_pretrained("{name}")\nvectors = encoder.encode(["word", "another"])\n```',
    )


def _corpora(corpora: Sequence[Corpus]) -> str:
    rows = [f"| {one.name} | {one.licence} | {one.source} |" for one in corpora]
    return _section("Corpora", "\n".join(["| text | licence | source |", "|---|---|---|", *rows]) if rows else "")


def _score_section(scores: Mapping[str, float] | None, extra: Mapping[str, Mapping[str, float]]) -> str:
    tables = {"On held-out words": scores or {}, **extra}
    blocks = []
    for title, values in tables.items():
        if values:
            rows = [f"| {name} | {value:.4g} |" for name, value in values.items()]
            blocks.append("\n".join([f"{title}:\n", "| score | value |", "|---|---|", *rows]))
    return _section("Scores", "\n\n".join(blocks))


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}\n" if body else ""


def _json_block(values: Mapping[str, Any] | None) -> str:
    return f"```json\n{json.dumps(values, ensure_ascii=False, indent=1)}\n```" if values else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
