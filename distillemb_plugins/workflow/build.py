"""The whole way for one language: from text and tagged sentences to encoder, taggers, packages and report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .settings import BuildSettings, checked, require_extras

REPORT, RESULTS = "report.html", "report.json"


def build(settings: BuildSettings, say: Callable[[str], object] | None = None) -> dict[str, Any]:
    """Go the whole way from text and tagged sentences to what is used, doing only what is not there yet.

    `settings.out` then holds ``encoder/``, the spaCy wheel, ``hf/``, ``report.html`` and ``report.json``, the tagged
    sentences as they were used (``conll/``), and what a second run goes on from (``work/``).

    Args:
        settings: What is asked for.
        say: Is given the findings in words, each as soon as it is there.

    Returns:
        What ``report.json`` holds.

    Raises:
        DistillEmbError: Text or tagged sentences cannot be used, or the settings are wrong.
        MissingExtraError: Something that is needed is not installed.
    """
    settings = checked(settings)
    from .inputs import check_text

    check_text(settings.texts, settings.min_words)
    require_extras(settings)
    from ..files import atomic_file
    from ..runs import write_json
    from .report import render
    from .steps import Build

    run = Build(settings, say)
    facts = run.go()
    write_json(run.out / RESULTS, facts)
    maps = [file.read_text("utf-8") for file in sorted(run.work.glob("map-*.svg"))]
    with atomic_file(run.out / REPORT, "w") as stream:
        stream.write(render(facts, maps))
    return facts
