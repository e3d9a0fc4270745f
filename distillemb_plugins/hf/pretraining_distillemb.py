"""The masked-word head: which word stands at a masked place. It serves pretraining and is then left behind."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class MaskedWordHead(nn.Module):
    """Scores of words, from states in context.

    A linear layer, GELU and LayerNorm, then the product with one learned vector for each word that can be predicted.
    Their number can be large, so training may tell the right word from a sample alone.

    Args:
        size: Width of a state.
        dim: Width of an output vector.
        words: Words that can be predicted.
        sparse: Gradients of the output vectors for the words of a batch alone.
    """

    def __init__(self, size: int, dim: int, words: int, sparse: bool = False) -> None:
        super().__init__()
        self.transform = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.output = nn.Linear(size, dim)
        self.word_vectors = nn.Embedding(words, dim, sparse=sparse)
        self.word_bias = nn.Parameter(torch.zeros(words))
        nn.init.normal_(self.word_vectors.weight, std=0.05)

    def query(self, states: Tensor) -> Tensor:
        """What is compared with the output vectors, ``[n, dim]``, from states ``[n, size]``."""
        result: Tensor = self.output(self.norm(functional.gelu(self.transform(states))))
        return result

    def forward(self, states: Tensor) -> Tensor:
        """Scores ``[n, words]`` of all words, from states ``[n, size]``."""
        query = self.query(states)
        return query @ self.word_vectors.weight.T.to(query.dtype) + self.word_bias.to(query.dtype)

    def sampled_loss(self, states: Tensor, targets: Tensor, samples: Tensor, log_expected: Tensor) -> Tensor:
        """Mean cross-entropy of the right words against a sample (Jean et al. 2015).

        Args:
            states: ``[n, size]``.
            targets: int64 ``[n]``, the right words.
            samples: int64 ``[s]``, distinct words.
            log_expected: float ``[words]``, the logarithm of the probability that a word is among the samples. It is
                taken off the scores, so that the sample stands for all words.
        """
        query = self.query(states)
        scores = query @ self.word_vectors(samples).T.to(query.dtype)
        scores = scores.float() + (self.word_bias - log_expected)[samples]
        scores = scores.masked_fill(samples == targets[:, None], -torch.inf)
        right = (query * self.word_vectors(targets).to(query.dtype)).sum(1).float() + (self.word_bias - log_expected)[targets]
        return functional.cross_entropy(torch.cat([right[:, None], scores], 1), torch.zeros_like(targets))
