"""A few tagged sentences, and one whole build that many tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distillemb_plugins.workflow import BuildSettings
from distillemb_plugins.workflow.build import build

NAMES, TOWNS = ("Juma", "Asha", "Otieno", "Achieng", "Musa", "Zuri"), ("Nairobi", "Mombasa", "Kisumu", "Lamu", "Voi")
LINES = [f"{name} anaishi {town} na rafiki {place} ." for place, name in enumerate(NAMES) for town in TOWNS] + [
    f"mtoto wa {name} alikwenda {town} jana asubuhi ." for name in NAMES for town in TOWNS
]
TEACHER = {"dim": 200, "epochs": 1, "buckets": 500, "min_count": 1}
ROWS = "components.tok2vec.model.embed.rows"
STUDENT = {
    "epochs": 1,
    "min_char_count": 1,
    "encoder_args": {"buckets": 200, "ngram_dim": 12, "channels": 8, "hidden": 16},
}


def conll(lines: list[str]) -> str:
    """The lines with names as PER and towns as LOC."""
    kinds = {**dict.fromkeys(NAMES, "B-PER"), **dict.fromkeys(TOWNS, "B-LOC")}
    return "".join("".join(f"{w} {kinds.get(w, 'O')}\n" for w in line.split()) + "\n" for line in lines)


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.txt").write_text("\n".join(LINES[:40]) + "\n", "utf-8")
    (folder / "b.txt").write_text("\n".join([*LINES[20:], LINES[0]]) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tagged") / "all.txt"
    file.write_text(conll(LINES), "utf-8")
    return file


def tiny_settings(texts: Path, out: Path, **changed: Any) -> BuildSettings:
    sizes = {
        "steps": 10,
        "evaluations": 2,
        "tagger": {ROWS: [50, 50, 50, 50]},  # smaller tables of hashes are saved and opened faster
        "epochs": 1,
        "min_words": 10,
        "teacher": TEACHER,
        "student": STUDENT,
        "progress": False,
        "quiet": True,
    }
    return BuildSettings(texts=(texts,), out=out, language="swa", **(sizes | changed))


@pytest.fixture(scope="session")
def whole(texts: Path, tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildSettings, dict[str, Any]]:
    options = tiny_settings(texts, tmp_path_factory.mktemp("out"), conll=tagged, encoders=("own", "joint"))
    return options, build(options)
