"""Reading the encoder that a configuration names, and telling what it does not know."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable

from ..coverage import low_coverage_warning
from ..errors import DistillEmbError
from ..persistence import EncoderFiles, read_encoder


def read_pretrained(pretrained: str | None, where: str) -> EncoderFiles:
    """Read the encoder that `pretrained` names.

    Args:
        pretrained: Encoder directory, bundled name or hub id.
        where: The block of the configuration, for the message of an error.

    Raises:
        DistillEmbError: It is not set or cannot be read.
    """
    if pretrained is None:
        raise DistillEmbError(
            f"{where}: pretrained is not set: give an encoder directory, a bundled name or a hub id, "
            "e.g. --paths.encoder DIR."
        )
    try:
        return read_encoder(pretrained)
    except DistillEmbError as error:
        raise DistillEmbError(f'{where}: pretrained = "{pretrained}" cannot be used. {error}') from error


def warn_of_characters(files: EncoderFiles, docs: Iterable[Iterable[object]], where: str) -> None:
    """Warn when many words of documents hold characters that the encoder does not know."""
    words = Counter(str(token) for doc in docs for token in doc)
    if warning := low_coverage_warning(files.characters, words, where, files.facts.settings):
        warnings.warn(warning, stacklevel=2)
