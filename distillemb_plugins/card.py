"""The model card: the README.md of an encoder directory."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

_PACKAGES = ("distillemb-plugins", "numpy", "torch", "accelerate", "transformers", "safetensors")
_NO_CORPORA = "Not stated. `distillemb distill --source 'NAME|LICENCE|URL'` names a text, and may be repeated."
_NO_SCORES = "None: no words were held out."
_NO_COMMAND = "None: it was made from Python; the settings are below."


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
    the encoder. command: what made it. notes: a paragraph, Markdown. limits: what this encoder is not good for,
    Markdown; it stands before the limits that all of them have.
    """

    title: str = ""
    languages: tuple[str, ...] = ()
    licence: str = ""
    corpora: tuple[Corpus, ...] = ()
    command: str = ""
    notes: str = ""
    limits: str = ""
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
    """The card as Markdown with Hugging Face front matter. What nobody told is named as not stated.

    name: of the encoder. config: its configuration. parameters: number of its weights. teachers: their names.
    settings: of the distillation. scores: on held-out words.
    """
    parts = [
        _front_matter(info),
        f"# {info.title or name}\n",
        f"Word vectors of {config['dim']} dimensions computed from the characters of a word by the student "
        f"`{config['encoder_type']}` ({parameters:,} parameters), distilled from {_listed(teachers) or 'a table'}.\n",
        info.notes.strip() + "\n" if info.notes else "",
        f"Languages: {_listed(info.languages, ', ') or 'not stated'}. Licence: {info.licence or 'not stated'}.\n",
        _usage(name),
        _section("Limits", _limits(info.limits, config, settings or {})),
        _section("Corpora", _corpora(info.corpora)),
        _section("Scores", _scores(scores, info.extra_scores)),
        _section("Command", f"```\n{info.command}\n```" if info.command else _NO_COMMAND),
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


def _limits(own: str, config: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The limits that follow from how any such encoder is made, after those of this one."""
    read = config.get("max_chars") or settings.get("max_chars")
    lines = [
        "- A word never seen in training is known by its spelling alone"
        + (f", of which the first {read} characters are read." if read else "."),
        "- A word has one vector, whatever the sentence around it.",
        "- It knows what its teacher's text says, prejudices of that text included.",
        "- The scores tell how near it comes to its teacher, not how good the teacher is: try it on your task.",
    ]
    return "\n\n".join(part for part in (own.strip(), "\n".join(lines)) if part)


def _corpora(corpora: Sequence[Corpus]) -> str:
    if not corpora:
        return _NO_CORPORA
    rows = [f"| {_cell(one.name)} | {_cell(one.licence)} | {_cell(one.source)} |" for one in corpora]
    return "\n".join(["| text | licence | source |", "|---|---|---|", *rows])


def _cell(text: str) -> str:
    """Text that cannot break out of its cell of a table."""
    return " ".join(text.replace("|", "/").split())


def _scores(scores: Mapping[str, float] | None, extra: Mapping[str, Mapping[str, float]]) -> str:
    tables = {"On held-out words": scores or {}, **extra}
    blocks = []
    for title, values in tables.items():
        if values:
            rows = [f"| {name} | {value:.4g} |" for name, value in values.items()]
            blocks.append("\n".join([f"{title}:\n", "| score | value |", "|---|---|", *rows]))
    return "\n\n".join(blocks) or _NO_SCORES


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}\n" if body else ""


def _json_block(values: Mapping[str, Any] | None) -> str:
    return f"```json\n{json.dumps(values, ensure_ascii=False, indent=1)}\n```" if values else ""


def _listed(names: Sequence[str], between: str = " and ") -> str:
    return between.join(f"`{name}`" for name in names)
