"""The first look: the bundled encoder's neighbors of words that it knows and of words that it never saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..encoder import DistillEmb
from ..files import directory_bytes, iter_lines
from ..persistence import resolve
from .settings import BUNDLED

_VOCABULARY = "vocabulary.txt.gz"  # frequent words, stored with the bundled encoder
_NEIGHBORS = 6
_TRIED = 40  # neighbors of which those that differ in capitals alone are left out

# word, language, what it means
WORDS = (
    ("ሰኞ", "Amharic", "Monday"),
    ("ጨዋታ", "Amharic", "game"),
    ("Jumatatu", "Swahili", "Monday"),
    ("virusi", "Swahili", "virus"),
    ("cuta", "Hausa", "illness"),
    ("Chineke", "Igbo", "God"),
    ("ìjọba", "Yoruba", "government"),
    ("omwana", "Luganda", "child"),
    ("ኮሮና", "Tigrinya", "corona"),
    ("water", "Pidgin", "water"),
)
# In no text that the encoder or its teacher was made from.
UNSEEN = (
    ("hawataambukizwa", "Swahili", "they will not be infected"),
    ("wanafunnzi", "Swahili", "students, misspelled"),
    ("ፕሬዝደንቱ", "Amharic", "the president, misspelled"),
    ("rigakafinsu", "Hausa", "their prevention"),
)

Near = list[tuple[str, float]]


@dataclass(frozen=True)
class LookedUp:
    """A word with its neighbors and their cosines, the nearest first."""

    word: str
    language: str
    meaning: str
    near: Near


@dataclass(frozen=True)
class FirstLook:
    """What the first look found.

    Attributes:
        words: Words that the encoder knows.
        unseen: Words that it never saw.
        candidates: Number of words among which neighbors were sought.
        dim: Width of a vector.
        size: Bytes of the encoder.
    """

    words: list[LookedUp]
    unseen: list[LookedUp]
    candidates: int
    dim: int
    size: int


def first_look() -> FirstLook:
    """Open the bundled encoder and look words up among the frequent words that are stored with it."""
    path = resolve(BUNDLED)
    encoder = DistillEmb.from_pretrained(path)
    candidates = [word for word in iter_lines([path / _VOCABULARY]) if word]
    return FirstLook(
        words=_look(encoder, WORDS, candidates),
        unseen=_look(encoder, UNSEEN, candidates),
        candidates=len(candidates),
        dim=encoder.dim,
        size=directory_bytes(path),
    )


def _look(encoder: DistillEmb, words: Iterable[tuple[str, str, str]], candidates: Sequence[str]) -> list[LookedUp]:
    return [LookedUp(*word, near=nearest(encoder, word[0], candidates)) for word in words]


def nearest(encoder: DistillEmb, word: str, candidates: Sequence[str]) -> Near:
    """The nearest words, capitals aside: `Arusha` beside `arusha` says nothing."""
    seen = {word.casefold()}
    kept = []
    for neighbor, score in encoder.most_similar(word, candidates, n=_TRIED):
        if neighbor.casefold() not in seen:
            seen.add(neighbor.casefold())
            kept.append((neighbor, round(score, 3)))
    return kept[:_NEIGHBORS]


def look_text(look: FirstLook) -> str:
    """The look as lines for a terminal."""
    lines = [f"{BUNDLED}: eleven African languages in {look.size / 1e6:.1f} MB, vectors of {look.dim} dimensions"]
    lines += ["", f"Nearest of {look.candidates:,} words:", *map(_line, look.words)]
    lines += ["", "Words that it never saw:", *map(_line, look.unseen), ""]
    return "\n".join(lines)


def _line(one: LookedUp) -> str:
    return f"  {one.word} ({one.language}, {one.meaning}): {', '.join(word for word, _ in one.near[:4])}"
