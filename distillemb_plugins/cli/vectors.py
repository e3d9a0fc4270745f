"""`distillemb vectors`: an encoder's vectors for a word list, as a plain table, in constant memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer import Argument, Option

from .completion import encoders
from .output import JsonFlag, print_json
from .processes import in_order

if TYPE_CHECKING:
    from ..encoder import DistillEmb, Runtime
    from ..teachers.io.writing import Pack

_MANY = 50_000  # words from which on starting processes pays


def vectors_command(
    encoder: Annotated[
        str, Argument(help="Encoder directory, bundled name (afro11) or hub id.", autocompletion=encoders)
    ],
    words: Annotated[
        Path, Argument(help="Word list, one word a line, or raw text with --text; - reads standard input.")
    ],
    *,
    out: Annotated[
        Path | None,
        Option(
            "--out",
            "-o",
            help="Table to write: .vec (also .vec.gz/.xz/.bz2), .npz or .safetensors. Default: .vec to standard "
            "output.",
        ),
    ] = None,
    text: Annotated[bool, Option("--text", help="The input is running text: take its distinct words.")] = False,
    min_count: Annotated[int, Option(min=1, help="Leave out words that occur less often.")] = 1,
    batch_size: Annotated[int, Option(min=1, help="Words computed at a time.")] = 4096,
    processes: Annotated[
        int, Option(min=0, help="Processes (threads for tables that are not text); 0 takes all cores for many words.")
    ] = 0,
    runtime: Annotated[
        str,
        Option(
            help="What computes the vectors: numpy; onnx, the same ones; onnx-int8, near ones, faster; or auto, "
            "numpy or onnx by the processor."
        ),
    ] = "numpy",
    json: JsonFlag = False,
) -> None:
    """Write the vectors of a word list as a table that any tool reads.

    Words come in the order of their first occurrence, each once. Memory does not grow with their number: the
    list goes through a temporary file. Words with spaces inside are refused (use --text).

    \b
    Example:
      distillemb vectors afro11 words.txt -o words.vec
      xzcat corpus.txt.xz | distillemb vectors my-encoder - --text --min-count 5 -o words.npz
      distillemb vectors afro11 words.txt | head -2
    """
    from tqdm import tqdm

    from ..encoder import DistillEmb
    from ..errors import DistillEmbError
    from ..inference.threads import usable_cores
    from ..teachers.io.writing import packer, table_writer
    from .words import WordSpool, listed_words, text_words

    if json and out is None:
        raise DistillEmbError("--json and the table cannot both go to standard output: add --out FILE.")
    model = DistillEmb.from_pretrained(encoder, cache_size=0, runtime=cast("Runtime", runtime))
    with WordSpool() as spool:
        spool.add(
            tqdm(text_words(words) if text else listed_words(words), desc="read", unit="word", delay=1, disable=None)
        )
        count = spool.count(min_count)
        if not count:
            raise DistillEmbError(f"{words} holds no words{' that often' if min_count > 1 else ''}: nothing to write.")
        bar = tqdm(total=count, desc="vectors", unit="word", delay=1, disable=None)
        with bar, table_writer(out, count, model.dim, sys.stdout.buffer) as write:
            batches = spool.batches(batch_size, min_count)
            for batch, rows in packed_rows(
                model, packer(out), batches, processes or (usable_cores() if count >= _MANY else 1)
            ):
                write(batch, rows)
                bar.update(len(batch))
    if json:
        print_json({"out": out, "words": count, "dim": model.dim, "bytes": out.stat().st_size if out else None})
    elif out is not None:
        typer.echo(f"{out}: {count:,} words, {model.dim} dimensions.", err=True)


def packed_rows(
    encoder: DistillEmb, pack: Pack, batches: Iterable[list[str]], processes: int
) -> Iterator[tuple[list[str], bytes]]:
    """Yield each batch with its packed vectors, in order; see `in_order`.

    pack: makes bytes of words and their vectors; a module-level function. Text takes processes, for Python writes its
    digits. Other tables take threads, for the products run beside each other and nothing is sent.
    """
    from ..teachers.io.writing import text_rows

    return in_order(_packing, (encoder, pack), batches, processes, threads=pack is not text_rows)


def _packing(encoder: DistillEmb, pack: Pack) -> Callable[[list[str]], bytes]:
    return lambda words: pack(words, encoder.encode(words))
