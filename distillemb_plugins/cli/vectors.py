"""`distillemb vectors`: an encoder's vectors for a word list, as a plain table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .output import JsonFlag, print_json


def vectors_command(
    encoder: Annotated[str, typer.Argument(help="Encoder directory, bundled name (afro11) or hub id.")],
    words: Annotated[
        Path,
        typer.Argument(help="Word list, one word a line, or raw text with --text; - reads standard input."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Table to write: .vec (also .vec.gz/.xz/.bz2) or .npz. Default: .vec to standard output.",
        ),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="The input is running text: take its distinct words.")] = False,
    min_count: Annotated[int, typer.Option(min=1, help="Leave out words that occur less often.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Words computed at a time.")] = 4096,
    processes: Annotated[int, typer.Option(min=0, help="Processes; 0 takes all cores when there are many words.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Write the vectors of a word list as a table that any tool reads.

    Words come in the order of their first occurrence, each once. Memory does not grow with their number: the
    list goes through a temporary file. Words with white space inside are refused (use --text).

    \b
    Example:
      distillemb vectors afro11 words.txt -o words.vec
      xzcat corpus.txt.xz | distillemb vectors my-encoder - --text --min-count 5 -o words.npz
      distillemb vectors afro11 words.txt | head -2
    """
    from tqdm import tqdm

    from ..encoder import DistillEmb
    from ..errors import DistillEmbError
    from .embed_rows import packed_rows, useful_processes
    from .table_stream import packer, table_writer
    from .word_spool import WordSpool, listed_words, text_words

    if json and out is None:
        raise DistillEmbError("--json and the table cannot both go to standard output: add --out FILE.")
    model = DistillEmb.from_pretrained(encoder, cache_size=0)
    with WordSpool() as spool:
        spool.add(
            tqdm(
                text_words(words) if text else listed_words(words),
                desc="read",
                unit="word",
                delay=1,
                disable=None,
            )
        )
        count = spool.count(min_count)
        if not count:
            raise DistillEmbError(f"{words} holds no words{' that often' if min_count > 1 else ''}: nothing to write.")
        bar = tqdm(total=count, desc="vectors", unit="word", delay=1, disable=None)
        with bar, table_writer(out, count, model.dim, sys.stdout.buffer) as write:
            batches = spool.batches(batch_size, min_count)
            for batch, rows in packed_rows(model, packer(out), batches, processes or useful_processes(count)):
                write(batch, rows)
                bar.update(len(batch))
    if json:
        print_json({"out": out, "words": count, "dim": model.dim, "bytes": out.stat().st_size if out else None})
    elif out is not None:
        typer.echo(f"{out}: {count:,} words, {model.dim} dimensions.", err=True)
