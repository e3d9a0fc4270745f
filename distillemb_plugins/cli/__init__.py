"""The shell command `distillemb`: one verb for each step from raw text to an evaluated encoder.

Only typer is imported here; NumPy, torch and the rest wait until a verb runs, so that `--help` is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from .build import build_command
from .config import config_command
from .data import data_command
from .distill import distill_command
from .evaluate import evaluate_command
from .export import export_command
from .guard import CliErrors, end_on_terminate
from .info import info_command
from .neighbors import neighbors_command
from .pretrain import pretrain_command
from .push import push_command
from .quickstart import quickstart_command
from .tag import tag_command
from .teach import teach_command
from .vectors import vectors_command

__all__ = ["app", "main"]

# Options (and verbs) under the names that they had before, which are still understood.
_OLD_NAMES = {"licence": "license", "memory-words": "codebook-words", "teacher-extra": "fallback-table"}

app = typer.Typer(
    name="distillemb",
    cls=CliErrors,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: _OLD_NAMES.get(name, name),
    },
    help="Word vectors computed from characters: teach a table, distill it into a small encoder, use it.",
    epilog="Begin with: distillemb quickstart. Each verb has --help with an example.",
)
app.command("quickstart")(quickstart_command)
app.command("build")(build_command)
app.command("data")(data_command)
app.command("teach")(teach_command)
app.command("distill")(distill_command)
app.command("pretrain")(pretrain_command)
app.command("evaluate")(evaluate_command)
app.command("neighbors")(neighbors_command)
app.command("vectors")(vectors_command)
app.command("tag")(tag_command)
app.command("export")(export_command)
app.command("info")(info_command)
app.command("config")(config_command)
app.command("push")(push_command)


def _version(show: bool) -> None:
    if show:
        from .. import __version__

        typer.echo(f"distillemb-plugins {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="DISTILLEMB_DEBUG", help="Show the traceback of an error (any position).")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point of the shell command."""
    end_on_terminate()
    app()
