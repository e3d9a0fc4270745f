"""How much of the tagged sentences stands, without its tags, in the raw text that teachers and tables learn from.

    python recipes/ner/scripts/raw_text.py      # a few minutes; writes the block `raw-text` of README.md

A sentence counts as standing there when at least half of its runs of six words do (case and punctuation aside).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.data.overlap import share_in_text
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from recipes.common import (
    DEFAULT_DATA,
    corpus_files,
    markdown_table,
    mean_spread,
    read_results,
    replace_block,
    run_app,
    task_files,
)
from recipes.ner.scripts.ner_spacy import LANGUAGES, RESULTS, TASK
from recipes.ner.scripts.spacy_tables import ARMS, chosen, seed_means

HERE = Path(__file__).resolve().parents[1]
SPLITS = ("train", "dev", "test")
MANY = 0.2  # of a language's test sentences: without such languages the means are given as well
app = typer.Typer(help=__doc__, pretty_exceptions_enable=False)


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")] = DEFAULT_DATA,
    language: Annotated[list[str], typer.Option(help="MasakhaNER language; repeat for several.")] = list(LANGUAGES),  # noqa: B006
    results: Annotated[Path, typer.Option(help="Scores of the spaCy arms (JSON lines).")] = RESULTS,
    readme: Path = HERE / "README.md",
) -> None:
    """Count the sentences, and write them into the README with the means over the languages that have few."""
    shares = {one: shares_of(data, one) for one in language}
    lines = [[one, *(f"{100 * found[split]:.0f} %" for split in SPLITS)] for one, found in shares.items()]
    table = markdown_table(["in the raw text", *SPLITS], lines)
    few = [one for one, found in shares.items() if found["test"] < MANY]
    left_out = ", ".join(one for one in language if one not in few)
    text = means(results, few)
    replace_block(readme, "raw-text", f"{table}\n\nMean test F1 without {left_out}: {text}." if left_out else table)


def shares_of(data: Path, language: str) -> dict[str, float]:
    """For each split, the share of its sentences that stand in the language's raw text."""
    files = task_files(data, TASK, language)
    sentences = {split: [s.words for s in ConllCorpus(files[split]).sentences()] for split in SPLITS}
    return share_in_text(sentences, corpus_files(data, [language]))


def means(results: Path, languages: Sequence[str]) -> str:
    """Each spaCy arm's mean test F1 over some of the languages."""
    rows = [row for row in read_results(results) if row["share"] == 100]
    found = {arm: seed_means(chosen(rows, arm=arm), "test_f1", languages) for arm in ARMS}
    return ", ".join(f"{arm} {mean_spread(values)}" for arm, values in found.items() if values)


if __name__ == "__main__":
    run_app(app)
