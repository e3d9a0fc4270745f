"""From raw text and tagged sentences to an encoder, taggers, packages and a report: one way, for every language.

The quickstart is imported when it is asked for: settings and help must not wait for NumPy.
"""

from typing import TYPE_CHECKING, Any

from .build import build
from .settings import BuildSettings

if TYPE_CHECKING:
    from .quickstart import QuickstartSizes, run_quickstart

__all__ = ["BuildSettings", "QuickstartSizes", "build", "run_quickstart"]


def __getattr__(name: str) -> Any:
    if name not in ("QuickstartSizes", "run_quickstart"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import quickstart

    return getattr(quickstart, name)
