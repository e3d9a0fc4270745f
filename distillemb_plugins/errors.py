"""The errors users meet: one sentence that names the place and the mend."""

from __future__ import annotations

import importlib
from types import ModuleType

_BRIEF = 200  # characters


class DistillEmbError(ValueError):
    """Bad input. The message names the file, line or argument, and how to mend it."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed. The message holds the exact ``pip install`` line.

    Attributes:
        extra: The extra of this package that installs it; several with commas between.
    """

    def __init__(self, library: str, extra: str, what: str = "here") -> None:
        super().__init__(
            f'{library} is needed {what} and is not installed: pip install "distillemb-plugins[{extra}]"', name=library
        )
        self.extra = extra


def brief(error: object) -> str:
    """Another library's message as part of a sentence: on one line, and never long."""
    text = " ".join(str(error).split())
    return text if len(text) <= _BRIEF else text[: _BRIEF - 3] + "..."


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: Dotted name, such as ``"torch"``.
        extra: The extra of this package that installs it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top_level = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top_level:
            raise  # something else is missing: do not blame the wrong package
        raise MissingExtraError(top_level, extra) from error
