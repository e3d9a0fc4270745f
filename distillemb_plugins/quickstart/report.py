"""The quickstart's report.html: one file, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ..sample import LABELS, LANGUAGES
from .showing import Comparison, Neighbours, Shown, Tagged
from .tagging import ARMS

_COLOURS = {"PER": "#ffd9a8", "LOC": "#b5e3c5", "ORG": "#bcd7f7", "DATE": "#e5ccf0"}
_ARM_NAMES = {"scratch": "without", "distilled": "with encoder"}


def render(metrics: dict[str, Any], shown: Shown, out: str, commands: str) -> str:
    """The report as HTML.

    metrics: what metrics.json holds. out: how the reader names the output directory. commands: the shell commands
    that teach and distill with this run's settings.
    """
    page = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    ner = metrics["ner"]
    return page.substitute(
        seconds=f"{metrics['seconds']:.0f}",
        seed=metrics["seed"],
        scratch=_percent(ner["scratch"]),
        distilled=_percent(ner["distilled"]),
        teacher_size=_size(metrics["teacher_bytes"]),
        encoder_size=_size(metrics["encoder_bytes"]),
        verdict=_verdict(metrics, shown),
        type_bars=_bars({label: label for label in LABELS}, metrics["ner_by_type"]),
        language_bars=_bars(LANGUAGES, metrics["ner_by_language"]),
        test_sentences=shown.sentences["test"],
        train_sentences=shown.sentences["train"],
        steps=_steps(metrics, shown),
        raw_examples="".join(f"<blockquote>{escape(line)}</blockquote>" for line in shown.raw_examples),
        sizes=_sizes(metrics),
        parameters=f"{shown.parameters:,}",
        neighbours=_neighbours(shown.neighbours),
        unseen=_neighbours(shown.unseen),
        mix_note=_mix_note(shown.comparisons),
        sentences="".join(map(_sentence, shown.comparisons)),
        out=escape(out),
        commands=escape(commands),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _verdict(metrics: dict[str, Any], shown: Shown) -> str:
    """What the figures say, whichever way they fall."""
    gain = 100 * (metrics["ner"]["distilled"] - metrics["ner"]["scratch"])
    unseen = f"{100 * shown.unseen_entities:.0f} %"
    reason = f"{unseen} of the test part's entities do not stand in the tagged training sentences."
    if gain > 0:
        return (
            f"With the encoder the tagger gains {gain:.1f} points. {reason} The tagger without it has nothing but "
            "those sentences to learn from; the encoder has learnt from the raw text, which nobody had to tag."
        )
    return f"In this run the encoder does not help ({gain:+.1f} points). {reason}"


def _bars(names: dict[str, str], scores: dict[str, dict[str, float]]) -> str:
    return "".join(
        f'<div><div class="name">{escape(name)}</div>'
        + "".join(_bar(arm, scores[arm].get(key, 0.0)) for arm in ARMS)
        + "</div>"
        for key, name in names.items()
    )


def _bar(arm: str, share: float) -> str:
    return (
        f'<div class="bar {arm}"><span>{_ARM_NAMES[arm].split()[0]}</span>'
        f'<span class="track"><i style="width:{100 * share:.1f}%"></i></span>'
        f'<span class="value">{_percent(share)}</span></div>'
    )


def _steps(metrics: dict[str, Any], shown: Shown) -> str:
    ner = metrics["ner"]
    made = {
        "sample": f"{shown.raw_lines:,} lines of raw text ({shown.raw_words:,} words, {shown.vocabulary:,} different); "
        + ", ".join(f"{number} {part}" for part, number in shown.sentences.items())
        + " sentences tagged with PER, LOC, ORG, DATE",
        "teach": f"a fastText table of width {shown.dim}, from the raw text",
        "distill": f"an encoder of {shown.parameters:,} parameters that imitates the table",
        "train_scratch": f"a spaCy tagger without pretrained vectors: F1 {_percent(ner['scratch'])}",
        "train_distilled": f"the same tagger over the encoder's vectors: F1 {_percent(ner['distilled'])}",
        "report": "scores, and this page",
    }
    seconds = metrics["seconds_by_step"]
    return "".join(
        f"<tr><th>{name.replace('_', ' ')}</th><td>{escape(text)}</td>"
        f'<td class="n">{seconds.get(name, 0):.0f}</td></tr>'
        for name, text in made.items()
    )


def _sizes(metrics: dict[str, Any]) -> str:
    rows = {
        "teacher.bin, with its n-grams": metrics["teacher_bytes"],
        "encoder/, weights and the code to load it": metrics["encoder_bytes"],
        **{f"ner_{arm}/, the whole pipeline": size for arm, size in metrics["pipeline_bytes"].items()},
    }
    return "".join(f'<tr><th>{escape(name)}</th><td class="n">{_size(size)}</td></tr>' for name, size in rows.items())


def _neighbours(found: Neighbours) -> str:
    return "".join(
        f'<tr><th>{escape(word)}</th><td><div class="words">{_words(near)}</div></td></tr>'
        for word, near in found.items()
    )


def _words(near: Iterable[tuple[str, float]]) -> str:
    return "".join(f"<span>{escape(word)} <small>{score:.2f}</small></span>" for word, score in near)


def _mix_note(comparisons: list[Comparison]) -> str:
    better = sum(one.right["distilled"] and not one.right["scratch"] for one in comparisons)
    worse = sum(one.right["scratch"] and not one.right["distilled"] for one in comparisons)
    return (
        f"Chosen to show each kind, not to count: {better} that only the tagger with the encoder gets right, {worse} "
        "that only the one without gets right, some that neither does, some that both do."
    )


def _sentence(one: Comparison) -> str:
    rows = [f"<div class='arm'><b>annotated</b>{_entities(one.gold)}</div>"]
    for arm in ARMS:
        mark = '<i class="right">✓</i>' if one.right[arm] else '<i class="wrong">✗</i>'
        rows.append(f"<div class='arm'><b>{_ARM_NAMES[arm]} {mark}</b>{_entities(one.predicted[arm])}</div>")
    return f"<div class='sentence'>{''.join(rows)}</div>"


def _entities(tagged: Tagged) -> str:
    """The sentence with its entities, drawn by displaCy."""
    from spacy import displacy

    ents = [{"start": start, "end": end, "label": label} for start, end, label in tagged.entities]
    doc = {"text": tagged.text, "ents": ents, "title": None}
    options = {"colors": _COLOURS}
    return displacy.render(doc, style="ent", manual=True, page=False, minify=True, jupyter=False, options=options)
