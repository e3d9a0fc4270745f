"""The study behind the defaults of `distillemb build`: it runs, resumes, and fills its README."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distillemb_plugins.workflow import BuildSettings

from .conftest import LINES, STUDENT, TEACHER, conll


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """``recipes/new_language/compare.py`` as a module."""
    file = Path(__file__).resolve().parents[2] / "recipes" / "new_language" / "compare.py"
    spec = importlib.util.spec_from_file_location("recipe_new_language", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_comparison_runs_resumes_and_fills_the_readme(
    recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipe.SYSTEMS, "own", {"title": "own", "teacher": TEACHER, "student": STUDENT, "words": 100})
    data = tmp_path / "data"
    for folder in (data / "tasks/ner/masakhaner1/luo", data / "corpora/luo"):
        folder.mkdir(parents=True)
    for split, lines in (("train", LINES[:40]), ("dev", LINES[40:50]), ("test", LINES[50:])):
        (data / f"tasks/ner/masakhaner1/luo/{split}.txt").write_text(conll(lines), "utf-8")
    (data / "corpora/luo/OPEN.some.txt").write_text("\n".join(LINES[:40]), "utf-8")
    results, readme = tmp_path / "results.jsonl", tmp_path / "README.md"
    settings = {"system": ["without", "own"], "seed": [0], "steps": 4, "work": tmp_path / "work", "results": results}
    recipe.run(data, **settings)
    rows = {row["system"]: row for row in map(json.loads, results.read_text("utf-8").splitlines())}
    assert rows.keys() == {"without", "own"} and rows["own"]["bytes"] > 0 == rows["without"]["bytes"]
    before = results.read_bytes()
    recipe.run(data, **settings)
    assert results.read_bytes() == before

    readme.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("choice", "amount", "luo")), "utf-8")
    recipe.table(results, tmp_path / "absent.json", readme)
    assert "| no encoder |" in readme.read_text("utf-8")


def test_a_shared_teacher_counts_for_every_system_that_uses_it(recipe: ModuleType, tmp_path: Path) -> None:
    results, readme = tmp_path / "results.jsonl", tmp_path / "README.md"
    common = {"seed": 0, "steps": 4, "dev": 60.0, "test": 61.0, "seconds": 9.0, "bytes": 10_000}
    rows = [
        {"system": "own", "teach_seconds": 30.0, "distil_seconds": 10.0},
        {"system": "joint", "teach_seconds": 0.0, "distil_seconds": 12.0},  # found own's teacher there
        {"system": "cbow", "teach_seconds": 50.0, "distil_seconds": 10.0},
    ]
    results.write_text("".join(json.dumps(row | common) + "\n" for row in rows), "utf-8")
    readme.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("choice", "amount")), "utf-8")
    recipe.table(results, tmp_path / "absent.json", readme)
    ends = [line.split(" | ")[-1] for line in readme.read_text("utf-8").splitlines() if line.startswith("| Luo text")]
    assert ends == ["40 |", "42 |", "60 |", "40 |"]  # own, joint and cbow of the first table, own of the second


def test_a_whole_run_is_recorded_and_put_into_the_readme(
    recipe: ModuleType, whole: tuple[BuildSettings, dict[str, Any]], tmp_path: Path
) -> None:
    options, facts = whole
    recorded, readme = tmp_path / "luo.json", tmp_path / "README.md"
    recipe.record(options.out, recorded)
    readme.write_text("<!-- luo -->\n<!-- /luo -->\n", "utf-8")
    recipe.table(tmp_path / "none.jsonl", recorded, readme)
    assert f"| test F1 without an encoder | {facts['test']['without']['score']:.1f} |" in readme.read_text("utf-8")
    assert str(options.out) not in recorded.read_text("utf-8"), "no machine's paths are kept"


def test_the_project_file_names_scripts_that_exist(recipe: ModuleType) -> None:
    import yaml  # type: ignore[import-untyped]

    project = yaml.safe_load((recipe.HERE / "project.yml").read_text("utf-8"))
    lines = [line for command in project["commands"] for line in command["script"]]
    scripts = [line.split()[1] for line in lines if " -m " not in line]
    assert all((recipe.HERE / script).is_file() for script in scripts)
    assert project["workflows"]["all"] == [command["name"] for command in project["commands"]]
