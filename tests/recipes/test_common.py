"""What the recipes share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from distillemb_plugins import DistillEmbError

Script = Callable[[str], ModuleType]


def test_task_files_are_found_unpacked_or_in_their_archive(
    script: Script, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    import tarfile

    common = script("common.py")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = common.task_files(tiny_data, "ner/masakhaner1", "swa")
    assert found["test"].read_text("utf-8").startswith("Juma B-PER")
    packed = tmp_path / "packed" / "tasks"
    packed.mkdir(parents=True)
    with tarfile.open(packed / "tasks-ner.tar.xz", "w:xz") as tar:
        tar.add(tiny_data / "tasks" / "ner", arcname="ner")
    unpacked = common.task_files(tmp_path / "packed", "ner/masakhaner1", "amh")
    assert unpacked["dev"].is_file() and str(tmp_path / "cache") in str(unpacked["dev"])
    shutil.rmtree(tmp_path / "packed")
    assert common.task_files(tmp_path / "packed", "ner/masakhaner1", "amh") == unpacked  # from the cache


def test_missing_data_is_said_in_one_sentence(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network")

    common = script("common.py")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DistillEmbError, match="give --data DIR with tasks/ner/masakhaner1/swa/train.txt"):
        common.task_files(tmp_path, "ner/masakhaner1", "swa")
    with pytest.raises(DistillEmbError, match="no raw text"):
        common.corpus_files(tmp_path, ["swa"])


def test_the_hub_gives_the_same_files(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    labels = datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"]))
    features = datasets.Features({"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": labels})
    part = datasets.Dataset.from_dict({"tokens": [["Juma", "yupo"]], "ner_tags": [[1, 0]]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: dict.fromkeys(("train", "validation", "test"), part))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = script("common.py").task_files(tmp_path, "ner/masakhaner1", "swa")
    assert files["dev"].read_text("utf-8") == "Juma B-PER\nyupo O\n\n"


def test_results_replace_rows_with_the_same_key(script: Script, tmp_path: Path) -> None:
    common, path = script("common.py"), tmp_path / "results.jsonl"
    for arm, score in (("a", 1), ("b", 2), ("a", 3)):
        common.add_result(path, {"arm": arm, "score": score}, ("arm",))
    assert common.read_results(path) == [{"arm": "a", "score": 3}, {"arm": "b", "score": 2}]


def test_results_of_two_processes_are_all_kept(script: Script, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom recipes.common import add_result\n"
        "for n in range(20): add_result(Path(sys.argv[1]), {'arm': sys.argv[2], 'n': n}, ('arm', 'n'))\n"
    )
    path = tmp_path / "results.jsonl"
    root = script("common.py").ROOT
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), arm], cwd=root) for arm in "abc"]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    assert len(script("common.py").read_results(path)) == 60


def test_a_block_of_a_readme_is_replaced_and_nothing_else(script: Script, tmp_path: Path) -> None:
    common, readme = script("common.py"), tmp_path / "README.md"
    readme.write_text("before\n<!-- t -->\nold\n<!-- /t -->\nafter\n", "utf-8")
    common.replace_block(readme, "t", common.markdown_table(["a", "b"], [["x \\1", "2"]]))
    text = readme.read_text("utf-8")
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "| x \\1 | 2 |" in text and "old" not in text
    with pytest.raises(DistillEmbError, match="no block"):
        common.replace_block(readme, "other", "")


def test_mean_and_spread(script: Script) -> None:
    common = script("common.py")
    assert common.mean_spread([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert common.mean_spread([1.0]) == "1.0"
