"""Reading the encoder that a configuration names, and telling what it does not know or nobody reads."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

from spacy.language import Language

from ..coverage import low_coverage_warning
from ..errors import DistillEmbError
from ..locations import bundled_names, is_encoder
from ..persistence import EncoderFiles, read_encoder

_FIRST_EXAMPLES = 1000  # of the training set, looked at for unknown characters
_shown: dict[Any, int] = {}  # Python's: what has been shown


def read_pretrained(pretrained: str | None, where: str) -> EncoderFiles:
    """Read the encoder that `pretrained` names. where: the block of the configuration, for the message of an error."""
    warn_of_unread_encoder()
    if pretrained is None:
        raise DistillEmbError(
            f"{where}: pretrained is not set: give an encoder directory, a bundled name or a hub id, "
            "e.g. --paths.encoder DIR."
        )
    try:
        return read_encoder(pretrained)
    except DistillEmbError as error:
        raise DistillEmbError(f'{where}: pretrained = "{pretrained}" cannot be used. {error}') from error


def warn(message: str) -> None:
    """Warn of what a config says, once, and without a line of our code, which the config's author did not write."""
    warnings.warn_explicit(message, UserWarning, "distillemb", 1, registry=_shown)


def warn_of_unread_encoder() -> None:
    """Warn when the config of the pipeline that is being initialized has an encoder in [paths] that no block reads."""
    initialization = _initialization()
    if initialization is None:
        return
    nlp = initialization.f_locals["self"]
    for name, value in nlp.config.get("paths", {}).items():
        if isinstance(value, str) and (name == "encoder" or value in bundled_names() or is_encoder(Path(value))):
            reference = f"${{paths.{name}}}"
            others = {key: block for key, block in nlp.config.items() if key != "paths"}
            # An interpolated config shows the value where the reference was.
            if not any(reference in text or text == value for text in _texts(others)):
                warn(
                    f'[paths] {name} (--paths.{name}) is "{value}", and no block of the config reads it, so it changes '
                    f"nothing: write pretrained = {reference} in the block of the encoder, or leave it out."
                )


def _initialization() -> FrameType | None:
    """The `Language.initialize` that is running: spaCy gives the pipeline and the examples to components alone.

    Their models get the first ten documents.
    """
    frame: FrameType | None = sys._getframe()
    while frame and frame.f_code is not Language.initialize.__code__:
        frame = frame.f_back
    return frame


def _texts(block: object) -> Iterator[str]:
    """All strings of a config."""
    if isinstance(block, str):
        yield block
    elif isinstance(block, Mapping | list | tuple):
        for value in block.values() if isinstance(block, Mapping) else block:
            yield from _texts(value)


def warn_of_characters(files: EncoderFiles, where: str, docs: Iterable[Iterable[object]] = ()) -> None:
    """Warn when many words of the first training examples hold characters that the encoder does not know.

    docs: looked at in their place where no pipeline is being initialized.
    """
    if initialization := _initialization():
        examples = islice(initialization.f_locals["get_examples"](), _FIRST_EXAMPLES)
        docs = (example.reference for example in examples)
    words = Counter(str(token) for doc in docs for token in doc)
    if warning := low_coverage_warning(files.characters, words, where, files.facts.settings):
        warn(warning)
