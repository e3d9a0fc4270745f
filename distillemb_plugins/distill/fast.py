"""The published CNN in bfloat16, written for speed: the same function, the same weights, for training only.

torch's one-dimensional convolutions run at the float32 peak of a CPU and gain little from autocast. Here the
activations lie with the channels last, so that the inputs of a convolution are one contiguous piece of memory for each
position, a convolution is one bfloat16 matrix product, and pooling keeps a mask instead of indices. Products accumulate
in float32; LayerNorm, activation and the last layer stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..hf.encoders_distillemb import DistillEmbEncoder

_REGISTER = 32  # bfloat16 numbers


class _Convolution(torch.autograd.Function):
    """A convolution of float ``[b, l, c]`` with weights ``[o, c, k]`` and a maximum over pairs of positions, if asked.

    Returns float32 ``[b, (l - k + 1) // 2, o]`` when pooled, else ``[b, l - k + 1, o]``; without the bias.
    """

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
    """What ``encoder(char_ids)`` computes, within bfloat16 precision; float32 ``[n, dim]``."""
    x = encoder.norm0(encoder.embedding(char_ids)).transpose(1, 2)
    for conv, norm in (
        (encoder.conv1, encoder.norm1),
        (encoder.conv2, encoder.norm2),
        (encoder.conv3, encoder.norm3),
    ):
        x = encoder.activation(_Convolution.apply(x, conv.weight, True) + conv.bias)
        x = functional.layer_norm(x, x.shape[1:], norm.weight.T, norm.bias.T)
    x = encoder.activation(_Convolution.apply(x, encoder.conv4.weight, False) + encoder.conv4.bias)
    x = x.transpose(1, 2).flatten(1)
    if encoder.hidden:
        x = encoder.activation(encoder.fc1(encoder.norm4(x)))
    output: Tensor = encoder.output_layer(encoder.output_norm(x))
    return output
