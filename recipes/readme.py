"""Write the tables of all results found: each recipe's into its own README, and the main ones into the project's.

    python recipes/readme.py

No figure there is typed by hand.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the recipes are not installed

from distillemb_plugins.errors import DistillEmbError
from recipes.results import ROOT, read_block, run_app, write_blocks

# The commands that write the recipes' tables, and the results without which there are none (both below recipes/).
TABLES = {
    "embeddings/tabulate.py write": "embeddings/results.jsonl",
    "tagging/tabulate.py write": "tagging/results-ner.jsonl",
    "transfer/tabulate.py": "transfer/results.jsonl",
    "new_language/compare.py table": "new_language/results.jsonl",
    "distill/scripts/tables.py write": "distill/results-a.jsonl",
    "benchmark/measure.py write": "benchmark/results.jsonl",
}
# Block in the project's README: recipe, and the block in the recipe's README.
BLOCKS = {
    "ner": ("embeddings", "ner-languages"),
    "ner-hf": ("tagging", "ner"),
    "pos": ("embeddings", "pos-systems"),
    "table-a": ("distill", "table-a"),
    "table-b": ("distill", "table-b"),
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


def copy_blocks(root: Path, blocks: Mapping[str, tuple[str, str]]) -> None:
    """Copy every block that has a result from its recipe's README into ``root/README.md``."""
    found = {name: read_block(root / "recipes" / r / "README.md", block) for name, (r, block) in blocks.items()}
    write_blocks(root / "README.md", found)


def main() -> None:
    """Write all tables."""
    write_tables(ROOT / "recipes")
    copy_blocks(ROOT, BLOCKS)


if __name__ == "__main__":
    run_app(main)
