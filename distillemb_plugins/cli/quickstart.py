"""`distillemb quickstart`: a first look in seconds, the whole way on a small sample in a minute or two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .guard import interrupt_hint
from .output import JsonFlag, print_json


def quickstart_command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to fill.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Seed of every step.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace whatever stands at --out.")] = False,
    json: JsonFlag = False,
) -> None:
    """Look at the encoder in the package, tag named entities with and without it, and leave a report.

    First the nearest neighbors of some words, within seconds. Then, on a synthetic sample in Swahili and Amharic,
    written for this purpose: a spaCy NER pipeline without an encoder, one with it, and one with an encoder that is
    made on the way from the sample's raw text. Takes a minute or two, and no network.

    \b
    Example:
      distillemb quickstart
      distillemb quickstart --out /tmp/first-look
    """
    from ..workflow import run_quickstart

    interrupt_hint(f"run the same command again; {out} is filled anew.")
    say = None if json else typer.echo
    metrics = run_quickstart(out, seed=seed, overwrite=overwrite, progress=sys.stderr.isatty(), say=say)
    if json:
        print_json(metrics)
        return
    typer.echo(f"\nOpen {out / 'report.html'}")
    typer.echo(f"Tag a sentence: import spacy; nlp = spacy.load({str(out / 'ner_afro11')!r}); nlp('...').ents")
