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

PAD_ID = 0
_HASH_MASK = 0x7FFFFFFF  # hashes stay below 2^31, so that products of int64 never overflow in any runtime
_HASH_FACTOR = 0x5BD1E995
_HASH_MIX = 0x2C1B3C6D
_HASH_STEP = 0x3C6EF35F


def mix_hash(value: Tensor) -> Tensor:
    """Spread a rolling hash over its 31 bits (a finaliser in the manner of MurmurHash)."""
    value = ((value ^ (value >> 15)) * _HASH_MIX) & _HASH_MASK
    return value ^ (value >> 13)


def ngram_hashes(char_ids: Tensor, min_n: int, max_n: int) -> tuple[Tensor, Tensor]:
    """31-bit hashes of all character n-grams, the word framed by one boundary (pad) on each side.

    char_ids: int64 ``[n, c]``, left aligned. Returns hashes and their validity, both ``[n, grams]``, with the
    n-grams of length `min_n` first. An n-gram is valid when it lies within the framed word.
    """
    framed = functional.pad(char_ids, (1, 1), value=PAD_ID)
    ends = (char_ids != PAD_ID).sum(1, keepdim=True) + 2
    width = framed.shape[1]
    starts = torch.arange(width, device=char_ids.device)
    rolling = torch.zeros_like(framed)
    hashes, valid = [], []
    for n in range(1, min(max_n, width) + 1):
        span = width - n + 1
        rolling = (rolling[:, :span] * _HASH_FACTOR + framed[:, n - 1 :] + 1) & _HASH_MASK
        if n >= min_n:
            hashes.append(mix_hash(rolling))
            valid.append(starts[:span] + n <= ends)
    return torch.cat(hashes, 1), torch.cat(valid, 1)


def ngram_buckets(char_ids: Tensor, min_n: int, max_n: int, buckets: int) -> Tensor:
    """Bucket of each n-gram from 1 to `buckets`, 0 where there is none; int64 ``[n, grams]``."""
    hashes, valid = ngram_hashes(char_ids, min_n, max_n)
    return (hashes % buckets + 1) * valid


def sum_rows(table: Tensor, bags: Tensor) -> Tensor:
    """Sum of the rows of `table` that each bag names, PAD_ID for none: int64 ``[n, size]`` to float ``[n, width]``."""
    if torch.compiler.is_compiling():  # embedding_bag is exported with a fixed number of bags
        return (functional.embedding(bags, table) * (bags != PAD_ID)[:, :, None]).sum(1)
    return functional.embedding_bag(bags, table, mode="sum", padding_idx=PAD_ID)


def hashed_table(buckets: int, width: int) -> nn.Embedding:
    """A table of `buckets` small random rows after a zero row for "no n-gram"."""
    table = nn.Embedding(buckets + 1, width, padding_idx=PAD_ID)
    with torch.no_grad():
        table.weight.normal_(std=0.1)
        table.weight[PAD_ID] = 0
    return table


def fingerprints(char_ids: Tensor) -> Tensor:
    """31-bit hash of each row, int64 ``[n]``; padding at the end of a row does not change it."""
    places = torch.arange(1, char_ids.shape[1] + 1, device=char_ids.device)
    factors = mix_hash(mix_hash((places * _HASH_FACTOR) & _HASH_MASK))  # unrelated to each other
    return mix_hash((char_ids * factors).sum(1) & _HASH_MASK)


def insertion_points(keys: Tensor, wanted: Tensor) -> Tensor:
    """Number of sorted `keys` below each value: ``torch.searchsorted``, which ONNX does not have."""
    if not torch.compiler.is_compiling():
        return torch.searchsorted(keys, wanted)
    found = torch.zeros_like(wanted)
    for step in (1 << bit for bit in reversed(range(keys.shape[0].bit_length()))):
        probe = found + step
        below = keys[(probe - 1).clamp(max=keys.shape[0] - 1)] < wanted
        found = torch.where(below & (probe <= keys.shape[0]), probe, found)
    return found


def without_padding(char_ids: Tensor) -> Tensor:
    """The columns up to the longest word."""
    return char_ids[:, : max(1, int((char_ids != PAD_ID).sum(1).max()))]


def valid_first(buckets: Tensor) -> Tensor:
    """Buckets ``[n, ..., grams]`` with those of no n-gram moved to the end, as int32."""
    order = (buckets == PAD_ID).to(torch.uint8).argsort(dim=-1, stable=True)
    return buckets.gather(-1, order).int()


def without_absent(buckets: Tensor) -> Tensor:
    """The columns up to the word of most n-grams, of what `valid_first` returned."""
    longest = (buckets != PAD_ID).flatten(0, -2).any(0).sum()
    return buckets[..., : max(1, int(longest))]


class WordMemory(nn.Module):
    """What the network misses of the most frequent words, product-quantised (Ge et al. 2013, "Optimized PQ").

    A word is known by the fingerprint of its row; its `codes` name one of 256 short vectors in each of as many
    codebooks, which together are its coordinates in a basis of `dims` directions. The vector they stand for is added
    to the network's output. Words that are not held get zero. Nothing in it is trained: `distill.memory.fit_memory`
    fills it.
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
        wanted = fingerprints(char_ids)
        keys = self.keys.long()
        places = insertion_points(keys, wanted).clamp(max=len(keys) - 1)
        codes = self.codes[places].long()
        parts = self.codebooks[torch.arange(codes.shape[1], device=codes.device), codes]
        return (parts.flatten(1) @ self.basis) * (keys[places] == wanted)[:, None]


class CharEncoder(nn.Module):
    """Base of the students: the network (`compute`), and the memory of frequent words when there is one.

    `forward` takes int64 ``[n, max_chars]`` and returns float ``[n, dim]``.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dim: int = config.dim
        self.max_chars: int = config.max_chars
        self.vocab_size: int = config.vocab_size
        held = getattr(config, "memory", None)
        self.memory = WordMemory(**held, dim=config.dim) if held else None

    def compute(self, char_ids: Tensor) -> Tensor:
        """The network alone."""
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
        self.conv1, self.norm1 = (
            nn.Conv1d(channels[0], channels[1], 5),
            nn.LayerNorm([channels[1], widths[1]]),
        )
        self.conv2, self.norm2 = (
            nn.Conv1d(channels[1], channels[2], 5),
            nn.LayerNorm([channels[2], widths[2]]),
        )
        self.conv3, self.norm3 = (
            nn.Conv1d(channels[2], channels[3], 5),
            nn.LayerNorm([channels[3], widths[3]]),
        )
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
        """What training keeps of each word."""
        return (char_ids,)

    def forward_prepared(self, char_ids: Tensor) -> Tensor:
        """The network on rows of `prepare`, cut to the longest word."""
        return self.compute(without_padding(char_ids))

    def compute(self, char_ids: Tensor) -> Tensor:
        lengths = (char_ids != PAD_ID).sum(1)
        places = torch.arange(char_ids.shape[1], device=char_ids.device)
        mirrored = (lengths[:, None] - 1 - places).clamp(min=0)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.forwards.hidden_size)
        ahead, _ = self.forwards(self.embedding(char_ids))
        back, _ = self.backwards(self.embedding(char_ids.gather(1, mirrored)))
        return self.output(torch.cat([ahead.gather(1, last)[:, 0], back.gather(1, last)[:, 0]], 1))


class NgramBagEncoder(CharEncoder):
    """The bag of n-grams of Tiny Word Embeddings: hashed character n-grams, summed.

    Zhao et al. 2018 (generalising word embeddings using bag of subwords), here with hashed rows.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        args = config.encoder_args
        self.min_n, self.max_n, self.buckets = args["min_n"], args["max_n"], args["buckets"]
        self.table = hashed_table(self.buckets, config.dim)

    def compute(self, char_ids: Tensor) -> Tensor:
        return self.of_ngrams(ngram_buckets(char_ids, self.min_n, self.max_n, self.buckets))

    def prepare(self, char_ids: Tensor) -> tuple[Tensor]:
        """The buckets of each word, computed once."""
        return (valid_first(ngram_buckets(char_ids, self.min_n, self.max_n, self.buckets)),)

    def forward_prepared(self, grams: Tensor) -> Tensor:
        """The network on rows of `prepare`."""
        return self.of_ngrams(without_absent(grams))

    def of_ngrams(self, grams: Tensor) -> Tensor:
        """Vectors ``[n, dim]`` from buckets ``[n, grams]``."""
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
    * A convolution over one-hot characters (a table lookup, no product), ReLU, maximum over the places.
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
        """The network behind the hashing."""
        joined = torch.cat([self.ngrams(buckets), self.places(char_ids)], 1)
        return self.output(functional.relu(self.hidden(self.norm(joined))))

    def prepare(self, char_ids: Tensor) -> tuple[Tensor, Tensor]:
        """What can be computed once for words that are seen many times: ids and buckets, those of no n-gram last."""
        return char_ids, valid_first(self.buckets_of(char_ids))

    def forward_prepared(self, char_ids: Tensor, buckets: Tensor) -> Tensor:
        """`forward` from rows of what `prepare` returned, cut to the longest word; without the memory."""
        return self.combine(without_padding(char_ids), without_absent(buckets))

    def buckets_of(self, char_ids: Tensor) -> Tensor:
        """Table rows of the n-grams under each hash, 0 where there is none: int64 ``[n, hashes, grams]``."""
        hashes, valid = ngram_hashes(char_ids, self.min_n, self.max_n)
        rows = [
            mix_hash((hashes + place * _HASH_STEP) & _HASH_MASK) % self.buckets + 1 + place * self.buckets
            for place in range(self.hashes)
        ]
        return torch.stack(rows, 1) * valid[:, None]

    def ngrams(self, buckets: Tensor) -> Tensor:
        """Summed n-gram rows over the square root of their number, float ``[n, ngram_dim]``."""
        if self.training and self.ngram_dropout:
            dropped = torch.rand(buckets.shape[0], 1, buckets.shape[2], device=buckets.device) < self.ngram_dropout
            buckets = buckets.masked_fill(dropped, PAD_ID)
        number = (buckets[:, 0] != PAD_ID).sum(1, keepdim=True).clamp(min=1)
        bags = buckets.flatten(0, 1)
        summed = sum_rows(self.table.weight, bags)
        return summed.view(buckets.shape[0], -1) * number.rsqrt()

    def places(self, char_ids: Tensor) -> Tensor:
        """The convolution, maximum over the places of the word: float ``[n, channels]``."""
        n, length = char_ids.shape
        framed = functional.pad(char_ids, (self.kernel // 2, self.kernel // 2), value=PAD_ID)
        windows = [framed[:, k : k + length] + k * self.vocab_size for k in range(self.kernel)]
        if torch.compiler.is_compiling():
            x = functional.embedding(torch.stack(windows, 2), self.convolution.weight).sum(2)
        else:
            bags = torch.stack(windows, 2).flatten(0, 1)  # int32 or int64 [n * length, kernel]
            x = functional.embedding_bag(bags, self.convolution.weight, mode="sum").view(n, length, -1)
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
    """The student that ``config.encoder_type`` names, with fresh weights.

    config: anything with the attributes encoder_type, encoder_args, dim, vocab_size and max_chars.
    Raises ValueError for a type that does not exist.
    """
    if config.encoder_type not in ENCODERS:
        raise ValueError(f"encoder_type is {config.encoder_type!r}: choose one of {', '.join(ENCODERS)}.")
    return ENCODERS[config.encoder_type](config)
