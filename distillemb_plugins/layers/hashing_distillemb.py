"""What encoders compute from hashes: buckets of n-grams, and the residual codebook of frequent words.

Only torch is imported.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PAD_ID = 0
HASH_MASK = 0x7FFFFFFF  # hashes stay below 2^31, so that products of int64 never overflow in any runtime
_HASH_FACTOR = 0x5BD1E995
_HASH_MIX = 0x2C1B3C6D
HASH_STEP = 0x3C6EF35F
_PADDING_ROWS = 4096


def mix_hash(value: Tensor) -> Tensor:
    """Spread a rolling hash over its 31 bits (a finalizer in the manner of MurmurHash)."""
    value = ((value ^ (value >> 15)) * _HASH_MIX) & HASH_MASK
    return value ^ (value >> 13)


def ngram_hashes(char_ids: Tensor, min_n: int, max_n: int) -> tuple[Tensor, Tensor]:
    """Hash all character n-grams to 31 bits, the word framed by one boundary (pad) on each side.

    char_ids: int64 ``[n, c]``, left aligned. Returns the hashes and their validity, both ``[n, grams]``, the n-grams of
    length `min_n` first. An n-gram is valid when it lies within the framed word.
    """
    framed = functional.pad(char_ids, (1, 1), value=PAD_ID)
    ends = (char_ids != PAD_ID).sum(1, keepdim=True) + 2
    width = framed.shape[1]
    starts = torch.arange(width, device=char_ids.device)
    rolling = torch.zeros_like(framed)
    hashes, valid = [], []
    for n in range(1, min(max_n, width) + 1):
        span = width - n + 1
        rolling = (rolling[:, :span] * _HASH_FACTOR + framed[:, n - 1 :] + 1) & HASH_MASK
        if n >= min_n:
            hashes.append(mix_hash(rolling))
            valid.append(starts[:span] + n <= ends)
    return torch.cat(hashes, 1), torch.cat(valid, 1)


def ngram_buckets(char_ids: Tensor, min_n: int, max_n: int, buckets: int) -> Tensor:
    """Return the bucket of each n-gram from 1 to `buckets`, 0 where there is none: int64 ``[n, grams]``."""
    hashes, valid = ngram_hashes(char_ids, min_n, max_n)
    return (hashes % buckets + 1) * valid


class SummedRows(torch.autograd.Function):
    """`sum_rows` with the gradient for a GPU.

    The gradient of torch's embedding_bag adds the occurrences of one row one after the other. Some n-grams stand in
    almost every word, and padding stands in all: most of a training step went there. Here they are added in parallel.
    So the last bits differ from run to run, unless `torch.use_deterministic_algorithms` is set.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, bags: Tensor, padding: int | None) -> Tensor:
        ctx.save_for_backward(bags)
        ctx.rows, ctx.padding = len(table), padding
        return functional.embedding_bag(bags, table, mode="sum", padding_idx=padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (bags,) = ctx.saved_tensors
        rows = bags.flatten().long()
        if ctx.padding is not None:  # to rows behind the table, many of them, so that they do not wait for each other
            behind = ctx.rows + torch.arange(len(rows), device=rows.device) % _PADDING_ROWS
            rows = torch.where(rows == ctx.padding, behind, rows)
        each = gradient[:, None].expand(-1, bags.shape[1], -1).reshape(-1, gradient.shape[1])
        summed = gradient.new_zeros(ctx.rows + _PADDING_ROWS, gradient.shape[1]).index_add_(0, rows, each)
        return summed[: ctx.rows], None, None


def sum_rows(table: Tensor, bags: Tensor, padding: int | None = PAD_ID) -> Tensor:
    """Sum the rows of `table` that each bag names: int64 ``[n, size]`` to float ``[n, width]``.

    padding: the row that counts as none.
    """
    if torch.compiler.is_compiling():  # embedding_bag is exported with a fixed number of bags
        rows = functional.embedding(bags, table)
        return (rows if padding is None else rows * (bags != padding)[:, :, None]).sum(1)
    if table.is_cuda and torch.is_grad_enabled():
        return SummedRows.apply(table, bags, padding)
    return functional.embedding_bag(bags, table, mode="sum", padding_idx=padding)


def hashed_table(buckets: int, width: int) -> nn.Embedding:
    """Build a table of `buckets` small random rows after a zero row for "no n-gram"."""
    table = nn.Embedding(buckets + 1, width, padding_idx=PAD_ID)
    with torch.no_grad():
        table.weight.normal_(std=0.1)
        table.weight[PAD_ID] = 0
    return table


def row_hashes(char_ids: Tensor) -> Tensor:
    """Hash each row to 31 bits, int64 ``[n]``. Padding at the end of a row does not change its hash."""
    positions = torch.arange(1, char_ids.shape[1] + 1, device=char_ids.device)
    factors = mix_hash(mix_hash((positions * _HASH_FACTOR) & HASH_MASK))  # unrelated to each other
    return mix_hash((char_ids * factors).sum(1) & HASH_MASK)


def insertion_points(keys: Tensor, wanted: Tensor) -> Tensor:
    """Count the sorted `keys` below each value: ``torch.searchsorted``, which ONNX does not have."""
    if not torch.compiler.is_compiling():
        return torch.searchsorted(keys, wanted)
    found = torch.zeros_like(wanted)
    for step in (1 << bit for bit in reversed(range(keys.shape[0].bit_length()))):
        probe = found + step
        below = keys[(probe - 1).clamp(max=keys.shape[0] - 1)] < wanted
        found = torch.where(below & (probe <= keys.shape[0]), probe, found)
    return found


class ResidualCodebook(nn.Module):
    """What the network misses of the most frequent words, product-quantized (Ge et al. 2013, "Optimized PQ").

    The hash of its row finds a word. Its `codes` (bytes, a divisor of `dims`) name one of 256 short vectors in each of
    as many codebooks. Joined, they are the word's coordinates in a basis of `dims` directions. The vector that they
    stand for is added to the network's output; words that are not held get zero. It is fitted after training, and not
    trained.
    """

    keys: Tensor  # int32 [words], sorted
    codes: Tensor  # uint8 [words, codes]
    codebooks: Tensor  # float32 [codes, 256, dims / codes]
    basis: Tensor  # float32 [dims, dim]

    def __init__(self, words: int, codes: int, dims: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(words, dtype=torch.int32))
        self.register_buffer("codes", torch.zeros(words, codes, dtype=torch.uint8))
        self.register_buffer("codebooks", torch.zeros(codes, 256, dims // codes))
        self.register_buffer("basis", torch.zeros(dims, dim))

    def forward(self, char_ids: Tensor) -> Tensor:
        wanted = row_hashes(char_ids)
        keys = self.keys.long()
        found = insertion_points(keys, wanted).clamp(max=len(keys) - 1)
        codes = self.codes[found].long()
        parts = self.codebooks[torch.arange(codes.shape[1], device=codes.device), codes]
        return (parts.flatten(1) @ self.basis) * (keys[found] == wanted)[:, None]
