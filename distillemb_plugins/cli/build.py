"""`distillemb build`: from raw text, and tagged sentences if there are some, to everything one uses."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..settings import meanings
from ..workflow.settings import AUTO, BuildSettings, parse_encoders
from .guard import interrupt_hint
from .output import JsonFlag, print_json, refuse_unread

_HELP = meanings(BuildSettings)
_FOUND = "Default: found out."
_SAME_NAMES = (
    "language", "task", "title", "license", "steps", "epochs", "wheel", "hf", "seed", "threads", "min_words"
)  # fmt: skip
_LAYOUT = ("columns", "word_column", "tag_column", "scheme", "comments", "words")
_FOR_TAGGERS = (*_LAYOUT, "task", "steps", "epochs")


def build_command(
    context: typer.Context,
    texts: Annotated[list[Path], typer.Argument(help=_HELP["texts"])],
    *,
    language: Annotated[str, typer.Option("--language", "-l", help=_HELP["language"])],
    out: Annotated[Path, typer.Option("--out", "-o", help=_HELP["out"])],
    conll: Annotated[Path | None, typer.Option(help=_HELP["conll"])] = None,
    task: Annotated[str, typer.Option(help=_HELP["task"])] = "ner",
    encoder: Annotated[
        list[str] | None, typer.Option(help=_HELP["encoders"] + " Repeatable; auto, the default, stands for all.")
    ] = None,
    title: Annotated[str, typer.Option(help=_HELP["title"])] = "",
    license: Annotated[str, typer.Option(help=_HELP["license"])] = "",
    source: Annotated[
        list[str] | None, typer.Option(metavar="NAME|LICENSE|URL", help=_HELP["sources"] + " Repeatable.")
    ] = None,
    steps: Annotated[int, typer.Option(min=10, help=_HELP["steps"])] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help=_HELP["epochs"])] = 20,
    columns: Annotated[
        int | None, typer.Option(min=2, help=f"Columns of the tagged files; the last is the tag. {_FOUND}")
    ] = None,
    word_column: Annotated[int | None, typer.Option(help=f"The column with the word, from 0. {_FOUND}")] = None,
    tag_column: Annotated[int | None, typer.Option(help=f"The column with the tag, from 0. {_FOUND}")] = None,
    scheme: Annotated[
        str | None, typer.Option(help=f"Of ner tags: IOB1, IOB2, BIOES, BILOU, BMES or IO. {_FOUND}")
    ] = None,
    comments: Annotated[
        bool | None,
        typer.Option("--comments/--no-comments", help=f"Whether lines that begin with # are comments. {_FOUND}"),
    ] = None,
    words: Annotated[
        str | None, typer.Option(help="Words of CoNLL-U where several stand for one: syntactic (default) or surface.")
    ] = None,
    wheel: Annotated[bool, typer.Option("--wheel/--no-wheel", help=_HELP["wheel"])] = True,
    hf: Annotated[bool, typer.Option("--hf/--no-hf", help=_HELP["hf"])] = True,
    seed: Annotated[int, typer.Option(help=_HELP["seed"])] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help=_HELP["threads"])] = None,
    min_words: Annotated[int, typer.Option(help=_HELP["min_words"])] = 20_000,
    json: JsonFlag = False,
) -> None:
    """Build encoder, taggers, packages and a report for a language, from raw text and tagged sentences.

    Makes a table of word vectors, distills it, compares spaCy taggers without and with encoders on dev, keeps the
    best one, and leaves in --out: encoder/, a spaCy wheel, hf/ and report.html. The same command goes on where it was
    stopped, and after a change does again what depends on it. Without --conll there is no tagger.

    \b
    Example:
      distillemb build texts/ --language luo --conll ner/ -o out
      distillemb build corpus.txt.xz --language luo -o out
    """
    from ..workflow.build import REPORT, build

    if conll is None:
        refuse_unread(context, _FOR_TAGGERS, "there are no tagged sentences: add --conll")
    interrupt_hint("run the same command again to go on where it stopped.")
    given = {name: context.params[name] for name in _SAME_NAMES}
    layout = {name: context.params[name] for name in _LAYOUT}
    settings = BuildSettings(
        texts=tuple(texts),
        out=out,
        conll=conll,
        encoders=parse_encoders(encoder or [AUTO]),
        sources=tuple(source or ()),
        layout={name: value for name, value in layout.items() if value is not None},
        progress=sys.stderr.isatty(),
        command=f"distillemb {shlex.join(sys.argv[1:])}",
        **given,
    )
    facts = build(settings, say=None if json else typer.echo)
    if json:
        print_json(facts)
    else:
        typer.echo(f"Open {out / REPORT}")
