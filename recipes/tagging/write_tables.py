"""Write the tables of all results found into the README.

python recipes/tagging/write_tables.py write
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data.pos import LANGUAGES, TREEBANKS
from distillemb_plugins.files import atomic_file
from recipes import results as shared
from recipes.results import (
    RAW_TEXT,
    Cell,
    Row,
    fact,
    mean_spread,
    megabytes,
    pick,
    score,
    seed_score,
    seeds,
    table,
    whole_seeds,
)
from recipes.tables import differences_plot, differences_table, joint_table, languages_table, transfer_table
from recipes.tagging.train import HERE, NER, POS, SETTINGS

ENCODER_SYSTEMS = [name for name in POS["systems"] if name != "random"]
Rows = list[Row]
app = typer.Typer(help=__doc__, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Tables of the taggers."""


@app.command()
def write(
    ner: Annotated[Path, typer.Option(help="Scores of the NER taggers.")] = HERE / "results-ner.jsonl",
    pos: Annotated[Path, typer.Option(help="Scores of the POS taggers.")] = HERE / "results-pos.jsonl",
    tried: Annotated[Path, typer.Option(help="What `study` found.")] = HERE / "tried-pos.jsonl",
    readme: Path = HERE / "README.md",
) -> None:
    """Write the tables of all results found into the README, beside the published ones."""
    rows = [row | {"language": row["trained_on"]} for row in shared.read_results(pos)]
    every = (POS["systems"], (*LANGUAGES, *TREEBANKS))
    own = pick(rows, language=every[1])
    pairs = [(ours, "random") for ours in ENCODER_SYSTEMS]
    with atomic_file(readme.with_name("pos-differences.svg"), "w") as stream:
        stream.write(differences_plot(rows, pairs))
    blocks = {
        "ner": ner_table(shared.read_results(ner)),
        "pos-systems": table_of_systems(rows),
        "pos-differences": differences_table(rows, pairs),
        "pos-languages": languages_table(own, *every, "test.accuracy", "trained on"),
        "pos-unseen": languages_table(own, *every, "test.unseen", "trained on", share="test.unseen_share"),
        "pos-joint": joint_table(rows, POS["systems"]),
        "pos-transfer": transfer_table(rows, POS["systems"]),
        "pos-tried": table_of_settings(shared.read_results(tried)),
    }
    shared.write_blocks(readme, blocks)


def _mean(rows: Rows, name: str, languages: Sequence[str]) -> str:
    """Mean over the languages for each seed, then mean ± standard deviation over the seeds."""
    return mean_spread(shared.seed_means(rows, name, languages), 2)


def ner_table(rows: Rows) -> str:
    """Test F1 of each mode and encoder, and what others report."""
    languages, modes = NER["languages"], list(NER["modes"])
    kinds = sorted({(row["mode"], row["init_from"]) for row in rows}, key=lambda kind: (modes.index(kind[0]), kind[1]))
    columns: dict[str, Cell] = {language: score("test_f1", language=language) for language in languages}
    for column, name in {"mean": "test_f1", "dev mean": "dev_f1"}.items():
        columns[column] = partial(_mean, name=name, languages=languages)
    columns |= {"seeds": seeds, "on disk": lambda own: megabytes(max(row["bytes"] for row in own))}
    columns["minutes"] = lambda own: mean_spread(row["seconds"] / 60 for row in own)
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
        "seeds": seeds,
        "embedding": lambda own: megabytes(own[0]["embedding_bytes"]),
        "model": lambda own: megabytes(statistics.fmean(row["model_bytes"] for row in own)),
        "CPU seconds a run": lambda own: f"{statistics.fmean(row['cpu_seconds'] for row in own):.1f}",
        "words/s": lambda own: f"{statistics.median(row['words_per_second'] for row in own):,.0f}",
    }
    groups = []
    for system in POS["systems"]:
        own = pick(rows, system=system, language=LANGUAGES)
        groups.append((system, whole_seeds(own, "language", {row["language"] for row in own})))
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
