"""Opening what a user names: an encoder or a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluate.models import EmbeddingModel

HELD_OUT_FILE = "held_out.txt"  # words that were not trained on, stored with an encoder
VOCABULARY_FILES = ("vocabulary.txt", "vocabulary.txt.gz", "vocabulary.txt.xz")  # frequent words, if stored


def is_table(name: str) -> bool:
    """Whether `name` is a table (a file, a spaCy pipeline, a hub file) rather than an encoder."""
    path = Path(name)
    return path.is_file() or name.startswith("hf://") or (path / "meta.json").is_file()


def open_model(name: str, lowercase: bool | None = None) -> EmbeddingModel:
    """An encoder directory, bundled name or hub id, or a table, ready to be scored.

    lowercase: lower-case words first; None finds out. Raises `DistillEmbError` when there is nothing there.
    """
    from ..evaluate.models import EmbeddingModel
    from ..files import encoder_bytes

    if is_table(name):
        from ..teachers import load_teacher

        return EmbeddingModel.from_table(load_teacher(name), lowercase=lowercase)
    from ..encoder import DistillEmb
    from ..persistence import resolve

    path = resolve(name)
    encoder = DistillEmb.from_pretrained(path, cache_size=0)  # every word is asked for once
    return EmbeddingModel.from_encoder(encoder, path.resolve().name, encoder_bytes(path), lowercase)


def stored_words(name: str, files: tuple[str, ...]) -> list[str] | None:
    """The first of the word lists that is stored with an encoder, or None."""
    from ..persistence import resolve
    from .words import read_words

    if is_table(name):
        return None
    directory = resolve(name)
    return next((read_words(directory / file) for file in files if (directory / file).is_file()), None)
