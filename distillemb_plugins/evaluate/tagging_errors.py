"""What a tagger of entities gets wrong, as one HTML page: scores by type, confusions, frequent errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..report import Report, Section
from .plots import figure_of, svg_text
from .tagging import NOTHING, Sentences, confusion_rows, entity_texts, score_rows, score_tagging

FREQUENT = 15  # errors that are listed
Tagged = tuple[Sentences, Sentences, Sentences]


def error_report(
    title: str, sentences: Mapping[str, Tagged], history: Sequence[Mapping[str, float]] = (), split: str = "dev"
) -> Report:
    """Build the page.

    Args:
        title: Its heading.
        sentences: For each language the words, the right tags and the tagger's tags of the sentences.
        history: ``epoch`` and ``f1`` of each evaluation while the tagger was trained.
        split: What the sentences are called.

    Returns:
        The report, to be written.
    """
    report = Report(title)
    gold = [tags for _, true, _ in sentences.values() for tags in true]
    found = [tags for _, _, guesses in sentences.values() for tags in guesses]
    whole = _scores(report.section(f"All, {split}"), gold, found)
    if history:
        whole.figure(_curve(history), "F1 on dev against epochs", title="F1 on dev by epoch")
    for language, (words, true, guesses) in sentences.items():
        section = _scores(report.section(language), true, guesses)
        rows = [
            [text, right, guess, str(count)]
            for (text, right, guess), count in Counter(mistakes(words, true, guesses)).most_common(FREQUENT)
        ]
        section.subheading("Most frequent errors" if rows else "")
        section.table(["text", "gold", "found", "times"], rows)
    return report


def _scores(section: Section, gold: Sentences, found: Sentences) -> Section:
    score = score_tagging(gold, found)
    head, rows = confusion_rows(score)
    return section.table(*score_rows(score)).table(head, rows, caption="Gold (rows) and found (columns)")


def mistakes(words: Sentences, gold: Sentences, found: Sentences) -> Iterator[tuple[str, str, str]]:
    """Yield text, gold type and found type of each entity that is wrong; "O" where there is none."""
    for sentence, true_tags, found_tags in zip(words, gold, found, strict=True):
        true, guessed = entity_texts(sentence, true_tags), entity_texts(sentence, found_tags)
        by_place = {(start, end): kind for kind, start, end in guessed}
        for span, text in true.items():
            if span not in guessed:
                yield " ".join(text), span[0], by_place.pop(span[1:], NOTHING)
        right = {span[1:] for span in true}
        for span, text in guessed.items():
            if span not in true and span[1:] not in right:
                yield " ".join(text), NOTHING, span[0]


def _curve(history: Sequence[Mapping[str, float]]) -> str:
    with figure_of(5, 3) as (figure, axes):
        axes.plot([h["epoch"] for h in history], [h["f1"] for h in history], marker="o", markersize=3)
        axes.set(xlabel="epoch", ylabel="F1 on dev, per cent")
        axes.grid(alpha=0.3)
        return svg_text(figure)
