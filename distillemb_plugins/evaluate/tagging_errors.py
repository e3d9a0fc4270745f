"""What a tagger of entities gets wrong, as one HTML page: scores by type, confusions, frequent errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..report import Report, Section
from .plots import line_plots
from .tagging import Sentences, compared_entities, confusion_rows, score_rows, score_tagging

_FREQUENT = 15  # errors that are listed


def error_report(
    title: str,
    sentences: Mapping[str, tuple[Sentences, Sentences, Sentences]],
    history: Sequence[Mapping[str, float]] = (),
    split: str = "dev",
) -> Report:
    """Build the page.

    sentences: for each language the words, the right tags and the tagger's tags. history: ``epoch`` and ``f1`` of each
    evaluation while the tagger was trained. split: what the sentences are called.
    """
    report = Report(title)
    gold, found = ([tags for part in sentences.values() for tags in part[n]] for n in (1, 2))
    whole = _scores(report.section(f"All, {split}"), gold, found)
    if history:
        curve = {epoch["epoch"]: [epoch["f1"]] for epoch in history}
        svg = line_plots({"": {"": curve}}, "epoch", "F1 on dev, per cent")
        whole.figure(svg, "F1 on dev against epochs", title="F1 on dev by epoch")
    for language, (words, true, guesses) in sentences.items():
        section = _scores(report.section(language), true, guesses)
        frequent = Counter(_mistakes(words, true, guesses)).most_common(_FREQUENT)
        section.subheading("Most frequent errors" if frequent else "")
        section.table(["text", "gold", "found", "times"], [[*mistake, str(count)] for mistake, count in frequent])
    return report


def _scores(section: Section, gold: Sentences, found: Sentences) -> Section:
    score = score_tagging(gold, found)
    return section.table(*score_rows(score)).table(*confusion_rows(score), caption="Gold (rows) and found (columns)")


def _mistakes(words: Sentences, gold: Sentences, found: Sentences) -> Iterator[tuple[str, str, str]]:
    """Text, gold type and found type of each entity that is wrong; "O" where there is none."""
    for sentence, *tags in zip(words, gold, found, strict=True):
        for place, label, guess in compared_entities(*tags):
            if label != guess:
                yield " ".join(sentence[place]), label, guess
