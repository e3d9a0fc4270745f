"""Results files, tables, and blocks of READMEs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distillemb_plugins import DistillEmbError
from recipes import results


def test_results_replace_rows_with_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for arm, score in (("a", 1), ("b", 2), ("a", 3)):
        results.add_result(path, {"arm": arm, "score": score}, ("arm",))
    assert results.read_results(path) == [{"arm": "a", "score": 3}, {"arm": "b", "score": 2}]


def test_results_of_two_processes_are_all_kept(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom recipes.results import add_result\n"
        "for n in range(20): add_result(Path(sys.argv[1]), {'arm': sys.argv[2], 'n': n}, ('arm', 'n'))\n"
    )
    path = tmp_path / "results.jsonl"
    root = results.ROOT
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), arm], cwd=root) for arm in "abc"]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    assert len(results.read_results(path)) == 60


def test_a_block_of_a_readme_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- t -->\nold\n<!-- /t -->\nafter\n", "utf-8")
    results.write_blocks(readme, {"t": results.markdown_table(["a", "b"], [["x \\1", "2"]]), "other": ""})
    text = readme.read_text("utf-8")
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "| x \\1 | 2 |" in text and "old" not in text
    with pytest.raises(DistillEmbError, match="no block"):
        results.write_blocks(readme, {"other": "text"})


def test_mean_and_spread() -> None:
    assert results.mean_spread([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert results.mean_spread([1.0]) == "1.0"
