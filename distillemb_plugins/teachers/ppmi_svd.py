"""Word vectors from counted neighbors: PPMI over positional contexts, reduced by a truncated SVD.

A context is a neighbor together with its position: "mjini" just before a word is another context than "mjini" two words
before it or just after it. Words are alike that stand in the same positions of a sentence, which tells named entities
and parts of speech apart; word2vec and fastText tell more of the subject. Ten million words of text take a minute of
one thread. There are no n-grams: a word that the table does not hold has no vector. A student distilled from the table
gives it one.

Sources: Levy & Goldberg 2014, "Linguistic Regularities in Sparse and Explicit Word Representations" (PPMI over
positional contexts, section 3); Levy, Goldberg & Dagan 2015, "Improving Distributional Similarity with Lessons Learned
from Word Embeddings" (smoothed context counts, equation 3; U sqrt(S) in place of U S, equation 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import DistillEmbError, require
from ..vectors import Floats
from .corpus import Corpus

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SMOOTHING = 0.75  # of the context counts: rare contexts count for less
_POWER_ITERATIONS = 4


def ppmi_svd_vectors(corpus: Corpus, dim: int, window: int, contexts: int, seed: int, progress: bool) -> Floats:
    """Compute the vectors of a corpus's words, float32 ``[n, dim]``, with a mean squared length of `dim`.

    The memory it takes grows with the distinct pairs of word and context: 0.7 GB for 12 million words of text.
    contexts: how many of the most frequent words are told apart as neighbors. The others count as one, and so does the
    sentence's edge.
    """
    counts = context_counts(corpus, window, contexts, progress)
    most = min(counts.shape) - 1
    if dim > most:
        raise DistillEmbError(f"dim={dim} is too wide for {counts.shape[0]} words: give at most {most}, or more text.")
    return truncated_svd(ppmi(counts), dim, seed)


def context_counts(corpus: Corpus, window: int, contexts: int, progress: bool = False) -> csr_matrix:
    """Count how often each context occurs beside each word: float32 ``[n, 2 * window * (contexts + 2)]``.

    The columns are, for each position from -window to -1 and 1 to window, the contexts by frequency, the sentence's
    edge, and all other words.
    """
    number = {word: row for row, word in enumerate(corpus.counts)}
    contexts = min(contexts, len(number))
    total: Any = None
    with tqdm(total=corpus.words, desc="counting", unit=" words", unit_scale=True, disable=not progress) as bar:
        for name, words in corpus.shards:
            with (corpus.directory / name).open(encoding="utf-8", newline="\n") as lines:
                text = _numbered(lines, number, window)
            counted = _count(text, len(number), window, contexts)
            total = counted if total is None else total + counted
            bar.update(words)
    return total


def _numbered(lines: Iterable[str], number: dict[str, int], window: int) -> NDArray[np.int64]:
    """Row numbers of running text; n for words outside the vocabulary, n + 1 at the edges of sentences."""
    edge = [len(number) + 1] * window

    def rows() -> Iterator[int]:
        yield from edge
        for line in lines:
            for word in line.rstrip("\n").split(" "):
                yield number.get(word, len(number))
            yield from edge

    return np.fromiter(rows(), dtype=np.int64)


def _count(text: NDArray[np.int64], n: int, window: int, contexts: int) -> csr_matrix:
    sparse = require("scipy.sparse", "train")
    context = np.where(text < contexts, text, np.where(text == n + 1, contexts, contexts + 1))
    center = text[window : len(text) - window]
    known = center < n
    rows = center[known]
    blocks = []
    for position in (*range(-window, 0), *range(1, window + 1)):
        columns = context[window + position : len(text) - window + position][known]
        ones = np.ones(len(rows), dtype=np.float32)
        blocks.append(sparse.coo_matrix((ones, (rows, columns)), shape=(n, contexts + 2)).tocsr())
    return sparse.hstack(blocks, format="csr")


def ppmi(counts: csr_matrix) -> csr_matrix:
    """Turn counts float32 ``[words, contexts]`` into positive pointwise mutual information, stored where it is above 0.

    The contexts' probabilities are those of their counts to the power of 0.75 (Levy et al. 2015, equation 3).
    """
    pairs = counts.tocoo()
    of_word = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    of_context = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() ** _SMOOTHING
    expected = of_word[pairs.row] * (of_context / of_context.sum())[pairs.col]
    information = np.log(pairs.data / expected).astype(np.float32)
    above = information > 0
    sparse = require("scipy.sparse", "train")
    return sparse.csr_matrix((information[above], (pairs.row[above], pairs.col[above])), shape=counts.shape)


def truncated_svd(matrix: csr_matrix, dim: int, seed: int) -> Floats:
    """Reduce a matrix to U sqrt(S) of its `dim` largest singular values, by the randomized SVD of Halko et al. 2011.

    The vectors float32 ``[n, dim]`` are scaled to a mean squared length of `dim`.
    """
    extmath = require("sklearn.utils.extmath", "train")
    left, values, _ = extmath.randomized_svd(matrix, dim, n_iter=_POWER_ITERATIONS, random_state=seed)
    vectors: Floats = (left * np.sqrt(values)).astype(np.float32)
    mean_square = float(np.einsum("nd,nd->", vectors, vectors, dtype=np.float64)) / len(vectors)
    return vectors * np.float32(np.sqrt(dim / max(mean_square, 1e-12)))
