"""What learns in pretraining: `DistillEmbForMaskedLM`, fed with word numbers instead of characters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..hf.configuration_distillemb import DistillEmbConfig
from ..hf.modeling_distillemb import DistillEmbForMaskedLM
from ..persistence import EncoderFiles
from ..vectors import unit_rows
from .batches import Batch
from .settings import PretrainSettings

_OUTPUT_DEVIATION = 0.05  # of the output vectors at the start
_SCORED_AT_ONCE = 512  # words


def build_model(files: EncoderFiles, settings: PretrainSettings, vocabulary: int) -> DistillEmbForMaskedLM:
    """Build an encoder's masked-word model: its weights, those of its context layers or new ones, and a new head.

    settings: with every size, see `PretrainSettings.for_encoder`.
    """
    config = DistillEmbConfig(
        **{name: files.config[name] for name in ("encoder_type", "encoder_args", "dim", "vocab_size", "max_chars")},
        memory=files.config.get("memory"),
        context_layers=settings.layers,
        context_size=settings.size,
        context_heads=settings.heads,
        context_feed_forward=settings.feed_forward or 4 * settings.size,
        context_dropout=settings.dropout,
        context_range=settings.range,
        word_vocabulary=vocabulary,
        static_vectors=True,  # for heads: better on dev (recipes/tagging)
        character_classes=files.characters.classes,
    )
    model = DistillEmbForMaskedLM(config)
    body: Any = model.distillemb
    for module, tensors in ((body.encoder, files.tensors), (body.context_layers, files.context)):
        if tensors:
            module.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()})
    return model


class PretrainModel(nn.Module):
    """A masked-word model on batches of word numbers.

    vectors: float16 ``[distinct, dim]``, the vectors of all words, where the encoder does not learn.
    """

    def __init__(self, model: DistillEmbForMaskedLM, vectors: NDArray[np.float16] | None = None) -> None:
        super().__init__()
        self.model, self.vectors = model, vectors
        if vectors is not None:
            model.distillemb.encoder.requires_grad_(False)

    @torch.no_grad()
    def start_output(self, vectors: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
        """Start the output vectors at the words' own vectors, and the biases at the words' frequencies."""
        units = unit_rows(vectors - vectors.mean(0)) * np.float32(_OUTPUT_DEVIATION * np.sqrt(vectors.shape[1]))
        head = self.model.masked_words
        head.word_vectors.weight.copy_(torch.from_numpy(units))
        head.word_bias.copy_(torch.from_numpy(np.log(np.maximum(counts, 1) / counts.sum())))

    def states(self, batch: Batch) -> Tensor:
        """States of the predicted words, ``[predicted, size]``. Each distinct word is encoded once."""
        body, char_ids = self.model.distillemb, batch.characters
        if self.vectors is None:
            vectors = body.encoder(char_ids)
        else:
            vectors = torch.from_numpy(self.vectors[batch.numbers].astype(np.float32)).to(char_ids.device)
        layers = body.context_layers
        assert layers is not None
        inputs = layers.read(vectors[None], char_ids[None])[0]
        return layers(functional.embedding(batch.places, inputs), batch.mask, batch.masked, wanted=batch.wanted)[0]

    def forward(self, batch: Batch, samples: Tensor | None, log_expected: Tensor) -> Tensor:
        """The mean loss of the predicted words, against `samples` (see `MaskedWordHead`) or, where None, all words."""
        states, head = self.states(batch), self.model.masked_words
        if samples is not None:
            return head.sampled_loss(states, batch.targets, samples, log_expected)
        return functional.cross_entropy(head(states).float(), batch.targets)

    @torch.no_grad()
    def score(self, batch: Batch) -> tuple[float, int, int]:
        """Summed loss over all words, words that were right, and words that were predicted."""
        loss, right = 0.0, 0
        for states, targets in zip(
            self.states(batch).split(_SCORED_AT_ONCE), batch.targets.split(_SCORED_AT_ONCE), strict=True
        ):
            scores = self.model.masked_words(states).float()
            loss += float(functional.cross_entropy(scores, targets, reduction="sum"))
            right += int((scores.argmax(1) == targets).sum())
        return loss, right, len(batch.targets)
