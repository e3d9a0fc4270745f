"""The quickstart's report: the first look, the sections of a build, and how to go on with text of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from ..evaluate.tables import format_bytes
from ..report import Bar, NeighborRow, Report
from ..runs import Facts
from ..sample import LANGUAGES
from . import report as sections
from .quickstart import FirstLook, LookedUp
from .settings import BUNDLED

_NAMES = {"scratch": "without", "afro11": "afro11", "distilled": "your own"}
_TONES = {"scratch": 0, "afro11": 1, "distilled": 2}
_EXAMPLE = "Asha B-PER\nyuko O\nMwanza B-LOC\n. O"


def render(metrics: dict[str, Any], look: FirstLook, facts: Facts) -> str:
    """The page.

    Args:
        metrics: What ``metrics.json`` holds.
        look: What the bundled encoder showed.
        facts: What the build found. ``facts["asked"]["out"]`` is how the reader names the output directory.
    """
    report = Report(
        "Vectors for words, from their letters",
        Markup(
            "<code>{}</code> comes with the package: eleven African languages in {}. It has a vector for every word, "
            "also for one that nobody ever wrote. This page was made by <code>distillemb quickstart</code> in {} "
            "seconds, without a network."
        ).format(BUNDLED, format_bytes(look.size), f"{metrics['seconds']:.0f}"),
        sections.labels(facts),
    )
    _look(report, look)
    _synthetic(report)
    _scores(report, metrics, facts)
    sections.add_examples(report.section("Test sentences"), facts)
    _your_own_sentence(report, metrics, facts)
    _your_own_language(report, facts)
    sections.add_text(report.section("The sample's raw text"), facts["text"])
    vectors = report.section("The sample's own encoder")
    vectors.text("With so little text the spelling still weighs much. These are the settings for a text so small.")
    sections.add_vectors(vectors, facts)
    sections.add_neighbors(vectors, facts["evaluation"])
    _left(report, metrics)
    sections.add_steps(report.section("Steps and times"), facts)
    return report.html()


def _look(report: Report, look: FirstLook) -> None:
    section = report.section("Nearest words")
    section.text(f"The nearest of {look.candidates:,} frequent words, by cosine.").neighbors(_rows(look.words))
    section.subheading("Words that it never saw")
    section.text(
        "No table has a row for these. The encoder reads their letters, and finds words of a like meaning or a like "
        "form."
    )
    section.neighbors(_rows(look.unseen))
    section.note(
        Markup(
            "It is not always so good. Where there was little text, as for Pidgin, or where the letters say nothing, "
            "the neighbors are words that look alike: see <i>water</i>. Try your own: "
            "<code>distillemb neighbors {} WORD</code>"
        ).format(BUNDLED)
    )


def _rows(words: Iterable[LookedUp]) -> list[NeighborRow]:
    return [NeighborRow(one.word, [one.near], f"{one.language}, {one.meaning}") for one in words]


def _synthetic(report: Report) -> None:
    report.section("What follows uses a synthetic sample.", warning=True).text(
        Markup(
            "We wrote its word lists and sentence templates, in Swahili and Amharic, for this package, and random "
            "draws made the text. Persons, organizations and events are invented. It shows how the parts fit together; "
            "<b>its scores say nothing about real text</b>. Scores on real text are in the recipes of the repository."
        )
    )


def _scores(report: Report, metrics: dict[str, Any], facts: Facts) -> None:
    ner = metrics["ner"]
    section = report.section("Named entities, with and without an encoder")
    names = ("F1 without an encoder", "F1 with afro11", "F1 with your own encoder, made from the sample's raw text")
    section.table(["test F1", ""], [[name, _percent(score)] for name, score in zip(names, ner.values(), strict=True)])
    gains = {name: 100 * (ner[name] - ner["scratch"]) for name in ("afro11", "distilled")}
    words = {name: f"gains {gain:.1f} points" if gain > 0 else f"loses {-gain:.1f}" for name, gain in gains.items()}
    section.text(
        f"Against the tagger without an encoder, the one with afro11 {words['afro11']}, and the one with an encoder "
        f"distilled here from the sample's own raw text {words['distilled']}. Many entities of the test part do not "
        "stand in the tagged training sentences. An encoder has learned from raw text, which nobody had to tag."
    )
    section.subheading("F1 by kind of entity").bars(
        _bars({label: label for label in sections.labels(facts)}, metrics["ner_by_type"])
    )
    section.subheading("F1 by language").bars(_bars(LANGUAGES, metrics["ner_by_language"]))
    sizes = facts["tagged"]["sentences"]
    section.note(
        f"F1 of whole entities on the test part ({sizes['test']} sentences), counted by spaCy's Scorer; 100 is "
        f"perfect. One run with seed {metrics['seed']}: another seed moves a figure by one or two points. Each tagger "
        f"is one pipeline for the two languages, trained for the same number of steps on the same "
        f"{sizes['train']} sentences, its best state chosen on the same dev part. Their configurations differ in "
        "one block."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _bars(names: dict[str, str], scores: dict[str, dict[str, float]]) -> dict[str, list[Bar]]:
    return {
        title: [Bar(_NAMES[name], 100 * scores[name].get(key, 0.0), _TONES[name]) for name in _NAMES]
        for key, title in names.items()
    }


def _your_own_sentence(report: Report, metrics: dict[str, Any], facts: Facts) -> None:
    out = facts["asked"]["out"]
    section = report.section("Tag your own sentence")
    section.text(
        Markup("Start <code>.venv/bin/python</code> where you ran <code>make quickstart</code>, and try a sentence:")
    )
    section.code(
        f'import spacy\nnlp = spacy.load("{out}/ner_afro11")\n'
        'print([(e.text, e.label_) for e in nlp("Asha alisafiri Mwanza Jumatatu.").ents])\n'
        'print([(e.text, e.label_) for e in nlp("አበበ ሰኞ ወደ ጎንደር ሄደ ።").ents])'
    )
    section.note(
        Markup(
            "It learned from {} made-up sentences: expect mistakes on real ones. spaCy's multi-language tokenizer "
            'leaves ። on its word unless a space stands before it; for Amharic alone, <code>lang = "am"</code> in the '
            "configuration splits it off."
        ).format(facts["tagged"]["sentences"]["train"])
    )


def _your_own_language(report: Report, facts: Facts) -> None:
    out = facts["asked"]["out"]
    section = report.section("Next: your own tagged sentences")
    section.text("Two columns, word and tag, a blank line between sentences; a few hundred sentences are a beginning:")
    section.code(_EXAMPLE)
    section.text(
        Markup(
            "In one of the eleven languages of <code>{}</code>, or one that is near to them, this is all (in a shell, "
            "after <code>source .venv/bin/activate</code>):"
        ).format(BUNDLED)
    )
    section.code(
        f"python -m spacy train {out}/encoder.cfg --output my-ner \\\n"
        "    --paths.train train.conll --paths.dev dev.conll"
    )
    section.text(
        Markup(
            'and the tagger is <code>spacy.load("my-ner/model-best")</code>. With thousands of sentences take '
            "<code>freeze = false</code> and more <code>max_steps</code>."
        )
    )
    section = report.section("Next: your own language")
    section.text(
        "For another language, or with more text, make your own encoder. You need raw text: one sentence or paragraph "
        "a line, UTF-8; the more the better. One command does all of it, and compares your encoder with afro11:"
    )
    section.code("distillemb build my-texts/ --language luo --conll my-tagged/ -o out")
    section.note(
        "It chooses settings for the size of the text, and leaves an encoder, a spaCy wheel, a Hugging Face directory "
        "and a report like this one."
    )


def _left(report: Report, metrics: dict[str, Any]) -> None:
    rows = {
        "sample/, the text": None,
        "teacher.bin, a row for each word and each group of letters": metrics["teacher_bytes"],
        "encoder/, the network and the code to load it": metrics["encoder_bytes"],
        **{f"ner_{name}/, the whole pipeline": size for name, size in metrics["pipeline_bytes"].items()},
        "scratch.cfg and encoder.cfg, the training configurations": None,
        "metrics.json, the figures": None,
        f"{BUNDLED}, in the package": metrics["bundled_bytes"],
    }
    cells = [[name, format_bytes(size) if size else ""] for name, size in rows.items()]
    report.section("What lies beside this file").table(["", "size"], cells)
