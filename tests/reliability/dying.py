"""Work done in a forked process that is killed (signal 9), starved of disk, or robbed of its rights."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillemb_plugins.errors import DistillEmbError

# Everything by which a process changes a disk raises one of these audit events first.
_EVENTS = frozenset(
    ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "shutil.rmtree")
)
DONE, REFUSED, OS_ERROR, RAW = 0, 3, 4, 5
_LONGEST = 120  # seconds: a hang ends as "exit -14"
_NAMES = {DONE: "done", REFUSED: "refused", OS_ERROR: "OSError", RAW: "raw"}


def forked(work: Callable[[], Any], before: Callable[[], None] | None = None, after: float | None = None) -> str:
    """How `work` ended in a forked process: done, refused (`DistillEmbError`), OSError, raw (any other), or killed.

    before: called in that process first. after: seconds until it is killed, if it is.
    """
    child = start(work, before)
    if after is not None:
        _kill_later(child, after)
    return end(child)


def start(work: Callable[[], Any], before: Callable[[], None] | None = None) -> int:
    """Fork and work; returns the process id."""
    child = os.fork()
    if child:
        return child
    code = RAW
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST)
    try:
        if before is not None:
            before()
        work()
        code = DONE
    except DistillEmbError:
        code = REFUSED
    except OSError:
        code = OS_ERROR
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def end(child: int) -> str:
    """Wait for a process of `start`; how it ended."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "killed" if code == -signal.SIGKILL else _NAMES.get(code, f"exit {code}")


def _kill_later(child: int, seconds: float) -> None:
    """Kill `child` after some seconds unless it has ended by then."""
    import time

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)


def die_at(root: Path, event: int) -> Callable[[], None]:
    """For `forked`: the process kills itself right before its `event`-th change (from 0) below `root`."""

    def before() -> None:
        left = [event]

        def hook(name: str, args: tuple[Any, ...]) -> None:
            if name not in _EVENTS or not any(isinstance(arg, str | bytes) and _below(arg, root) for arg in args):
                return
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        sys.addaudithook(hook)

    return before


def _below(name: str | bytes, root: Path) -> bool:
    return os.fsdecode(name).startswith(str(root))


def largest_file(size: int) -> Callable[[], None]:
    """For `forked`: writing a file past `size` bytes fails, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def nobody() -> None:
    """For `forked`: give up root's right to write everywhere."""
    if os.geteuid() == 0:
        os.seteuid(65534)
