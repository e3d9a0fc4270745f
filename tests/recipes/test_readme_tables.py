"""One command writes the tables of all results found."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillemb_plugins.errors import DistillEmbError
from recipes import readme
from recipes.results import ROOT


def test_every_table_command_and_block_exists() -> None:
    for line in readme.TABLES:
        name, _, command = line.partition(" ")
        script = ROOT / "recipes" / name
        assert f"def {command}(" in script.read_text("utf-8") if command else script.is_file(), line
    text = (ROOT / "README.md").read_text("utf-8")
    for name, (recipe, source) in readme.BLOCKS.items():
        assert f"<!-- {name} -->" in text
        assert f"<!-- {source} -->" in (ROOT / "recipes" / recipe / "README.md").read_text("utf-8")


def test_blocks_are_copied(tmp_path: Path) -> None:
    (tmp_path / "recipes" / "one").mkdir(parents=True)
    (tmp_path / "recipes" / "one" / "README.md").write_text("<!-- t -->\n| 1 |\n<!-- /t -->\n<!-- e -->\n<!-- /e -->\n")
    (tmp_path / "README.md").write_text("a\n<!-- b -->\nold\n<!-- /b -->\n<!-- c -->\nkept\n<!-- /c -->\n")
    readme.copy_blocks(tmp_path, {"b": ("one", "t"), "c": ("one", "e")})
    expected = "a\n<!-- b -->\n| 1 |\n<!-- /b -->\n<!-- c -->\nkept\n<!-- /c -->\n"
    assert (tmp_path / "README.md").read_text() == expected


def test_tables_are_written_where_there_are_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in (("good", "open(__file__ + '.ran', 'w')"), ("bad", "raise SystemExit('error: no block')")):
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "found.jsonl").write_text("{}\n")
    monkeypatch.setattr(readme, "TABLES", {"good.py": "found.jsonl", "bad.py": "none"})
    readme.write_tables(tmp_path)
    assert (tmp_path / "good.py.ran").is_file()
    monkeypatch.setattr(readme, "TABLES", {"bad.py": "found.jsonl"})
    with pytest.raises(DistillEmbError, match=r"bad\.py failed: error: no block"):
        readme.write_tables(tmp_path)
