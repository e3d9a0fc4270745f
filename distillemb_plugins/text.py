"""Text to words: one way to normalize, to split, and to read files, used wherever raw text comes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import regex
from tqdm.auto import tqdm

from .characters import INVISIBLE, normalize
from .files import iter_lines

__all__ = ["PATTERN", "is_word", "normalize", "read_tokens", "token_spans", "tokenize"]

# Python's own \w does not match combining marks and would cut Yoruba words in two.
_LETTER = r"[\p{L}\p{M}\p{N}]"
_WORD = rf"{_LETTER}+(?:{INVISIBLE}+{_LETTER}+)*"
# Apostrophes (also U+02BC, U+2019) and hyphens stay inside a word: ng'ombe, n'ọ́jọ́, mfano-mfano.
_IN_NUMBER = rf"{INVISIBLE}*['’ʼ\-‑.,](?=\p{{N}})\p{{N}}+"
_IN_WORD = rf"{INVISIBLE}*['’ʼ\-‑]{INVISIBLE}*{_WORD}"
# The same pattern stands in hf/tokenizer_template.json; a test holds them together.
PATTERN = rf"(?!{INVISIBLE})(?:{_WORD}(?:{_IN_NUMBER}|{_IN_WORD})*|\S)"
_TOKEN = regex.compile(PATTERN)


def tokenize(line: str) -> list[str]:
    """Split a line into words and single punctuation marks.

    Case is kept. Numbers keep their inner point or comma (``3.5``, ``1,000``). Invisible characters (soft hyphens,
    zero-width characters) are no tokens and cut none. An apostrophe (U+0027, U+2019) inside a word belongs to it, at
    its edge it is punctuation, as a quotation mark is; the modifier letters U+02BC and U+02BB are letters anywhere.
    Ethiopic punctuation, the word space U+1361 included, is punctuation.

    Args:
        line: Text of any length, in any normal form. It is not normalized here, so that a caller can find the tokens
            again in its own text.

    Returns:
        The tokens in order, as they stand in the line. What is invisible inside one stays (`normalize` removes it).

    Examples:
        >>> tokenize("Juma anaishi Nairobi, ng'ambo 3.5.")
        ['Juma', 'anaishi', 'Nairobi', ',', "ng'ambo", '3.5', '.']
    """
    return _TOKEN.findall(line)


def token_spans(line: str) -> list[tuple[int, int]]:
    """Return where each token of `tokenize` begins and ends in the line."""
    return [found.span() for found in _TOKEN.finditer(line)]


def is_word(token: str) -> bool:
    """Whether a token holds a letter. Punctuation marks and numbers are no words."""
    return any(character.isalpha() for character in token)


def read_tokens(paths: Iterable[str | Path], *, lowercase: bool = False, progress: bool = False) -> Iterator[list[str]]:
    """Stream the tokens of each line of text files, normalized. Memory does not grow with the files."""
    with tqdm(desc="reading", unit=" words", unit_scale=True, disable=not progress, mininterval=0.5) as bar:
        for line in iter_lines(paths):
            # A zero byte would end a word early in fastText's dictionary.
            text = normalize(line).replace("\0", " ")
            tokens = tokenize(text.lower() if lowercase else text)
            bar.update(len(tokens))
            yield tokens
