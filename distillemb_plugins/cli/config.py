"""`distillemb config`: a complete spaCy training configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from .completion import embeddings, encoders, tasks
from .output import refuse_unread


def config_command(
    context: typer.Context,
    task: Annotated[str, Argument(help="ner, pos, ner-pos or textcat.", autocompletion=tasks)],
    *,
    embedding: Annotated[
        str,
        Option(
            help="trainable (the encoder learns too), context (with pretrained layers), static (its vectors are given) "
            "or none (to compare).",
            autocompletion=embeddings,
        ),
    ] = "trainable",
    encoder: Annotated[
        str | None,
        Option(
            help="Encoder directory, bundled name or hub id that it names; default afro11, or afro11-context.",
            autocompletion=encoders,
        ),
    ] = None,
    source: Annotated[
        str | None,
        Option(help="A trained pipeline (directory or package) that learns on; its embedding and encoder are kept."),
    ] = None,
    lang: Annotated[str, Option(help="spaCy's code of the language; xx fits all.")] = "xx",
    out: Annotated[Path | None, Option("--out", "-o", help="File to write. Default: standard output.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a complete spaCy configuration, ready for spacy train.

    \b
    Example:
      distillemb config ner -o config.cfg
      distillemb config ner --embedding context -o config.cfg
      distillemb config pos --embedding static --encoder my-encoder -o config.cfg
      distillemb config ner --source out/model-best -o config.cfg
      python -m spacy train config.cfg --output out --paths.train train.txt --paths.dev dev.txt
    """
    from ..errors import DistillEmbError, require
    from ..files import atomic_file

    require("spacy", "spacy")
    from ..spacy_plugin import config_text

    if source:
        refuse_unread(context, ("embedding", "encoder"), f"{source} has its own")
    if embedding == "none":
        refuse_unread(context, ("encoder",), "--embedding none has no encoder")
    if out is not None and out.exists() and not overwrite:
        raise DistillEmbError(f"{out} already exists: choose another name, or say --overwrite.")
    overrides = {"nlp.lang": lang} | ({"paths.encoder": encoder} if encoder and embedding != "none" else {})
    text = config_text(task, embedding, overrides, source)
    if out is None:
        typer.echo(text, nl=False)
        return
    with atomic_file(out, "w") as stream:
        stream.write(text)
    typer.echo(f"{out}: {task}, {f'learns on from {source}' if source else f'embedding {embedding}'}.", err=True)
    paths = re.findall(r"^((?:train|dev)\S*) = null$", text, re.MULTILINE)
    files = " ".join(f"--paths.{name} FILE" for name in paths)
    typer.echo(f"Next: python -m spacy train {out} --output DIR {files}", err=True)
