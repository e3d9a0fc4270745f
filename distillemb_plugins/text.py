"""Text to words: one way to normalize, to split, and to read files, used wherever raw text comes in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import regex
from tqdm.auto import tqdm

from .files import iter_lines

# Python's own \w does not match combining marks and would cut Yoruba words in two.
# Apostrophes (also U+02BC, U+2019) and hyphens stay inside a word: ng'ombe, n'ọ́jọ́, mfano-mfano.
_TOKEN = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’ʼ\-‑.,](?=[\p{N}])[\p{N}]+|['’ʼ\-‑][\p{L}\p{M}\p{N}]+)*|\S")


def normalize(text: str) -> str:
    """Bring text to the Unicode normal form NFC, so that the two spellings of a tone-marked letter are one."""
    return unicodedata.normalize("NFC", text)


def tokenize(line: str) -> list[str]:
    """Split a line into words and single punctuation marks.

    Case is kept. Numbers keep their inner point or comma (``3.5``, ``1,000``).

    Args:
        line: Text of any length, in any normal form. It is not normalized here, so that a caller can find the tokens
            again in its own text.

    Returns:
        The tokens in order.
    """
    return _TOKEN.findall(line)


def is_word(token: str) -> bool:
    """Whether a token holds a letter. Punctuation marks and numbers are no words."""
    return any(character.isalpha() for character in token)


def read_tokens(paths: Iterable[str | Path], *, lowercase: bool = False, progress: bool = False) -> Iterator[list[str]]:
    """Stream the tokens of each line of text files, normalized. Memory does not grow with the files.

    Args:
        paths: Text files, plain or compressed.
        lowercase: Lower-case the text.
        progress: Show a bar on standard error.

    Raises:
        DistillEmbError: A file is missing, damaged, or not UTF-8.
    """
    with tqdm(desc="reading", unit=" words", unit_scale=True, disable=not progress, mininterval=0.5) as bar:
        for line in iter_lines(paths):
            # A zero byte would end a word early in fastText's dictionary.
            text = normalize(line).replace("\0", " ")
            tokens = tokenize(text.lower() if lowercase else text)
            bar.update(len(tokens))
            yield tokens
