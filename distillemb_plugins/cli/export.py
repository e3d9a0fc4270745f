"""`distillemb export`: a model as ONNX, and what runs it without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import JsonFlag, print_json


def export_command(
    model: Annotated[
        str,
        typer.Argument(help="Directory of an encoder, or of a saved Hugging Face tagger or classifier; or a hub id."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write.")],
    *,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the directory.")] = False,
    json: JsonFlag = False,
) -> None:
    """Write an encoder, tagger or classifier as ONNX, to run with NumPy and ONNX Runtime alone.

    The directory is an encoder directory with head.onnx, encoder.onnx and exported.json in it. `distillemb tag` opens
    it, and so does distillemb_plugins.tagging.ExportedModel.

    \b
    Example:
      distillemb export out/hf -o exported
      distillemb tag exported text.txt
    """
    from ..errors import DistillEmbError, require

    require("torch", "hf")
    require("transformers", "hf")
    if out.exists() and not overwrite:
        raise DistillEmbError(f"{out} already exists: choose another name, or say --overwrite.")
    from ..files import directory_bytes
    from ..tagging import ExportedModel
    from ..tagging.export import export_model

    written = ExportedModel.from_pretrained(export_model(model, out, overwrite=overwrite))
    files = {file.name: file.stat().st_size for file in sorted(out.iterdir())}
    if json:
        print_json({"out": out, "task": written.task, "labels": written.labels, "files": files})
    else:
        typer.echo(f"{out}: {written.task}, {directory_bytes(out):,} bytes.", err=True)
