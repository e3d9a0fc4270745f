"""What the front page shows: named entities in ten languages, what ships beside what else one could use.

Everything comes from the kept results of `embeddings` (spaCy) and `tagging` (Hugging Face) and from published figures.
What has not been run is left out.
"""

from __future__ import annotations

import contextlib
import io
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.plots import COLORS, FAINT, SizePoint, bar_plot, size_plot
from distillemb_plugins.files import encoder_bytes
from distillemb_plugins.locations import bundled, bundled_names
from recipes.results import Row, markdown_table, mean_spread, megabytes, pick, seed_means, whole_seeds

# Systems of recipes/embeddings, and what the page calls them.
PIPELINES = {
    "hash": "no vectors",
    "static": "fastText",
    "compressed": "compress-fasttext",
    "floret": "floret",
    "frozen-afro11": "afro11, frozen",
    "finetuned-afro11": "afro11",
    "finetuned-afro11-context": "afro11-context",
}
TABLES = ("static", "compressed", "floret")  # vectors that a pipeline loads beside itself
TAGGERS = ("afro11", "afro11-context")  # encoders that the joint tagger of recipes/tagging begins with
SPACY, HF, PUBLISHED = "spaCy, a pipeline a language", "Hugging Face, one tagger for all", "published"
COLORS_OF = {SPACY: (COLORS[0], "o"), HF: (COLORS[1], "s"), PUBLISHED: (FAINT, "D")}
NOT_DRAWN = ("afro11, frozen", "AfroXLMR-mini")  # to keep the picture plain
NOT_LISTED = ("compress-fasttext", "floret")  # to keep the table small
REFERENCE = "XLM-R-base"
WITHOUT, COMPARED = "no vectors", ("fastText", "afro11", "afro11-context")  # of the bars
FLOAT = 4  # bytes of a parameter


@dataclass(frozen=True)
class Entry:
    """A system: its F1 by language and, for each seed, the mean over the languages; what one has on disk to tag."""

    name: str
    kind: str
    scores: Mapping[str, float]
    means: Sequence[float]
    bytes: int

    @property
    def mean(self) -> float:
        return statistics.fmean(self.means)


def entries(pipelines: Iterable[Row], taggers: Iterable[Row], settings: Mapping[str, Any]) -> list[Entry]:
    """Everything that has been run on all languages, and what has been published.

    Args:
        pipelines: Results of recipes/embeddings.
        taggers: Results of recipes/tagging.
        settings: The settings of recipes/tagging, with the languages and the published figures.
    """
    languages = settings["ner"]["languages"]
    ner = pick(pipelines, task="ner", share=100)
    alone = _bytes(pick(ner, system="hash"), "model_bytes")
    found: list[Entry | None] = []
    for system, name in PIPELINES.items():
        rows = whole_seeds(pick(ner, system=system), "language", languages)
        size = alone + rows[0]["embedding_bytes"] if system in TABLES and rows else _bytes(rows, "model_bytes")
        found.append(_entry(name, SPACY, rows, languages, size))
    for encoder in TAGGERS:
        rows = whole_seeds(pick(taggers, mode="joint", init_from=encoder), "language", languages)
        found.append(_entry(encoder, HF, rows, languages, _bytes(rows, "bytes")))
    for name, scores in settings["published"].items():
        millions = re.search(r" \(([\d.]+)M\)$", name)
        if millions:
            size = int(float(millions[1]) * 1e6) * FLOAT
            by_language = dict(zip(languages, scores, strict=True))
            found.append(Entry(name[: millions.start()], PUBLISHED, by_language, [statistics.fmean(scores)], size))
    return [entry for entry in found if entry is not None]


def _bytes(rows: Sequence[Row], name: str) -> int:
    return round(statistics.fmean(row[name] for row in rows)) if rows else 0


def _entry(name: str, kind: str, rows: list[Row], languages: Sequence[str], size: int) -> Entry | None:
    if not rows:
        return None
    scores = {one: statistics.fmean(row["test_f1"] for row in pick(rows, language=one)) for one in languages}
    return Entry(name, kind, scores, seed_means(rows, "test_f1", languages), size)


def numbers(found: Sequence[Entry]) -> str:
    """The three numbers of the page as a list; those that the results do not give are left out."""
    lines = []
    pipelines, taggers = ({entry.name: entry for entry in found if entry.kind == kind} for kind in (SPACY, HF))
    if {"no vectors", "fastText"} <= pipelines.keys():
        ships = [name for name in TAGGERS if name in bundled_names()]
        first, *more = (f"{megabytes(encoder_bytes(bundled(name)))}** (`{name}`" for name in ships)
        context = "".join(f", **{one}, with words in context)" for one in more)
        table = megabytes(pipelines["fastText"].bytes - pipelines["no vectors"].bytes)
        lines.append(f"**{first}){context} for eleven languages, in the place of a fastText table of {table}.")
    if {"no vectors", "fastText", "afro11"} <= pipelines.keys():
        ours = pipelines["afro11"]
        gaps = [f"{ours.mean - pipelines[name].mean:+.1f}" for name in ("no vectors", "fastText")]
        lines.append(
            f"**{gaps[0]} points of F1** for named entities over the same spaCy pipeline without vectors, {gaps[1]} "
            "over one with that table (`afro11`, mean of ten languages)."
        )
    large = next((entry for entry in found if entry.name == REFERENCE), None)
    if large and taggers:
        best = max(taggers.values(), key=lambda entry: entry.mean)
        lines.append(
            f"**F1 {best.mean:.1f} in {megabytes(best.bytes)}**: one Hugging Face tagger on `{best.name}` for ten "
            f"languages. {large.name} has {large.mean:.1f} in {megabytes(large.bytes)}."
        )
    return "\n".join(f"* {line}" for line in lines)


def table(found: Sequence[Entry]) -> str:
    """F1 by language of what ships, of what it replaces, and of one published model."""
    kept = [entry for entry in found if entry.kind != PUBLISHED or entry.name == REFERENCE]
    kept = [entry for entry in kept if entry.name not in NOT_LISTED]
    if not kept:
        return ""
    header = ["test F1", *kept[0].scores, "mean", "on disk"]
    titles = {SPACY: "spaCy, {}", HF: "Hugging Face, {}", PUBLISHED: "*{}*"}
    return markdown_table(
        header,
        [
            [
                titles[entry.kind].format(entry.name),
                *(f"{score:.1f}" for score in entry.scores.values()),
                f"**{mean_spread(entry.means)}**",
                megabytes(entry.bytes),
            ]
            for entry in kept
        ],
    )


def plot(found: Sequence[Entry]) -> str:
    """Mean F1 against bytes as SVG, the same bytes from the same figures."""
    shown = [entry for entry in found if entry.name not in NOT_DRAWN]
    points = [SizePoint(entry.name, entry.bytes, entry.mean, entry.kind) for entry in shown]
    y_label = "named entities, mean F1 of ten languages"
    return size_plot(points, y_label, COLORS_OF, size=(6.4, 4.2), legend=True)


def gains_plot(found: Sequence[Entry]) -> str:
    """What vectors bring in each language, against the same pipeline without them, as SVG."""
    scores = {entry.name: entry.scores for entry in found if entry.kind == SPACY}
    rows = {
        language: {name: scores[name][language] - f1 for name in COMPARED if name in scores}
        for language, f1 in scores.get(WITHOUT, {}).items()
    }
    return bar_plot(rows, f"named entities, points of F1 above {WITHOUT}")


def example_output(readme: Path) -> str:
    """What the README's first Python block prints. Raises `DistillEmbError` when there is none."""
    code = re.search(r"^```python\n(.*?)^```$", readme.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    if not code:
        raise DistillEmbError(f"{readme} has no Python block: put one before the output.")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code[1], str(readme), "exec"), {"__name__": "readme"})
    return f"```text\n{printed.getvalue()}```"


def read_settings(recipes: Path) -> dict[str, Any]:
    """The settings of recipes/tagging."""
    settings: dict[str, Any] = yaml.safe_load((recipes / "tagging" / "settings.yml").read_text("utf-8"))
    return settings
