"""fastText's and floret's own .bin format, with its n-grams, read without their libraries.

Layout (fastText 0.9.3, FastText::saveModel): magic, version, 12 int32 and a double of arguments, the dictionary, a flag
for quantized models, the input matrix (words, then n-gram buckets), the output matrix. floret has the same magic and
version, and two more int32 among the arguments: the mode and the number of hashes.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DistillEmbError
from ...vectors import Floats
from ..ngrams import FloretTable, NgramTable
from ..table import Teacher
from .rows import RowCollector, Rows

MAGIC = struct.pack("<i", 793712314)
_ARGUMENTS = "<12id"  # dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate t
_FLORET_ARGUMENTS = "<14id"  # mode and hashCount after maxn
_FLORET_MODE = 2
_DICTIONARY = "<iiiqq"  # size nwords nlabels ntokens pruned
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
    """Read a fastText or floret ``.bin``. Its n-grams give unseen words exactly the ``get_word_vector`` of the library.

    The matrix is memory-mapped: only the rows of the kept words and of the n-grams asked for are read.
    """
    collector = RowCollector(path, limit)
    with Path(path).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            version = struct.unpack_from("<i", data, 4)[0]
            layout = _FLORET_ARGUMENTS if _is_floret(data) else _ARGUMENTS
            arguments = struct.unpack_from(layout, data, 8)
            dictionary = _read_dictionary(data, 8 + struct.calcsize(layout), collector.limit)
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
    end = offset + 4 * n_rows * dim
    if n_rows < dictionary.n_words or dim != arguments[0] or end > size:
        raise DistillEmbError(f"{path} is truncated or damaged (its matrix does not fit the file): fetch it again.")
    _check_end(path, end, size, dim)
    if version == 11 and model == _SUPERVISED:
        max_n = 0  # as fastText does: such models had no n-grams
    collector.undecodable = dictionary.undecodable
    matrix = np.memmap(path, dtype="<f4", mode="r", offset=offset, shape=(n_rows, dim))
    if layout == _FLORET_ARGUMENTS and arguments[11] == _FLORET_MODE:
        table = FloretTable(matrix[dictionary.n_words :], min_n, max_n, arguments[12])
        return _hashed(collector, dictionary, table, matrix[0])
    return _composed(collector, dictionary, matrix, min_n, max_n)


def _is_floret(data: mmap.mmap) -> bool:
    """Whether floret's arguments stand here, whose dictionary then follows; fastText's numbers would fit nothing."""
    mode, hashes = struct.unpack_from("<2i", data, 8 + 11 * 4)
    size, n_words, n_labels, _, _ = struct.unpack_from(_DICTIONARY, data, 8 + struct.calcsize(_FLORET_ARGUMENTS))
    return mode in (1, _FLORET_MODE) and 1 <= hashes <= 4 and n_words >= 0 and size == n_words + n_labels


def _check_end(path: str | Path, start: int, size: int, dim: int) -> None:
    """The output matrix, of which nothing is used, must end where the file does. Some tools leave it out altogether."""
    if start == size:
        return
    with Path(path).open("rb") as stream:
        stream.seek(start)
        head = stream.read(17)
    quantized, rows, width = struct.unpack("<?qq", head) if len(head) == 17 else (False, -1, dim)
    if not quantized and (rows < 0 or start + 17 + 4 * rows * width != size):
        raise DistillEmbError(f"{path} is truncated or damaged (it does not end with its matrices): fetch it again.")


def _hashed(collector: RowCollector, dictionary: _Dictionary, table: FloretTable, first: Floats) -> Teacher:
    """Add the words to the collector, each as floret's mean. Only the first word also has a row of its own there.

    The mark of the end of a sentence has no vector, unless it is the first word.
    """

    def read(chosen: slice) -> Rows:
        words, vectors = dictionary.words[chosen], table(dictionary.words[chosen])
        if dictionary.rows[chosen.start] == 0:
            pieces = table.sizes(words[:1])[0]
            vectors[0] = (vectors[0] * pieces + first) / (pieces + 1)
        keep = np.flatnonzero(vectors.any(axis=1) | ~np.isfinite(vectors).all(axis=1))
        counts = np.array(dictionary.counts[chosen], dtype=np.int64)[keep]
        return Rows([words[row] for row in keep], vectors[keep], counts, (chosen.start + 1 + keep).tolist())

    collector.fill(len(dictionary.words), read)
    return collector.teacher(table)


def _composed(collector: RowCollector, dictionary: _Dictionary, matrix: np.memmap, min_n: int, max_n: int) -> Teacher:
    """Add the words to the collector, each as the mean of its own row and its n-grams."""
    ngrams = NgramTable(matrix[dictionary.n_words :], min_n, max_n)

    def read(chosen: slice) -> Rows:
        words, own = dictionary.words[chosen], np.asarray(matrix[dictionary.rows[chosen]])
        return Rows(words, ngrams(words, own), np.array(dictionary.counts[chosen], dtype=np.int64))

    collector.fill(len(dictionary.words), read)
    has_ngrams = max_n > 0 and len(ngrams.matrix) > 0
    return collector.teacher(ngrams if has_ngrams else None)


def _read_dictionary(data: mmap.mmap, start: int, limit: int) -> _Dictionary:
    """Read the dictionary from offset `start`, keeping `limit` words (the rest is only stepped over)."""
    size, n_words, _, _, n_pruned = struct.unpack_from(_DICTIONARY, data, start)
    position = start + struct.calcsize(_DICTIONARY)
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
