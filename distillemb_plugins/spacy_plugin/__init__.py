"""The spaCy face. Everything is registered by entry points, so nothing here has to be imported by hand.

`config_path` names the example configurations to copy; `set_vectors` gives a loaded pipeline computed vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DistillEmbError

if TYPE_CHECKING:
    from .callbacks import set_vectors

__all__ = ["config_path", "config_paths", "set_vectors"]

_CONFIGS = Path(__file__).parent / "configs"


def config_paths() -> dict[str, Path]:
    """The configurations that come with the package, by name: ``ner-static``, ``ner-trainable``, ..."""
    return {path.stem: path for path in sorted(_CONFIGS.glob("*.cfg"))}


def config_path(name: str) -> Path:
    """The file of one configuration. Raises `DistillEmbError` when there is none of that name."""
    paths = config_paths()
    if name not in paths:
        raise DistillEmbError(f"There is no configuration {name!r}: choose one of {', '.join(paths)}.")
    return paths[name]


def __getattr__(name: str) -> Any:
    if name == "set_vectors":
        from .callbacks import set_vectors

        return set_vectors
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
