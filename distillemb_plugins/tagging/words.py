"""Taggers of words: what all have in common, and how sentences become batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inference.context import alike, windows
from ..text import token_spans
from .records import NER, POS, Spans, TaggedText

OUTSIDE = "O"
_MARGIN = 64  # words on each side of a window that are read and not kept
Arrays = dict[str, NDArray[Any]]


class Tagger(ABC):
    """A tagger of words. Texts may have any length; what is tagged beside a text does not change its tags.

    Attributes:
        layers: What it tags: ``"ner"``, ``"pos"``, or both.
    """

    layers: tuple[str, ...]

    @abstractmethod
    def tag_texts(self, texts: Sequence[str]) -> list[TaggedText]:
        """Cut texts into words, and tag them.

        Args:
            texts: A sentence or paragraph each. Their characters are kept as they are.

        Returns:
            Each text with its tags, in the order given.
        """

    @abstractmethod
    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[TaggedText]:
        """Tag sentences that are cut into words, which blanks then part.

        Args:
            sentences: Of each its words.

        Returns:
            Each sentence with its tags, in the order given.
        """


class WordTagger(Tagger):
    """A tagger whose words are read one by one, as arrays, and then in their sentences.

    Args:
        labels: The names of the tags.
        max_words: The most words that are read together. A longer text is read in windows that overlap.
    """

    def __init__(self, labels: Sequence[str], max_words: int) -> None:
        self.labels, self.max_words = list(labels), max_words
        self.layers = (NER if OUTSIDE in self.labels else POS,)

    @abstractmethod
    def read(self, words: list[str]) -> Arrays:
        """Return what is known of each word alone: arrays ``[words, ...]`` by name."""

    @abstractmethod
    def predict(self, inputs: Arrays, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the numbers of the tags ``[sentences, words]``.

        Args:
            inputs: The arrays of `read` as ``[sentences, words, ...]``, with zeros at the end of shorter sentences.
            mask: bool ``[sentences, words]``, true for words.
        """

    def tag_texts(self, texts: Sequence[str]) -> list[TaggedText]:
        return self._tag(texts, [token_spans(text) for text in texts])

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[TaggedText]:
        return self._tag(*join_words(sentences))

    def _tag(self, texts: Sequence[str], spans: Sequence[Spans]) -> list[TaggedText]:
        words = [text[start:end] for text, own in zip(texts, spans, strict=True) for start, end in own]
        numbers = [np.zeros(len(own), np.int64) for own in spans]
        margin = min(_MARGIN, (self.max_words - 1) // 4)
        parts = [(n, *part) for n, own in enumerate(spans) for part in windows(len(own), self.max_words, margin)]
        begins = np.cumsum([0, *map(len, spans)])
        places = [(begins[n] + start, begins[n] + end) for n, start, end, _, _ in parts]
        for chosen, inputs, mask in batches(self.read(words), places):
            for part, found in zip(chosen, self.predict(inputs, mask), strict=True):
                n, start, _, first, last = parts[part]
                numbers[n][start + first : start + last] = found[first:last]
        layer, names = self.layers[0], self.labels
        return [
            TaggedText(text, own, {layer: [names[number] for number in found.tolist()]})
            for text, own, found in zip(texts, spans, numbers, strict=True)
        ]


def batches(arrays: Arrays, places: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], Arrays, NDArray[np.bool_]]]:
    """Make batches of sentences of about equal length. Sentences without a word are left out.

    arrays: of all words, ``[words, ...]``. places: where each sentence begins and ends among the words. Yields the
    numbers of the sentences, their arrays ``[sentences, words, ...]`` with zeros at the end of shorter ones, and the
    mask, bool.
    """
    lengths = [end - start for start, end in places]
    for chosen in alike(lengths):
        own = np.array([lengths[n] for n in chosen])
        mask = np.arange(own.max()) < own[:, None]
        rows = np.concatenate([np.arange(*places[n]) for n in chosen])
        padded = {}
        for name, array in arrays.items():
            padded[name] = np.zeros((*mask.shape, *array.shape[1:]), array.dtype)
            padded[name][mask] = array[rows]
        yield chosen, padded, mask


def join_words(sentences: Iterable[Sequence[str]]) -> tuple[list[str], list[Spans]]:
    """Each sentence as a text whose words blanks part, and where they stand in it."""
    texts: list[str] = []
    spans: list[Spans] = []
    for words in sentences:
        ends = np.cumsum([len(word) + 1 for word in words], dtype=int).tolist()
        texts.append(" ".join(words))
        spans.append([(end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)])
    return texts, spans
