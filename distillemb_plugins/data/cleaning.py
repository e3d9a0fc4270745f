"""Raw lines to clean lines: one normal form, nothing invisible, and no line twice in a language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LETTER = re.compile(r"[^\W\d_]")  # Ethiopic numbers too
_INVISIBLE = re.compile("[\x00-\x1f\x7f\xad\u200b\u200e\u200f\ufeff]")


@dataclass(frozen=True)
class Cleaning:
    """What is done with the lines of a source.

    Args:
        all_formats: Delete all control and format characters, zero-width joiners too, and not the common ones alone.
        min_words: Drop lines of fewer words.
        by_letters: Drop lines whose letters alone stood in that language before, and not equal lines alone.
        inside: Drop lines whose letters stand inside one line before. It compares with all, which takes long.
        ethiopic: Keep lines with at least half as many Ethiopic characters (signs too) as letters.
    """

    all_formats: bool = False
    min_words: int = 0
    by_letters: bool = False
    inside: bool = False
    ethiopic: bool = False


def clean(line: str, *, all_formats: bool = False) -> str:
    """Bring a line to NFC, delete what is invisible, and make white space single spaces. See `Cleaning`."""
    text = " ".join(unicodedata.normalize("NFC", line).split())
    if not all_formats:
        text = _INVISIBLE.sub("", text)
    elif not text.isascii():
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
    return " ".join(text.split())


def letters_of(text: str) -> str:
    """The letters of a text alone, in lower case."""
    return "".join(filter(str.isalpha, text.casefold()))


class Lines:
    """The lines of one language so far. What stood there before is not taken again."""

    def __init__(self) -> None:
        self._lines: set[str] = set()
        self._letters: set[str] = set()

    def add(self, line: str) -> None:
        """Take a line."""
        self._lines.add(line)
        self._letters.add(letters_of(line))

    def clean(self, raw: Iterable[str], cleaning: Cleaning, without: Iterable[str] = ()) -> Iterator[str]:
        """Stream the new lines, cleaned, and take them. without: raw lines to leave out."""
        left_out = {clean(line, all_formats=cleaning.all_formats) for line in without}
        for text in raw:
            line = clean(text, all_formats=cleaning.all_formats)
            if line in left_out or line in self._lines or not _wanted(line, cleaning):
                continue
            letters = letters_of(line)
            if cleaning.by_letters and letters in self._letters:
                continue
            if cleaning.inside and any(letters in other for other in self._letters):
                continue
            self._lines.add(line)
            self._letters.add(letters)
            yield line


def _wanted(line: str, cleaning: Cleaning) -> bool:
    letters = len(_LETTER.findall(line))
    if not letters or len(line.split()) < cleaning.min_words:
        return False
    return not cleaning.ethiopic or 2 * sum("\u1200" <= c <= "\u139f" for c in line) >= letters
