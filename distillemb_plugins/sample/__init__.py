"""The synthetic sample of the quickstart: Swahili and Amharic text and tagged sentences, see README.md."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..files import iter_lines

LANGUAGES = {"swa": "Swahili", "amh": "Amharic"}
PARTS = {"train": 250, "dev": 150, "test": 300}  # tagged sentences a language
RAW_LINES = 6000  # a language
FOLDER = Path(__file__).parent


def raw_lines(language: str, lines: int = RAW_LINES) -> Iterator[str]:
    """The first lines of raw text of a language; no tagged sentence is among them."""
    return islice(iter_lines([FOLDER / f"{language}.txt.gz"]), lines)


def write_sample(out: Path, *, lines: int = RAW_LINES, scale: float = 1.0) -> None:
    """Write ``raw/swa.txt``, ``ner/swa/train.conll`` ..., and ``ner/all/`` with both languages.

    Args:
        out: The folder to write into.
        lines: Raw lines of each language.
        scale: Share of the tagged sentences.
    """
    for folder in ("raw", *(f"ner/{name}" for name in (*LANGUAGES, "all"))):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        text = "".join(f"{line}\n" for line in raw_lines(language, lines))
        (out / "raw" / f"{language}.txt").write_text(text, "utf-8")
    for part, size in PARTS.items():
        tagged = {language: _head(FOLDER / f"{language}-{part}.conll", round(size * scale)) for language in LANGUAGES}
        for name, text in {**tagged, "all": "".join(tagged.values())}.items():
            (out / "ner" / name / f"{part}.conll").write_text(text, "utf-8")


def _head(file: Path, sentences: int) -> str:
    return "".join(f"{one}\n\n" for one in file.read_text("utf-8").split("\n\n")[: max(1, sentences)] if one)
