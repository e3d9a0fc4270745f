"""What a tagger gets wrong, as one HTML page: scores by type, confusions, frequent errors, the learning curve."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.data.tagged import named_tags
from distillemb_plugins.evaluate.plots import figure_of, svg_text
from distillemb_plugins.evaluate.tagging import score_tagging
from distillemb_plugins.files import atomic_file
from distillemb_plugins.finetune.trainer import predict
from recipes.html_parts import html_table, page, svg_figure
from recipes.ner.scripts.seen import surfaces

FREQUENT = 15
Tags = Sequence[Sequence[str]]


def write_errors(tagger: Path, tasks: Mapping[str, Any], out: Path, split: str) -> None:
    """Write the page for a tagger's directory and, of each language, the sentences with gold tags of one split."""
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    model = DistillEmbForTokenClassification.from_pretrained(tagger).eval()
    characters = AutoTokenizer.from_pretrained(tagger).characters
    sections, everything = [], ([], [])  # type: tuple[list[str], tuple[list[Any], list[Any]]]
    for language, sentences in tasks.items():
        gold = named_tags(sentences)
        found = predict(model, characters, sentences)
        sections.append(language_section(language, sentences["tokens"], gold, found))
        everything[0].extend(gold)
        everything[1].extend(found)
    whole = f"<section><h2>All, {html.escape(split)}</h2>{scores_html(*everything)}{curve(tagger)}</section>"
    with atomic_file(out, "w") as stream:
        stream.write(page("Named entities: scores and errors", whole + "".join(sections)))


def language_section(language: str, words: Tags, gold: Tags, found: Tags) -> str:
    """Scores, confusions and frequent errors of one language."""
    rows = [
        [text, true, guess, str(count)]
        for (text, true, guess), count in Counter(mistakes(words, gold, found)).most_common(FREQUENT)
    ]
    errors = "<h3>Most frequent errors</h3>" + html_table(["text", "gold", "found", "times"], rows) if rows else ""
    return f"<section><h2>{html.escape(language)}</h2>{scores_html(gold, found)}{errors}</section>"


def scores_html(gold: Tags, found: Tags) -> str:
    """seqeval's report by type, and how types are confused on equal borders."""
    from seqeval.metrics import classification_report

    text = classification_report(list(gold), list(found), digits=3, zero_division=0)
    confusion = score_tagging(gold, found).confusion
    kinds = sorted({kind for pair in confusion for kind in pair}, key=lambda kind: (kind == "O", kind))
    rows = [[true, *(str(confusion.get((true, guess), 0)) for guess in kinds)] for true in kinds]
    return f"<pre>{html.escape(text)}</pre><h3>Gold (rows) and found (columns)</h3>" + html_table(["", *kinds], rows)


def mistakes(words: Tags, gold: Tags, found: Tags) -> Iterator[tuple[str, str, str]]:
    """Text, gold type and found type of each entity that is wrong; "O" where there is none, borders in the text."""
    for sentence, true_tags, found_tags in zip(words, gold, found, strict=True):
        true, guessed = surfaces(sentence, true_tags), surfaces(sentence, found_tags)
        by_place = {(start, end): kind for kind, start, end in guessed}
        for span, text in true.items():
            if span not in guessed:
                yield " ".join(text), span[0], by_place.pop(span[1:], "O")
        right = {span[1:] for span in true}
        for span, text in guessed.items():
            if span not in true and span[1:] not in right:
                yield " ".join(text), "O", span[0]


def curve(tagger: Path) -> str:
    """The tagger's learning curve on dev as a figure; nothing when it kept none."""
    file = tagger / "history.json"
    if not file.is_file():
        return ""
    return svg_figure(curve_svg(json.loads(file.read_text("utf-8"))), "F1 on dev against epochs", "F1 on dev by epoch")


def curve_svg(history: Sequence[Mapping[str, float]]) -> str:
    """F1 on dev against the epochs of training, as SVG."""
    with figure_of(5, 3) as (figure, axes):
        axes.plot([h["epoch"] for h in history], [h["f1"] for h in history], marker="o", markersize=3)
        axes.set(xlabel="epoch", ylabel="F1 on dev, per cent")
        axes.grid(alpha=0.3)
        return svg_text(figure)
