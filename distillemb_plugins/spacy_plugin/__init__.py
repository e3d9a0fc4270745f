"""The spaCy face. Everything is registered by entry points, so nothing here has to be imported by hand.

`build_config` makes a training configuration; `set_vectors` gives a loaded pipeline computed vectors.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callbacks import set_vectors
    from .configs import build_config, config_path, config_paths, config_text

__all__ = ["build_config", "config_path", "config_paths", "config_text", "set_vectors"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(".callbacks" if name == "set_vectors" else ".configs", __name__), name)
