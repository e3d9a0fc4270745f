"""The rivals: ways to get a word's vector that stand in other libraries, each left out when its library is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recipes.benchmark.fixtures import installed

Encode = Callable[[list[str]], Any]
_LEAST_QUANTISED = 2048  # fewer words give product quantisation too little to learn from
_OPTIONS = {"minn": 4, "maxn": 5, "epoch": 1, "minCount": 1, "thread": 1, "verbose": 0}


def table_lookup(words: list[str], dim: int) -> Encode:
    """A NumPy table and a dict: what a plain word-vector table does. Every word has to be in it."""
    rows = {word: place for place, word in enumerate(words)}
    table = np.random.default_rng(0).normal(size=(len(words), dim)).astype(np.float32)
    return lambda wanted: table[[rows[word] for word in wanted]]


def rivals(seen: list[str], dim: int, buckets: int) -> dict[str, Encode]:
    """fastText C++, gensim's and a quantised fastText, floret and spaCy's floret table, fitted to the seen words."""
    found: dict[str, Encode] = {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text("\n".join(" ".join(seen[i : i + 20]) for i in range(0, len(seen), 20)), "utf-8")
        if installed("fasttext"):
            found |= _fasttext_and_gensim(text, Path(folder) / "model.bin", dim, buckets)
        if installed("floret"):
            found |= _floret_and_spacy(text, Path(folder) / "model.floret", dim, buckets // 4)
    return found


def _fasttext_and_gensim(text: Path, binary: Path, dim: int, buckets: int) -> dict[str, Encode]:
    import fasttext

    model = fasttext.train_unsupervised(str(text), dim=dim, bucket=buckets, **_OPTIONS)
    found: dict[str, Encode] = {"fastText C++": lambda words: [model.get_word_vector(word) for word in words]}
    if installed("gensim"):
        from gensim.models.fasttext import load_facebook_vectors

        model.save_model(str(binary))
        vectors = load_facebook_vectors(str(binary))
        found["gensim fastText"] = lambda words: [vectors[word] for word in words]
        if installed("compress_fasttext") and len(vectors.vectors) > _LEAST_QUANTISED:
            quantised = _quantised(vectors, dim)
            found["compress-fasttext"] = lambda words: [quantised[word] for word in words]
    return found


def _quantised(vectors: Any, dim: int) -> Any:
    import compress_fasttext

    few = min(20_000, len(vectors.vectors_ngrams) // 4)
    return compress_fasttext.prune_ft_freq(
        vectors, pq=True, qdim=max(dim // 3, 1), new_vocab_size=min(few, len(vectors.vectors) // 2), new_ngrams_size=few
    )


def _floret_and_spacy(text: Path, table: Path, dim: int, buckets: int) -> dict[str, Encode]:
    import floret

    model = floret.train_unsupervised(str(text), dim=dim, bucket=buckets, mode="floret", hashCount=2, **_OPTIONS)
    found: dict[str, Encode] = {"floret": lambda words: [model.get_word_vector(word) for word in words]}
    if installed("spacy"):
        vectors = floret_vectors(buckets, dim)
        found["spaCy's floret table, in batches"] = vectors.get_batch
    return found


def floret_vectors(buckets: int, dim: int) -> Any:
    """A spaCy floret table with random rows: as fast as a trained one."""
    from spacy.strings import StringStore
    from spacy.vectors import Vectors

    data = np.random.default_rng(0).normal(size=(buckets, dim)).astype(np.float32)
    return Vectors(strings=StringStore(), data=data, mode="floret", minn=4, maxn=5, hash_count=2, name="floret")
