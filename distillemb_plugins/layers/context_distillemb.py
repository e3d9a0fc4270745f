"""Words in context: small transformer layers over the word vectors of a sentence, and the head that pretrains them.

Pre-norm layers (Xiong et al. 2020) with rotary positions (Su et al. 2021). A word attends to the words of its sentence
that are less than `context_range` away, which is all of them in a sentence that is not longer than that. So a long
text needs no cutting, and no distance occurs that pretraining has not seen.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from .heads_distillemb import ShapeFeatures

SHAPE_SIZE = 16
_ROTARY_BASE = 10_000.0
_OUTPUT_DEVIATION = 0.05  # of the masked-word head's output vectors at the start


class RotaryPositions(nn.Module):
    """Rotates queries and keys by their place in the sentence, so that attention sees distances alone.

    Args:
        size: Width of a head, an even number.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, places: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines ``[batch, 1, words, size]`` of places, int64 ``[batch, words]``."""
        steps = torch.arange(0, self.size, 2, device=places.device, dtype=torch.float32)
        angles = places[:, None, :, None].float() * torch.exp(steps * (-math.log(_ROTARY_BASE) / self.size))
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate ``[batch, heads, words, size]``; the two halves of the last dimension are the coordinates of each pair."""
    first, second = x.chunk(2, -1)
    return x * cosines + torch.cat([-second, first], -1) * sines


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
    """Attention, ``[batch, heads, words, size]``."""
    if query.is_cuda and not torch.compiler.is_compiling():
        # cuDNN, torch's first choice on some GPUs, plans for each new shape anew. Almost every batch has one.
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
            return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)


class ContextLayer(nn.Module):
    """Attention and a feed-forward network, each on a normalized copy of what it adds to.

    Args:
        size: Width of a word.
        heads: Attention heads; they divide `size`.
        feed_forward: Units of the feed-forward network.
        dropout: Probability in training, on what is added.
    """

    def __init__(self, size: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(size)
        self.attention_in = nn.Linear(size, 3 * size)
        self.attention_out = nn.Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.feed_forward_in = nn.Linear(size, feed_forward)
        self.feed_forward_out = nn.Linear(feed_forward, size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, allowed: Tensor, cosines: Tensor, sines: Tensor, wanted: Tensor | None = None
    ) -> Tensor:
        """Words ``[batch, words, size]`` in context; ``[n, size]`` where only some are wanted.

        Args:
            x: ``[batch, words, size]``.
            allowed: bool ``[batch, 1, words, words]`` (or broadcasting to it): which words a word attends to.
            cosines: See `RotaryPositions`.
            sines: See `RotaryPositions`.
            wanted: int64 ``[n]``, places among ``batch * words``.
        """
        batch, words, size = x.shape
        mixed = self.attention_in(self.attention_norm(x))
        mixed = mixed.view(batch, words, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        query, key = rotate(mixed[0], cosines, sines), rotate(mixed[1], cosines, sines)
        attended = attend(query, key, mixed[2], allowed).transpose(1, 2).reshape(batch, words, size)
        if wanted is not None:  # nothing mixes words from here on
            x, attended = (part.flatten(0, 1).index_select(0, wanted) for part in (x, attended))
        x = x + self.dropout(self.attention_out(attended))
        hidden = functional.gelu(self.feed_forward_in(self.feed_forward_norm(x)))
        return x + self.dropout(self.feed_forward_out(hidden))


class ContextLayers(nn.Module):
    """Word vectors, with the shape of each word, through transformer layers.

    Args:
        config: With `dim`, `context_layers`, `context_size`, `context_heads`, `context_feed_forward`,
            `context_dropout` and `context_range`.
        classes: See `ShapeFeatures`.
    """

    def __init__(self, config: Any, classes: list[int]) -> None:
        super().__init__()
        size = config.context_size
        self.range: int = config.context_range
        self.gradient_checkpointing = False  # transformers' name; `gradient_checkpointing_enable` sets it
        self.shapes = ShapeFeatures(classes, SHAPE_SIZE)
        self.input_norm = nn.LayerNorm(config.dim + SHAPE_SIZE)
        self.input = nn.Linear(config.dim + SHAPE_SIZE, size)
        self.mask_vector = nn.Parameter(torch.zeros(size))
        self.dropout = nn.Dropout(config.context_dropout)
        self.positions = RotaryPositions(size // config.context_heads)
        self.layers = nn.ModuleList(
            ContextLayer(size, config.context_heads, config.context_feed_forward, config.context_dropout)
            for _ in range(config.context_layers)
        )
        self.output_norm = nn.LayerNorm(size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as GPT-2 does: small weights, smaller ones for what a layer adds, so that depth does not matter."""
        nn.init.zeros_(self.mask_vector)
        for name, parameter in self.layers.named_parameters():
            if "_norm." not in name:
                adds = name.endswith("_out.weight")
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(self.layers)) if adds else 0.02)
                if name.endswith(".bias"):
                    nn.init.zeros_(parameter)

    def read(self, vectors: Tensor, char_ids: Tensor) -> Tensor:
        """The layers' input ``[batch, words, size]`` from vectors ``[batch, words, dim]`` and the words' characters."""
        shapes = self.shapes(char_ids, vectors.dtype)
        return self.input(self.input_norm(torch.cat([vectors, shapes], 2)))

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        masked: Tensor | None = None,
        every_layer: bool = False,
        wanted: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Words in context.

        Args:
            x: ``[batch, words, size]``, from `read`.
            mask: bool ``[batch, words]``, true for words; padding may stand on either side.
            masked: bool ``[batch, words]``: words that the layers shall not see (in pretraining).
            every_layer: Also return the output of each layer.
            wanted: int64 ``[n]``, places of words among ``batch * words``: only their states are computed to the end.
                Not together with `every_layer`.

        Returns:
            States ``[batch, words, size]``, zero for padding, or ``[n, size]`` of those wanted; and the layers'
            outputs, if asked for.
        """
        if masked is not None:
            x = torch.where(masked[:, :, None], self.mask_vector.to(x.dtype), x)
        x = self.dropout(x)
        places = (mask.long().cumsum(1) - 1).clamp(min=0)
        cosines, sines = self.positions(places, x.dtype)
        allowed = self._allowed(places, mask)
        outputs, last = [], len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            inputs = x, allowed, cosines, sines, wanted if number == last else None
            if self.gradient_checkpointing and self.training:
                x = checkpoint(layer, *inputs, use_reentrant=False)
            else:
                x = layer(*inputs)
            if every_layer:
                outputs.append(x * mask[:, :, None].to(x.dtype))
        if wanted is not None:
            return self.output_norm(x), tuple(outputs)
        return self.output_norm(x) * mask[:, :, None].to(x.dtype), tuple(outputs)

    def _allowed(self, places: Tensor, mask: Tensor) -> Tensor:
        """Which words attend to which, bool ``[batch, 1, words or 1, words]``."""
        if not torch.compiler.is_compiling() and mask.shape[1] <= self.range:
            # A row without a word would attend to nothing, which gives NaN; what it gives is never used.
            return (mask | ~mask.any(1, keepdim=True))[:, None, None, :]
        near = (places[:, :, None] - places[:, None, :]).abs() < self.range
        # Padding attends to the words too, so that no row is without any.
        allowed = (near | ~mask[:, :, None]) & mask[:, None, :]
        return (allowed | ~mask.any(1)[:, None, None])[:, None]


class MaskedWordHead(nn.Module):
    """Scores of words, from states in context.

    A linear layer, GELU and LayerNorm, then the product with one learned vector for each word that can be predicted.
    Their number can be large, so training may tell the right word from a sample alone.

    Args:
        size: Width of a state.
        dim: Width of an output vector.
        words: Words that can be predicted.
    """

    def __init__(self, size: int, dim: int, words: int) -> None:
        super().__init__()
        self.transform = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.output = nn.Linear(size, dim)
        self.word_vectors = nn.Embedding(words, dim)
        self.word_bias = nn.Parameter(torch.zeros(words))
        nn.init.normal_(self.word_vectors.weight, std=_OUTPUT_DEVIATION)

    def query(self, states: Tensor) -> Tensor:
        """Return what is compared with the output vectors, ``[n, dim]``, from states ``[n, size]``."""
        result: Tensor = self.output(self.norm(functional.gelu(self.transform(states))))
        return result

    def forward(self, states: Tensor) -> Tensor:
        """Return scores ``[..., words]`` of all words, from states ``[..., size]``."""
        query = self.query(states)
        return query @ self.word_vectors.weight.T.to(query.dtype) + self.word_bias.to(query.dtype)

    def sampled_loss(self, states: Tensor, targets: Tensor, samples: Tensor, log_expected: Tensor) -> Tensor:
        """Return the mean cross-entropy of the right words against a sample (Jean et al. 2015).

        Args:
            states: ``[n, size]``.
            targets: int64 ``[n]``, the right words.
            samples: int64 ``[s]``, distinct words.
            log_expected: float ``[words]``, the logarithm of the probability that a word is among the samples. It is
                taken off the scores, so that the sample stands for all words.
        """
        query, bias = self.query(states), self.word_bias - log_expected
        scores = (query @ self.word_vectors(samples).T.to(query.dtype)).float() + bias[samples]
        scores = scores.masked_fill(samples == targets[:, None], -torch.inf)
        right = (query * self.word_vectors(targets).to(query.dtype)).sum(1).float() + bias[targets]
        return functional.cross_entropy(torch.cat([right[:, None], scores], 1), torch.zeros_like(targets))
