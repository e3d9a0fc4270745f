"""A new language in an afternoon: from raw text, and tagged sentences if there are some, to everything one uses.

    python recipes/new_language/new_language.py TEXTS --language luo --conll NER -o out

Leaves in `out`: an encoder, a spaCy pipeline as a wheel, a Hugging Face directory, and report.html. The same command
goes on where it was stopped, and after a change does again what depends on it.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are no installed package

from recipes.common import run_app
from recipes.new_language.raw_text import LEAST_WORDS
from recipes.new_language.run import AUTO, REPORT, Options, parse_starts
from recipes.new_language.run import run as run_all

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command(help=__doc__)
def new_language(
    text: Annotated[Path, typer.Argument(help="Folder of raw text (.txt, also .gz/.xz/.bz2; UTF-8), or one file.")],
    *,
    language: Annotated[str, typer.Option("--language", "-l", help="The language's code, such as luo or yo.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that everything goes into.")],
    conll: Annotated[
        Path | None,
        typer.Option(help="Tagged sentences: a folder with train, dev, test files, or one file; word and tag a line."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="What the tags are: ner (IOB2) or pos (universal tags, also CoNLL-U).")
    ] = "ner",
    start: Annotated[
        list[str],
        typer.Option(
            help="Encoder: own (this text alone), joint (with what afro11 knows), afro11 (as it is); repeat to compare "
            "some on dev. auto compares all."
        ),
    ] = [AUTO],  # noqa: B006
    title: Annotated[str, typer.Option(help="The language's name, for the report and the cards.")] = "",
    licence: Annotated[str, typer.Option(help="For the cards: a licence id, such as cc-by-sa-4.0.")] = "",
    source: Annotated[
        list[str] | None, typer.Option(metavar="NAME|LICENCE|URL", help="For the cards: a text; repeat for several.")
    ] = None,
    steps: Annotated[int, typer.Option(min=10, help="Updates of each spaCy tagger, of 300 words.")] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes of the Hugging Face model.")] = 20,
    columns: Annotated[int, typer.Option(min=2, help="Columns of the CoNLL files; the last one is the tag.")] = 2,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="For fastText; with 1 a run can be repeated exactly. Default: all.")
    ] = None,
    least_words: Annotated[int, typer.Option(help="Refuse a text of fewer words.")] = LEAST_WORDS,
) -> None:
    run_all(
        Options(
            text=text,
            out=out,
            language=language,
            conll=conll,
            task=task,
            starts=parse_starts(start),
            title=title,
            licence=licence,
            sources=tuple(source or ()),
            seed=seed,
            steps=steps,
            epochs=epochs,
            columns=columns,
            least_words=least_words,
            threads=threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads or 1,
            progress=sys.stderr.isatty(),
            command=f"python {shlex.join(sys.argv)}",
        )
    )
    typer.echo(f"Done: open {out / REPORT}")


if __name__ == "__main__":
    run_app(app)
