"""How far an encoder knows the characters of a text: what is told before anybody trusts its vectors there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from .characters import CharTable, split_characters
from .text import is_word, normalize

WARN_SHARE = 0.01  # of the words, from which training warns
_WARN_WORDS = 3
_SHOWN = 12


@dataclass(frozen=True)
class Coverage:
    """Which characters of a text an encoder does not know.

    Attributes:
        words: Words of the text, each as often as it occurs. Punctuation and numbers do not count.
        with_unknown: Those that hold an unknown character.
        unknown: How often each unknown character occurs, the most frequent first.
        bare: The same for marked letters that are read without their marks.
        told_apart: Whether each has an id nevertheless, so that words which differ in them differ.
    """

    words: int
    with_unknown: int
    unknown: dict[str, int] = field(default_factory=dict)
    bare: dict[str, int] = field(default_factory=dict)
    told_apart: bool = False

    @property
    def share(self) -> float:
        """Share of the words that hold an unknown character, from 0 to 1."""
        return self.with_unknown / self.words if self.words else 0.0

    @property
    def is_low(self) -> bool:
        """Whether so many words hold unknown characters that training should warn."""
        return self.share >= WARN_SHARE and self.with_unknown >= _WARN_WORDS

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = ("words", "with_unknown", "share", "unknown", "bare", "told_apart")
        return {name: getattr(self, name) for name in names}

    def describe(self, letters: bool = True) -> str:
        """What was found, in a sentence; letters: with the unknown characters."""
        if not self.words:
            return "The text holds no words."
        if not self.unknown:
            return f"All characters of the {self.words:,} words are known."
        return (
            f"{100 * self.share:.1f} % of {self.words:,} words hold characters that the encoder never learned"
            f"{f': {_listed(self.unknown)}' if letters else ''}."
        )

    def advice(self) -> str:
        """What it means and what to do, in sentences; empty where nothing is unknown."""
        if not self.unknown:
            return ""
        own = "distill an encoder from text of the language (distillemb build)"
        if self.told_apart:
            return (
                "They were not learned, but are told apart: an encoder that is trained with the pipeline learns them "
                f"from the tagged words, a frozen one does not. Better, if this is your language: {own}."
            )
        return (
            "It reads them as one and the same unknown character, so that words which differ in them alone have one "
            f"vector, also after training. If this is your language, {own}."
        )


def unlearned_characters(characters: CharTable, settings: Mapping[str, Any]) -> frozenset[str]:
    """The characters that have an id although no training word held them: the last ones of the table.

    Args:
        characters: Of the encoder.
        settings: Of its distillation (``EncoderFacts.settings``), of which ``more_characters`` is read.
    """
    more = str(settings.get("more_characters") or "")
    places = {
        c: n for n, c in enumerate(dict.fromkeys(split_characters(more.lower() if characters.lowercase else more)))
    }
    found: list[str] = []
    for character in reversed(characters.characters):
        if places.get(character, len(places)) >= (places[found[-1]] if found else len(places)):
            break
        found.append(character)
    return frozenset(found)


def coverage(
    characters: CharTable, words: Mapping[str, int] | Iterable[str], settings: Mapping[str, Any] | None = None
) -> Coverage:
    """Count the words of a text whose characters an encoder does not know.

    Args:
        characters: Of the encoder (``DistillEmb.characters``, ``DistillEmbTokenizer.characters``).
        words: Tokens of the text, or how often each occurs. Tokens without a letter do not count.
        settings: Of the encoder's distillation (``DistillEmb.facts.settings``), if they are known.
    """
    counts = words if isinstance(words, Mapping) else Counter(words)
    unlearned = unlearned_characters(characters, settings or {})
    learned = CharTable([c for c in characters.characters if c not in unlearned])
    known, total, with_unknown = set(learned.characters), 0, 0
    unknown, bare = Counter[str](), Counter[str]()
    seen: dict[str, bool] = {}
    for word, number in counts.items():
        if not is_word(word):
            continue
        total += number
        missing = False
        for character in split_characters(word.lower() if characters.lowercase else word):
            if character in known:
                continue
            if character not in seen:
                seen[character] = learned.knows(character)
            (bare if seen[character] else unknown)[character] += number
            missing |= not seen[character]
        with_unknown += number if missing else 0
    told_apart = characters.hashed > 0 or all(map(characters.knows, unknown))
    return Coverage(total, with_unknown, dict(unknown.most_common()), dict(bare.most_common()), told_apart)


def low_coverage_warning(
    characters: CharTable,
    words: Mapping[str, int] | Iterable[str],
    where: str,
    settings: Mapping[str, Any] | None = None,
) -> str | None:
    """What training should warn of when many of its words hold unknown characters; else None."""
    found = coverage(characters, words, settings)
    return f"{where}: {found.describe()} {found.advice()}" if found.is_low else None


def _listed(characters: Mapping[str, int]) -> str:
    shown = ", ".join(f"{normalize(c)} (U+{ord(c[0]):04X}) {n:,}" for c, n in islice(characters.items(), _SHOWN))
    return shown + (f" and {len(characters) - _SHOWN:,} more" if len(characters) > _SHOWN else "")
