"""Torch after a fork: with more than one thread, ``nlp.pipe(n_process=2)`` hangs once the parent has run torch."""

from __future__ import annotations

import os
from functools import cache


@cache
def make_torch_fork_safe() -> None:
    """Give every forked child one torch thread. Called wherever torch is first used; does its work once."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_one_thread)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
