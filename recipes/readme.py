"""Write the tables of all results found: each recipe's into its own README, and the main ones into the project's.

    python recipes/readme.py

No figure there is typed by hand.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the recipes are not installed

from distillemb_plugins.errors import DistillEmbError
from recipes.results import ROOT, read_block, replace_block, run_app


@dataclass(frozen=True)
class Tables:
    """A recipe's command that writes its tables.

    Attributes:
        script: Below recipes/.
        results: Below recipes/; without this file there are no tables.
        command: Of a script that has several.
    """

    script: str
    results: str
    command: str = ""


TABLES = (
    Tables("embeddings/tabulate.py", "embeddings/results.jsonl", "write"),
    Tables("tagging/tabulate.py", "tagging/results-ner.jsonl", "write"),
    Tables("transfer/tabulate.py", "transfer/results.jsonl"),
    Tables("new_language/compare.py", "new_language/results.jsonl", "table"),
    Tables("distill/scripts/tables.py", "distill/results-a.jsonl", "write"),
    Tables("benchmark/measure.py", "benchmark/results.jsonl", "write"),
)
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
    for tables in TABLES:
        if (recipes / tables.results).is_file():
            command = [sys.executable, str(recipes / tables.script), *tables.command.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise DistillEmbError(f"recipes/{tables.script} failed: {last}")


def copy_blocks(root: Path, blocks: Mapping[str, tuple[str, str]]) -> None:
    """Copy every block that has a result from its recipe's README into ``root/README.md``."""
    for name, (recipe, source) in blocks.items():
        text = read_block(root / "recipes" / recipe / "README.md", source)
        if text:
            replace_block(root / "README.md", name, text)


def main() -> None:
    """Write all tables."""
    write_tables(ROOT / "recipes")
    copy_blocks(ROOT, BLOCKS)


if __name__ == "__main__":
    run_app(main)
