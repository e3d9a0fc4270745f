"""The context layers in NumPy: word vectors of sentences to words in context, equal to the torch module to 1e-5."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..characters import DIGIT, LETTER, OTHER, UPPER
from ..quantization import Tensors
from ..vectors import Floats
from .cnn import EPSILON
from .threads import share_out

ROTARY_BASE = 10_000.0
_AT_ONCE = 4096  # words, padding included, that are computed together


def windows(length: int, most: int, margin: int) -> list[tuple[int, int, int, int]]:
    """Cut a text of `length` words into overlapping windows of at most `most`.

    margin: words on each side of a window that are read and not kept. Returns of each window where it begins and ends,
    and between which of its words the result is kept.
    """
    if length <= most:
        return [(0, length, 0, length)]
    step, found = most - 2 * margin, []
    for start in range(0, length - 2 * margin, step):
        end = min(start + most, length)
        first, last = (0 if start == 0 else margin), (end - start if end == length else end - start - margin)
        found.append((start, end, first, last))
    return found


def alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers of the sentences that are computed together: of about equal length, never too many words.

    Empty sentences are left out.
    """
    order = sorted((n for n, length in enumerate(lengths) if length), key=lambda n: lengths[n])
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * lengths[order[end]] <= _AT_ONCE:
            end += 1
        yield order[start:end]
        start = end


class ContextForward:
    """The forward pass of context layers: their sizes from the configuration, and `EncoderFiles.context`."""

    def __init__(self, config: dict[str, Any], tensors: Tensors) -> None:
        self.layers, self.heads = int(config["context_layers"]), int(config["context_heads"])
        self.range, self.size = int(config["context_range"]), int(config["context_size"])
        self.weights = tensors

    def __call__(self, vectors: Sequence[Floats], char_ids: Sequence[NDArray[np.int32]]) -> list[Floats]:
        """Compute words in context, float32 ``[words, context_size]`` of each sentence.

        vectors: of each sentence float32 ``[words, dim]``. char_ids: int32 ``[words, max_chars]``.
        """
        result: list[Floats] = [np.zeros((0, self.size), np.float32)] * len(vectors)

        def compute(chosen: list[int]) -> None:
            states = self._batch([vectors[n] for n in chosen], [char_ids[n] for n in chosen])
            for n, rows in zip(chosen, states, strict=True):
                result[n] = rows[: len(vectors[n])]

        share_out(compute, alike([len(rows) for rows in vectors]), least=1)
        return result

    def _batch(self, vectors: Sequence[Floats], char_ids: Sequence[NDArray[np.int32]]) -> Floats:
        lengths = np.array([len(one) for one in vectors])
        places = np.arange(lengths.max())
        mask = places < lengths[:, None]
        read = np.concatenate([np.concatenate(vectors), self._shapes(np.concatenate(char_ids))], axis=1)
        x = np.zeros((*mask.shape, self.size), np.float32)
        x[mask] = self._linear("input", self._norm("input_norm", read))
        near = np.abs(places[:, None] - places) < self.range
        allowed = (mask[:, None, :] & (near | ~mask[:, :, None]))[:, None]
        cosines, sines = _rotary(places, self.size // self.heads)
        for n in range(self.layers):
            x = self._layer(f"layers.{n}.", x, allowed, cosines, sines)
        return self._norm("output_norm", x)

    def _layer(self, name: str, x: Floats, allowed: NDArray[np.bool_], cosines: Floats, sines: Floats) -> Floats:
        batch, words, size = x.shape
        mixed = self._linear(f"{name}attention_in", self._norm(f"{name}attention_norm", x))
        query, key, value = mixed.reshape(batch, words, 3, self.heads, size // self.heads).transpose(2, 0, 3, 1, 4)
        query, key = _rotate(query, cosines, sines), _rotate(key, cosines, sines)
        scores = query @ key.transpose(0, 1, 3, 2) * np.float32(1 / math.sqrt(size // self.heads))
        scores = np.where(allowed, scores, np.float32(-np.inf))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attended = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        x = x + self._linear(f"{name}attention_out", attended.transpose(0, 2, 1, 3).reshape(batch, words, size))
        hidden = _gelu(self._linear(f"{name}feed_forward_in", self._norm(f"{name}feed_forward_norm", x)))
        return x + self._linear(f"{name}feed_forward_out", hidden)

    def _linear(self, name: str, x: Floats) -> Floats:
        result: Floats = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return result

    def _norm(self, name: str, x: Floats) -> Floats:
        x = x - x.mean(axis=-1, keepdims=True)
        x /= np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(EPSILON))
        result: Floats = x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return result

    def _shapes(self, char_ids: NDArray[np.int32]) -> Floats:
        """See `ShapeFeatures` in layers/heads_distillemb.py."""
        classes = self.weights["shapes.classes"][char_ids]
        upper, letter, digit, other = (classes == kind for kind in (UPPER, LETTER, DIGIT, OTHER))
        begun = (char_ids != 0).cumsum(axis=1)
        has_upper, has_letter, has_digit, has_other = (one.any(axis=1) for one in (upper, letter, digit, other))
        traits = [
            (upper & (begun == 1)).any(axis=1),
            (upper & (begun > 1)).any(axis=1),
            has_upper & ~has_letter,
            has_digit,
            has_digit & ~(has_upper | has_letter | has_other),
            has_other,
            has_other & ~(has_upper | has_letter | has_digit),
        ]
        result: Floats = np.stack(traits, axis=1).astype(np.float32) @ self.weights["shapes.traits.weight"].T
        return result


def _rotary(places: NDArray[np.integer], size: int) -> tuple[Floats, Floats]:
    steps = np.exp(np.arange(0, size, 2, dtype=np.float32) * np.float32(-math.log(ROTARY_BASE) / size))
    angles = places[:, None].astype(np.float32) * steps
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles), np.sin(angles)


def _rotate(x: Floats, cosines: Floats, sines: Floats) -> Floats:
    half = x.shape[-1] // 2
    turned = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    result: Floats = (x * cosines + turned * sines).astype(np.float32, copy=False)
    return result


def _gelu(x: Floats) -> Floats:
    """x times the normal distribution's share below x. The error function is Abramowitz & Stegun's 7.1.26 (1.5e-7)."""
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail: NDArray[Any] = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    tail *= np.exp(-z * z)
    result: Floats = x * np.where(x >= 0, 1 - 0.5 * tail, 0.5 * tail).astype(np.float32)
    return result
