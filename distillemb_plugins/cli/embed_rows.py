"""Batches of words to packed rows of their vectors, here or in several processes, in order and in constant memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from ..encoder import DistillEmb
from ..errors import DistillEmbError
from .table_stream import Pack

_MANY = 50_000  # words from which on starting processes pays
_AHEAD = 3  # batches a process that may wait
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_worker: list[tuple[DistillEmb, Pack]] = []  # what a worker process holds: one pair


def useful_processes(words: int) -> int:
    """All cores that this process may use for many words, one process for few."""
    if words < _MANY:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def packed_rows(
    encoder: DistillEmb, pack: Pack, batches: Iterable[list[str]], processes: int
) -> Iterator[tuple[list[str], bytes]]:
    """Each batch with its packed vectors, in the order of the batches.

    pack: a module-level function. At most a few batches a process are held at a time.
    Raises `DistillEmbError` when a process is killed.
    """
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
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
