"""`distillemb build`: from raw text, and tagged sentences if there are some, to everything one uses."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from .guard import interrupt_hint
from .output import JsonFlag, print_json

FOUND = "Default: found out."


def build_command(
    texts: Annotated[
        list[Path], typer.Argument(help="Raw text: folders of .txt files (also .gz/.xz/.bz2; UTF-8), or files.")
    ],
    *,
    language: Annotated[str, typer.Option("--language", "-l", help="The language's code, such as luo or yo.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that everything goes into.")],
    conll: Annotated[
        Path | None,
        typer.Option(help="Tagged sentences: a folder with train, dev, test files, or one file; word and tag a line."),
    ] = None,
    task: Annotated[str, typer.Option(help="What the tags are: ner or pos (universal tags, also CoNLL-U).")] = "ner",
    encoder: Annotated[
        list[str],
        typer.Option(
            help="own (from this text alone), joint (from this text and afro11) or afro11 (as it is); repeat to "
            "compare some on dev. auto compares all."
        ),
    ] = ["auto"],  # noqa: B006
    title: Annotated[str, typer.Option(help="The language's name, for the report and the cards.")] = "",
    license: Annotated[str, typer.Option(help="For the cards: a license id, such as cc-by-sa-4.0.")] = "",
    source: Annotated[
        list[str] | None, typer.Option(metavar="NAME|LICENSE|URL", help="For the cards: a text; repeat for several.")
    ] = None,
    steps: Annotated[int, typer.Option(min=10, help="Updates of each spaCy tagger, of 300 words.")] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes of the Hugging Face tagger.")] = 20,
    columns: Annotated[
        int | None, typer.Option(min=2, help=f"Columns of the tagged files; the last is the tag. {FOUND}")
    ] = None,
    word_column: Annotated[int | None, typer.Option(help=f"The column with the word, from 0. {FOUND}")] = None,
    tag_column: Annotated[int | None, typer.Option(help=f"The column with the tag, from 0. {FOUND}")] = None,
    scheme: Annotated[
        str | None, typer.Option(help=f"Of ner tags: IOB1, IOB2, BIOES, BILOU, BMES or IO. {FOUND}")
    ] = None,
    comments: Annotated[
        bool | None,
        typer.Option("--comments/--no-comments", help=f"Whether lines that begin with # are comments. {FOUND}"),
    ] = None,
    words: Annotated[
        str | None, typer.Option(help="Words of CoNLL-U where several stand for one: syntactic (default) or surface.")
    ] = None,
    wheel: Annotated[bool, typer.Option("--wheel/--no-wheel", help="Package the spaCy pipeline as a wheel.")] = True,
    hf: Annotated[bool, typer.Option("--hf/--no-hf", help="Make a Hugging Face directory.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="For fastText; with 1 a run can be repeated exactly. Default: all.")
    ] = None,
    min_words: Annotated[int, typer.Option(help="Refuse a text of fewer words.")] = 20_000,
    json: JsonFlag = False,
) -> None:
    """Build encoder, taggers, packages and a report for a language, from raw text and tagged sentences.

    Trains a fastText table, distills it, compares spaCy taggers without and with encoders on dev, keeps the best one,
    and leaves in --out: encoder/, a spaCy wheel, hf/ and report.html. The same command goes on where it was stopped,
    and after a change does again what depends on it. Without --conll there is no tagger.

    \b
    Example:
      distillemb build texts/ --language luo --conll ner/ -o out
      distillemb build corpus.txt.xz --language luo -o out
    """
    from ..workflow.build import REPORT, build
    from ..workflow.settings import BuildSettings, parse_encoders

    interrupt_hint("run the same command again to go on where it stopped.")
    layout = {
        "columns": columns,
        "word_column": word_column,
        "tag_column": tag_column,
        "scheme": scheme,
        "comments": comments,
        "words": words,
    }
    facts = build(
        BuildSettings(
            texts=tuple(texts),
            out=out,
            language=language,
            conll=conll,
            task=task,
            encoders=parse_encoders(encoder),
            title=title,
            license=license,
            sources=tuple(source or ()),
            seed=seed,
            steps=steps,
            epochs=epochs,
            layout={name: value for name, value in layout.items() if value is not None},
            wheel=wheel,
            hf=hf,
            min_words=min_words,
            threads=threads,
            progress=sys.stderr.isatty(),
            command=f"distillemb {shlex.join(sys.argv[1:])}",
        ),
        say=None if json else typer.echo,
    )
    if json:
        print_json(facts)
    else:
        typer.echo(f"Open {out / REPORT}")
