"""One command writes the tables of all results found, and the front page's figures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from distillemb_plugins.errors import DistillEmbError
from recipes import readme
from recipes.results import ROOT, Row

SETTINGS: dict[str, Any] = {
    "ner": {"languages": ["one", "two"]},
    "published": {"Large (300M)": [70.0, 80.0], "XLM-R-base (200M)": [71.0, 80.0], "Unsized": [1.0, 1.0]},
}


def pipelines(system: str, *scores: float, seed: int = 0, size: int = 8_000_000, loads: int = 0) -> list[Row]:
    """Rows of recipes/embeddings, one for each language."""
    common = {
        "task": "ner",
        "share": 100,
        "system": system,
        "seed": seed,
        "model_bytes": size,
        "embedding_bytes": loads,
    }
    return [{**common, "language": name, "test_f1": f1} for name, f1 in zip(("one", "two"), scores, strict=False)]


def taggers(encoder: str, *scores: float, mode: str = "joint") -> list[Row]:
    """Rows of recipes/tagging, one for each language."""
    common = {"mode": mode, "init_from": encoder, "seed": 0, "bytes": 20_000_000}
    return [{**common, "language": name, "test_f1": f1} for name, f1 in zip(("one", "two"), scores, strict=False)]


TABLES_ALONE = pipelines("hash", 50, 60) + pipelines("static", 60, 70, loads=900_000_000)


def test_every_table_command_and_block_exists() -> None:
    for line in readme.TABLES:
        name, _, command = line.partition(" ")
        script = ROOT / "recipes" / name
        assert f"def {command}(" in script.read_text("utf-8") if command else script.is_file(), line
    text = (ROOT / "README.md").read_text("utf-8")
    assert set(re.findall(r"<!-- (\w+) -->", text)) == {"numbers", "ships", "output"}
    assert f"recipes/{readme.PLOT}" in text and (ROOT / "recipes" / readme.PLOT).is_file()
    assert readme.GAINS in (ROOT / "docs" / "index.md").read_text("utf-8")


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


def test_entries_are_what_was_run_on_all_languages() -> None:
    """A table is as large as a pipeline without it and the table; a seed without all languages does not count."""
    rows = TABLES_ALONE + pipelines("hash", 40, seed=1) + pipelines("floret", 99) + pipelines("joint", 99, 99)
    rows += [{**row, "share": 10} for row in pipelines("finetuned-afro11", 99, 99)]
    found = readme.entries(rows, taggers("afro11", 80, 70, mode="single"), SETTINGS)
    assert [entry["name"] for entry in found] == ["no vectors", "fastText", "Large", "XLM-R-base"]
    assert [entry["mean"] for entry in found] == [55, 65, 75, 75.5]
    assert [entry["bytes"] for entry in found] == [8_000_000, 908_000_000, 1_200_000_000, 800_000_000]


def test_numbers_are_those_that_the_results_give() -> None:
    nothing = readme.numbers(readme.entries(TABLES_ALONE, [], SETTINGS))
    assert "fastText table of 900 MB" in nothing and "`afro11`" in nothing and nothing.count("\n") == 0
    rows = TABLES_ALONE + pipelines("finetuned-afro11", 66, 70)
    rows += pipelines("hash-longer", 52, 62) + pipelines("finetuned-afro11-longer", 64, 70)
    given = readme.numbers(readme.entries(rows, taggers("afro11-context", 80, 71), SETTINGS)).splitlines()
    assert len(given) == 3 and "**+10.0 points of F1**" in given[1], "the baseline in its best form"
    assert "With 800 updates it is +13.0, and +3.0 over" in given[1] and "(`afro11`, mean" in given[1]
    assert "**F1 75.5 in 20 MB**" in given[2] and "75.5 in 800 MB" in given[2]
    refined = taggers("afro11-context", 80, 71) + taggers("afro11-context", 82, 73, mode="refined")
    best = readme.numbers(readme.entries(rows, refined, SETTINGS)).splitlines()[2]
    assert "**F1 75.5 in 20 MB**" in best and "77.5 when it learns from MasakhaNER 2.0 too" in best
    assert readme.numbers([]) == readme.table([]) == ""
    assert "longer" not in readme.table(readme.entries(rows, [], SETTINGS))


def test_table_and_plot_take_in_what_is_there() -> None:
    few = readme.entries(TABLES_ALONE, [], SETTINGS)
    more = readme.entries(TABLES_ALONE + pipelines("finetuned-afro11-context", 66, 70), [], SETTINGS)
    assert len(readme.table(few).splitlines()) == 5 and "*XLM-R-base*" in readme.table(few)
    assert "| spaCy, afro11-context | 66.0 | 70.0 | **68.0** | 8.00 MB |" in readme.table(more)
    assert "afro11-context" not in readme.plot(few)
    assert "afro11-context" in readme.plot(more) and readme.plot(more) == readme.plot(more)


def test_bars_are_gains_over_no_vectors() -> None:
    drawn = readme.gains_plot(readme.entries(TABLES_ALONE + pipelines("finetuned-afro11", 47, 70), [], SETTINGS))
    assert all(text in drawn for text in (">one<", ">two<", ">fastText<", ">afro11<", "above no vectors"))
    assert ">afro11-context<" not in drawn and "−2" in drawn, "only what was run; losses are drawn"
    assert "above no vectors" in readme.gains_plot([]), "without results an empty picture"


def test_the_front_page_is_written(tmp_path: Path) -> None:
    for name in ("embeddings", "tagging"):
        (tmp_path / "recipes" / name).mkdir(parents=True)
    shutil.copy(ROOT / "recipes" / "tagging" / "settings.yml", tmp_path / "recipes" / "tagging")
    page = "```python\nprint(2 * 21)\n```\n" + "".join(f"<!-- {b} -->\n<!-- /{b} -->\n" for b in ("ships", "output"))
    (tmp_path / "README.md").write_text(page)
    readme.write_front(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "<!-- output -->\n```text\n42\n```\n<!-- /output -->" in text and "| *XLM-R-base* |" in text
    for name in (readme.PLOT, readme.GAINS):
        assert (tmp_path / "recipes" / name).read_text().startswith("<?xml")
    (tmp_path / "README.md").write_text("<!-- output -->\n<!-- /output -->\n")
    with pytest.raises(DistillEmbError, match="no Python block"):
        readme.example_output(tmp_path / "README.md")
