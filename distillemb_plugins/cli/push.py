"""`distillemb push`: a directory to the Hugging Face hub."""

from __future__ import annotations

from typing import Annotated

import typer

from .completion import encoders
from .output import JsonFlag, print_json


def push_command(
    directory: Annotated[
        str, typer.Argument(help="Directory of an encoder, a tagger or a classifier.", autocompletion=encoders)
    ],
    repo: Annotated[str, typer.Argument(help="Repository on the hub: user/name. It is made where there is none.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="A branch that is there. Default: the main one.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request to the main branch.")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Message of the commit.")] = None,
    json: JsonFlag = False,
) -> None:
    """Upload a directory to the Hugging Face hub, for from_pretrained("user/name") anywhere.

    Log in first with hf auth login, or set HF_TOKEN. The model card goes with it: see that it says what the directory
    was made from. Pickles, hidden files and the state of a training stay here.

    \b
    Example:
      distillemb push my-encoder user/my-encoder --private
    """
    from ..hub import push_directory

    address = push_directory(
        directory, repo, private=private or None, revision=revision, create_pr=create_pr, message=message
    )
    if json:
        print_json({"directory": directory, "address": address})
    else:
        typer.echo(address)
