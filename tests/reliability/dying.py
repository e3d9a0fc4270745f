"""Doing work in a forked process that is killed (signal 9), has no disk left, or may not write."""

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


def forked(work: Callable[[], Any], before: Callable[[], None] | None = None) -> str:
    """Do `work` in a forked process and say how it ended.

    Args:
        work: What is done.
        before: Called in that process first: `die_at`, `largest_file`, `nobody`.

    Returns:
        ``"done"``, ``"refused"`` (`DistillEmbError`), ``"OSError"``, ``"raw"`` (any other error) or ``"killed"``.
    """
    return end(start(work, before))


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


def die_at(root: Path, event: int) -> Callable[[], None]:
    """Make the `before` of a process that kills itself right before its `event`-th change (from 0) below `root`."""

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
    """Make the `before` of a process in which writing a file past `size` bytes fails, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def nobody() -> None:
    """The `before` of a process that gives up root's right to write everywhere."""
    if os.geteuid() == 0:
        os.seteuid(65534)
