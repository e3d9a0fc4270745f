"""A script's folder comes first on the path of Python: its files must not stand in the way of libraries."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def test_no_file_of_a_recipe_has_the_name_of_a_library() -> None:
    libraries = {*metadata.packages_distributions(), *sys.stdlib_module_names, "tabulate"}  # torch looks for the last
    files = {file.stem for file in RECIPES.rglob("*.py")} - {"__init__"}
    assert not files & libraries
