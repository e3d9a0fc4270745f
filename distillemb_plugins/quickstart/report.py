"""The quickstart's report.html: one file, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ..sample import LABELS, LANGUAGES
from .look import Look, Looked
from .showing import COMPARED, Comparison, Neighbours, Shown, Tagged
from .tagging import ARMS

_COLOURS = {"PER": "#ffd9a8", "LOC": "#b5e3c5", "ORG": "#bcd7f7", "DATE": "#e5ccf0"}
_ARM_NAMES = {"scratch": "without", "afro11": "afro11", "distilled": "your own"}


def render(metrics: dict[str, Any], look: Look, shown: Shown, out: str, commands: str) -> str:
    """The report as HTML.

    metrics: what metrics.json holds. look: what the bundled encoder showed. out: how the reader names the output
    directory. commands: the shell commands that teach and distill with this run's settings.
    """
    page = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    ner = metrics["ner"]
    return page.substitute(
        seconds=f"{metrics['seconds']:.0f}",
        seed=metrics["seed"],
        **{arm: _percent(ner[arm]) for arm in ARMS},
        look_words="".join(map(_looked, look.words)),
        look_unseen="".join(map(_looked, look.unseen)),
        look_candidates=f"{look.candidates:,}",
        look_size=_size(look.size),
        verdict=_verdict(metrics, shown),
        type_bars=_bars({label: label for label in LABELS}, metrics["ner_by_type"]),
        language_bars=_bars(LANGUAGES, metrics["ner_by_language"]),
        test_sentences=shown.sentences["test"],
        train_sentences=shown.sentences["train"],
        steps=_steps(metrics, shown),
        raw_examples="".join(f"<blockquote>{escape(line)}</blockquote>" for line in shown.raw_examples),
        sizes=_sizes(metrics),
        parameters=f"{shown.parameters:,}",
        raw_words=f"{shown.raw_words:,}",
        neighbours=_neighbours(shown.neighbours),
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
    ner = metrics["ner"]
    gains = {arm: 100 * (ner[arm] - ner["scratch"]) for arm in ARMS[1:]}
    words = {arm: f"gains {gain:.1f} points" if gain > 0 else f"loses {-gain:.1f}" for arm, gain in gains.items()}
    return (
        f"Against the tagger without an encoder, the one with afro11 {words['afro11']}, and the one with an encoder "
        f"distilled here from the sample's own raw text {words['distilled']}. "
        f"{100 * shown.unseen_entities:.0f} % of the test part's entities do not stand in the tagged training "
        "sentences; an encoder has learnt from raw text, which nobody had to tag."
    )


def _bars(names: dict[str, str], scores: dict[str, dict[str, float]]) -> str:
    return "".join(
        f'<div><div class="name">{escape(name)}</div>'
        + "".join(_bar(arm, scores[arm].get(key, 0.0)) for arm in ARMS)
        + "</div>"
        for key, name in names.items()
    )


def _bar(arm: str, share: float) -> str:
    return (
        f'<div class="bar {arm}"><span>{_ARM_NAMES[arm]}</span>'
        f'<span class="track"><i style="width:{100 * share:.1f}%"></i></span>'
        f'<span class="value">{_percent(share)}</span></div>'
    )


def _steps(metrics: dict[str, Any], shown: Shown) -> str:
    ner = metrics["ner"]
    made = {
        "look": "the bundled encoder, and neighbours of words",
        "sample": f"{shown.raw_lines:,} lines of raw text ({shown.raw_words:,} words, {shown.vocabulary:,} different); "
        + ", ".join(f"{number} {part}" for part, number in shown.sentences.items())
        + " sentences tagged with PER, LOC, ORG, DATE",
        "train_scratch": f"a spaCy tagger without pretrained vectors: F1 {_percent(ner['scratch'])}",
        "train_afro11": f"the same tagger over afro11's vectors: F1 {_percent(ner['afro11'])}",
        "teach": f"a fastText table of width {shown.dim}, from the raw text",
        "distill": f"an encoder of {shown.parameters:,} parameters that imitates the table",
        "train_distilled": f"the same tagger over that encoder's vectors: F1 {_percent(ner['distilled'])}",
        "report": "this page",
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
        "afro11, in the package": metrics["bundled_bytes"],
        "encoder/, weights and the code to load it": metrics["encoder_bytes"],
        **{f"ner_{arm}/, the whole pipeline": size for arm, size in metrics["pipeline_bytes"].items()},
    }
    return "".join(f'<tr><th>{escape(name)}</th><td class="n">{_size(size)}</td></tr>' for name, size in rows.items())


def _looked(one: Looked) -> str:
    about = f"{one.language}, {one.meaning}"
    return (
        f"<tr><th>{escape(one.word)}<small>{escape(about)}</small></th>"
        f'<td><div class="words">{_words(one.near)}</div></td></tr>'
    )


def _neighbours(found: Neighbours) -> str:
    return "".join(
        f'<tr><th>{escape(word)}</th><td><div class="words">{_words(near)}</div></td></tr>'
        for word, near in found.items()
    )


def _words(near: Iterable[tuple[str, float]]) -> str:
    return "".join(f"<span>{escape(word)} <small>{score:.2f}</small></span>" for word, score in near)


def _mix_note(comparisons: list[Comparison]) -> str:
    without, with_ = COMPARED
    better = sum(one.right[with_] and not one.right[without] for one in comparisons)
    worse = sum(one.right[without] and not one.right[with_] for one in comparisons)
    return (
        f"Chosen to show each kind, not to count: {better} that only the tagger with {with_} gets right, {worse} "
        "that only the one without gets right, some that neither does, some that both do."
    )


def _sentence(one: Comparison) -> str:
    rows = [f"<div class='arm'><b>annotated</b>{_entities(one.gold)}</div>"]
    for arm in COMPARED:
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
