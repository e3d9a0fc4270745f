"""How the command line ends: one sentence and an exit code instead of a traceback.

Exit codes: 0 done; 1 an error of ours; 2 bad input, a missing extra, or the disk; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from ..errors import DistillEmbError, MissingExtraError

BAD_INPUT, OUR_ERROR, INTERRUPTED = 2, 1, 130
_ARGUMENT_PARSERS = ("typer", "click")  # whose exceptions (usage, exit) are not ours to judge
_PACKAGE = Path(__file__).resolve().parents[1]
# What a verb needs beyond the core: the extras whose libraries it imports. `evaluate` needs its own for --report alone.
VERB_EXTRAS = {
    "quickstart": "spacy,train",
    "build": "build",
    "teach": "train",
    "distill": "train",
    "pretrain": "train",
    "evaluate": "report",
    "config": "spacy",
    "push": "hf",
    "export": "hf,onnx",
}
_INCLUDED = {"train": {"hf"}, "build": {"spacy", "hf", "train", "report"}}  # extras that another one brings
_LIBRARIES = ("torch", "transformers", "accelerate", "gensim", "sklearn", "scipy", "spacy", "thinc", "datasets",
              "matplotlib", "onnxruntime", "huggingface_hub")  # fmt: skip
_START_AGAIN = "nothing half-written carries a final name; run the same command again."


@dataclass
class _Run:
    """What is known about the command that runs: one a process."""

    debug: bool = False
    hint: str = _START_AGAIN


_run = _Run()


class CliErrors(TyperGroup):
    """The group of verbs. Takes ``--debug`` at any position, and turns errors into a sentence and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        cut = args.index("--") if "--" in args else len(args)
        _run.debug = "--debug" in args[:cut] or bool(os.environ.get("DISTILLEMB_DEBUG"))
        _run.hint = _START_AGAIN
        return super().parse_args(ctx, [arg for arg in args[:cut] if arg != "--debug"] + args[cut:])

    def invoke(self, ctx: Any) -> Any:
        _utf8(sys.stdout)
        _utf8(sys.stderr)
        try:
            with _plain_warnings():
                result = super().invoke(ctx)
            sys.stdout.flush()  # so that a closed pipe shows here and not at exit
            return result
        except BaseException as error:
            of_the_parser = type(error).__module__.partition(".")[0] in _ARGUMENT_PARSERS
            if of_the_parser or (_run.debug and not isinstance(error, BrokenPipeError)):
                raise
            return _end(error, ctx.invoked_subcommand)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Our own warnings as a sentence, without the place in the code; those of others as they are."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any) -> None:
            if category is UserWarning and _PACKAGE in Path(filename).parents:
                _say(f"warning: {message}")
            else:
                shown(message, category, filename, *rest, **more)

        warnings.showwarning = show
        yield


def _end(error: BaseException, verb: str | None = None) -> NoReturn:
    error = _missing_library(error, verb)
    if isinstance(error, BrokenPipeError):
        # Whoever read us (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    match error:
        case KeyboardInterrupt():
            code, sentence = INTERRUPTED, f"Interrupted: {_run.hint}"
        case DistillEmbError() | MissingExtraError():
            code, sentence = BAD_INPUT, str(error)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            code, sentence = BAD_INPUT, f"{where}{error.strerror or error}: nothing was written under the final name."
        case MemoryError():
            code, sentence = BAD_INPUT, "There is not enough memory: give fewer words (--limit) or a smaller batch."
        case Exception():
            sentence = f"{type(error).__name__}: {error} (unforeseen: run again with --debug for the traceback)."
            code = OUR_ERROR
        case _:
            raise error
    _say(sentence)
    raise typer.Exit(code) from None


def _missing_library(error: BaseException, verb: str | None) -> BaseException:
    """A library that is not installed as one error with all extras of the verb; other errors as they are."""
    library = (getattr(error, "name", None) or "").partition(".")[0]
    extras = VERB_EXTRAS.get(verb or "", "")
    if isinstance(error, MissingExtraError):
        more = error.extra
    elif isinstance(error, ModuleNotFoundError) and library in _LIBRARIES:
        more = "" if extras else "build"
    else:
        return error
    own = extras.split(",") if extras else []
    brought = set(own).union(*(_INCLUDED.get(one, set()) for one in own))
    wanted = own + [one for one in more.split(",") if one and one not in brought]
    return MissingExtraError(library, ",".join(wanted), f"for `distillemb {verb}`" if verb else "here")


def interrupt_hint(hint: str) -> None:
    """What to tell whoever presses Ctrl-C during the running verb: how to go on."""
    _run.hint = hint


def end_on_terminate() -> None:
    """Let SIGTERM unwind the stack, so that temporary files are removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def _say(sentence: str) -> None:
    typer.echo(f"distillemb: {' '.join(sentence.split())}", err=True)


def _utf8(stream: Any) -> None:
    """Write UTF-8 whatever the locale says: words are in every script."""
    if isinstance(stream, io.TextIOWrapper) and (stream.encoding or "").lower() not in ("utf-8", "utf8"):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
