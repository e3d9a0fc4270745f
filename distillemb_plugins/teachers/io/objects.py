"""Teachers from what another library holds: gensim KeyedVectors and spaCy vectors, in memory or on disk."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DistillEmbError, brief, require
from ...files import is_directory
from ...vectors import Floats
from ..ngrams import NgramTable
from ..table import Subwords, Teacher
from .arrays import NPY_DAMAGE
from .rows import RowCollector, Rows


def teacher_from_keyed_vectors(keyed_vectors: Any, name: str = "KeyedVectors", limit: int | None = None) -> Teacher:
    """Make a teacher of gensim vectors in memory.

    Args:
        keyed_vectors: A gensim ``KeyedVectors``, or a model's ``.wv``. ``FastTextKeyedVectors`` keep their n-grams.
        name: The name of the teacher.
        limit: Most words to keep, the first ones.

    Raises:
        DistillEmbError: It is something else, or a number is not finite.
    """
    if not hasattr(keyed_vectors, "index_to_key"):
        raise DistillEmbError(
            f"{type(keyed_vectors).__name__} is no gensim KeyedVectors: give the model's .wv, from gensim 4 or newer."
        )
    words = list(keyed_vectors.index_to_key)
    counts = keyed_vectors.expandos.get("count")
    rows = RowCollector(name, limit)

    def read(chosen: slice) -> Rows:
        block = np.asarray(keyed_vectors.vectors[chosen], dtype=np.float32)
        return Rows(words[chosen], block, None if counts is None else counts[chosen])

    rows.fill(len(words), read)
    subwords: Subwords | None = None
    if getattr(keyed_vectors, "bucket", 0) > 0 and keyed_vectors.max_n > 0:
        subwords = NgramTable(keyed_vectors.vectors_ngrams, keyed_vectors.min_n, keyed_vectors.max_n)
    return rows.teacher(subwords)


def teacher_from_spacy(nlp: Any, words: Sequence[str] | None = None, limit: int | None = None) -> Teacher:
    """Make a teacher of the static vectors of a loaded spaCy pipeline.

    Args:
        nlp: A pipeline or its ``Vocab``.
        words: What to take. Floret vectors need it: they hold no word list. Default: every word that has a row of its
            own and a known string.
        limit: Most words to keep, the first ones.

    Raises:
        DistillEmbError: The vectors are floret's and no words are given, or no vector has a known word.
    """
    vocab = getattr(nlp, "vocab", nlp)
    meta = getattr(nlp, "meta", {})
    name = f"{meta.get('lang', 'spacy')}_{meta.get('name', 'vectors')}"
    vectors = vocab.vectors
    if words is not None:
        rows, wanted = RowCollector(name, limit), list(words)
        rows.fill(len(wanted), lambda i: Rows(wanted[i], np.asarray(vectors.get_batch(wanted[i]), dtype=np.float32)))
        return rows.teacher()
    if str(getattr(vectors, "mode", "default")) != "default":
        raise _floret(name)
    data = vectors.data.get() if hasattr(vectors.data, "get") else vectors.data  # from the GPU
    return _from_rows(name, data, dict(vectors.key2row), vocab.strings, limit)


def spacy_directory(path: str | Path) -> Path | None:
    """The ``vocab`` directory of a pipeline directory or of an installed pipeline package, else None.

    An installed package is found by name without importing it: no code of it runs.
    """
    path = Path(path)
    if is_directory(path):
        for vocab in (path / "vocab", path):
            if (vocab / "vectors").is_file() and (vocab / "key2row").is_file():
                return vocab
        packed = sorted(path.glob(f"{path.name}-*/vocab/vectors"))
        return packed[-1].parent if packed else None
    if path.name == str(path) and str(path).isidentifier():
        try:
            spec = importlib.util.find_spec(str(path))
        except ValueError:  # what is loaded without being a module that can be found, such as __main__
            return None
        if spec is not None and spec.origin is not None:
            return spacy_directory(Path(spec.origin).parent)
    return None


def read_spacy(path: str | Path, limit: int | None = None) -> Teacher:
    """Read the static vectors of a spaCy pipeline: a saved directory or an installed package.

    Only data files are read (``vocab/vectors`` memory-mapped, ``key2row``, ``strings.json``). Neither the pipeline nor
    its code is loaded. This needs spaCy for its hash and msgpack.
    """
    vocab = spacy_directory(path)
    if vocab is None:
        raise DistillEmbError(
            f"{path} is neither a spaCy pipeline with vectors (vocab/vectors, vocab/key2row) nor a table: "
            "give the pipeline's directory, or a vector file."
        )
    settings = _json(vocab / "vectors.cfg", dict) if (vocab / "vectors.cfg").is_file() else {}
    if settings.get("mode", "default") != "default":
        raise _floret(str(path))
    spacy_strings = require("spacy.strings", "spacy")
    words = _json(vocab / "strings.json", list)
    strings = {spacy_strings.hash_string(word): word for word in words if word and isinstance(word, str)}
    data = _matrix(vocab / "vectors")
    return _from_rows(str(path), data, _key2row(vocab / "key2row", len(data)), strings, limit)


def _json(file: Path, kind: type[Any]) -> Any:
    try:
        values = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise _damaged(file, error) from error
    if not isinstance(values, kind):
        raise _damaged(file, f"no {kind.__name__}")
    return values


def _key2row(file: Path, rows: int) -> dict[int, int]:
    """spaCy's dictionary of hashes to rows, all below `rows`."""
    try:
        table = require("srsly", "spacy").read_msgpack(file)
    except (ValueError, TypeError, OSError, RecursionError, OverflowError, MemoryError) as error:
        raise _damaged(file, error) from error
    if not isinstance(table, dict) or not all(isinstance(row, int) and row < rows for row in table.values()):
        raise _damaged(file, f"no dictionary of rows below {rows}")
    return table


def _matrix(file: Path) -> Floats:
    """The vectors, mapped from the file: float ``[n, d]``."""
    try:
        data = np.load(file, mmap_mode="r", allow_pickle=False)
    except (*NPY_DAMAGE, OSError) as error:
        raise _damaged(file, error) from error
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.dtype.kind not in "fi":
        raise _damaged(file, "no matrix of numbers")
    return data


def _damaged(file: Path, reason: object) -> DistillEmbError:
    return DistillEmbError(f"{file} is damaged ({brief(reason)}): save the pipeline again.")


def _from_rows(name: str, data: Floats, key2row: dict[int, int], strings: Any, limit: int | None) -> Teacher:
    """Rows in the order of the matrix; keys whose string is unknown are left out."""
    collector = RowCollector(name, limit)
    pairs = ((row, strings[key]) for key, row in key2row.items() if row >= 0 and key in strings)
    known = sorted(pairs, key=lambda pair: pair[0])
    if not any(key in strings for key in key2row):
        raise DistillEmbError(
            f"{name}: none of its {len(key2row)} vectors has a known word: save the pipeline with its strings."
        )

    def read(chosen: slice) -> Rows:
        numbers = [row for row, _ in known[chosen]]
        return Rows([word for _, word in known[chosen]], np.asarray(data[numbers], dtype=np.float32))

    collector.fill(len(known), read)
    return collector.teacher()


def _floret(name: str) -> DistillEmbError:
    return DistillEmbError(
        f"{name} has floret vectors, which hold no word list: load the pipeline and give the words, "
        "teacher_from_spacy(nlp, words=[...])."
    )
