"""Word forms of the sample: Swahili verbs and locatives, Amharic definite forms and plurals.

Only what the sample's word lists need; not a morphological analyser of either language.
"""

from __future__ import annotations

import random

# Swahili: subject prefix -> its negative form.
_NEGATIVE = {
    "a": "ha", "wa": "hawa", "i": "hai", "zi": "hazi", "ki": "haki", "li": "hali", "u": "hau", "tu": "hatu",
}  # fmt: skip
_TENSES = ("li", "me", "na", "ku")  # did, has done, is doing, did not
_TENSE_WEIGHTS = (50, 20, 18, 12)

# Ethiopic: blocks of eight code points, one a consonant; the place in the block is the vowel.
_FIRST, _LAST = 0x1200, 0x137F
_U, _BARE, _O = 1, 5, 6


def conjugate(stem: str, how: str, rng: random.Random) -> str:
    """A Swahili verb form, such as ``alisema`` from ``sema`` and ``a``.

    stem: the verb, or a phrase that starts with it. how: a subject prefix (``a wa i zi ki li u tu``), by
    itself for a random past or present tense, or with its tense: ``a+ta`` (will).
    """
    subject, _, tense = how.partition("+")
    tense = tense or rng.choices(_TENSES, _TENSE_WEIGHTS)[0]
    return (_NEGATIVE[subject] if tense == "ku" else subject) + tense + stem


def definite(word: str) -> str:
    """Amharic masculine definite: ``ቤት`` gives ``ቤቱ``, ``ገበያ`` gives ``ገበያው``."""
    return word[:-1] + _with_vowel(word[-1], _U) if _is_bare(word[-1]) else word + "ው"


def plural(word: str) -> str:
    """Amharic plural: ``ቤት`` gives ``ቤቶች``, ``ተማሪ`` gives ``ተማሪዎች``, ``ዳኛ`` gives ``ዳኞች``."""
    if word.endswith("ኛ"):
        return word[:-1] + "ኞች"
    return (word[:-1] + _with_vowel(word[-1], _O) if _is_bare(word[-1]) else word + "ዎ") + "ች"


def inflect(word: str, how: str, rng: random.Random) -> str:
    """Apply the modifier after ``|``: ``ni``, ``def``, ``pl``, ``pldef``, or a Swahili subject prefix."""
    if how == "ni":
        return word + "ni"
    if how == "def":
        return definite(word)
    if how == "pl":
        return plural(word)
    if how == "pldef":
        return definite(plural(word))
    return conjugate(word, how, rng)


def _is_bare(letter: str) -> bool:
    return _FIRST <= ord(letter) <= _LAST and (ord(letter) - _FIRST) % 8 == _BARE


def _with_vowel(letter: str, vowel: int) -> str:
    return chr((ord(letter) - _FIRST) // 8 * 8 + _FIRST + vowel)
