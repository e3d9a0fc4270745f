"""Character n-grams of fastText and floret in NumPy: hashing, and vectors of words from an n-gram matrix.

Sources: fastText's Dictionary::computeSubwords and Dictionary::hash (Bojanowski et al. 2017), version 0.9.3; floret
(github.com/explosion/floret), which hashes words too, with MurmurHash3_x64_128 (Appleby, public domain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..vectors import Floats

_FNV_START = np.uint32(2166136261)
_FNV_PRIME = np.uint32(16777619)
_END_OF_SENTENCE = "</s>"  # the one word that fastText gives no n-grams
_BLOCK = 1024


def ngram_buckets(
    words: Sequence[str], min_n: int, max_n: int, buckets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hash the n-grams of ``<word>``, of `min_n` to `max_n` characters, into buckets.

    The hash is FNV-1a over the UTF-8 bytes, each sign-extended to 32 bits, as fastText does by accident of C++'s
    signed char. Returns all bucket numbers, int64 ``[total]``, word after word, and how many each word has.
    """
    if not words or max_n < 1 or buckets < 1:
        return np.zeros(0, np.int64), np.zeros(len(words), np.int64)
    encoded = ["" if word == _END_OF_SENTENCE else f"<{word}>" for word in words]
    encoded_bytes = [word.encode("utf-8", "surrogatepass") for word in encoded]
    data = np.frombuffer(b"".join(encoded_bytes) + b"\0\0\0\0", dtype=np.uint8)
    lengths = np.fromiter(map(len, encoded_bytes), np.int64, len(words))
    ends = np.cumsum(lengths)
    starts = np.flatnonzero((data[:-4] & 0xC0) != 0x80)  # first byte of every character
    owner = np.searchsorted(ends, starts, side="right")
    is_first = starts == (ends - lengths)[owner]
    stops = np.append(starts[1:], ends[-1])
    last = np.searchsorted(starts, ends[owner]) - 1  # number of the last character of the word

    hashes = np.full(len(starts), _FNV_START, dtype=np.uint32)
    signed = data.view(np.int8).astype(np.int32).view(np.uint32)
    found, owners, order = [], [], []
    number = np.arange(len(starts))
    for n in range(1, max_n + 1):
        end = number + n - 1  # number of the n-gram's last character
        alive = end <= last
        number_alive, end_alive = number[alive], end[alive]
        if len(number_alive) == 0:
            break
        hashes[number_alive] = _extend(hashes[number_alive], signed, starts[end_alive], stops[end_alive])
        if n < min_n:
            continue
        keep = number_alive
        if n == 1:  # the brackets alone do not count
            keep = keep[~(is_first[keep] | (keep == last[keep]))]
        found.append(hashes[keep] % np.uint32(buckets))
        owners.append(owner[keep])
        order.append(keep * (max_n + 1) + n)
    if not found:
        return np.zeros(0, np.int64), np.zeros(len(words), np.int64)
    in_order = np.argsort(np.concatenate(order), kind="stable")  # fastText's order: by start, then by length
    per_word = np.bincount(np.concatenate(owners), minlength=len(words)).astype(np.int64)
    return np.concatenate(found)[in_order].astype(np.int64), per_word


def _extend(
    hashes: NDArray[np.uint32], signed: NDArray[np.uint32], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Hashes after one more character each: its 1 to 4 bytes are ``signed[start:stop]``."""
    sizes = stops - starts
    for byte in range(4):
        longer = (hashes ^ signed[starts + byte]) * _FNV_PRIME
        hashes = np.where(sizes > byte, longer, hashes)
    return hashes


@dataclass(frozen=True, eq=False)
class NgramTable:
    """Vectors of words from fastText's n-gram matrix, float32 ``[buckets, dim]``, as fastText computes them."""

    matrix: Floats
    min_n: int
    max_n: int

    @property
    def nbytes(self) -> int:
        """Bytes of the n-gram matrix (on disk when memory-mapped)."""
        return int(self.matrix.nbytes)

    def __call__(self, words: Sequence[str], own: Floats | None = None) -> Floats:
        """Means of the n-gram vectors of words, and of their own float32 ``[n, dim]`` if they have some; else zero."""
        means = np.zeros((len(words), self.matrix.shape[1]), dtype=np.float32)
        for start in range(0, len(words), _BLOCK):
            chosen = slice(start, start + _BLOCK)
            buckets, sizes = ngram_buckets(words[chosen], self.min_n, self.max_n, len(self.matrix))
            sums = _segment_sums(np.asarray(self.matrix[buckets]), sizes)
            if own is not None:
                sums += own[chosen]
                sizes = sizes + 1
            means[chosen] = sums / np.maximum(sizes, 1)[:, None].astype(np.float32)
        return means


@dataclass(frozen=True, eq=False)
class FloretTable:
    """Vectors of words from floret's table, as floret computes them: one mean over words and n-grams alike.

    matrix: float32 ``[buckets, dim]``. hashes: rows of each n-gram, 1 to 4. begin, end: what stands around each word.
    """

    matrix: Floats
    min_n: int
    max_n: int
    hashes: int
    seed: int = 2166136261
    begin: str = "<"
    end: str = ">"

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix (on disk when memory-mapped)."""
        return int(self.matrix.nbytes)

    def __call__(self, words: Sequence[str]) -> Floats:
        """Vectors of any words, float32 ``[n, dim]``. Zero for the mark of the end of a sentence."""
        means = np.zeros((len(words), self.matrix.shape[1]), dtype=np.float32)
        for start in range(0, len(words), _BLOCK):
            pieces = [self._pieces(word) for word in words[start : start + _BLOCK]]
            number: dict[str, int] = {}
            order = [number.setdefault(piece, len(number)) for one in pieces for piece in one]
            hashes = murmur3_128([piece.encode("utf-8", "surrogatepass") for piece in number], self.seed)
            rows = hashes[order, : self.hashes].ravel() % np.uint32(len(self.matrix))
            sizes = np.array([len(one) * self.hashes for one in pieces], dtype=np.int64)
            sums = _segment_sums(np.asarray(self.matrix[rows]), sizes)
            means[start : start + _BLOCK] = sums / np.maximum(sizes, 1)[:, None].astype(np.float32)
        return means

    def sizes(self, words: Sequence[str]) -> list[int]:
        """How many rows each word is the mean of."""
        return [len(self._pieces(word)) * self.hashes for word in words]

    def _pieces(self, word: str) -> list[str]:
        """The marked word and its n-grams. The marks alone do not count."""
        if word == _END_OF_SENTENCE:
            return []
        marked = self.begin + word + self.end
        last = len(marked) - 1
        return [marked] + [
            marked[i : i + n]
            for n in range(max(self.min_n, 1), self.max_n + 1)
            for i in range(len(marked) - n + 1)
            if n > 1 or 0 < i < last
        ]


def murmur3_128(texts: Sequence[bytes], seed: int) -> NDArray[np.uint32]:
    """Hash byte strings with MurmurHash3_x64_128, those of one length at a time: uint32 ``[n, 4]``."""
    result = np.zeros((len(texts), 4), dtype=np.uint32)
    by_length: dict[int, list[int]] = {}
    for position, text in enumerate(texts):
        by_length.setdefault(len(text), []).append(position)
    for length, positions in by_length.items():
        padding = bytes(-length % 16 or (16 if length == 0 else 0))
        data = np.frombuffer(b"".join(texts[position] + padding for position in positions), dtype="<u8")
        result[positions] = _murmur(data.reshape(len(positions), -1, 2), length, seed)
    return result


def _murmur(blocks: NDArray[np.uint64], length: int, seed: int) -> NDArray[np.uint32]:
    """Hashes of strings of one length; uint64 ``[n, blocks, 2]``, the last block padded with zeros."""
    c1, c2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
    one = np.full(len(blocks), seed, dtype=np.uint64)
    two = one.copy()
    for number in range(blocks.shape[1]):
        one ^= _rotate(blocks[:, number, 0] * c1, 31) * c2
        whole = 16 * (number + 1) <= length
        if whole:
            one = (_rotate(one, 27) + two) * np.uint64(5) + np.uint64(0x52DCE729)
        two ^= _rotate(blocks[:, number, 1] * c2, 33) * c1
        if whole:
            two = (_rotate(two, 31) + one) * np.uint64(5) + np.uint64(0x38495AB5)
    one, two = one ^ np.uint64(length), two ^ np.uint64(length)
    one = one + two
    two = two + one
    one, two = _mix(one), _mix(two)
    one = one + two
    two = two + one
    return np.stack([one, two], axis=1).astype("<u8").view("<u4").astype(np.uint32)


def _rotate(values: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        values = (values ^ (values >> np.uint64(33))) * np.uint64(factor)
    return values ^ (values >> np.uint64(33))


def _segment_sums(rows: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Sums of consecutive runs of `rows`; run i has ``sizes[i]`` rows, perhaps none."""
    sums = np.zeros((len(sizes), rows.shape[1]), dtype=np.float32)
    filled = np.flatnonzero(sizes)
    if len(filled):
        starts = (np.cumsum(sizes) - sizes)[filled]
        sums[filled] = np.add.reduceat(rows, starts, axis=0)
    return sums
