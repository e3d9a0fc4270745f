"""Opening what a user names: an encoder or a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluate.models import EmbeddingModel


def is_table(name: str) -> bool:
    """Whether `name` is a table (a file, a spaCy pipeline, a hub file) rather than an encoder."""
    path = Path(name)
    return path.is_file() or name.startswith("hf://") or (path / "meta.json").is_file()


def open_model(name: str, lowercase: bool | None = None, format: str | None = None) -> EmbeddingModel:
    """Open an encoder directory, bundled name or hub id, or a table, ready to be scored.

    Args:
        name: What the user named.
        lowercase: Whether to lower-case words first; None finds out.
        format: What a table is, see `load_teacher`. None finds out.

    Raises:
        DistillEmbError: When there is nothing there.
    """
    from ..evaluate.models import EmbeddingModel
    from ..files import encoder_bytes

    if is_table(name):
        from ..teachers import load_teacher

        return EmbeddingModel.from_table(load_teacher(name, format=format), lowercase=lowercase)
    from ..encoder import DistillEmb
    from ..persistence import resolve

    path = resolve(name)
    encoder = DistillEmb.from_pretrained(path, cache_size=0)  # every word is asked for once
    return EmbeddingModel.from_encoder(encoder, path.resolve().name, encoder_bytes(path), lowercase)


def stored_words(name: str, kind: str) -> list[str] | None:
    """Return a word list (``"held_out"`` or ``"vocabulary"``) that is stored with an encoder, or None."""
    from ..persistence import find_word_list
    from .words import read_words

    file = None if is_table(name) else find_word_list(name, kind)
    return read_words(file) if file else None
