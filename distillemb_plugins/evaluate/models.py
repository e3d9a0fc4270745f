"""What can be scored: anything that turns words into vectors, with a name and a size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import DistillEmbError
from ..text import normalize
from ..vectors import Floats, nearest

if TYPE_CHECKING:
    from ..distill import DistillSettings
    from ..encoder import DistillEmb
    from ..facts import EncoderFacts
    from ..teachers import Teacher

Embed = Callable[[Sequence[str]], Floats]
"""Words to vectors, float32 ``[n, dim]``; every word has one."""

Found = tuple[Floats, NDArray[np.bool_]]
"""Vectors float32 ``[n, dim]``, zero when unknown, and whether each word is known, bool ``[n]``."""

Lookup = Callable[[Sequence[str]], Found]
Neighbors = list[tuple[str, float]]
"""Words with their cosines, the nearest first."""

ENCODE_BATCH = 4096


@dataclass(frozen=True)
class EmbeddingModel:
    """An encoder or a table under evaluation; see `from_encoder` and `from_table`.

    Attributes:
        name: How it is called in tables.
        kind: What it is.
        dim: Width of its vectors.
        nbytes: What has to be stored to use it.
        lookup_exact: Its vectors, without a change of case.
        lowercase: Whether it knows lower-case words only: words are lower-cased before they are looked up.
        reset: Forgets cached vectors (for timing), if it caches.
        words: The words of a table, most frequent first; empty for an encoder.
        settings: How it was distilled, if that is known.
    """

    name: str
    kind: Literal["encoder", "table"]
    dim: int
    nbytes: int
    lookup_exact: Lookup
    lowercase: bool = False
    reset: Callable[[], None] | None = None
    words: Sequence[str] = ()
    settings: DistillSettings | None = None

    @classmethod
    def from_encoder(cls, encoder: DistillEmb, name: str, nbytes: int, lowercase: bool | None = None) -> EmbeddingModel:
        """Wrap a loaded encoder.

        Args:
            encoder: The encoder.
            name: How to call it.
            nbytes: Its size, see `encoder_bytes`.
            lowercase: Whether to lower-case words first; None asks its character table (no capital: yes).
        """
        if lowercase is None:
            lowercase = _no_capitals(encoder.characters.characters)
        look_up = always_known(encoder.encode)
        settings = distill_settings(encoder.facts)
        return cls(name, "encoder", encoder.dim, nbytes, look_up, lowercase, encoder.cache_clear, settings=settings)

    @classmethod
    def from_table(
        cls, table: Teacher, fallback: Teacher | None = None, lowercase: bool | None = None
    ) -> EmbeddingModel:
        """Wrap a table.

        Args:
            table: The table.
            fallback: A second table of the same model. It is asked for the words that the first lacks. It serves
                scoring only (words of a test set through the teacher's own n-grams), so its size is not counted.
            lowercase: Whether to lower-case words first; None asks the table's words (no capital: yes).

        Raises:
            DistillEmbError: When the two tables have different widths.
        """
        if fallback is not None and fallback.dim != table.dim:
            raise DistillEmbError(
                f"The fallback table {fallback.name} has {fallback.dim} dimensions and {table.name} has {table.dim}: "
                "give two tables of the same model."
            )
        look_up = table.lookup if fallback is None else _first_of(table.lookup, fallback.lookup)
        lowercase = _no_capitals(table.words) if lowercase is None else lowercase
        return cls(table.name, "table", table.dim, table.nbytes, look_up, lowercase, words=table.words)

    def lookup(self, words: Sequence[str]) -> Found:
        """Look words up, in the case that the model knows."""
        return self.lookup_exact([self.fold(word) for word in words])

    def fold(self, word: str) -> str:
        """The word in the case that the model knows."""
        return word.lower() if self.lowercase else word

    def embed(self, words: Sequence[str]) -> Floats:
        """Vectors float32 ``[n, dim]``; unknown words are zero."""
        return self.lookup(words)[0]

    def embed_in_batches(self, words: Sequence[str], progress: bool = False) -> Floats:
        """Vectors float32 ``[n, dim]`` of many words, a batch at a time, with a progress bar on standard error."""
        vectors = np.zeros((len(words), self.dim), dtype=np.float32)
        with progress_bar(len(words), f"{self.name}: vectors", "word", progress) as bar:
            for start in range(0, len(words), ENCODE_BATCH):
                batch = words[start : start + ENCODE_BATCH]
                vectors[start : start + len(batch)] = self.embed(batch)
                bar.update(len(batch))
        return vectors


def nearest_words(
    model: EmbeddingModel,
    words: Sequence[str],
    candidates: Sequence[str],
    n: int = 10,
    *,
    vectors: Floats | None = None,
    progress: bool = False,
) -> dict[str, Neighbors]:
    """Find the nearest candidates of words by cosine.

    Args:
        model: Where the vectors come from.
        words: The queries.
        candidates: Words to choose from. A query itself, in any case that the model folds, is left out.
        n: How many to find.
        vectors: The candidates' vectors float32 ``[m, dim]``, when they are at hand.
        progress: Whether to show a bar on standard error.

    Returns:
        Of each word its neighbors; none for a word that a table does not know.

    Raises:
        DistillEmbError: When there are no candidates.
    """
    if not candidates:
        raise DistillEmbError("There are no candidate words to look for neighbors in: give a vocabulary.")
    if vectors is None:
        vectors = model.embed_in_batches(candidates, progress)
    queries, known = model.lookup(words)
    row = {normalize(model.fold(candidate)): i for i, candidate in reversed(list(enumerate(candidates)))}
    found = nearest(queries, vectors, n, [row.get(normalize(model.fold(word)), -1) for word in words])
    return {
        word: [(candidates[i], round(float(c), 4)) for i, c in zip(*pair, strict=True)] if here else []
        for word, here, *pair in zip(words, known, *found, strict=True)
    }


def always_known(embed: Embed) -> Lookup:
    """Make a `Lookup` of an `Embed` that has a vector for any word."""
    return lambda words: (embed(words), np.ones(len(words), dtype=bool))


def _first_of(first: Lookup, second: Lookup) -> Lookup:
    """A lookup that asks `second` for the words that `first` does not know."""

    def look_up(words: Sequence[str]) -> Found:
        vectors, known = first(words)
        vectors, known = vectors.copy(), known.copy()
        missing = np.flatnonzero(~known)
        if len(missing):
            more, found = second([words[i] for i in missing.tolist()])
            vectors[missing[found]] = more[found]
            known[missing] = found
        return vectors, known

    return look_up


def _no_capitals(texts: Iterable[str]) -> bool:
    return all(text == text.lower() for text in texts)


def progress_bar(total: int, what: str, unit: str, show: bool) -> tqdm:
    """A bar on standard error that appears after a second, and only on a terminal."""
    return tqdm(total=total, desc=what, unit=unit, delay=1, leave=False, disable=None if show else True)


def distill_settings(facts: EncoderFacts) -> DistillSettings | None:
    """Return how an encoder was distilled, if its facts say so in a way that this version understands."""
    from ..distill import DistillSettings

    try:
        return DistillSettings(**facts.settings) if facts.settings else None
    except (TypeError, ValueError):  # written by another version, or by hand
        return None
