"""From raw text and tagged sentences to an encoder, taggers, packages and a report: one way, for every language."""

from .build import build
from .quickstart import QuickstartSizes, run_quickstart
from .settings import BuildSettings

__all__ = ["BuildSettings", "QuickstartSizes", "build", "run_quickstart"]
