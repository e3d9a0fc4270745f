"""What learns in pretraining: an encoder, context layers over it, and the masked-word head."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..hf.context_distillemb import ContextLayers
from ..hf.encoders_distillemb import CharEncoder, build_encoder
from ..hf.modeling_distillemb import character_classes
from ..hf.pretraining_distillemb import MaskedWordHead
from ..persistence import EncoderFiles
from ..vectors import unit_rows
from .batches import Batch
from .settings import PretrainSettings

_OUTPUT_DEVIATION = 0.05  # of the output vectors at the start


def context_config(settings: PretrainSettings) -> dict[str, Any]:
    """The sizes of the context layers as they stand in ``config.json``."""
    return {
        "context_layers": settings.layers,
        "context_size": settings.size,
        "context_heads": settings.heads,
        "context_feed_forward": settings.feed_forward or 4 * settings.size,
        "context_dropout": settings.dropout,
        "context_range": settings.range,
    }


def open_encoder(files: EncoderFiles) -> CharEncoder:
    """The encoder of a directory as a torch module."""
    encoder = build_encoder(SimpleNamespace(**{"memory": None, **files.config}))
    encoder.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in files.tensors.items()})
    return encoder


class PretrainModel(nn.Module):
    """Encoder, context layers and head, and the loss of a batch.

    Args:
        files: The encoder.
        settings: Sizes.
        vocabulary: Words that can be predicted.
        sampled: Tell the right word from a sample.
        vectors: float16 ``[distinct, dim]``, the vectors of all words, where the encoder does not learn.
    """

    def __init__(
        self,
        files: EncoderFiles,
        settings: PretrainSettings,
        vocabulary: int,
        sampled: bool,
        vectors: NDArray[np.float16] | None = None,
    ) -> None:
        super().__init__()
        config = SimpleNamespace(**{**files.config, **context_config(settings)})
        self.encoder = open_encoder(files)
        self.vectors = vectors
        if vectors is not None:
            self.encoder.requires_grad_(False)
        self.context = ContextLayers(config, character_classes(files.characters.characters))
        self.head = MaskedWordHead(settings.size, config.dim, vocabulary, sparse=sampled)

    def train(self, mode: bool = True) -> PretrainModel:
        super().train(mode)
        if self.vectors is not None:
            self.encoder.eval()
        return self

    @torch.no_grad()
    def start_output(self, vectors: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
        """Start the output vectors at the words' own vectors, and the biases at the words' frequencies."""
        units = unit_rows(vectors - vectors.mean(0)) * np.float32(_OUTPUT_DEVIATION * np.sqrt(vectors.shape[1]))
        self.head.word_vectors.weight.copy_(torch.from_numpy(units))
        self.head.word_bias.copy_(torch.from_numpy(np.log(np.maximum(counts, 1) / counts.sum())))

    def states(self, batch: Batch, rows: Tensor) -> Tensor:
        """States of the predicted words, ``[predicted, size]``. rows: int32 ``[distinct, max_chars]`` of all words."""
        distinct, places = torch.unique(batch.words, return_inverse=True)
        char_ids = rows[distinct.to(rows.device)].to(batch.words.device).long()
        if self.vectors is None:
            vectors = self.encoder(char_ids)
        else:
            vectors = torch.from_numpy(self.vectors[distinct.cpu().numpy()].astype(np.float32)).to(char_ids.device)
        inputs = self.context.read(vectors[None], char_ids[None])[0]
        return self.context(inputs[places], batch.mask, batch.masked)[0][batch.chosen]

    def forward(self, batch: Batch, rows: Tensor, samples: Tensor | None, log_expected: Tensor | None) -> Tensor:
        """The mean loss of the predicted words; samples: see `MaskedWordHead.sampled_loss`, None for all words."""
        states = self.states(batch, rows)
        if samples is not None and log_expected is not None:
            return self.head.sampled_loss(states, batch.targets, samples, log_expected)
        return nn.functional.cross_entropy(self.head(states).float(), batch.targets)

    @torch.no_grad()
    def score(self, batch: Batch, rows: Tensor) -> tuple[float, int, int]:
        """Summed loss over all words, words that were right, and words that were predicted."""
        states = self.states(batch, rows)
        loss, right = 0.0, 0
        for some, targets in zip(states.split(512), batch.targets.split(512), strict=True):
            scores = self.head(some).float()
            loss += float(nn.functional.cross_entropy(scores, targets, reduction="sum"))
            right += int((scores.argmax(1) == targets).sum())
        return loss, right, len(batch.targets)
