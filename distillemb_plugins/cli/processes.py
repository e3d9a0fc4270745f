"""The same work on many batches, here or in several processes or threads, in constant memory and in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from ..errors import DistillEmbError

B = TypeVar("B")
R = TypeVar("R")
_AHEAD = 3  # batches a process that may wait
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_worker: list[Callable[[Any], Any]] = []  # what a worker process does: one function


def in_order(
    make: Callable[..., Callable[[B], R]],
    arguments: tuple[Any, ...],
    batches: Iterable[B],
    processes: int,
    *,
    threads: bool = False,
) -> Iterator[tuple[B, R]]:
    """Yield each batch with what is made of it. At most a few batches a process are held.

    make: a function of a module, called with `arguments` once in each process; it returns what is done with a batch.
    With one process the work is done here. threads: take so many threads instead, which share what `make` returned.
    Raises `DistillEmbError` when a process was killed.
    """
    work: Callable[[B], R] = make(*arguments) if threads or processes == 1 else _work
    if processes == 1:
        for batch in batches:
            yield batch, work(batch)
        return
    pool: Executor
    if threads:
        pool = ThreadPoolExecutor(processes)
    else:
        pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_start, initargs=(make, arguments))
    waiting: deque[tuple[B, Future[R]]] = deque()
    try:
        with _one_thread_each():
            for batch in batches:
                waiting.append((batch, pool.submit(work, batch)))
                if len(waiting) > _AHEAD * processes:
                    done, result = waiting.popleft()
                    yield done, result.result()
            for done, result in waiting:
                yield done, result.result()
    except BrokenProcessPool as error:
        raise DistillEmbError("A process was killed, perhaps for want of memory: say --processes 1.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    _worker.append(make(*arguments))


def _work(batch: Any) -> Any:
    return _worker[0](batch)


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
