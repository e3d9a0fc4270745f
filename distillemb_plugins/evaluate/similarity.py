"""Word similarity: Spearman's correlation between cosines and human scores, a folder of pair files at a time.

A pair file has a pair a line, ``word1 word2 score``, separated by tabs, commas, semicolons or spaces. A header line and
further columns are allowed; where a header names columns, ``word1``, ``w1`` ... and ``score``, ``mean`` ... are looked
for in it. A file of which it is not clear where the words or the score stand is refused.
"""

from __future__ import annotations

import csv
import fnmatch
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError, require
from ..files import PACKED, numbered_lines
from ..vectors import Floats, unit_rows
from .models import Lookup

PAIR_SUFFIXES = (".txt", ".tsv", ".csv", *PACKED)

# The five sets of Tiny Word Embeddings, Table 1 (Ohashi et al. 2020); their mean is the paper's "mean".
_FIVE = {
    "RG-65": r"rg-?65|rubenstein.*",
    "MC-30": r"mc-?30|miller.*",
    "WordSim-353": r"(ws|wordsim)-?353(-all|-combined)?",
    "MEN": r"men(-tr)?(-?3k)?",
    "Rare Words": r"rw(-stanford)?|rare-?words?",
}
# Names of score columns, the surest first; what other numbers are about; names of word columns, and numbered pairs.
_SCORE_COLUMNS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"score|sim(ilarity)?|mean|average|avg|gold",
        r"mean|average|avg",
        r"score|sim|human|rating|related|gold",
    )
]
_OTHER_NUMBER = re.compile(r"assoc|\bsd\b|std|stdev|dev|var|conc|count|\bnum|rank|time|\bid\b|freq", re.IGNORECASE)
_WORD_COLUMN = re.compile(r"word|term|^(w|t|token|lemma)[ _.-]?[12ab]$", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)[ _.-]?([12])$")


@dataclass(frozen=True)
class PairSet:
    """Word pairs with human scores, float64 [n]. label: how the set is known; the file's stem otherwise."""

    name: str
    label: str
    pairs: list[tuple[str, str]]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True)
class SetScore:
    """Spearman's rho on one set. oov: pairs with a word that the model lacks. scored: pairs that were counted."""

    name: str
    label: str
    pairs: int
    scored: int
    oov: int
    spearman: float | None


@dataclass(frozen=True)
class SimilarityScore:
    """Scores of every set, and their mean over the sets named in `mean_of`."""

    sets: list[SetScore]
    mean: float | None
    mean_of: list[str]


def read_pair_sets(path: str | Path, only: Sequence[str] = ()) -> list[PairSet]:
    """Read a folder of pair files (or one file): Tiny Word Embeddings' five sets first, then by name.

    Args:
        path: The folder or file.
        only: Names or patterns (``RG-65``, ``EN-WS*``), matched without regard to case against the file's stem and the
            set's label; empty for all.

    Raises:
        DistillEmbError: When nothing is left.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in PAIR_SUFFIXES)
        files = [file for file in files if not file.name.lower().startswith(("readme", "."))]
    else:
        files = [path]
    if not files:
        raise DistillEmbError(f"{path} holds no pair files: it needs .txt, .tsv or .csv files of word1 word2 score.")
    chosen = [file for file in files if not only or _is_chosen(file, only)]
    if not chosen:
        names = ", ".join(_stem(file) for file in files)
        raise DistillEmbError(f"No set in {path} matches {', '.join(only)}: there are {names}.")
    return sorted((read_pairs(file) for file in chosen), key=_five_first)


def _five_first(pair_set: PairSet) -> tuple[int, str]:
    order = list(_FIVE)
    return (order.index(pair_set.label) if pair_set.label in order else len(order), pair_set.label)


def read_pairs(path: str | Path) -> PairSet:
    """Read one pair file.

    Raises:
        DistillEmbError: Naming the line that is not a pair with a score.
    """
    path = Path(path)
    rows = [(n, line) for n, line in numbered_lines(path) if line.strip() and not line.startswith("#")]
    delimiter = _delimiter(line for _, line in rows[len(rows) // 2 :][:20])  # titles stand at the top
    cells = [(n, _split(line, delimiter)) for n, line in rows]
    header, body = _take_header(cells)
    skipped = [(n, row) for n, row in cells[: len(cells) - len(body)] if body and len(row) == len(body[0][1]) > 2]
    if len(skipped) > 1:  # one line names the columns; another one is a pair that would be lost
        raise _no_pair(path, *skipped[1])
    if not body:
        raise DistillEmbError(f"{path} holds no pairs: each line needs word1 word2 score.")
    try:
        left, right, score = _columns(header, [row for _, row in body])
    except _UnclearError as error:
        raise DistillEmbError(
            f"{path}, line {rows[0][0]}: {error}: name the columns word1, word2 and score in a first line."
        ) from error
    pairs: list[tuple[str, str]] = []
    scores: list[float] = []
    for number, row in body:
        value = _number(row[score]) if len(row) > score else None
        if value is None or not row[left] or not row[right]:
            raise _no_pair(path, number, row)
        pairs.append((row[left], row[right]))
        scores.append(value)
    name = _stem(path)
    return PairSet(name, _label(name), pairs, np.asarray(scores, dtype=np.float64))


def _no_pair(path: Path, number: int, row: list[str]) -> DistillEmbError:
    return DistillEmbError(
        f"{path}, line {number} is not a pair with a score ({'  '.join(row)[:60]!r}): "
        "write word1 word2 score, the same way on every line."
    )


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in PAIR_SUFFIXES:
        name = Path(name).stem
    return name


def _label(stem: str) -> str:
    bare = re.sub(r"^en-", "", stem, flags=re.IGNORECASE)
    for label, pattern in _FIVE.items():
        if re.fullmatch(pattern, bare.lower().replace("_", "-")):
            return label
    return bare


def _is_chosen(file: Path, only: Sequence[str]) -> bool:
    stem = _stem(file)
    names = (stem.lower(), _label(stem).lower())
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for name in names for pattern in only)


def _delimiter(lines: Iterable[str]) -> str | None:
    """The separator all sample lines share (tab before comma before semicolon); None for runs of spaces."""
    sample = list(lines)
    for delimiter in ("\t", ",", ";"):
        if sample and all(line.count(delimiter) >= 2 for line in sample):
            return delimiter
    return None


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _take_header(rows: list[tuple[int, list[str]]]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Set aside the leading lines that hold no number; the last of them is the header."""
    header: list[str] = []
    for position, (_, row) in enumerate(rows):
        if any(_number(cell) is not None for cell in row):
            return header, rows[position:]
        header = row
    return header, []


class _UnclearError(Exception):
    """It is not clear which columns hold the pair and its score."""


def _columns(header: list[str], body: list[list[str]]) -> tuple[int, int, int]:
    """Columns of the two words and the score, from the header's names or else from the contents."""
    first = body[0]
    texts = [i for i, cell in enumerate(first) if _number(cell) is None]
    numeric = [i for i, cell in enumerate(first) if _number(cell) is not None]
    if len(header) > 2 and len(header) != len(first):
        raise _UnclearError(f"{len(header)} columns are named, but {len(first)} follow")
    if len(header) != len(first):
        after = [i for i in numeric if len(texts) > 1 and i > texts[1]]
        if not after:
            return 0, 1, 2
        between = [i for i in texts[2:] if i < after[0]]
        kinds = [len({row[i] for row in body if i < len(row)}) for i in (*texts[:2], *between)]
        if between and len(body) > 1 and max(kinds[2:]) >= min(kinds[:2]):  # a category has fewer values than words
            raise _UnclearError(f"{2 + len(between)} columns before the score could be the words")
        return texts[0], texts[1], after[0]
    score = _score_column(header, numeric)
    words = [i for i in texts if _WORD_COLUMN.search(header[i])]
    pairs = [(i, j) for i, j in pairwise(texts) if _is_pair(header[i], header[j])]
    if len(words) == 2:
        return words[0], words[1], score
    if pairs:  # translated sets: the pair beside the score
        return *pairs[-1], score
    before = [i for i in texts if i < score]
    if len(before) != 2:
        raise _UnclearError(f"{len(before)} columns ({', '.join(header[i] for i in before)}) could be the words")
    return before[0], before[1], score


def _score_column(header: list[str], numeric: list[int]) -> int:
    named = [i for i in numeric if not _OTHER_NUMBER.search(header[i])]
    finders = [_SCORE_COLUMNS[0].fullmatch, *(pattern.search for pattern in _SCORE_COLUMNS[1:])]
    for finder in finders:
        found = [i for i in named if finder(header[i])]
        if found:
            break
    else:
        found = [i for i in named if not _NUMBERED.match(header[i])] or named or numeric
        found = found if len(found) == 1 else []
    if len(found) != 1:
        columns = ", ".join(header[i] for i in found or numeric) or "none"
        raise _UnclearError(f"{len(found or numeric)} columns ({columns}) could be the score")
    return found[0]


def _is_pair(left: str, right: str) -> bool:
    one, two = _NUMBERED.match(left.strip()), _NUMBERED.match(right.strip())
    return bool(one and two and one[1].lower() == two[1].lower() and (one[2], two[2]) == ("1", "2"))


def score_similarity(
    lookup: Lookup, sets: Sequence[PairSet], keep: Sequence[NDArray[np.bool_]] | None = None
) -> SimilarityScore:
    """Count Spearman's rho of each set, and the mean.

    Args:
        lookup: Where the vectors come from. A pair with an unknown word has similarity 0 and counts.
        sets: The pairs.
        keep: bool ``[n]`` for each set, the pairs to count instead of all (see `known_pairs`).

    Returns:
        The mean is over Tiny Word Embeddings' five sets when all five are here, else over every set that can be scored
        (WordSim's halves would count twice otherwise).
    """
    masks = keep if keep is not None else [np.ones(len(pair_set), dtype=bool) for pair_set in sets]
    scores = [_score_set(lookup, pair_set, mask) for pair_set, mask in zip(sets, masks, strict=True)]
    usable = {score.label: score.spearman for score in scores if score.spearman is not None}
    mean_of = list(_FIVE) if all(label in usable for label in _FIVE) else list(usable)
    values = [usable[label] for label in mean_of]
    return SimilarityScore(scores, float(np.mean(values)) if values else None, mean_of)


def known_pairs(lookup: Lookup, sets: Sequence[PairSet]) -> list[NDArray[np.bool_]]:
    """Which pairs of each set have both words known, bool [n] for each set."""
    return [pair_similarities(lookup, pair_set.pairs)[1] for pair_set in sets]


def pair_similarities(
    lookup: Lookup, pairs: Sequence[tuple[str, str]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cosine float64 [n] of each pair, 0 where a word is unknown, and whether both are known, bool [n]."""
    words = sorted({word for pair in pairs for word in pair})
    row = {word: i for i, word in enumerate(words)}
    vectors, known = lookup_phrases(lookup, words)
    unit = unit_rows(vectors).astype(np.float64)
    left = np.array([row[a] for a, _ in pairs], dtype=np.intp)
    right = np.array([row[b] for _, b in pairs], dtype=np.intp)
    both = known[left] & known[right]
    return np.where(both, (unit[left] * unit[right]).sum(axis=1), 0.0), both


def lookup_phrases(lookup: Lookup, words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
    """Look words up; an entry of several words (translated sets have them) is the mean of its words.

    It is known when all of its words are.
    """
    parts = [word.split() for word in words]
    if all(len(part) == 1 for part in parts):
        return lookup(words)
    flat, known_flat = lookup([piece for part in parts for piece in part])
    owner = np.repeat(np.arange(len(words)), [len(part) for part in parts])
    count = np.maximum(np.bincount(owner, minlength=len(words)), 1)
    vectors = np.zeros((len(words), flat.shape[1]), dtype=np.float32)
    np.add.at(vectors, owner, flat)
    known = np.bincount(owner, weights=~known_flat, minlength=len(words)) == 0
    vectors /= count[:, None].astype(np.float32)
    return vectors, known


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation of two float64 [n]; None for fewer than 3 values or a constant side."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(require("scipy.stats", "report").spearmanr(x, y).statistic)


def _score_set(lookup: Lookup, pair_set: PairSet, mask: NDArray[np.bool_]) -> SetScore:
    similarities, known = pair_similarities(lookup, pair_set.pairs)
    return SetScore(
        name=pair_set.name,
        label=pair_set.label,
        pairs=len(pair_set),
        scored=int(mask.sum()),
        oov=int((~known).sum()),
        # no known pair at all is no score, not a score of nought
        spearman=spearman(similarities[mask], pair_set.scores[mask]) if known.any() else None,
    )
