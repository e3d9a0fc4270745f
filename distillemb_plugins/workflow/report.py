"""The reports of a build and of the quickstart: templates in a little Markdown, filled from what was found.

A template holds sections (``## heading``, a warning with ``##!``), and in them blocks with an empty line between:
``### subheading``, ``~ note``, ``> quote``, ``- item``, indented code, paragraphs, and tables (``| a | b |``; ``||``
where the cells are sentences, ``**`` before the first cell of a row in bold). ``@name`` is a block made here. Before
the first section stand the lead and the key figures (``^ value | label | tone``).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..distill.settings import DistillSettings, default_settings
from ..evaluate.tables import format_bytes
from ..evaluate.tagging import entities
from ..report import Bar, Figure, NeighborRow, Piece, Report, Section, entity_pieces, word_pieces
from ..sample import LANGUAGES
from .settings import BUNDLED, SCORE_NAMES, SYSTEMS, WITHOUT, FirstLook, LookedUp, tagger_name

if TYPE_CHECKING:
    import jinja2

Facts = Mapping[str, Any]
Blocks = Mapping[str, Callable[[Section], object]]
_TONES = {WITHOUT: 0, BUNDLED: 1, "own": 2, "joint": 2}
_SHORT_NAMES = {WITHOUT: "without", "own": "your own"}
_TITLES = {
    WITHOUT: "without an encoder",
    "own": "encoder from this text alone",
    "joint": f"encoder from this text and {BUNDLED}",
    BUNDLED: f"{BUNDLED}, which comes with the package",
}
_DISTILL_OPTIONS = ("epochs", "batch_size", "storage", "codebook_words")  # the others are given with --set


def render(facts: Facts, maps: Sequence[str] = ()) -> str:
    """The page of a build, with maps of words as SVG: the teacher's and the chosen encoder's."""
    report = Report(f"Encoder and taggers: {facts['asked']['title'] or facts['asked']['language']}")
    pairs = zip(("the teacher", "the encoder"), maps, strict=False)
    figures = [Figure(svg, f"map of words in {model}", model) for model, svg in pairs]
    note = "t-SNE of the vectors of frequent words. Colors are clusters in the teacher."
    blocks = _blocks(facts) | {"maps": lambda section: section.figures(figures).note(note if figures else "")}
    _fill(report, "build_report.md", blocks, facts=facts)
    return report.html()


def render_quickstart(metrics: Facts, look: FirstLook, facts: Facts) -> str:
    """The page of the quickstart. ``facts["asked"]["out"]`` is how the reader names the output directory."""
    report = Report("Vectors for words, from their letters")
    languages = {
        title: {kind: 100 * metrics["ner_by_language"][name][code] for name, kind in SYSTEMS.items()}
        for code, title in LANGUAGES.items()
    }
    blocks = _blocks(facts) | {
        "look": lambda section: section.neighbors(_looked_up(look.words)),
        "unseen": lambda section: section.neighbors(_looked_up(look.unseen)),
        "languages": lambda section: _add_bars(section, "F1 by language", languages),
    }
    _fill(report, "quickstart_report.md", blocks, facts=facts, metrics=metrics, look=look)
    return report.html()


def _looked_up(words: Sequence[LookedUp]) -> list[NeighborRow]:
    return [NeighborRow(one.word, [one.near], f"{one.language}, {one.meaning}") for one in words]


def _fill(report: Report, template: str, blocks: Blocks, *, facts: Facts, **values: Any) -> None:
    report.labels = sorted(facts.get("tagged", {}).get("labels", ()))
    name = SCORE_NAMES.get(facts["asked"]["task"], "")
    text = _templates().get_template(template).render(facts=facts, name=name, titles=_TITLES, **values)
    section: Section | None = None
    for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        mark, _, rest = block.partition(" ")
        content = Markup(rest.strip())
        if mark == "^":
            for value, label, tone in (line[2:].split(" | ") for line in block.split("\n")):
                report.key_figure(value, label, int(tone))
        elif mark in ("##", "##!"):
            section = report.section(content, warning=mark == "##!")
        elif section is None:
            report.lead = Markup(block)
        elif block.startswith("@"):
            blocks[block[1:].strip()](section)
        elif block.startswith("    "):
            section.code(Markup(dedent(block)))
        elif mark in ("|", "||"):
            head, *rows = ([Markup(cell.strip()) for cell in line.strip("|").split("|")] for line in block.split("\n"))
            strong = [row[0][2:] for row in rows if row[0].startswith("**")]
            section.table(
                head, [[row[0].removeprefix("**"), *row[1:]] for row in rows], strong=strong, texts=mark == "||"
            )
        elif mark in (">", "-"):
            lines = map(Markup, block[2:].split(f"\n{mark} "))
            section.quotes(lines) if mark == ">" else section.items(lines)
        else:
            add = {"###": section.subheading, "~": section.note}.get(mark)
            add(content) if add else section.text(Markup(block))


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "n": "{:,}".format,
        "points": "{:.1f}".format,
        "share": lambda value: f"{value:.3f}" if isinstance(value, float) else "",
        "size": format_bytes,
        "tagger": tagger_name,
        "quoted": repr,
        "found": _found,
        # A combining mark stands on a dotted circle, so that it can be seen.
        "visible": lambda letter: f"◌{letter}" if unicodedata.combining(letter) else letter,
    }
    return environment


def _blocks(facts: Facts) -> dict[str, Callable[[Section], object]]:
    test = facts.get("test", {})
    labels = sorted({label for scores in test.values() for label in scores["labels"]})
    groups = {label: {kind: scores["labels"].get(label, 0.0) for kind, scores in test.items()} for label in labels}
    return {
        "labels": lambda section: _add_bars(section, "On test by kind of entity", groups),
        "examples": lambda section: _add_examples(section, facts),
        "neighbors": lambda section: _add_neighbors(section, facts["evaluation"]),
        "commands": lambda section: section.code(commands(facts)),
    }


def _add_bars(section: Section, title: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    bars = {
        group: [Bar(_SHORT_NAMES.get(kind, kind), score, _TONES[kind]) for kind, score in scores.items()]
        for group, scores in groups.items()
    }
    section.subheading(title if bars else "").bars(bars)


def _add_examples(section: Section, facts: Facts) -> None:
    """Test sentences as annotated and as two taggers tag them."""
    is_ner = facts["asked"]["task"] == "ner"
    for one in facts["examples"]["sentences"]:
        words, gold = one["words"], one["gold"]
        rows: list[tuple[str, bool | None, list[Piece]]] = []
        for name in ("gold", WITHOUT, facts["chosen"]):
            right = entities(gold) == entities(one[name]) if is_ner else gold == one[name]
            pieces = entity_pieces(words, one[name]) if is_ner else word_pieces(words, one[name], gold)
            title = "annotated" if name == "gold" else _SHORT_NAMES.get(name, name)
            rows.append((title, None if name == "gold" else right, pieces))
        section.tagged(rows)


def _add_neighbors(section: Section, evaluation: Facts) -> None:
    models = {"the encoder": evaluation["students"][0]["neighbors"], "the teacher": evaluation["teacher"]["neighbors"]}
    rows = [NeighborRow(word, [near.get(word, []) for near in models.values()]) for word in models["the encoder"]]
    section.neighbors(rows, list(models))


def commands(facts: Facts) -> str:
    """The shell commands that teach and distill with the settings of this build."""
    defaults, student = default_settings(), next(iter(facts["encoders"].values()))["settings"]
    student = {name: value for name, value in student.items() if value != defaults[name]}
    others = [f"--set '{name}={json.dumps(value)}'" for name, value in student.items() if name not in _DISTILL_OPTIONS]
    named = {name: value for name, value in student.items() if name in _DISTILL_OPTIONS}
    named |= {"corpus": "my-text.txt"} if DistillSettings(**student).reads_corpus else {}
    lines = [
        ["distillemb teach my-text.txt --out teacher.npz", *_options(facts["teacher"]["settings"])],
        ["distillemb distill teacher.npz --out encoder", *_options(named), *others],
    ]
    return "\n".join(" \\\n    ".join(line) for line in lines)


def _options(settings: Mapping[str, Any]) -> list[str]:
    given = {f"--{name.replace('_', '-')}": value for name, value in settings.items() if value is not False}
    words = [name if value is True else f"{name} {value}" for name, value in given.items()]
    return [" ".join(words[place : place + 5]) for place in range(0, len(words), 5)]


def _found(result: Facts, task: str | None) -> str:
    """What an opened package found in a sentence."""
    if task is None:
        shape = result.get("shape")
        return f"a table of {' x '.join(map(str, shape))}" if shape else f"{len(result['vectors'])} words with vectors"
    pairs = (result.get("pos") if task == "pos" else None) or result["entities"]
    return ", ".join(f"{text} ({label})" for text, label in pairs) or "nothing"
