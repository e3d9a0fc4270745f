"""Write what all results found say: each recipe's tables into its own README, and the front page's figures.

    python recipes/readme.py

No figure there is typed by hand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the recipes are not installed

from distillemb_plugins.errors import DistillEmbError
from recipes import front
from recipes.results import ROOT, read_results, run_app, write_blocks, write_text

PLOT, GAINS = "f1-and-bytes.svg", "gains.svg"

# The commands that write the recipes' tables, and the results without which there are none (both below recipes/).
TABLES = {
    "embeddings/write_tables.py write": "embeddings/results.jsonl",
    "tagging/write_tables.py write": "tagging/results-ner.jsonl",
    "transfer/write_tables.py": "transfer/results.jsonl",
    "new_language/compare.py table": "new_language/results.jsonl",
    "distill/scripts/tables.py write": "distill/results-a.jsonl",
    "benchmark/measure.py write": "benchmark/results.jsonl",
}


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
    pipelines = read_results(recipes / "embeddings" / "results.jsonl")
    taggers = read_results(recipes / "tagging" / "results-ner.jsonl")
    found = front.entries(pipelines, taggers, front.read_settings(recipes))
    write_text(recipes / PLOT, front.plot(found))
    write_text(recipes / GAINS, front.gains_plot(found))
    blocks = {"numbers": front.numbers(found), "ships": front.table(found), "output": front.example_output(readme)}
    write_blocks(readme, blocks)


def main() -> None:
    """Write all tables, and the front page."""
    write_tables(ROOT / "recipes")
    write_front(ROOT)


if __name__ == "__main__":
    run_app(main)
