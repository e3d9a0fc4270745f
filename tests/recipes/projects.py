"""Runs the commands of a recipe's project.yml in this process, which is faster than weasel's runner."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner


def read_project(folder: Path) -> dict[str, Any]:
    """The project file, in weasel's own schema."""
    from weasel.schemas import ProjectConfigSchema, validate
    from weasel.util.config import load_project_config  # type: ignore[import-untyped]

    config: dict[str, Any] = load_project_config(folder, interpolate=False)
    assert not validate(ProjectConfigSchema, config)
    return config


def run_project(folder: Path, values: Mapping[str, Any], names: Sequence[str] = ()) -> int:
    """Run commands of a project, all of them unless some are named.

    Args:
        folder: Of the recipe.
        values: In place of the project's variables.
        names: Of the commands.

    Returns:
        How many scripts have been run.
    """
    project = read_project(folder)
    commands = {command["name"]: command for command in project["commands"]}
    assert set(project["workflows"]["all"]) <= commands.keys()
    variables = {**project["vars"], **values}
    ran = 0
    for name in names or commands:
        for line in commands[name]["script"]:
            filled = re.sub(r"\$\{vars\.(\w+)\}", lambda match: str(variables[match[1]]), line)
            python, script, *options = shlex.split(filled)
            assert python == "python"
            run_script(folder / script, options)
            ran += 1
    return ran


def run_script(script: Path, options: Sequence[str]) -> str:
    """Run the command line of a recipe's script; what it printed."""
    root = Path(__file__).resolve().parents[2]
    module = importlib.import_module(".".join(script.relative_to(root).with_suffix("").parts))
    app: typer.Typer = module.app
    result = CliRunner().invoke(app, list(options), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
