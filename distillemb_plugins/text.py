"""Splitting running text into words, so that tone marks and Ethiopic letters stay in their word."""

from __future__ import annotations

import regex

# Python's own \w does not match combining marks and would cut Yoruba words in two.
# Apostrophes (also U+02BC, U+2019) and hyphens stay inside a word: ng'ombe, n'ọ́jọ́, mfano-mfano.
_TOKEN = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’ʼ\-‑.,](?=[\p{N}])[\p{N}]+|['’ʼ\-‑][\p{L}\p{M}\p{N}]+)*|\S")


def tokenize(line: str) -> list[str]:
    """Split a line into words and single punctuation marks; case is kept.

    Numbers keep their inner point or comma (``3.5``, ``1,000``). Returns the tokens in order.
    """
    return _TOKEN.findall(line)
