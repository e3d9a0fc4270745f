"""A student ready to be trained: its character table, its configuration, its module and its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..characters import CLASSES, PAD_ID, CharTable
from ..errors import DistillEmbError
from ..hf.configuration_distillemb import ALIGNMENTS, DistillEmbConfig
from ..layers.encoders_distillemb import DistillEmbEncoder, build_encoder
from .settings import DistillSettings
from .targets import Targets

_WORDS_AT_ONCE = 4096
_REGISTER = 32  # bfloat16 numbers


class Runner(nn.Module):
    """The encoder as the trainer calls it: on prepared rows, when the encoder knows how to prepare them.

    With `bf16` it computes in bfloat16, by autocast or by `fast_forward`.
    """

    def __init__(self, encoder: nn.Module, bf16: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.bf16 = bf16

    def forward(self, *rows: Tensor) -> Tensor:
        """Compute vectors float32 ``[b, dim]`` from rows of what `prepare_inputs` gave."""
        if self.bf16 and isinstance(self.encoder, DistillEmbEncoder) and not rows[0].is_cuda:
            return fast_forward(self.encoder, rows[0])
        with torch.autocast(rows[0].device.type, torch.bfloat16, enabled=self.bf16):
            vectors: Tensor = getattr(self.encoder, "forward_prepared", self.encoder)(*rows)
        return vectors.float()


def build_student(targets: Targets, settings: DistillSettings) -> tuple[CharTable, DistillEmbConfig, nn.Module]:
    """Learn the characters of the training words and build the student, its weights drawn from the seed."""
    align: Any = settings.align or ALIGNMENTS.get(settings.student, "left")
    try:
        characters = CharTable.learn(
            targets.train_words,
            None if targets.counts is None else targets.counts[targets.train].tolist(),
            min_count=settings.min_char_count,
            max_characters=settings.max_characters,
            max_chars=settings.max_chars,
            align=align,
            lowercase=targets.lowercase,
            more=settings.more_characters,
            hashed=settings.hashed_characters,
        )
    except ValueError as error:
        raise DistillEmbError(str(error)) from error
    try:
        config = DistillEmbConfig(
            encoder_type=settings.student,
            dim=targets.dim,
            vocab_size=len(characters),
            max_chars=characters.max_chars,
            encoder_args=settings.encoder_args,
        )
        torch.manual_seed(settings.seed)
        return characters, config, build_encoder(config)
    except (ValueError, RuntimeError, TypeError) as error:
        raise DistillEmbError(f"The student {settings.student} cannot be built: {error}") from error


def prepare_inputs(char_ids: Tensor, encoder: nn.Module) -> tuple[Tensor, ...]:
    """Compute once what the encoder reads of each word: its own preparation (n-gram hashes) or the character ids."""
    prepare = getattr(encoder, "prepare", None)
    if prepare is None:
        return (char_ids,)
    with torch.no_grad():
        parts = [prepare(block) for block in char_ids.split(_WORDS_AT_ONCE)]
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))


def unseen_characters(characters: CharTable, char_ids: Tensor) -> list[NDArray[np.int64]]:
    """Ids of unknown characters, each class by itself: the hashed ones, and known letters that no training word has."""
    classes, ids = np.array(characters.classes), np.arange(len(characters))
    seen = np.isin(ids, char_ids.numpy()) & (ids < characters.first_hashed)
    return [np.flatnonzero((classes == one) & ~seen) for one in CLASSES]


def with_unknown_characters(
    char_ids: Tensor, characters: CharTable, unseen: list[NDArray[np.int64]], rng: np.random.Generator
) -> Tensor:
    """Put a character of the same class that no word has in the place of one character of each word.

    char_ids: int64 ``[n, max_chars]``, of a table with hashed ids. unseen: see `unseen_characters`.
    """
    rows, classes = char_ids.numpy().copy(), np.array(characters.classes)
    columns = (rng.random(rows.shape) * (rows != PAD_ID)).argmax(1)
    replaced = rows[np.arange(len(rows)), columns]
    kinds, share = np.maximum(classes[replaced], 1) - 1, rng.random(len(rows))
    drawn = np.array([unseen[k][int(s * len(unseen[k]))] for k, s in zip(kinds, share, strict=True)], dtype=np.int64)
    return torch.from_numpy(np.where((rows == replaced[:, None]) & (rows != PAD_ID), drawn[:, None], rows))


@torch.no_grad()
def predict(encoder: nn.Module, inputs: tuple[Tensor, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute vectors float32 ``[len(rows), dim]`` of some words, in evaluation mode. Training sets its own mode."""
    runner = Runner(encoder).eval()
    positions = torch.from_numpy(rows).to(inputs[0].device)
    blocks = [runner(*(column.index_select(0, part) for column in inputs)) for part in positions.split(_WORDS_AT_ONCE)]
    return torch.cat(blocks).cpu().numpy()


class _Convolution(torch.autograd.Function):
    """A convolution of ``[b, l, c]`` with weights ``[o, c, k]``, pooled over pairs of positions if asked; no bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pooled: bool) -> Tensor:
        b, length, c = x.shape
        kernel = weight.shape[2]
        positions = length - kernel + 1
        if pooled:
            positions -= positions % 2  # the odd last position is never pooled
        half = x.to(torch.bfloat16, memory_format=torch.contiguous_format)
        columns = half.as_strided((b, positions, kernel * c), (length * c, c, 1)).reshape(-1, kernel * c)
        flat = weight.permute(2, 1, 0).reshape(kernel * c, -1).to(torch.bfloat16)
        y = (columns @ flat).float()  # comparing and selecting is slow in bfloat16
        ctx.shape, ctx.pooled = (b, length, c, kernel, positions), pooled
        if not pooled:
            ctx.save_for_backward(columns, flat)
            return y.view(b, positions, -1)
        first, second = y.view(-1, 2, y.shape[1]).unbind(1)
        ctx.save_for_backward(columns, flat, second > first)
        return torch.maximum(first, second).view(b, positions // 2, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        b, length, c, kernel, positions = ctx.shape
        columns, flat = ctx.saved_tensors[:2]
        dy = gradient.reshape(-1, gradient.shape[2])
        if ctx.pooled:
            second = dy * ctx.saved_tensors[2]
            both = torch.empty(len(dy), 2, dy.shape[1], dtype=torch.bfloat16)
            both[:, 0] = dy - second
            both[:, 1] = second
            dy = both.flatten(0, 1)
        else:
            dy = dy.to(torch.bfloat16)
        dweight = (dy.T @ columns).float().view(-1, kernel, c).permute(0, 2, 1)
        dcolumns = (dy @ flat.T).view(b, positions, kernel, c)
        # A sum of few terms, rounded to bfloat16 already; what is no multiple of a register is slow to add in it.
        dx = gradient.new_zeros(b, length, c, dtype=torch.float32 if c % _REGISTER else torch.bfloat16)
        for offset in range(kernel):
            dx[:, offset : offset + positions] += dcolumns[:, :, offset]
        return dx.float(), dweight, None


def fast_forward(encoder: DistillEmbEncoder, char_ids: Tensor) -> Tensor:
    """Compute ``encoder(char_ids)`` within bfloat16 precision, float32 ``[n, dim]``, faster on a CPU. For training.

    Torch's convolutions gain little from autocast on a CPU. Here the channels lie last, so that a convolution is one
    bfloat16 matrix product. Products accumulate in float32; LayerNorm, activation and the last layer stay float32.
    """
    x = encoder.norm0(encoder.embedding(char_ids)).transpose(1, 2)
    for conv, norm in ((encoder.conv1, encoder.norm1), (encoder.conv2, encoder.norm2), (encoder.conv3, encoder.norm3)):
        x = encoder.activation(_Convolution.apply(x, conv.weight, True) + conv.bias)
        x = functional.layer_norm(x, x.shape[1:], norm.weight.T, norm.bias.T)
    x = encoder.activation(_Convolution.apply(x, encoder.conv4.weight, False) + encoder.conv4.bias)
    x = x.transpose(1, 2).flatten(1)
    if encoder.hidden:
        x = encoder.activation(encoder.fc1(encoder.norm4(x)))
    output: Tensor = encoder.output_layer(encoder.output_norm(x))
    return output
