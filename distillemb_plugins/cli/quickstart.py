"""`distillemb quickstart`: the whole way on a small sample, in a few minutes."""

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
    """Go the whole way on the sample in the package: text, teacher, encoder, a spaCy NER pipeline, a report.

    The sample is synthetic, written for this purpose, in Swahili and Amharic.

    \b
    Example:
      distillemb quickstart
      distillemb quickstart --out /tmp/first-look
    """
    from ..quickstart import run_quickstart

    interrupt_hint(f"run the same command again; {out} is filled anew.")
    metrics = run_quickstart(out, seed=seed, overwrite=overwrite, progress=sys.stderr.isatty())
    if json:
        print_json(metrics)
        return
    ner = metrics.get("ner", {})
    for arm, f1 in ner.items():
        typer.echo(f"NER F1, {arm}: {f1:.3f}")
    typer.echo(f"Open {out / 'report.html'}")
