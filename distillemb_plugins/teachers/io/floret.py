"""floret's text vectors: a header, then one row a bucket. They hold no word list; any word can be looked up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...errors import DistillEmbError
from ...files import numbered_lines
from ..ngrams import FloretTable
from ..table import Teacher
from .rows import BLOCK, check_dim, table_name

# buckets, width, shortest and longest n-gram, hashes, seed, mark of the begin and of the end of a word
_HEADER = re.compile(r"(\d+) (\d+) (\d+) (\d+) ([1-4]) (\d+) (\S+) (\S+)\s*$")


def is_floret_text(head: bytes) -> bool:
    """Whether a file begins with floret's header."""
    return _HEADER.match(head.partition(b"\n")[0].decode("utf-8", "replace")) is not None


def read_floret_text(path: str | Path, limit: int | None = None) -> Teacher:
    """Read floret's ``.floret`` vectors, as spaCy's ``init vectors --mode floret`` takes them.

    The teacher has no words, so `limit` is not used; its `lookup` gives floret's vector of any word.
    """
    lines = numbered_lines(path)
    header = _HEADER.match(next(lines, (1, ""))[1])
    if header is None:
        raise DistillEmbError(
            f"{path}, line 1: floret's header has 8 fields (buckets, width, minn, maxn, hashes, seed, begin, end): "
            "export the vectors again with floret's save_floret_vectors."
        )
    buckets, dim, min_n, max_n, hashes, seed = map(int, header.groups()[:6])
    check_dim(path, dim)
    blocks = []
    done, texts = 0, []
    for number, line in lines:
        row, _, text = line.partition(" ")
        if not line.strip():
            continue
        if row != str(done):
            raise DistillEmbError(
                f"{path}, line {number}: row {row[:20]!r} stands where {done} should: fetch it again."
            )
        done += 1
        texts.append(text)
        if len(texts) == BLOCK:
            blocks.append(_parse(path, texts, dim, number))
            texts = []
    if texts:
        blocks.append(_parse(path, texts, dim, done + 1))
    if done != buckets or not done:
        raise DistillEmbError(f"{path}, line 1: the header says {buckets} rows, but {done} follow: fetch it again.")
    matrix = np.concatenate(blocks)
    table = FloretTable(matrix, min_n, max_n, hashes, seed, header[7], header[8])
    return Teacher(table_name(path), [], np.zeros((0, dim), np.float32), subwords=table)


def _parse(path: str | Path, texts: list[str], dim: int, last: int) -> np.ndarray:
    try:
        block = np.loadtxt(texts, dtype=np.float32, comments=None, ndmin=2)
        if block.shape == (len(texts), dim) and np.isfinite(block).all():
            return block
    except ValueError:
        pass
    raise DistillEmbError(
        f"{path}, lines {last - len(texts) + 1} to {last}: not every row has {dim} finite numbers: fetch it again."
    )
