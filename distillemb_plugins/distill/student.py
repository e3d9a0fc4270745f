"""A student ready to be trained: its character table, its configuration, its module and its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..characters import CharTable
from ..errors import DistillEmbError
from ..hf.configuration_distillemb import ALIGNMENTS, DistillEmbConfig
from ..hf.encoders_distillemb import DistillEmbEncoder, build_encoder
from .fast import fast_forward
from .settings import DistillSettings
from .targets import Targets

_WORDS_AT_ONCE = 4096


@dataclass
class Student:
    """The module with fresh weights, and what an encoder directory will say about it."""

    characters: CharTable
    config: dict[str, Any]
    encoder: nn.Module

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.encoder.parameters())


class Runner(nn.Module):
    """The encoder as the trainer calls it: on prepared rows, when the encoder knows how to prepare them.

    bf16: compute in bfloat16, by autocast or, where there is one, by our own faster forward.
    """

    def __init__(self, encoder: nn.Module, bf16: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.bf16 = bf16

    def forward(self, *rows: Tensor) -> Tensor:
        """Vectors float32 ``[b, dim]`` from rows of what `prepare_inputs` gave."""
        if self.bf16 and isinstance(self.encoder, DistillEmbEncoder) and not rows[0].is_cuda:
            return fast_forward(self.encoder, rows[0])
        with torch.autocast(rows[0].device.type, torch.bfloat16, enabled=self.bf16):
            prepared = getattr(self.encoder, "forward_prepared", None)
            vectors: Tensor = prepared(*rows) if prepared is not None else self.encoder(rows[0])
        return vectors.float()


def build_student(targets: Targets, settings: DistillSettings) -> Student:
    """Learn the characters of the training words and build the student, its weights drawn from the seed.

    Raises `DistillEmbError` for sizes that the student does not know, or when no character is frequent enough.
    """
    characters = _learn_characters(targets, settings)
    try:
        config = DistillEmbConfig(
            encoder_type=settings.student,
            dim=targets.dim,
            vocab_size=len(characters),
            max_chars=characters.max_chars,
            encoder_args=settings.encoder_args,
        )
        torch.manual_seed(settings.seed)
        encoder = build_encoder(config)
    except (ValueError, RuntimeError, TypeError) as error:
        raise DistillEmbError(f"The student {settings.student} cannot be built: {error}") from error
    stored = {"encoder_type": config.encoder_type, "encoder_args": config.encoder_args, "dim": config.dim}
    return Student(characters, stored, encoder)


def _learn_characters(targets: Targets, settings: DistillSettings) -> CharTable:
    counts = None if targets.counts is None else targets.counts[targets.train].tolist()
    align: Any = settings.align or ALIGNMENTS.get(settings.student, "left")
    try:
        return CharTable.learn(
            [targets.words[row] for row in targets.train],
            counts,
            min_count=settings.min_char_count,
            max_characters=settings.max_characters,
            max_chars=settings.max_chars,
            align=align,
            lowercase=targets.lowercase,
        )
    except ValueError as error:
        raise DistillEmbError(str(error)) from error


def prepare_inputs(student: Student, words: list[str]) -> tuple[Tensor, ...]:
    """What the encoder reads of each word, computed once: tensors whose first dimension is the words.

    An encoder that has ``prepare(char_ids)`` and ``forward_prepared(*rows)`` is fed its own preparation (n-gram
    hashes, say); any other the character ids, int64 ``[n, max_chars]``.
    """
    char_ids = torch.from_numpy(student.characters.encode(words).astype(np.int64))
    prepare = getattr(student.encoder, "prepare", None)
    if prepare is None or not hasattr(student.encoder, "forward_prepared"):
        return (char_ids,)
    with torch.no_grad():
        parts = [prepare(block) for block in char_ids.split(_WORDS_AT_ONCE)]
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))


@torch.no_grad()
def predict(encoder: nn.Module, inputs: tuple[Tensor, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Vectors float32 ``[len(rows), dim]`` of some words, in evaluation mode; the mode is put back."""
    runner = Runner(encoder)
    was_training = encoder.training
    encoder.eval()
    try:
        places = torch.from_numpy(rows).to(inputs[0].device)
        blocks = [runner(*(column.index_select(0, part) for column in inputs)) for part in places.split(_WORDS_AT_ONCE)]
        return torch.cat(blocks).float().cpu().numpy()
    finally:
        encoder.train(was_training)
