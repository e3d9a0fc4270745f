"""Write the tables of all results found into the README.

python recipes/tagging/write_tables.py write
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data.pos import LANGUAGES, TREEBANKS
from recipes import results as shared
from recipes.results import RAW_TEXT, Cell, Rows, fact, mean_spread, megabytes, pick, score, seed_score, table
from recipes.tables import COSTS, differences_plot, pos_blocks
from recipes.tagging.train import HERE, NER, POS, SETTINGS

app = typer.Typer(help=__doc__, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Tables of the taggers."""


@app.command()
def write(
    ner: Annotated[Path, typer.Option(help="Scores of the NER taggers.")] = HERE / "results-ner.jsonl",
    pos: Annotated[Path, typer.Option(help="Scores of the POS taggers.")] = HERE / "results-pos.jsonl",
    tried: Annotated[Path, typer.Option(help="What `study` found.")] = HERE / "tried-pos.jsonl",
    readme: shared.Readme = HERE / "README.md",
) -> None:
    """Write the tables of all results found into the README, beside the published ones."""
    rows = [row | {"language": row["trained_on"]} for row in shared.read_results(pos)]
    pairs = [(name, "random") for name in POS["systems"] if name != "random"]
    shared.write_text(readme.with_name("pos-differences.svg"), differences_plot(rows, pairs))
    blocks = {
        "ner": ner_table(shared.read_results(ner)),
        "pos-systems": table_of_systems(rows),
        **pos_blocks(rows, list(POS["systems"]), pairs, (*LANGUAGES, *TREEBANKS)),
        "pos-tried": table_of_settings(shared.read_results(tried)),
    }
    shared.write_blocks(readme, blocks)


def ner_table(rows: Rows) -> str:
    """Test F1 of each mode and encoder, and what others report."""
    languages, modes = NER["languages"], list(NER["modes"])
    kinds = sorted({(row["mode"], row["init_from"]) for row in rows}, key=lambda kind: (modes.index(kind[0]), kind[1]))
    columns: dict[str, Cell] = {language: score("test_f1", language=language) for language in languages}
    columns["mean"] = lambda own: mean_spread(shared.seed_means(own, "test_f1", languages), 2)
    columns["dev mean"] = lambda own: mean_spread(shared.seed_means(own, "dev_f1", languages), 2)
    columns |= {"seeds": shared.seeds, "on disk": lambda own: megabytes(max(row["bytes"] for row in own))}
    columns["minutes"] = shared.minutes
    published = [
        [f"*{name}*", *(f"{one:.1f}" for one in scores), f"{statistics.fmean(scores):.2f}", "", "", "", ""]
        for name, scores in SETTINGS["published"].items()
    ]
    groups = [(f"{mode}, {init}", pick(rows, mode=mode, init_from=init)) for mode, init in kinds]
    return table("test F1", groups, columns, *published)


def table_of_systems(rows: Rows) -> str:
    """Per system, means over the languages: accuracy on all, taught and other languages, on seen and unseen words."""
    columns: dict[str, Cell] = {
        "test": seed_score("test.accuracy", 2),
        "of the taught": seed_score("test.accuracy", 2, only=RAW_TEXT),
        "of the others": seed_score("test.accuracy", 2, but=RAW_TEXT),
        "seen words": seed_score("test.seen", 2),
        "unseen words": seed_score("test.unseen", 2),
        "seeds": shared.seeds,
        "embedding": lambda own: megabytes(own[0]["embedding_bytes"]),
        "model": COSTS["model"][0],
        "CPU seconds a run": shared.average("cpu_seconds", ".1f"),
        "words/s": COSTS["words/s"][0],
    }
    own = {system: pick(rows, system=system, language=LANGUAGES) for system in POS["systems"]}
    groups = [
        (system, shared.whole_seeds(some, "language", {row["language"] for row in some}))
        for system, some in own.items()
    ]
    return table("system", groups, columns)


def table_of_settings(rows: Rows) -> str:
    """The settings that were tried, by dev accuracy alone."""
    rows = sorted(rows, key=lambda row: [row[name] for name in ("trained_on", "system", "setting")], reverse=True)
    columns = {
        "setting": fact("setting"),
        "dev accuracy": fact("dev", ".1f"),
        "CPU seconds": fact("cpu_seconds", ".1f"),
    }
    return table("trained on, system", [(f"{row['trained_on']}, {row['system']}", [row]) for row in rows], columns)


if __name__ == "__main__":
    shared.run_app(app)
