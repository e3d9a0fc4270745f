"""Model cards: Markdown with Hugging Face front matter, rendered from data by the templates in ``templates/``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

    from .facts import EncoderFacts

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*")
_NOT_TEXT = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
)  # what YAML reads as something else than text


def render_card(template: str, front_matter: Mapping[str, Any], **values: Any) -> str:
    """Render a model card.

    Args:
        template: Name of a template: ``"encoder"`` or ``"tagger"``.
        front_matter: Hugging Face metadata: text, or lists of text. Entries without a value are left out.
        **values: What the template names.

    Returns:
        Markdown. Empty lines come one at a time.

    Raises:
        jinja2.UndefinedError: The template names a value that is not given.
    """
    text = _templates().get_template(f"{template}_card.md").render(front_matter=to_yaml(front_matter), **values)
    blocks = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    blocks[::2] = [re.sub(r"\n{3,}", "\n\n", block) for block in blocks[::2]]  # not inside code
    return "".join(blocks).rstrip() + "\n"


def encoder_card(facts: EncoderFacts, *, name: str, config: Mapping[str, Any], parameters: int) -> str:
    """Render the model card of an encoder directory.

    Args:
        facts: What is known. What is not is named as not stated.
        name: Of the directory.
        config: The encoder's configuration.
        parameters: Number of weights of its network.
    """
    front_matter = {
        "language": list(facts.languages),
        "license": facts.license,
        "library_name": "distillemb-plugins",
        "pipeline_tag": "feature-extraction",
        "tags": ["word-embeddings", "character-level", "distillation"],
    }
    return render_card(
        "encoder",
        front_matter,
        facts=facts,
        name=name,
        config=config,
        parameters=parameters,
        read=config.get("max_chars") or facts.settings.get("max_chars"),
    )


def to_yaml(values: Mapping[str, Any]) -> str:
    """Write text and lists of text as YAML, without a trailing newline. Empty values are left out.

    huggingface_hub could do it, but the core does not need huggingface_hub, and a card must not depend on what is
    installed.
    """
    lines = []
    for name, value in values.items():
        if isinstance(value, str) and value:
            lines.append(f"{name}: {_scalar(value)}")
        elif value:
            lines += [f"{name}:", *(f"- {_scalar(one)}" for one in value)]
    return "\n".join(lines)


def _scalar(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(  # Markdown: there is nothing to escape for
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["cell"] = lambda text: " ".join(text.replace("|", "/").split())  # cannot leave its cell
    environment.filters["quoted"] = lambda names, between: between.join(f"`{name}`" for name in names)
    environment.filters["json"] = lambda values: json.dumps(values, ensure_ascii=False, indent=1)
    return environment
