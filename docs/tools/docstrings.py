"""The package's docstrings for the reference: arguments as a list, examples as code.

The source says what an argument is in running text (``width: of the output. rows: one for each.``), which is short to
write and pleasant to read there. Here every such argument becomes an item of a list.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r"(?:^>>> .*\n?)(?:^(?!\s*$).*\n?)*", re.MULTILINE)
_NAMES = re.compile(r"(?:(?<=^)|(?<=[.:;)] )|(?<=\n))(\w+(?:, \w+)*): (?=\S)")
# Where the list ends and running text goes on.
_AFTER = re.compile(r"(?<=\. )(?=(?:Returns|Raises|Takes|Use|The order|Other arguments|The other arguments)\b)")
_HEADINGS = re.compile(r"^(?:Student|Objective|Training|Validation and output):$", re.MULTILINE)


class Lists(griffe.Extension):
    """Rewrites docstrings of functions and classes once they are loaded."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Arguments of a function or method."""
        _rewrite(func, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Fields of a dataclass, or arguments of the constructor."""
        names = {name for name, member in cls.members.items() if member.is_attribute}
        init = cls.members.get("__init__")
        if isinstance(init, griffe.Function):
            names |= {parameter.name for parameter in init.parameters}
        _rewrite(cls, names)


def _rewrite(thing: griffe.Function | griffe.Class, names: set[str]) -> None:
    if thing.docstring is None:
        return
    text = _HEADINGS.sub(lambda found: f"**{found[0][:-1]}**\n", thing.docstring.value)
    text = _DOCTEST.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)
    thing.docstring.value = "\n\n".join(_paragraph(part, names) for part in re.split(r"\n{2,}", text))


def _paragraph(text: str, names: set[str]) -> str:
    """The paragraph with each ``name: ...`` of `names` as an item of a list."""
    if text.startswith(("    ", "```", "- ", "|")):
        return text
    starts = [m for m in _NAMES.finditer(text) if set(m[1].split(", ")) <= names]
    if not starts:
        return text
    pieces = [text[: starts[0].start()].rstrip()]
    for here, following in zip(starts, [*starts[1:], None], strict=True):
        body = " ".join(text[here.end() : following.start() if following else None].split())
        tail = ""
        if following is None:
            body, *rest = _AFTER.split(body, maxsplit=1)
            tail = "\n\n" + rest[0] if rest else ""
        pieces.append(f"- {', '.join(f'`{name}`' for name in here[1].split(', '))}: {body.strip()}{tail}")
    head, *items = pieces
    return (head + "\n\n" if head else "") + "\n".join(items)
