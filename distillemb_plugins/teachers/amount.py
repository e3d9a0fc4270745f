"""What an amount of raw text is good for: when it is too little, what to expect of it, and settings that fit it.

`train_teacher`, ``distillemb teach`` and ``distillemb build`` all follow these rules. Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DistillEmbError

MIN_WORDS = 20_000
FEW_WORDS, LITTLE_WORDS, PLENTY_WORDS = 200_000, 2_000_000, 20_000_000
_EXPECTATIONS = (
    (FEW_WORDS, "very little text: expect spelling more than meaning, and a small gain"),
    (LITTLE_WORDS, "little text, enough for a gain on tagging: a few hundred thousand words are the usual beginning"),
    (PLENTY_WORDS, "a fair amount of text: neighbors by meaning for the frequent words"),
)
_PLENTY = "plenty of text: neighbors by meaning, for rarer words too"


def count_words(counts: Mapping[str, int]) -> int:
    """The number of words among counted tokens, without punctuation and numbers."""
    from ..text import is_word  # the command line reads this module for its help, which must not wait for regex

    return sum(number for token, number in counts.items() if is_word(token))


def expectation(words: int) -> str:
    """What so many words are good for, as half a sentence."""
    return next((text for limit, text in _EXPECTATIONS if words < limit), _PLENTY)


def check_amount(words: int, least: int, where: object) -> None:
    """Refuse fewer words than `least` (0 takes any text). where: what holds them, for the message."""
    if words < least:
        raise DistillEmbError(
            f"{where} holds {words:,} words, and at least {least:,} are needed for vectors that say anything: collect "
            f"more text ({FEW_WORDS:,} words are a beginning, more is better), or lower --min-words (min_words) and "
            "expect little more than spelling."
        )


def fitted_settings(words: int) -> dict[str, Any]:
    """The settings of word2vec and fastText for a text of so many words.

    With little text: skip-gram, which learns more from each occurrence than CBOW, words seen twice, more passes,
    shorter n-grams and fewer rows for them.
    """
    if words < LITTLE_WORDS:
        return {"skipgram": True, "min_count": 2, "epochs": 10, "min_n": 3, "buckets": 50_000}
    if words < PLENTY_WORDS:
        return {"skipgram": True, "min_count": 3, "epochs": 5, "min_n": 3, "buckets": 200_000}
    return {"skipgram": False, "min_count": 5, "epochs": 5, "min_n": 4, "buckets": 500_000}
