"""fastText's own .bin format, with its n-grams, read without the fasttext library.

Layout (fastText 0.9.3, FastText::saveModel): magic, version, 12 int32 and a double of arguments, the dictionary, a flag
for quantized models, the input matrix (words, then n-gram buckets), the output matrix.
"""

from __future__ import annotations

import mmap
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DistillEmbError
from ..ngrams import NgramTable
from ..table import Teacher
from .rows import RowCollector

MAGIC = struct.pack("<i", 793712314)
_ARGUMENTS = "<12id"  # dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate t
_SUPERVISED = 3


@dataclass
class _Dictionary:
    words: list[str]
    rows: list[int]  # of the input matrix
    counts: list[int]
    n_words: int
    undecodable: int
    end: int  # offset in the file


def read_fasttext(path: str | Path, limit: int | None = None) -> Teacher:
    """Read a fastText ``.bin`` with its n-grams.

    The matrix is memory-mapped: only the rows of the kept words and of the n-grams asked for are read.

    Args:
        path: The file.
        limit: Most words to keep. The n-grams answer for the others.

    Returns:
        A teacher whose ``subwords`` gives for an unseen word exactly fastText's ``get_word_vector``.

    Raises:
        DistillEmbError: The model is quantized, truncated or damaged.
    """
    collector = RowCollector(path, limit)
    with Path(path).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            version = struct.unpack_from("<i", data, 4)[0]
            arguments = struct.unpack_from(_ARGUMENTS, data, 8)
            dictionary = _read_dictionary(data, 8 + struct.calcsize(_ARGUMENTS), collector.limit)
            quantized, n_rows, dim = struct.unpack_from("<?qq", data, dictionary.end)
        except (struct.error, ValueError, OverflowError) as error:
            raise DistillEmbError(f"{path} ends before its vectors: fetch it again.") from error
        size = len(data)
    model, _, min_n, max_n = arguments[7:11]
    if quantized:
        raise DistillEmbError(
            f"{path} is a quantized fastText model, whose n-gram vectors are approximations: "
            "give the .bin it was made from."
        )
    offset = dictionary.end + 17
    if n_rows < dictionary.n_words or dim != arguments[0] or offset + 4 * n_rows * dim > size:
        raise DistillEmbError(f"{path} is truncated or damaged (its matrix does not fit the file): fetch it again.")
    if version == 11 and model == _SUPERVISED:
        max_n = 0  # as fastText does: such models had no n-grams
    if dictionary.undecodable:
        warnings.warn(f"{path}: left out {dictionary.undecodable} words that are not UTF-8.", stacklevel=2)
    matrix = np.memmap(path, dtype="<f4", mode="r", offset=offset, shape=(n_rows, dim))
    return _composed(collector, dictionary, matrix, min_n, max_n)


def _composed(collector: RowCollector, dictionary: _Dictionary, matrix: np.memmap, min_n: int, max_n: int) -> Teacher:
    """Add the words to the collector, each as the mean of its own row and its n-grams."""
    ngrams = NgramTable(matrix[dictionary.n_words :], min_n, max_n)
    done = 0
    while collector.room > 0 and done < len(dictionary.words):
        chosen = slice(done, done + collector.room)
        words = dictionary.words[chosen]
        own = np.asarray(matrix[dictionary.rows[chosen]])
        counts = np.array(dictionary.counts[chosen], dtype=np.int64)
        collector.add(words, ngrams.word_vectors(words, own), done + 1, counts)
        done += len(words)
    has_ngrams = max_n > 0 and len(ngrams.matrix) > 0
    return collector.teacher(ngrams if has_ngrams else None)


def _read_dictionary(data: mmap.mmap, start: int, limit: int) -> _Dictionary:
    """Read the dictionary from offset `start`, keeping `limit` words (the rest is only stepped over)."""
    size, n_words, _, _, n_pruned = struct.unpack_from("<iiiqq", data, start)
    position = start + struct.calcsize("<iiiqq")
    result = _Dictionary([], [], [], n_words, 0, 0)
    for row in range(size):
        end = data.find(b"\0", position)
        if end < 0:
            raise ValueError("no end of the word")
        if row < n_words and len(result.words) < limit:
            try:
                result.words.append(data[position:end].decode("utf-8"))
                result.rows.append(row)
                result.counts.append(struct.unpack_from("<q", data, end + 1)[0])
            except UnicodeDecodeError:  # fastText cuts overlong words between bytes
                result.undecodable += 1
        position = end + 10  # the zero, an int64 count and an int8 type
    result.end = position + 8 * max(n_pruned, 0)
    return result
