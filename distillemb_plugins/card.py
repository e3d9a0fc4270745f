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
_METRICS = ("f1", "accuracy", "precision", "recall")  # which the title of a table may name
_NOT_TEXT = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
)  # what YAML reads as something else than text


def render_card(template: str, front_matter: Mapping[str, Any], **values: Any) -> str:
    """Render a template, such as ``"encoder"``, to Markdown in which empty lines come one at a time.

    front_matter: Hugging Face metadata, as for `to_yaml`. values: What the template names, all of it.
    """
    text = _templates().get_template(f"{template}_card.md").render(front_matter=to_yaml(front_matter), **values)
    blocks = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    blocks[::2] = [re.sub(r"\n{3,}", "\n\n", block) for block in blocks[::2]]  # not inside code
    return "".join(blocks).rstrip() + "\n"


def encoder_card(facts: EncoderFacts, *, name: str, config: Mapping[str, Any], parameters: int) -> str:
    """Render the model card of an encoder directory. What the facts do not say is named as not stated."""
    front_matter = {
        "language": list(facts.languages),
        "license": facts.license,
        "library_name": "distillemb-plugins",
        "pipeline_tag": "feature-extraction",
        "tags": ["word-embeddings", "character-level", "distillation"],
        "model-index": model_index(name, "feature-extraction", facts.scores),
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


def model_index(name: str, task: str, scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Make the entry ``model-index`` of the front matter, from which the Hugging Face hub shows scores.

    scores: values by name, by the title of their table. Names are metrics; or, where the title names the metric (``F1
    on test``), what it was measured on, such as languages. Returns one entry, with a result for each table, or none.
    """
    results = [
        {
            "task": {"type": task},
            "dataset": {"name": title, "type": _identifier(title)},
            "metrics": [_metric(title, one, value) for one, value in values.items()],
        }
        for title, values in scores.items()
        if values
    ]
    return [{"name": name, "results": results}] if results else []


def _metric(title: str, name: str, value: float) -> dict[str, Any]:
    found = next((metric for metric in _METRICS if metric in re.findall(r"\w+", f"{name} {title}".lower())), None)
    label = f"{found.capitalize()} ({name})" if found and found not in name.lower() else name
    return {"type": found or _identifier(name), "name": label, "value": float(f"{value:.4g}")}


def _identifier(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def to_yaml(values: Mapping[str, Any]) -> str:
    """Write text, numbers, lists and mappings of them as YAML. Empty values are left out.

    huggingface_hub could do it, but the core does not need huggingface_hub.
    """
    return "\n".join(_yaml_lines(values))


def _yaml_lines(value: Any) -> list[str]:
    if isinstance(value, str | int | float):
        return [_scalar(value)]
    lines: list[str] = []
    if isinstance(value, Mapping):
        for name, one in value.items():
            below = _yaml_lines(one) if one or one == 0 else []
            if isinstance(one, str | int | float):
                lines += [f"{name}: {text}" for text in below]
            elif below:
                indent = "  " if isinstance(one, Mapping) else ""
                lines += [f"{name}:", *(indent + text for text in below)]
        return lines
    for one in value:
        first, *rest = _yaml_lines(one)
        lines += [f"- {first}", *(f"  {text}" for text in rest)]
    return lines


def _scalar(value: str | float) -> str:
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


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
