"""The two distillation tables, run small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from distillemb_plugins import DistillEmbError

from ..conftest import TINY_ARGS

Script = Callable[[str], ModuleType]


@pytest.fixture
def tables(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, writing into a temporary folder, with tiny students."""
    module = script("distill/scripts/tables.py")
    readme = (module.HERE / "README.md").read_text("utf-8")
    monkeypatch.setattr(module, "HERE", tmp_path)
    (tmp_path / "README.md").write_text(readme, "utf-8")
    return module


def tiny(row: object, **changes: object) -> object:
    settings = {k: v for k, v in row.settings.items() if k != "max_seconds"}  # type: ignore[attr-defined]
    student = settings.get("student", "cnn" if settings.get("preset") != "distillemb" else "distillemb-small")
    settings |= {"encoder_args": TINY_ARGS[student], "epochs": 2, "batch_size": 64, **changes}
    memory = (280, 12) if row.memory else None  # type: ignore[attr-defined]
    return replace(row, settings=settings, memory=memory)  # type: ignore[type-var]


def test_table_a(tables: ModuleType, tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ngram-bag, local", "ngram-bag, local + global", "cnn 0.3M", "cnn 0.3M + 15,000 words x 16")
    rows = [tiny(row) for row in tables.table_a_rows() if row.name in names]
    monkeypatch.setattr(tables, "table_a_rows", lambda: rows)
    monkeypatch.setattr(tables, "_neighbours", lambda subject, words: {"london": words[:2], "flu": words[:2]})
    tables.a(data=tiny_data)
    found = {row["name"]: row for row in tables.read_results(tables.HERE / "results-a.jsonl")}
    assert set(found) == {*names, "teacher"}
    assert found[names[3]]["bytes"] > found[names[2]]["bytes"]
    assert found[names[3]]["cosine"] == found[names[2]]["cosine"]  # held-out words are the network's alone
    tables.write(tables.HERE / "README.md")
    assert "| 100.0 % |" in (tables.HERE / "README.md").read_text("utf-8")


def test_table_b(tables: ModuleType, tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [tiny(row) for row in tables.table_b_rows() if "small, ours" not in row.name]
    monkeypatch.setattr(tables, "table_b_rows", lambda: rows)
    monkeypatch.setattr(tables, "AFRICAN", ["swa", "amh"])
    real = tables.DistillSettings
    monkeypatch.setattr(tables, "DistillSettings", lambda **kw: real(**(kw | {"held_out": 20, "max_seconds": None})))
    with pytest.raises(DistillEmbError, match="corpus"):  # none of its words is in this teacher: no windows
        tables.b(data=tiny_data, only="published")
    tables.b(data=tiny_data, only="cnn, ours")
    found = {row["name"]: row for row in tables.read_results(tables.HERE / "results-b.jsonl")}
    assert set(found) == {"cnn, ours", "cnn, ours, two teachers averaged"}
    assert all(-1 <= row["cosine"] <= 1 for row in found.values())


def test_the_shipped_encoder_lists_a_licence_for_every_text(script: Script, tiny_data: Path, tmp_path: Path) -> None:
    recipe = script("distill/scripts/afro11.py")
    with pytest.raises(DistillEmbError, match="no raw text"):
        recipe.corpora(tmp_path)
    recipe.LANGUAGES = ("swa", "amh")
    assert [(c.name, c.license, c.source) for c in recipe.corpora(tiny_data)] == [("TICO-19", "CC0", "swa, amh")]
    (tiny_data / "corpora" / "swa" / "OPEN.secret.txt").write_text("x")
    try:
        with pytest.raises(DistillEmbError, match="has no licence"):
            recipe.corpora(tiny_data)
    finally:
        (tiny_data / "corpora" / "swa" / "OPEN.secret.txt").unlink()
