"""`distillemb distill`: teachers to an encoder directory."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..distill.settings import (
    DEFAULT_PRESET,
    DistillSettings,
    check_corpus,
    current_names,
    describe_settings,
    fitted_epochs,
)
from ..errors import DistillEmbError
from .completion import encoders, presets, students
from .guard import interrupt_hint
from .output import FormatOption, JsonFlag, StorageName, parse_settings, parse_value, print_json, stated_facts

_HELP = describe_settings()


def distill_command(
    context: typer.Context,
    teachers: Annotated[
        list[str],
        typer.Argument(
            help="Teacher tables: .npz, .vec, .vec.zip, .bin, .safetensors, a spaCy pipeline. Beside them encoders: a "
            "directory or a bundled name, which teach their vectors of the tables' words.",
            autocompletion=encoders,
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Encoder directory to write.")],
    preset: Annotated[str, typer.Option("--preset", "-p", help=_HELP["preset"], autocompletion=presets)] = "default",
    student: Annotated[
        str | None, typer.Option("--student", "-s", help=_HELP["student"], autocompletion=students)
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option("--loss", "-l", metavar="NAME=WEIGHT", help=f"{_HELP['losses']} Repeat for a sum."),
    ] = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", "-c", help="Raw text for hard negatives from a window (DistillEmb); repeat for more."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help=f"{_HELP['epochs']} Default: fitted to the words, from 20 to 60.")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help=_HELP["max_seconds"])] = None,
    batch_size: Annotated[int | None, typer.Option(help=_HELP["batch_size"])] = None,
    learning_rate: Annotated[float | None, typer.Option(help=_HELP["learning_rate"])] = None,
    max_chars: Annotated[int | None, typer.Option(help=_HELP["max_chars"])] = None,
    held_out: Annotated[str | None, typer.Option(help=_HELP["held_out"])] = None,
    patience: Annotated[int | None, typer.Option(help=_HELP["patience"])] = None,
    combine: Annotated[str | None, typer.Option(help=_HELP["combine"])] = None,
    dim: Annotated[int | None, typer.Option(help=_HELP["dim"])] = None,
    storage: Annotated[StorageName | None, typer.Option(help=_HELP["storage"])] = None,
    codebook_words: Annotated[int | None, typer.Option(help=_HELP["codebook_words"])] = None,
    seed: Annotated[int | None, typer.Option(help=_HELP["seed"])] = None,
    limit: Annotated[int | None, typer.Option(help="Use the first so many words of each table.")] = None,
    format: FormatOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other setting of DistillSettings, e.g. temperature=0.1 or encoder_args='{\"channels\": 64}'.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from an interrupted run's checkpoint.")] = False,
    vocabulary: Annotated[
        int, typer.Option(min=0, help="Keep a list of so many frequent words with the encoder, for neighbors.")
    ] = 5000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands at --out.")] = False,
    language: Annotated[list[str] | None, typer.Option(help="For the model card: a language code; repeatable.")] = None,
    license: Annotated[str, typer.Option(help="For the model card: a license id, such as cc-by-sa-4.0.")] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|LICENSE|URL", help="For the model card: a text behind the teachers; repeatable."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Distill one or several teachers into an encoder directory.

    \b
    Example:
      distillemb distill teacher.npz -o my-encoder
      distillemb distill teacher.npz afro11 --combine average -o joint
      distillemb distill ft.npz w2v.npz -o published --preset distillemb --corpus corpus.txt.xz
      distillemb distill teacher.npz -o small --loss cosine=1 --loss info_nce=0.2 --storage int8

    On several GPUs or processes: torchrun --nproc-per-node 2 -m distillemb_plugins.cli distill ...
    """
    # Options that are named as settings are settings.
    given = {name: value for name, value in context.params.items() if name in _HELP and value is not None}
    given |= {"losses": _losses(loss)} if loss else {}
    given |= {"held_out": parse_value(held_out)} if held_out else {}
    given |= parse_settings(setting, _HELP.keys() - {"preset"}, current_names)

    # What can be wrong is told before torch is imported and tables are read.
    settings = DistillSettings(**given)
    check_corpus(settings, corpus or ())
    if corpus and not settings.reads_corpus:
        raise DistillEmbError(
            "--corpus does nothing here: text is read for hard negatives from a window alone. Leave it out, or say "
            "--set hard_negatives=window."
        )

    from ..runs import begun_settings, check_output, is_main_process, work_path

    if is_main_process():  # the others may find what this one has begun
        check_output(out, resume=resume, overwrite=overwrite)

    from ..distill import distill
    from ..distill.targets import open_teacher

    interrupt_hint("the last checkpoint is kept; run the same command with --resume to go on.")
    start = time.monotonic()
    tables = [open_teacher(teacher, limit, format) for teacher in teachers]
    if "epochs" not in given and settings.preset == DEFAULT_PRESET:
        begun = begun_settings(work_path(out)).get("epochs") if resume else None
        words = min((len(table) for table in tables if not isinstance(table, tuple) and len(table)), default=0)
        settings = replace(settings, epochs=begun or fitted_epochs(words))
    path = distill(
        tables,
        out,
        settings,
        corpus or (),
        resume=resume,
        progress=sys.stderr.isatty(),
        overwrite=overwrite,
        facts=stated_facts(language or [], license, source or []),
        extra=lambda targets: targets.word_lists(vocabulary),
    )
    if is_main_process():
        _report(path, time.monotonic() - start, json)


def _report(path: Path, seconds: float, json: bool) -> None:
    from ..encoder import DistillEmb
    from .info import describe

    facts = describe(DistillEmb.from_pretrained(path))
    if json:
        print_json({"out": path, "seconds": round(seconds, 2), **facts})
        return
    from ..evaluate.tables import format_bytes

    typer.echo(
        f"{path}: {facts['encoder_type']}, {facts['parameters']:,} parameters, {format_bytes(facts['bytes'])}, "
        f"in {seconds:.0f} s."
    )
    for title, scores in facts["facts"].get("scores", {}).items():
        typer.echo(f"{title}: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    typer.echo(f"Next: distillemb evaluate {path} --teacher TABLE --report report.html")


def _losses(given: list[str]) -> dict[str, float]:
    """``["cosine=1", "info_nce"]`` as weights by name."""
    losses = {}
    for item in given:
        name, _, weight = item.partition("=")
        try:
            losses[name.strip()] = float(weight or 1)
        except ValueError:
            raise DistillEmbError(f"--loss {item} has no number after the sign: write --loss {name}=1.0.") from None
    return losses
