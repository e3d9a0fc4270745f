"""Write the tables of all results found: each recipe's into its own README, and the main ones into the project's.

    python recipes/readme.py

No figure there is typed by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the recipes are no installed package

from distillemb_plugins.errors import DistillEmbError
from recipes.common import ROOT, replace_block, run_app


@dataclass(frozen=True)
class Tables:
    """A recipe's command that writes its tables, and the results (under recipes/) without which it has none."""

    script: str
    results: str
    command: str = "table"


TABLES = (
    Tables("embeddings/tabulate.py", "embeddings/results.jsonl", "write"),
    Tables("ner/scripts/ner_hf.py", "ner/results-hf.jsonl"),
    Tables("pos/scripts/pos.py", "pos/results.jsonl"),
    Tables("transfer/scripts/transfer.py", "transfer/results.jsonl"),
    Tables("new_language/compare.py", "new_language/results.jsonl"),
    Tables("distill/scripts/tables.py", "distill/results-a.jsonl", "write"),
    Tables("benchmark/scripts/speed.py", "benchmark/results.jsonl", "write"),
)
# Block in the project's README: recipe, and the block in the recipe's README.
BLOCKS = {
    "ner": ("embeddings", "ner-languages"),
    "ner-hf": ("ner", "hf"),
    "pos": ("embeddings", "pos-systems"),
    "table-a": ("distill", "table-a"),
    "table-b": ("distill", "table-b"),
}


def write_tables(recipes: Path) -> None:
    """Run every recipe's table command that has results. Raises `DistillEmbError` naming the one that fails."""
    for tables in TABLES:
        if not (recipes / tables.results).is_file():
            continue
        done = subprocess.run(
            [sys.executable, str(recipes / tables.script), tables.command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise DistillEmbError(f"recipes/{tables.script} {tables.command} failed: {last}")


def block(readme: Path, name: str) -> str:
    """What stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    found = re.search(f"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", readme.read_text("utf-8"), re.DOTALL)
    return found.group(1) if found else ""


def copy_blocks(root: Path, blocks: Mapping[str, tuple[str, str]]) -> None:
    """Copy every block that has a result from its recipe's README into ``root/README.md``."""
    for name, (recipe, source) in blocks.items():
        text = block(root / "recipes" / recipe / "README.md", source)
        if text:
            replace_block(root / "README.md", name, text)


def main() -> None:
    """Write all tables."""
    write_tables(ROOT / "recipes")
    copy_blocks(ROOT, BLOCKS)


if __name__ == "__main__":
    run_app(main)
