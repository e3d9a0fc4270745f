"""The student encoders in torch: rows of character ids ``[n, max_chars]`` to word vectors ``[n, dim]``.

Everything is computed from the row of ids alone, so that the same encoder serves NumPy, spaCy and Hugging Face.
Only torch is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .hashing_distillemb import (
    HASH_MASK,
    HASH_STEP,
    PAD_ID,
    ResidualCodebook,
    hashed_table,
    mix_hash,
    ngram_buckets,
    ngram_hashes,
    sum_rows,
)


def without_padding(char_ids: Tensor) -> Tensor:
    """Cut the columns behind the longest word."""
    return char_ids[:, : max(1, int((char_ids != PAD_ID).sum(1).max()))]


def valid_first(buckets: Tensor) -> Tensor:
    """Return buckets ``[n, ..., grams]`` as int32, those of no n-gram moved to the end."""
    order = (buckets == PAD_ID).to(torch.uint8).argsort(dim=-1, stable=True)
    return buckets.gather(-1, order).int()


def without_absent(buckets: Tensor) -> Tensor:
    """Cut the columns behind the word of most n-grams, of what `valid_first` returned."""
    longest = (buckets != PAD_ID).flatten(0, -2).any(0).sum()
    return buckets[..., : max(1, int(longest))]


class CharEncoder(nn.Module):
    """Base of the students: the network (`compute`), and the residual codebook when there is one.

    `forward` takes int64 ``[n, max_chars]`` and returns float ``[n, dim]``.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dim: int = config.dim
        self.max_chars: int = config.max_chars
        self.vocab_size: int = config.vocab_size
        held = getattr(config, "memory", None)
        self.memory = ResidualCodebook(**held, dim=config.dim) if held else None

    def compute(self, char_ids: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, char_ids: Tensor) -> Tensor:
        vectors = self.compute(char_ids)
        return vectors if self.memory is None else vectors + self.memory(char_ids)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "mish": functional.mish,
}


class DistillEmbEncoder(CharEncoder):
    """The four-layer CNN of DistillEmb (Mersha & Wu 2022), as published; parameters carry the authors' names.

    The `max_chars` positions are the channels and the convolutions slide along the embedding dimensions. Pooling
    comes before the activation; LayerNorm is over channels and length together. `hidden` = 0 (small) has one
    linear layer at the end, else two (mid, large).
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        args = config.encoder_args
        width, hidden = args["char_dim"], args["hidden"]
        channels = [config.max_chars, *args["channels"]]
        self.activation = _ACTIVATIONS[args["activation"]]
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.norm0 = nn.LayerNorm([config.max_chars, width])
        widths = [width]
        for _ in range(3):  # a convolution of width 5, then pooling by 2
            widths.append((widths[-1] - 4) // 2)
        self.conv1, self.norm1 = (nn.Conv1d(channels[0], channels[1], 5), nn.LayerNorm([channels[1], widths[1]]))
        self.conv2, self.norm2 = (nn.Conv1d(channels[1], channels[2], 5), nn.LayerNorm([channels[2], widths[2]]))
        self.conv3, self.norm3 = (nn.Conv1d(channels[2], channels[3], 5), nn.LayerNorm([channels[3], widths[3]]))
        self.conv4 = nn.Conv1d(channels[3], channels[4], 3)
        flat = channels[4] * (widths[3] - 2)
        if hidden:
            self.norm4 = nn.LayerNorm(flat)
            self.fc1 = nn.Linear(flat, hidden)
        self.output_norm = nn.LayerNorm(hidden or flat)
        self.output_layer = nn.Linear(hidden or flat, config.dim)
        self.hidden: int = hidden

    def compute(self, char_ids: Tensor) -> Tensor:
        x = self.norm0(self.embedding(char_ids))
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)):
            x = norm(self.activation(functional.max_pool1d(conv(x), 2)))
        x = self.activation(self.conv4(x).flatten(1))
        if self.hidden:
            x = self.activation(self.fc1(self.norm4(x)))
        return self.output_layer(self.output_norm(x))


class Highway(nn.Module):
    """A highway layer (Srivastava et al. 2015): t * relu(W x + b) + (1 - t) * x, t = sigmoid(W_t x + b_t)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.transform = nn.Linear(size, size)
        self.gate = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * functional.relu(self.transform(x)) + (1 - gate) * x


class CharCnnEncoder(CharEncoder):
    """The character CNN of Tiny Word Embeddings (Ohashi et al. 2020), after Kim et al. 2016.

    Filters of several widths along the characters, tanh, maximum over the positions, highway layers, linear.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        args = config.encoder_args
        self.embedding = nn.Embedding(config.vocab_size, args["char_dim"], padding_idx=PAD_ID)
        self.convs = nn.ModuleList(
            nn.Conv1d(args["char_dim"], filters, width)
            for width, filters in zip(args["widths"], args["filters"], strict=True)
        )
        total = sum(args["filters"])
        self.highways = nn.ModuleList(Highway(total) for _ in range(args["highways"]))
        self.output = nn.Linear(total, config.dim)

    def compute(self, char_ids: Tensor) -> Tensor:
        x = self.embedding(functional.pad(char_ids, (1, 1), value=PAD_ID)).transpose(1, 2)
        x = torch.cat([torch.tanh(conv(x).amax(2)) for conv in self.convs], 1)
        for highway in self.highways:
            x = highway(x)
        return self.output(x)


class CharRnnEncoder(CharEncoder):
    """The character RNN of Tiny Word Embeddings: a bidirectional LSTM, last states joined, then linear.

    Padding never enters the states: both directions read exactly the characters of the word.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        args = config.encoder_args
        self.embedding = nn.Embedding(config.vocab_size, args["char_dim"], padding_idx=PAD_ID)
        self.forwards = nn.LSTM(args["char_dim"], args["hidden"], batch_first=True)
        self.backwards = nn.LSTM(args["char_dim"], args["hidden"], batch_first=True)
        self.output = nn.Linear(2 * args["hidden"], config.dim)

    def prepare(self, char_ids: Tensor) -> tuple[Tensor]:
        """Return what training keeps of each word."""
        return (char_ids,)

    def forward_prepared(self, char_ids: Tensor) -> Tensor:
        """Compute the network on rows of `prepare`, cut to the longest word."""
        return self.compute(without_padding(char_ids))

    def compute(self, char_ids: Tensor) -> Tensor:
        lengths = (char_ids != PAD_ID).sum(1)
        positions = torch.arange(char_ids.shape[1], device=char_ids.device)
        mirrored = (lengths[:, None] - 1 - positions).clamp(min=0)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.forwards.hidden_size)
        ahead, _ = self.forwards(self.embedding(char_ids))
        back, _ = self.backwards(self.embedding(char_ids.gather(1, mirrored)))
        return self.output(torch.cat([ahead.gather(1, last)[:, 0], back.gather(1, last)[:, 0]], 1))


class NgramBagEncoder(CharEncoder):
    """The bag of n-grams of Tiny Word Embeddings: hashed character n-grams, summed.

    Zhao et al. 2018 (bags of subwords), here with hashed rows.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        args = config.encoder_args
        self.min_n, self.max_n, self.buckets = args["min_n"], args["max_n"], args["buckets"]
        self.table = hashed_table(self.buckets, config.dim)

    def compute(self, char_ids: Tensor) -> Tensor:
        return self.of_ngrams(ngram_buckets(char_ids, self.min_n, self.max_n, self.buckets))

    def prepare(self, char_ids: Tensor) -> tuple[Tensor]:
        """Return the buckets of each word, computed once."""
        return (valid_first(ngram_buckets(char_ids, self.min_n, self.max_n, self.buckets)),)

    def forward_prepared(self, grams: Tensor) -> Tensor:
        """Compute the network on rows of `prepare`."""
        return self.of_ngrams(without_absent(grams))

    def of_ngrams(self, grams: Tensor) -> Tensor:
        """Compute vectors ``[n, dim]`` from buckets ``[n, grams]``."""
        return sum_rows(self.table.weight, grams)


class NgramSamEncoder(NgramBagEncoder):
    """The n-gram self-attention of Tiny Word Embeddings, after the KVQ-FH of Sasaki et al. 2019.

    Hashed n-gram vectors are attended by one head: softmax(Q K^T / sqrt(dim)) V, summed over the n-grams.
    Query, key and value are linear maps of one shared table, so that the table is stored once.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        size = config.encoder_args["attention_dim"]
        self.query = nn.Linear(config.dim, size, bias=False)
        self.key = nn.Linear(config.dim, size, bias=False)
        self.scale = size**-0.5

    def of_ngrams(self, grams: Tensor) -> Tensor:
        mask = grams != PAD_ID
        values = self.table(grams)
        scores = self.query(values) @ self.key(values).transpose(1, 2) * self.scale
        weights = torch.softmax(scores.masked_fill(~mask[:, None, :], -1e9), 2)
        # The sum over the queries comes first: one weight an n-gram instead of a matrix of vectors.
        shares = (weights * mask[:, :, None]).sum(1, keepdim=True)
        return (shares @ values)[:, 0]


class CnnEncoder(CharEncoder):
    """The default student: hashed n-grams for memory, a convolution along the characters for what they miss.

    * Every n-gram of the framed word has `hashes` rows of width ``ngram_dim / hashes`` in one shared table, each
      under its own hash, so that two n-grams seldom share all of them. Rows are summed over the word and divided by
      the square root of the number of n-grams. In training a share `ngram_dropout` of the n-grams is left out.
    * A convolution over one-hot characters (a table lookup, no product), ReLU, maximum over the positions.
    * Both are joined, normalised, and mapped by one hidden layer.

    Costs grow with the length of the word; padding at the end of the rows changes nothing.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        args = config.encoder_args
        self.min_n, self.max_n, self.buckets = args["min_n"], args["max_n"], args["buckets"]
        self.hashes, self.kernel, self.ngram_dropout = args["hashes"], args["kernel"], args["ngram_dropout"]
        self.table = hashed_table(self.hashes * self.buckets, args["ngram_dim"] // self.hashes)
        self.convolution = nn.Embedding(config.vocab_size * self.kernel, args["channels"])
        nn.init.normal_(self.convolution.weight, std=0.3)
        self.convolution_bias = nn.Parameter(torch.zeros(args["channels"]))
        features = self.hashes * self.table.embedding_dim + args["channels"]
        self.norm = nn.LayerNorm(features)
        self.hidden = nn.Linear(features, args["hidden"])
        self.output = nn.Linear(args["hidden"], config.dim)

    def compute(self, char_ids: Tensor) -> Tensor:
        return self.combine(char_ids, self.buckets_of(char_ids))

    def combine(self, char_ids: Tensor, buckets: Tensor) -> Tensor:
        """Compute the network behind the hashing."""
        joined = torch.cat([self.ngrams(buckets), self.places(char_ids)], 1)
        return self.output(functional.relu(self.hidden(self.norm(joined))))

    def prepare(self, char_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return what can be computed once for words seen many times: ids and buckets, those of no n-gram last."""
        return char_ids, valid_first(self.buckets_of(char_ids))

    def forward_prepared(self, char_ids: Tensor, buckets: Tensor) -> Tensor:
        """Compute the network on rows of `prepare`, cut to the longest word."""
        return self.combine(without_padding(char_ids), without_absent(buckets))

    def buckets_of(self, char_ids: Tensor) -> Tensor:
        """Return the table rows of the n-grams under each hash, 0 where there is none: int64 ``[n, hashes, grams]``."""
        hashes, valid = ngram_hashes(char_ids, self.min_n, self.max_n)
        rows = [
            mix_hash((hashes + number * HASH_STEP) & HASH_MASK) % self.buckets + 1 + number * self.buckets
            for number in range(self.hashes)
        ]
        return torch.stack(rows, 1) * valid[:, None]

    def ngrams(self, buckets: Tensor) -> Tensor:
        """Sum the n-gram rows and divide by the square root of their number: float ``[n, ngram_dim]``."""
        if self.training and self.ngram_dropout:
            dropped = torch.rand(buckets.shape[0], 1, buckets.shape[2], device=buckets.device) < self.ngram_dropout
            buckets = buckets.masked_fill(dropped, PAD_ID)
        number = (buckets[:, 0] != PAD_ID).sum(1, keepdim=True).clamp(min=1)
        bags = buckets.flatten(0, 1)
        summed = sum_rows(self.table.weight, bags)
        return summed.view(buckets.shape[0], -1) * number.rsqrt().to(summed.dtype)

    def places(self, char_ids: Tensor) -> Tensor:
        """Compute the convolution, maximum over the positions of the word: float ``[n, channels]``."""
        n, length = char_ids.shape
        framed = functional.pad(char_ids, (self.kernel // 2, self.kernel // 2), value=PAD_ID)
        windows = [framed[:, k : k + length] + k * self.vocab_size for k in range(self.kernel)]
        bags = torch.stack(windows, 2).flatten(0, 1)  # int32 or int64 [n * length, kernel]
        x = sum_rows(self.convolution.weight, bags, padding=None).view(n, length, -1)
        return (functional.relu(x + self.convolution_bias) * (char_ids != PAD_ID)[:, :, None]).amax(1)


ENCODERS: dict[str, type[CharEncoder]] = {
    "distillemb-small": DistillEmbEncoder,
    "distillemb-mid": DistillEmbEncoder,
    "distillemb-large": DistillEmbEncoder,
    "char-cnn": CharCnnEncoder,
    "char-rnn": CharRnnEncoder,
    "ngram-bag": NgramBagEncoder,
    "ngram-sam": NgramSamEncoder,
    "cnn": CnnEncoder,
}


def build_encoder(config: Any) -> CharEncoder:
    """Build the student that ``config.encoder_type`` names, with fresh weights.

    config: anything with the attributes encoder_type, encoder_args, dim, vocab_size and max_chars.
    """
    if config.encoder_type not in ENCODERS:
        raise ValueError(f"encoder_type is {config.encoder_type!r}: choose one of {', '.join(ENCODERS)}.")
    return ENCODERS[config.encoder_type](config)


_MIX = 0x9E3779B97F4A7C15  # an odd number near 2^64 divided by the golden ratio


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows of an int64 ``[n, width]``, and for each row its index among them.

    It sorts one 64-bit hash of each row instead of the rows, which is ten times as fast, and checks the outcome.
    """
    factors = [pow(_MIX, column + 1, 2**64) - 2**63 for column in range(rows.shape[1])]
    hashes = (rows * torch.tensor(factors, device=rows.device)).sum(1)
    found, indices = torch.unique(hashes, return_inverse=True)
    numbers = torch.arange(len(rows), device=rows.device)
    distinct = rows[numbers.new_zeros(len(found)).scatter_(0, indices, numbers)]
    if torch.equal(distinct[indices], rows):
        return distinct, indices
    return torch.unique(rows, dim=0, return_inverse=True)
