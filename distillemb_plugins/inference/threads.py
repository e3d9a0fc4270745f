"""Work shared out over threads, and matrix products on one thread each.

The products are too small for several BLAS threads: they gain little, and where another process runs, the threads wait
for each other in loops, which makes them many times slower. So BLAS is held at one thread while we compute, and whole
pieces of the work go to as many threads as BLAS would have used (``OMP_NUM_THREADS`` and threadpoolctl limit both).
The pieces do not depend on the number of threads, and so neither do the results.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_MOST = 8  # threads: between the products Python's lock lets one run at a time
_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _blas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """The functions that tell and set the number of threads of NumPy's BLAS; None where it has none that we know.

    Those of OpenBLAS have names of their own in NumPy's wheels. macOS's Accelerate has none and needs none.
    """
    core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get("numpy.core._multiarray_umath")
    extension = str(getattr(core, "__file__", ""))  # what it is linked to is found through it, but for Windows
    for path in (extension, *map(str, Path(np.__file__).parents[1].glob("numpy.libs/*openblas*.dll"))):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        names = [
            (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
            for prefix in ("scipy_", "")
            for suffix in ("64_", "")
        ]
        for get, put in [*names, ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads")]:
            if hasattr(library, get) and hasattr(library, put):
                return getattr(library, get), getattr(library, put)
    return None


class _OneThread:
    """Holds BLAS at one thread while anybody computes, and puts back what was before.

    Entering it gives the number of threads that BLAS would have used.
    """

    def __init__(self) -> None:
        self.lock, self.users, self.threads = threading.Lock(), 0, 1

    def __enter__(self) -> int:
        with self.lock:
            if not self.users:
                blas = _blas()
                self.threads = max(blas[0](), 1) if blas else _threads_set()
                if blas and self.threads > 1:
                    blas[1](1)
            self.users += 1
            return self.threads

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.users -= 1
            blas = _blas()
            if blas and not self.users and self.threads > 1:
                blas[1](self.threads)


def _threads_set() -> int:
    found = next((os.environ[name] for name in _SETTINGS if os.environ.get(name, "").isdigit()), None)
    return usable_cores() if found is None else max(int(found), 1)


one_blas_thread = _OneThread()
_most = min(usable_cores(), _MOST)
_pool: list[ThreadPoolExecutor] = []  # at most one, made when first needed


def _after_fork() -> None:
    """A child of a fork has no threads, perhaps a lock that nobody will release, and brothers on the other cores."""
    global one_blas_thread, _most
    _pool.clear()
    one_blas_thread, _most = _OneThread(), 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def share_out(work: Callable[[Any], object], pieces: Iterable[Any], least: int) -> None:
    """Call `work` with each of the pieces, in several threads where that pays; the caller's own is one of them.

    least: pieces for each thread; for fewer, waking another one does not pay.
    """
    left = deque(pieces)
    with one_blas_thread as threads:
        helpers = min(threads, _most, len(left) // least) - 1
        if helpers < 1:
            for piece in left:
                work(piece)
            return
        if not _pool:
            _pool.append(ThreadPoolExecutor(_most - 1, "distillemb"))

        def take_pieces() -> None:
            while left:
                try:
                    piece = left.popleft()
                except IndexError:  # another thread was faster
                    return
                work(piece)

        helping: list[Future[None]] = []
        try:
            with suppress(RuntimeError):  # the interpreter is ending, and starts no threads any more
                for _ in range(helpers):
                    helping.append(_pool[0].submit(take_pieces))
            take_pieces()
        finally:
            left.clear()
            busy = [helper for helper in helping if not helper.cancel()]
            for helper in busy:
                helper.result()
