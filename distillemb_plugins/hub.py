"""Sharing a directory on the Hugging Face hub."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .errors import DistillEmbError, brief, require
from .files import is_file
from .persistence import CARD_FILE, read_encoder, resolve

# What a training leaves beside a model: its state, pickles, hidden files.
_LEFT_OUT = (".*", "checkpoint-*", "runs", "*.work", "__pycache__", "*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle")


def push_directory(
    directory: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> str:
    """Upload the directory of an encoder, a tagger or a classifier to the Hugging Face hub.

    The repository is made where there is none. The calls in the card that open the directory name the repository.
    Pickles, hidden files and the state of a training stay here. It needs the extra "hf".

    Args:
        directory: As for `resolve`. It is verified first.
        repo_id: ``user/name``, or a name alone for your own repositories.
        private: Whether a new repository is private; None takes your organization's default.
        revision: A branch that is there; the main one when not given.
        create_pr: Open a pull request with the files, to the main branch.
        message: Of the commit.
        token: Of the hub. By default, the one of ``hf auth login`` or of the variable ``HF_TOKEN``.

    Returns:
        The address of the repository, or of the pull request.

    Raises:
        DistillEmbError: The directory is damaged or of another kind, `revision` and `create_pr` are both given, or the
            hub refuses or cannot be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    if revision and create_pr:
        raise DistillEmbError("A pull request goes to the main branch: leave out create_pr or revision.")
    hub: Any = require("huggingface_hub", "hf")
    path = resolve(directory)
    read_encoder(path)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        try:
            api = hub.HfApi(token=token)
            repository = api.create_repo(repo_id, private=private, exist_ok=True)
            _name_repository(copy / CARD_FILE, path.resolve().name, repository.repo_id)
            done = api.upload_folder(
                repo_id=repository.repo_id,
                folder_path=copy,
                commit_message=message or f"Upload {repository.repo_name} with distillemb",
                revision=revision,
                create_pr=create_pr,
            )
        except Exception as error:  # the hub's many errors all mean: not done
            raise DistillEmbError(
                f"{brief(repo_id)} could not be written on the hub ({type(error).__name__}: {brief(error)}): check "
                "the name and the connection, and log in with hf auth login."
            ) from error
    return str(done.pr_url or repository)


def _name_repository(card: Path, name: str, repo_id: str) -> None:
    """In a card, let the calls that open the directory `name` open `repo_id`."""
    if is_file(card):
        call = re.compile(rf'((?:from_pretrained\(|model=)")(?:[^"]*/)?{re.escape(name)}"')
        text = card.read_bytes().decode("utf-8", errors="replace")
        card.write_bytes(call.sub(lambda found: f'{found[1]}{repo_id}"', text).encode())
