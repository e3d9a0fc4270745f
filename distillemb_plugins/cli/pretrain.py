"""`distillemb pretrain`: raw text to context layers over an encoder."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import require
from ..pretrain.settings import PretrainSettings, describe_settings
from .completion import encoders
from .guard import interrupt_hint
from .output import JsonFlag, StorageName, parse_settings, print_json, stated_facts

_HELP = describe_settings()


def pretrain_command(
    context: typer.Context,
    texts: Annotated[
        list[str],
        typer.Argument(
            help="Text files, plain or compressed, or folders of them. The folder of a file names its language; "
            "NAME=FILE names another one."
        ),
    ],
    *,
    encoder: Annotated[
        str, typer.Option("--encoder", "-e", help="Encoder directory, bundled name or hub id.", autocompletion=encoders)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write: the encoder with its context layers.")],
    layers: Annotated[int | None, typer.Option(help=_HELP["layers"])] = None,
    size: Annotated[int | None, typer.Option(help=_HELP["size"])] = None,
    heads: Annotated[int | None, typer.Option(help=_HELP["heads"])] = None,
    vocabulary: Annotated[int | None, typer.Option(help=_HELP["vocabulary"])] = None,
    epochs: Annotated[int | None, typer.Option(help=_HELP["epochs"])] = None,
    words: Annotated[int | None, typer.Option(help=_HELP["words"])] = None,
    max_seconds: Annotated[float | None, typer.Option(help=_HELP["max_seconds"])] = None,
    batch_words: Annotated[int | None, typer.Option(help=_HELP["batch_words"])] = None,
    learning_rate: Annotated[float | None, typer.Option(help=_HELP["learning_rate"])] = None,
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Keep the encoder as it is.")] = False,
    balance: Annotated[float | None, typer.Option(help=_HELP["balance"])] = None,
    storage: Annotated[StorageName | None, typer.Option(help=_HELP["storage"])] = None,
    seed: Annotated[int | None, typer.Option(help=_HELP["seed"])] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting of PretrainSettings, such as mask=0.15."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from an interrupted run's checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands at --out.")] = False,
    language: Annotated[list[str] | None, typer.Option(help="For the model card: a language code; repeatable.")] = None,
    license: Annotated[str, typer.Option(help="For the model card: a license id, such as cc-by-sa-4.0.")] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|LICENSE|URL", help="For the model card: a text that is read; repeatable."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Pretrain context layers over an encoder: words are masked in raw text and told from the words around them.

    \b
    Example:
      distillemb pretrain corpora/ --encoder my-encoder -o my-context
      distillemb pretrain news.txt web.txt.xz -e afro11 -o small --layers 2 --size 192 --epochs 2
      distillemb pretrain own.txt -e afro11-context -o closer --learning-rate 0.0005   # its layers go on learning

    On several GPUs or processes: torchrun --nproc-per-node 2 -m distillemb_plugins.cli pretrain ...
    """
    # Options that are named as settings are settings.
    given = {name: value for name, value in context.params.items() if name in _HELP and value is not None}
    given |= {"encoder_learning_rate": 0.0} if freeze_encoder else {}
    given |= parse_settings(setting, _HELP)

    # What can be wrong is told before torch is imported.
    settings = PretrainSettings(**given)

    from ..pretrain.corpus import texts_by_language
    from ..runs import check_output, is_main_process

    if is_main_process():  # the others may find what this one has begun
        check_output(out, resume=resume, overwrite=overwrite)
    texts_by_language(texts)
    require("accelerate", "train")

    from ..persistence import read_encoder
    from ..pretrain import pretrain

    interrupt_hint("the last checkpoint is kept; run the same command with --resume to go on.")
    start = time.monotonic()
    path = pretrain(
        texts,
        encoder,
        out,
        settings,
        facts=stated_facts(language or [], license, source or []),
        resume=resume,
        overwrite=overwrite,
        progress=sys.stderr.isatty(),
    )
    if not is_main_process():
        return
    files, seconds = read_encoder(path), time.monotonic() - start
    parameters = sum(tensor.size for tensor in files.context.values())
    scores = next(reversed(files.facts.scores.values()), {})
    if json:
        print_json({"out": path, "seconds": round(seconds, 2), "context_parameters": parameters, "scores": scores})
        return
    typer.echo(f"{path}: context layers of {parameters:,} parameters, in {seconds:.0f} s.")
    typer.echo("On held-out masked words: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    typer.echo("Next: fine-tune a tagger from it, as docs/how-to/context.md shows.")
