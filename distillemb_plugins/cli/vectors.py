"""`distillemb vectors`: an encoder's vectors for a word list, as a plain table, in constant memory."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from .output import JsonFlag, print_json

if TYPE_CHECKING:
    from ..encoder import DistillEmb
    from ..teachers.io.writing import Pack

_MANY = 50_000  # words from which on starting processes pays
_AHEAD = 3  # batches a process that may wait
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_worker: list[tuple[DistillEmb, Pack]] = []  # what a worker process holds: one pair


def vectors_command(
    encoder: Annotated[str, Argument(help="Encoder directory, bundled name (afro11) or hub id.")],
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
    processes: Annotated[int, Option(min=0, help="Processes; 0 takes all cores when there are many words.")] = 0,
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
    from ..teachers.io.writing import packer, table_writer
    from .words import WordSpool, listed_words, text_words

    if json and out is None:
        raise DistillEmbError("--json and the table cannot both go to standard output: add --out FILE.")
    model = DistillEmb.from_pretrained(encoder, cache_size=0)
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
                model, packer(out), batches, processes or (_cores() if count >= _MANY else 1)
            ):
                write(batch, rows)
                bar.update(len(batch))
    if json:
        print_json({"out": out, "words": count, "dim": model.dim, "bytes": out.stat().st_size if out else None})
    elif out is not None:
        typer.echo(f"{out}: {count:,} words, {model.dim} dimensions.", err=True)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def packed_rows(
    encoder: DistillEmb, pack: Pack, batches: Iterable[list[str]], processes: int
) -> Iterator[tuple[list[str], bytes]]:
    """Yield each batch with its packed vectors, in order, computed here or in several processes.

    pack: makes bytes of words and their vectors; a module-level function. At most a few batches a process are held.
    """
    from ..errors import DistillEmbError

    if processes == 1:
        for batch in batches:
            yield batch, pack(batch, encoder.encode(batch))
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_start, initargs=(encoder, pack))
    waiting: deque[tuple[list[str], Future[bytes]]] = deque()
    try:
        with _one_thread_each():
            for batch in batches:
                waiting.append((batch, pool.submit(_rows, batch)))
                if len(waiting) > _AHEAD * processes:
                    done, rows = waiting.popleft()
                    yield done, rows.result()
            for done, rows in waiting:
                yield done, rows.result()
    except BrokenProcessPool as error:
        raise DistillEmbError("A process was killed, perhaps for want of memory: say --processes 1.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(encoder: DistillEmb, pack: Pack) -> None:
    _worker.append((encoder, pack))


def _rows(words: Sequence[str]) -> bytes:
    encoder, pack = _worker[0]
    return pack(words, encoder.encode(words))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Matrix products of the processes started meanwhile use one thread: the cores are shared out already."""
    before = {name: os.environ[name] for name in _THREADS if name in os.environ}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name in _THREADS:
            os.environ.pop(name, None)
        os.environ.update(before)
