"""Copy the recipes' result tables into the README, so that no figure there is typed by hand.

python recipes/readme.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the recipes are no installed package

from recipes.common import ROOT, replace_block

# Block in the README: recipe, and the block in its README.
BLOCKS = {"ner": ("ner", "table"), "table-a": ("distill", "table-a"), "table-b": ("distill", "table-b")}


def block(readme: Path, name: str) -> str:
    """What stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    found = re.search(f"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", readme.read_text("utf-8"), re.DOTALL)
    return found.group(1) if found else ""


def main() -> None:
    """Copy every block that has a result."""
    for name, (recipe, source) in BLOCKS.items():
        text = block(ROOT / "recipes" / recipe / "README.md", source)
        if text:
            replace_block(ROOT / "README.md", name, text)


if __name__ == "__main__":
    main()
