"""Write what all results found say: each recipe's tables into its own README, and the front page's figures.

    python recipes/readme.py

No figure there is typed by hand. The front page shows named entities in ten languages, what ships beside what else one
could use, from the kept results of `embeddings` (spaCy) and `tagging` (Hugging Face) and from published figures. What
has not been run is left out.
"""

from __future__ import annotations

import contextlib
import io
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the recipes are not installed

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.plots import COLORS, FAINT, SizePoint, bar_plot, size_plot
from distillemb_plugins.files import encoder_bytes
from distillemb_plugins.locations import bundled, bundled_names
from recipes import results as shared
from recipes.results import ROOT, Cell, Row, Rows, fact, mean_spread, megabytes, pick, seed_means, whole_seeds

KNOWN: Row = yaml.safe_load(Path(__file__).with_name("front.yml").read_text("utf-8"))
SPACY, HF, PUBLISHED = "spaCy, a pipeline a language", "Hugging Face, one tagger for all", "published"
COLORS_OF = {SPACY: (COLORS[0], "o"), HF: (COLORS[1], "s"), PUBLISHED: (FAINT, "D")}
TITLES = {SPACY: "spaCy, {}", HF: "Hugging Face, {}", PUBLISHED: "*{}*"}
WITHOUT = "no vectors"
PLOT, GAINS = "f1-and-bytes.svg", "gains.svg"
TABLES: dict[str, str] = KNOWN["commands"]


def write_tables(recipes: Path) -> None:
    """Run every recipe's table command that has results. Raises `DistillEmbError` naming the one that fails."""
    for command, results in TABLES.items():
        if (recipes / results).is_file():
            script, *options = command.split()
            line = [sys.executable, str(recipes / script), *options]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise DistillEmbError(f"recipes/{script} failed: {last}")


def write_front(root: Path) -> None:
    """Write the figures of ``root/README.md`` and draw the plots, from the results in ``root/recipes``."""
    recipes, readme = root / "recipes", root / "README.md"
    found = read_entries(recipes)
    shared.write_text(recipes / PLOT, plot(found))
    shared.write_text(recipes / GAINS, gains_plot(found))
    shared.write_blocks(readme, {"numbers": numbers(found), "ships": table(found), "output": example_output(readme)})


def read_entries(recipes: Path) -> Rows:
    """The `entries` of the results in a folder of recipes."""
    settings = yaml.safe_load((recipes / "tagging" / "settings.yml").read_text("utf-8"))
    names = ("embeddings/results.jsonl", "tagging/results-ner.jsonl")
    pipelines, taggers = (shared.read_results(recipes / name) for name in names)
    return entries(pipelines, taggers, settings)


def entries(pipelines: Iterable[Row], taggers: Iterable[Row], settings: Mapping[str, Any]) -> Rows:
    """Everything that has been run on all languages (pipelines of embeddings, taggers of tagging) and been published.

    Of each system: its ``name`` and ``kind``, the F1 by language (``scores``), its ``means`` over the languages of each
    seed, their ``mean``, and the ``bytes`` that one has on disk to tag. settings: those of recipes/tagging.
    """
    languages = settings["ner"]["languages"]
    ner = pick(pipelines, task="ner", share=100)
    alone = _bytes(pick(ner, system="hash"), "model_bytes")
    found: Rows = []
    for system, name in KNOWN["pipelines"].items():
        rows = whole_seeds(pick(ner, system=system), "language", languages)
        size = alone + rows[0]["embedding_bytes"] if system in KNOWN["tables"] and rows else _bytes(rows, "model_bytes")
        found += _entry(name, SPACY, rows, languages, size)
    for name, run in KNOWN["taggers"].items():
        rows = whole_seeds(pick(taggers, **run), "language", languages)
        found += _entry(name, HF, rows, languages, _bytes(rows, "bytes"))
    for name, scores in settings["published"].items():
        if millions := re.search(r" \(([\d.]+)M\)$", name):
            rows = [{"language": one, "seed": 0, "test_f1": f1} for one, f1 in zip(languages, scores, strict=True)]
            size = 4 * int(float(millions[1]) * 1e6)  # float32
            found += _entry(name[: millions.start()], PUBLISHED, rows, languages, size)
    return found


def _bytes(rows: Rows, name: str) -> int:
    return round(statistics.fmean(row[name] for row in rows)) if rows else 0


def _entry(name: str, kind: str, rows: Rows, languages: Sequence[str], size: int) -> Rows:
    if not rows:
        return []
    scores = {one: statistics.fmean(row["test_f1"] for row in pick(rows, language=one)) for one in languages}
    means = seed_means(rows, "test_f1", languages)
    known = {"name": name, "kind": kind, "bytes": size}
    return [{**known, "scores": scores, "means": means, "mean": statistics.fmean(means)}]


def numbers(found: Rows) -> str:
    """The three numbers of the page as a list; those that the results do not give are left out."""
    named = {"alone": WITHOUT, "fasttext": "fastText", "ours": "afro11", "large": KNOWN["reference"]}
    named |= {f"{key}_longer": f"{named[key]}, longer" for key in ("alone", "ours")}
    values: Row = {
        key: next(iter(pick(found, name=name, kind=(SPACY, PUBLISHED))), None) for key, name in named.items()
    }
    for key, mode in {"best": "joint", "more": "refined"}.items():  # the first is like with like
        names = tuple(name for name, run in KNOWN["taggers"].items() if run["mode"] == mode)
        values[key] = max(pick(found, kind=HF, name=names), key=lambda one: float(one["mean"]), default=None)
    ships = {name: encoder_bytes(bundled(name)) for name in KNOWN["taggers"] if name in bundled_names()}
    return shared.fill(Path(__file__).with_name("front.md").read_text("utf-8"), ships=ships, **values)


def table(found: Rows) -> str:
    """F1 by language of what ships, of what it replaces, and of one published model."""
    kept = [one for one in found if one["kind"] != PUBLISHED or one["name"] == KNOWN["reference"]]
    kept = [one for one in kept if one["name"] not in KNOWN["not_listed"]]
    columns: dict[str, Cell] = {one: fact(f"scores.{one}", ".1f") for one in (kept[0]["scores"] if kept else ())}
    columns["mean"] = lambda own: f"**{mean_spread(own[0]['means'])}**"
    columns["on disk"] = lambda own: megabytes(own[0]["bytes"])
    groups = [(TITLES[one["kind"]].format(one["name"]), [one]) for one in kept]
    return shared.table("test F1", groups, columns)


def plot(found: Rows) -> str:
    """Mean F1 against bytes as SVG, the same bytes from the same figures."""
    shown = [one for one in found if one["name"] not in KNOWN["not_drawn"]]
    points = [SizePoint(one["name"], one["bytes"], one["mean"], one["kind"]) for one in shown]
    y_label = "named entities, mean F1 of ten languages"
    return size_plot(points, y_label, COLORS_OF, size=(6.4, 4.2), legend=True)


def gains_plot(found: Rows) -> str:
    """What vectors bring in each language, against the same pipeline without them, as SVG."""
    scores = {one["name"]: one["scores"] for one in pick(found, kind=SPACY)}
    rows = {
        language: {name: scores[name][language] - f1 for name in KNOWN["compared"] if name in scores}
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


def main() -> None:
    """Write all tables, and the front page."""
    write_tables(ROOT / "recipes")
    write_front(ROOT)


if __name__ == "__main__":
    shared.run_app(main)
