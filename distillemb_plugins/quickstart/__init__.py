"""The quickstart: the whole way from raw text to a tagger, on a synthetic sample, in a few minutes."""

from .run import Steps, run_quickstart

__all__ = ["Steps", "run_quickstart"]
