"""Pages' generated parts, so that no option, setting or figure in them is typed by hand.

A page asks for one with a comment alone on its line:

    <!-- options: teach -->            the options of a verb of `distillemb`
    <!-- presets -->                   what the presets of the distillation set
    <!-- results: distill/table-a -->  a table of results from a recipe's README; without a folder, from the project's
    <!-- results: distill/table-a: mean, on disk -->  of it the first column and these, so that it fits a telephone
    <!-- figure: a.svg: What it shows -->  a picture below recipes/, with the text for those who do not see it
    <!-- card: Scores -->              a section of the bundled encoder's model card
    <!-- changelog -->                 the release notes
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_MARK = re.compile(r"^<!-- (options|presets|results|figure|card|changelog)(?:: ([^>]+?))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' hook: the page with its generated parts."""
    makers: dict[str, Callable[[str], str]] = {
        "options": options,
        "presets": lambda _: presets(),
        "results": results,
        "figure": figure,
        "card": card_section,
        "changelog": lambda _: changelog(),
    }
    return _MARK.sub(lambda found: makers[found[1]](found[2] or ""), markdown)


def verbs() -> dict[str, Any]:
    """The verbs of the shell command, by name."""
    import typer

    from distillemb_plugins.cli import app

    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def options(verb: str) -> str:
    """The usage of a verb, what it does, and its options as a list."""
    command = verbs()[verb]
    about, example, more = _parts(command.help)
    lines = [_usage(verb, command), "", about, "", "```text", example, "```", "", more, ""]
    lines += [_option(parameter) for parameter in command.params]
    return "\n".join(lines)


def _parts(text: str) -> tuple[str, str, str]:
    """What a help text says, its example, and what follows."""
    about, _, rest = text.partition("\b\nExample:\n")
    example, _, more = rest.partition("\n\n")
    return about.strip(), re.sub(r"^  ", "", example, flags=re.MULTILINE).rstrip(), more.strip()


def _usage(verb: str, command: Any) -> str:
    words = [_name(p).upper() + (" ..." if p.nargs == -1 else "") for p in command.params if _is_argument(p)]
    return f"`distillemb {' '.join([verb, *words, '[OPTIONS]'])}`"


def _option(parameter: Any) -> str:
    names = [_name(parameter).upper()] if _is_argument(parameter) else [*parameter.opts, *parameter.secondary_opts]
    text = " ".join((parameter.help or "").split())
    facts = []
    if parameter.required and not _is_argument(parameter):
        facts.append("required")
    default = getattr(parameter.default, "value", parameter.default)
    if default is True:
        facts.append(f"default `{parameter.opts[0]}`")
    elif default not in (None, "") and default is not False and not parameter.required:
        facts.append(f"default `{default}`")
    return f"- {', '.join(f'`{name}`' for name in names)}: {text}" + (f" ({', '.join(facts)})" if facts else "")


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _name(parameter: Any) -> str:
    return str(parameter.name)


def presets() -> str:
    """Every setting with its meaning, its default, and its value in each preset that changes it."""
    from distillemb_plugins.distill import PRESETS
    from distillemb_plugins.distill.settings import default_settings, describe_settings

    meanings = describe_settings()
    header = ["setting", "", *(f"`{name}`" for name in PRESETS)]
    rows = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for setting, default in default_settings().items():
        values = [{setting: default}, *list(PRESETS.values())[1:]]
        cells = [_cell(preset[setting]) if setting in preset else "" for preset in values]
        rows.append(f"| {' | '.join([f'`{setting}`', meanings[setting], *cells])} |")
    return "\n".join(rows)


def _cell(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`" if isinstance(value, dict | list | tuple) else f"`{value}`"


def results(place: str) -> str:
    """``recipe/block``: what a recipe's README holds between ``<!-- block -->`` and ``<!-- /block -->``.

    ``block`` alone is one of the project's README. ``recipe/block: column, column`` is a part of a table.
    """
    place, _, columns = place.partition(": ")
    recipe, _, block = place.rpartition("/")
    page = Path("recipes", recipe, "README.md") if recipe else Path("README.md")
    found = re.search(f"<!-- {block} -->\n(.*?)\n?<!-- /{block} -->", (ROOT / page).read_text("utf-8"), re.DOTALL)
    if not found:
        raise ValueError(f"{page.as_posix()} has no block {block!r}")
    if found[1] and columns:
        return "\n".join(_columns(found[1].splitlines(), columns.split(", ")))
    return found[1] or f"*Nobody has run `{page.parent.as_posix()}` for this page yet.*"


def _columns(lines: list[str], names: list[str]) -> list[str]:
    """The first column of a Markdown table, and those with these names."""
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    kept = [0, *(cells[0].index(name) for name in names)]
    return [f"| {' | '.join(row[place] for place in kept)} |" for row in cells]


def figure(what: str) -> str:
    """``path: text``: a picture below recipes/, inside the page."""
    path, _, text = what.partition(": ")
    svg = base64.b64encode((ROOT / "recipes" / path).read_bytes()).decode()
    return f"![{text}](data:image/svg+xml;base64,{svg})"


def card_section(title: str) -> str:
    """A section of the model card of the bundled encoder, its heading left out."""
    card = (ROOT / "distillemb_plugins" / "bundled" / "afro11" / "README.md").read_text("utf-8")
    parts = re.split(r"^## +(.+)$", card, flags=re.MULTILINE)
    text = dict(zip(parts[1::2], parts[2::2], strict=True))[title].strip()
    return re.sub(r"https?://\S+", lambda url: re.sub(r"(?<=[^/:])/", "/<wbr>", url[0]), text)  # may break there


def changelog() -> str:
    """The release notes of the repository, their title left out, with links from this folder."""
    return (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n")[2].replace("](docs/", "](").strip()
