"""Words to rows of character ids.

A character is a letter together with its combining marks (after NFC), so that Yoruba ẹ́ is one character although
Unicode has no single code point for it. Only NumPy and the standard library are imported: a saved encoder directory
carries this file, so that it opens without the package.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

PAD_ID = 0
UNKNOWN_ID = 1
FIRST_CHARACTER_ID = 2
_MARKS_KEPT = 2  # marks of one letter that count; further ones (stacked decoration) are dropped
_FIRST_MARK = 0x300  # no combining mark stands below this code point
_BITS = 21  # bits of a code point
_UNRESOLVED = -1
_MAX_CHARS = 10_000  # a longer row is a damaged number, and would fill the memory

Align = Literal["left", "centre"]


def is_mark(character: str) -> bool:
    """Whether a code point combines with the letter before it (Unicode categories Mn, Mc, Me)."""
    return unicodedata.category(character).startswith("M")


def split_characters(word: str) -> list[str]:
    """Split a word into characters, each a letter with its combining marks, after NFC."""
    characters: list[str] = []
    for code_point in unicodedata.normalize("NFC", word):
        if characters and is_mark(code_point):
            if len(characters[-1]) <= _MARKS_KEPT:
                characters[-1] += code_point
        else:
            characters.append(code_point)
    return characters


class CharTable:
    """The character set of an encoder and the way a word becomes a row of ids.

    characters: the known characters in id order; the id of ``characters[i]`` is ``i + 2`` (0 pads, 1 is unknown).
    max_chars: row length; longer words are cut at the end.
    align: ``"left"`` puts the word at the start of its row, ``"centre"`` puts half the padding on each side
        (DistillEmb), the odd one on the right.
    lowercase: lower-case words first, for teachers that were trained so.

    A letter with a mark that is not in the set is read as the bare letter; what is still not found is unknown.
    Raises ValueError for an empty or repeated character, another alignment, or a row length that is
    no number from 1 to 10,000.
    """

    def __init__(
        self,
        characters: Sequence[str],
        max_chars: int = 16,
        align: Align = "left",
        lowercase: bool = False,
    ) -> None:
        self.characters = tuple(unicodedata.normalize("NFC", character) for character in characters)
        self.max_chars = max_chars
        self.align: Align = align
        self.lowercase = lowercase
        if isinstance(max_chars, bool) or not isinstance(max_chars, int) or not 1 <= max_chars <= _MAX_CHARS:
            raise ValueError(f"max_chars is {max_chars!r}: a row has from 1 to {_MAX_CHARS} characters.")
        if align not in ("left", "centre"):
            raise ValueError(f"align is {align!r}: say 'left' or 'centre'.")
        if "" in self.characters:
            raise ValueError("The character set holds an empty character: remove it.")
        if len(set(self.characters)) != len(self.characters):
            twice = next(c for c, n in Counter(self.characters).items() if n > 1)
            raise ValueError(f"The character set holds {twice!r} twice: remove one.")
        self._ids = {character: number for number, character in enumerate(self.characters, FIRST_CHARACTER_ID)}
        self._build_lookup()

    def _build_lookup(self) -> None:
        singles = {ord(c): number for c, number in self._ids.items() if len(c) == 1}
        self._single = np.full(max([0x400, *(c + 1 for c in singles)]), _UNRESOLVED, dtype=np.int32)
        for code_point, number in singles.items():
            self._single[code_point] = number
        keyed = sorted((_cluster_key(c), number) for c, number in self._ids.items() if len(c) > 1)
        self._cluster_keys = np.array([key for key, _ in keyed], dtype=np.uint64)
        self._cluster_ids = np.array([number for _, number in keyed], dtype=np.int32)

    @classmethod
    def learn(
        cls,
        words: Iterable[str],
        counts: Iterable[int] | None = None,
        *,
        min_count: int = 1,
        max_characters: int | None = None,
        max_chars: int = 16,
        align: Align = "left",
        lowercase: bool = False,
    ) -> CharTable:
        """Learn the character set from words (each counted once, or `counts` times).

        Characters seen fewer than `min_count` times are left out; at most `max_characters` of the most frequent
        are kept. Ids follow frequency, ties in code point order. Raises ValueError when no character remains.
        """
        seen: Counter[str] = Counter()
        pairs = ((word, 1) for word in words) if counts is None else zip(words, counts, strict=True)
        for word, count in pairs:
            for character in split_characters(word.lower() if lowercase else word):
                seen[character] += count
        kept = sorted((c for c, n in seen.items() if n >= min_count), key=lambda c: (-seen[c], c))[:max_characters]
        if not kept:
            raise ValueError(
                f"No character is seen {min_count} times or more in the words given: lower min_count or give more text."
            )
        return cls(kept, max_chars=max_chars, align=align, lowercase=lowercase)

    def __len__(self) -> int:
        """The number of ids, pad and unknown included."""
        return len(self.characters) + FIRST_CHARACTER_ID

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharTable) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.characters, self.max_chars, self.align, self.lowercase))

    def __repr__(self) -> str:
        return f"CharTable({len(self.characters)} characters, max_chars={self.max_chars}, align={self.align!r})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values from which `from_dict` makes an equal table."""
        return {
            "characters": list(self.characters),
            "max_chars": self.max_chars,
            "align": self.align,
            "lowercase": self.lowercase,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CharTable:
        """The table that `to_dict` described. Raises ValueError for unknown or missing keys."""
        allowed = {"characters", "max_chars", "align", "lowercase"}
        if "characters" not in values or set(values) - allowed:
            raise ValueError(f"A character table has the keys {sorted(allowed)}, not {sorted(values)}.")
        return cls(**values)

    def encode(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Rows of ids, int32 ``[len(words), max_chars]``. Any string is accepted; an empty word is all padding."""
        longest = (_MARKS_KEPT + 2) * self.max_chars  # so that a huge word costs no more than a long one
        cut = [word if len(word) <= longest else word[:longest] for word in words]
        if self.lowercase:
            cut = [word.lower() for word in cut]
        text = "".join(cut)
        if not text.isascii():
            cut = [unicodedata.normalize("NFC", word) for word in cut]
            text = "".join(cut)
        lengths = np.fromiter(map(len, cut), dtype=np.int64, count=len(cut))
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        word_of = np.repeat(np.arange(len(cut)), lengths)
        ids, word_of, lengths = self._characters(code_points, word_of, lengths)
        return self._rows(ids, word_of, lengths)

    def _characters(
        self, code_points: NDArray[np.uint32], word_of: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Group code points into characters: their ids, their words, and the number of characters a word."""
        ids = self._single_ids(code_points)
        marks = _marks(code_points)
        if not marks.any():
            return ids, word_of, lengths
        first_of_word = np.diff(word_of, prepend=-1) != 0
        starts = np.flatnonzero(~marks | first_of_word)
        sizes = np.diff(starts, append=len(code_points))
        ids_of_start = ids[starts]
        clustered = np.flatnonzero(sizes > 1)
        ids_of_start[clustered] = self._cluster_lookup(
            code_points, starts[clustered], sizes[clustered], ids_of_start[clustered]
        )
        word_of = word_of[starts]
        return ids_of_start, word_of, np.bincount(word_of, minlength=len(lengths))

    def _cluster_lookup(
        self,
        code_points: NDArray[np.uint32],
        starts: NDArray[np.int64],
        sizes: NDArray[np.int64],
        bare: NDArray[np.int32],
    ) -> NDArray[np.int32]:
        """Ids of letters with marks; where the whole is unknown, of the letter with fewer marks."""
        wide = code_points.astype(np.uint64)
        key = wide[starts]
        keys = [key]
        for mark in range(1, _MARKS_KEPT + 1):
            has = sizes > mark
            key = key + np.where(has, wide[np.minimum(starts + mark, len(wide) - 1)] << np.uint64(_BITS * mark), 0)
            keys.append(key)
        found = bare.copy()
        if len(self._cluster_keys):
            for key in keys[1:]:  # from few marks to many: the fullest match stays
                at = np.minimum(np.searchsorted(self._cluster_keys, key), len(self._cluster_keys) - 1)
                hit = self._cluster_keys[at] == key
                found[hit] = self._cluster_ids[at[hit]]
        return found

    def _single_ids(self, code_points: NDArray[np.uint32]) -> NDArray[np.int32]:
        size = len(self._single)
        ids: NDArray[np.int32] = self._single[np.minimum(code_points, size - 1)]
        outside = code_points >= size
        if outside.any():
            ids[outside] = _UNRESOLVED
        open_places = np.flatnonzero(ids == _UNRESOLVED)
        if len(open_places):
            distinct, inverse = np.unique(code_points[open_places], return_inverse=True)
            resolved = np.array([self._resolve(chr(c)) for c in distinct.tolist()], dtype=np.int32)
            inside = distinct < size
            self._single[distinct[inside]] = resolved[inside]  # remembered for the next call
            ids[open_places] = resolved[inverse]
        return ids

    def _resolve(self, code_point: str) -> int:
        """The id of a code point that is not in the set: that of its bare letter, else unknown."""
        bare = unicodedata.normalize("NFD", code_point)[0] if not 0xD800 <= ord(code_point) < 0xE000 else code_point
        return self._ids.get(code_point, self._ids.get(bare, UNKNOWN_ID))

    def _rows(
        self, ids: NDArray[np.int32], word_of: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        rows = np.full((len(lengths), self.max_chars), PAD_ID, dtype=np.int32)
        first = np.cumsum(lengths) - lengths
        column = np.arange(len(ids)) - first[word_of]
        if self.align == "centre":
            column = column + np.maximum(self.max_chars - lengths, 0)[word_of] // 2
        kept = (np.arange(len(ids)) - first[word_of]) < self.max_chars
        rows[word_of[kept], column[kept]] = ids[kept]
        return rows


def _cluster_key(character: str) -> int:
    return sum(ord(c) << (_BITS * place) for place, c in enumerate(character[: _MARKS_KEPT + 1]))


def _marks(code_points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which code points are combining marks."""
    marks = code_points >= _FIRST_MARK
    if marks.any():
        distinct, inverse = np.unique(code_points[marks], return_inverse=True)
        marks[marks] = np.array([is_mark(chr(c)) for c in distinct.tolist()], dtype=bool)[inverse]
    return marks
