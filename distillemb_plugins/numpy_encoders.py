"""The students' forward passes in NumPy, equal to the torch ones: rows of character ids to vectors.

They need no torch, survive fork and spawn, and are what `DistillEmb` and the static spaCy vectors run on.
Each function takes the sizes, the weights, and int32 rows ``[n, max_chars]``, and returns float32 ``[n, dim]``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .characters import PAD_ID
from .errors import DistillEmbError

Array = NDArray[np.float32]
Rows = NDArray[np.int32]
Hashes = NDArray[np.uint32]
Tensors = dict[str, NDArray[Any]]
Forward = Callable[[dict[str, Any], Tensors, Rows], Array]

_HASH_MASK = np.uint32(0x7FFFFFFF)
_HASH_FACTOR = np.uint32(0x5BD1E995)
_HASH_MIX = np.uint32(0x2C1B3C6D)
_HASH_STEP = np.uint32(0x3C6EF35F)
_ONE, _13, _15 = np.uint32(1), np.uint32(13), np.uint32(15)
_NOWHERE = np.float32(-1e30)  # what no maximum takes
_EPSILON = 1e-5  # of torch's normalisation layers


def mix_hash(value: Hashes) -> Hashes:
    """The same finaliser as in the torch encoders."""
    value = ((value ^ (value >> _15)) * _HASH_MIX) & _HASH_MASK
    value ^= value >> _13
    return value


@lru_cache(maxsize=256)
def _gram_ends(min_n: int, max_n: int, width: int) -> NDArray[np.int32]:
    """Where each n-gram of a frame of `width` characters ends, shorter n-grams first: int32 ``[grams, 1]``."""
    orders = range(min_n, min(max_n, width) + 1)
    ends = [np.arange(n, width + 1, dtype=np.int32) for n in orders]
    return np.concatenate([np.zeros(0, np.int32), *ends])[:, None]


def ngram_hashes(columns: Rows, min_n: int, max_n: int) -> tuple[Hashes, NDArray[np.bool_]]:
    """31-bit hashes of all n-grams of the framed words and their validity, both ``[grams, n]``.

    columns: int32 ``[characters, n]``, a word a column, so that every step works on long runs of memory. The torch
    encoders hash in int64 and keep 31 bits at each step; uint32 that overflows keeps the same bits.
    """
    length, words = columns.shape
    framed = np.zeros((length + 2, words), np.uint32)
    framed[1:-1] = columns
    framed += _ONE
    rolling = framed
    hashes = [framed] if min_n == 1 else []
    for n in range(2, min(max_n, length + 2) + 1):
        rolling = rolling[:-1] * _HASH_FACTOR
        rolling += framed[n - 1 :]
        if n >= min_n:
            hashes.append(rolling)
    ends = (columns != PAD_ID).sum(0, dtype=np.int32) + 2
    valid = _gram_ends(min_n, max_n, length + 2) <= ends
    joined = np.concatenate(hashes) if hashes else framed[:0]
    joined &= _HASH_MASK
    return mix_hash(joined), valid


def _remainder(value: Hashes, divisor: int) -> Hashes:
    """``value % divisor``: NumPy divides by one number in vectors, but has no such remainder."""
    result: Hashes = value - value // np.uint32(divisor) * np.uint32(divisor)
    return result


def ngram_buckets(rows: Rows, min_n: int, max_n: int, buckets: int) -> Hashes:
    """Bucket of each character n-gram from 1 to `buckets`, 0 where there is none: uint32 ``[grams, n]``."""
    hashes, valid = ngram_hashes(_columns(rows), min_n, max_n)
    return (_remainder(hashes, buckets) + _ONE) * valid


def _columns(rows: Rows) -> Rows:
    """``[n, max_chars]`` to ``[characters of the longest word, n]``, contiguous."""
    return np.ascontiguousarray(without_padding(rows).T)


def without_padding(rows: Rows) -> Rows:
    """The columns up to the longest word: for students that padding at the end does not change."""
    used = np.flatnonzero(rows.any(axis=0))
    return rows[:, : used[-1] + 1 if len(used) else 1]


def _linear(weights: Tensors, name: str, x: Array) -> Array:
    result: Array = x @ weights[f"{name}.weight"].T
    if f"{name}.bias" in weights:
        result += weights[f"{name}.bias"]
    return result


def _layer_norm(weights: Tensors, name: str, x: Array) -> Array:
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    axes = tuple(range(-scale.ndim, 0))
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + np.float32(_EPSILON))
    return centred / spread * scale + shift


def _windows(x: Array, width: int) -> Array:
    """``[n, channels, length]`` to ``[n, length - width + 1, channels * width]``, ready for one matrix product."""
    view = np.lib.stride_tricks.sliding_window_view(x, width, axis=2)
    n, channels, length, _ = view.shape
    return view.transpose(0, 2, 1, 3).reshape(n, length, channels * width)


def _conv(weights: Tensors, name: str, x: Array) -> Array:
    """A convolution without padding: ``[n, channels, length]`` to ``[n, filters, length - width + 1]``."""
    kernel = weights[f"{name}.weight"]
    out = _windows(x, kernel.shape[2]) @ kernel.reshape(len(kernel), -1).T + weights[f"{name}.bias"]
    return np.ascontiguousarray(out.transpose(0, 2, 1))


def _max_pool(x: Array) -> Array:
    even = x.shape[2] // 2 * 2
    result: Array = np.maximum(x[:, :, 0:even:2], x[:, :, 1:even:2])
    return result


def _sigmoid(x: Array) -> Array:
    return 0.5 * (np.tanh(0.5 * x) + 1)


def _mish(x: Array) -> Array:
    return x * np.tanh(np.logaddexp(0, x, dtype=np.float32))


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.maximum(x, np.float32(0.01) * x),
    "mish": _mish,
}


def _distillemb(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    activation = _ACTIVATIONS[args["activation"]]
    x = _layer_norm(weights, "norm0", weights["embedding.weight"][rows])
    for place in (1, 2, 3):
        x = _layer_norm(weights, f"norm{place}", activation(_max_pool(_conv(weights, f"conv{place}", x))))
    x = activation(_conv(weights, "conv4", x).reshape(len(rows), -1))
    if args["hidden"]:
        x = activation(_linear(weights, "fc1", _layer_norm(weights, "norm4", x)))
    return _linear(weights, "output_layer", _layer_norm(weights, "output_norm", x))


def _char_cnn(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    framed = np.pad(rows, ((0, 0), (1, 1)))
    x = np.ascontiguousarray(weights["embedding.weight"][framed].transpose(0, 2, 1))
    x = np.concatenate(
        [np.tanh(_conv(weights, f"convs.{place}", x).max(axis=2)) for place in range(len(args["widths"]))],
        axis=1,
    )
    for place in range(args["highways"]):
        gate = _sigmoid(_linear(weights, f"highways.{place}.gate", x))
        x = gate * np.maximum(_linear(weights, f"highways.{place}.transform", x), 0) + (1 - gate) * x
    return _linear(weights, "output", x)


def _lstm_last(weights: Tensors, name: str, x: Array, lengths: NDArray[np.int64]) -> Array:
    """The state of an LSTM at each sequence's last place; ``[n, length, in]`` to ``[n, hidden]``."""
    w_in, w_state = weights[f"{name}.weight_ih_l0"].T, weights[f"{name}.weight_hh_l0"].T
    bias = weights[f"{name}.bias_ih_l0"] + weights[f"{name}.bias_hh_l0"]
    size = w_state.shape[0]
    state, cell = np.zeros((len(x), size), np.float32), np.zeros((len(x), size), np.float32)
    last = np.zeros_like(state)
    for place in range(x.shape[1]):
        gates = x[:, place] @ w_in + state @ w_state + bias
        enter, forget, candidate, leave = np.split(gates, 4, axis=1)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(candidate)
        state = _sigmoid(leave) * np.tanh(cell)
        ends = np.maximum(lengths - 1, 0) == place
        last[ends] = state[ends]
    return last


def _char_rnn(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    rows = without_padding(rows)
    lengths = (rows != PAD_ID).sum(1)
    mirrored = np.maximum(lengths[:, None] - 1 - np.arange(rows.shape[1]), 0)
    table = weights["embedding.weight"]
    ahead = _lstm_last(weights, "forwards", table[rows], lengths)
    back = _lstm_last(weights, "backwards", table[np.take_along_axis(rows, mirrored, 1)], lengths)
    return _linear(weights, "output", np.concatenate([ahead, back], axis=1))


def _ngram_bag(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    grams = ngram_buckets(rows, args["min_n"], args["max_n"], args["buckets"])
    result: Array = np.add.reduce(weights["table.weight"].take(grams, axis=0), axis=0)
    return result


def _ngram_sam(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    grams = ngram_buckets(rows, args["min_n"], args["max_n"], args["buckets"]).T
    mask = grams != PAD_ID
    values = weights["table.weight"][grams]
    scale = np.float32(args["attention_dim"] ** -0.5)
    scores = _linear(weights, "query", values) @ _linear(weights, "key", values).transpose(0, 2, 1) * scale
    scores = np.where(mask[:, None, :], scores, np.float32(-1e9))
    scores = np.exp(scores - scores.max(axis=2, keepdims=True))
    # The sum over queries comes first: one weight an n-gram instead of a matrix of vectors.
    shares = (scores / scores.sum(axis=2, keepdims=True) * mask[:, :, None]).sum(axis=1)
    result: Array = (shares[:, None, :] @ values)[:, 0]
    return result


def _zero_padding(weights: Tensors) -> Tensors:
    """Row 0 of the n-grams' table stands for none."""
    table = weights["table.weight"]
    if table[PAD_ID].any():
        table = table.copy()
        table[PAD_ID] = 0
    return {**weights, "table.weight": table}


def _cnn_weights(args: dict[str, Any], weights: Tensors) -> Tensors:
    """The weights as `_cnn` reads them: the norm's scale and shift within the hidden layer, matrices transposed."""
    kernel, convolution = args["kernel"], weights["convolution.weight"].copy()
    convolution.reshape(kernel, -1, convolution.shape[1])[kernel // 2, PAD_ID] = _NOWHERE  # no place in the word
    hidden = weights["hidden.weight"]
    places = np.arange(args["hashes"], dtype=np.uint32)[:, None, None]
    return {
        "table": _zero_padding(weights)["table.weight"],
        "convolution": convolution,
        "convolution_bias": weights["convolution_bias"],
        "steps": places * _HASH_STEP,
        "first_rows": places * np.uint32(args["buckets"]) + _ONE,
        "hidden": np.ascontiguousarray((hidden * weights["norm.weight"]).T),
        "hidden_bias": hidden @ weights["norm.bias"] + weights["hidden.bias"],
        "output": np.ascontiguousarray(weights["output.weight"].T),
        "output_bias": weights["output.bias"],
    }


def _cnn_ngrams(args: dict[str, Any], weights: Tensors, columns: Rows, out: Array) -> None:
    """Write the summed rows of all n-grams over the root of their number into `out`, ``[n, hashes, width]``."""
    hashes, valid = ngram_hashes(columns, args["min_n"], args["max_n"])
    keys = mix_hash((hashes + weights["steps"]) & _HASH_MASK)
    rows = (_remainder(keys, args["buckets"]) + weights["first_rows"]) * valid
    number = np.maximum(np.add.reduce(valid, axis=0, dtype=np.float32), 1)
    summed = np.add.reduce(weights["table"].take(rows, axis=0), axis=1)
    np.divide(summed, np.sqrt(number)[:, None], out=out.transpose(1, 0, 2))


def _cnn_places(args: dict[str, Any], weights: Tensors, columns: Rows, out: Array) -> None:
    """Write the convolution's maximum over the places of each word into `out`, ``[n, channels]``."""
    kernel, (length, words) = args["kernel"], columns.shape
    table = weights["convolution"]
    framed = np.zeros((length + kernel // 2 * 2, words), np.intp)
    framed[kernel // 2 : kernel // 2 + length] = columns
    x = table.take(framed[:length], axis=0)
    for place in range(1, kernel):
        x += table.take(framed[place : place + length] + place * (len(table) // kernel), axis=0)
    np.maximum(np.maximum.reduce(x, axis=0) + weights["convolution_bias"], 0, out=out)  # both keep the order


def _cnn(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    columns = _columns(rows)
    hashes, width, words = args["hashes"], weights["table"].shape[1], len(rows)
    x = np.empty((words, len(weights["hidden"])), np.float32)
    split = hashes * width
    _cnn_ngrams(args, weights, columns, x[:, :split].reshape(words, hashes, width))
    _cnn_places(args, weights, columns, x[:, split:])
    x -= np.add.reduce(x, axis=1, keepdims=True) / np.float32(x.shape[1])
    x /= np.sqrt(np.einsum("nf,nf->n", x, x) / np.float32(x.shape[1]) + np.float32(_EPSILON))[:, None]
    hidden = x @ weights["hidden"]
    hidden += weights["hidden_bias"]
    np.maximum(hidden, 0, out=hidden)
    result: Array = hidden @ weights["output"]
    result += weights["output_bias"]
    return result


@lru_cache(maxsize=64)
def _place_factors(length: int) -> Hashes:
    """A number for each place of a row, uint32 ``[length]``, unrelated to each other."""
    places = np.arange(1, length + 1, dtype=np.uint32)
    return mix_hash(mix_hash((places * _HASH_FACTOR) & _HASH_MASK))


def fingerprints(rows: Rows) -> NDArray[np.int32]:
    """31-bit hash of each row, int32 ``[n]``; the same as in the torch encoders."""
    total = np.add.reduce(rows.astype(np.uint32) * _place_factors(rows.shape[1]), axis=1, dtype=np.uint32)
    total &= _HASH_MASK
    return mix_hash(total).view(np.int32)


def _add_memory(weights: Tensors, rows: Rows, vectors: Array) -> None:
    """Add what the network misses of the words that are held, in place."""
    keys, books = weights["memory.keys"], weights["memory.codebooks"]
    wanted = fingerprints(rows)  # of the keys' type, or NumPy would convert all keys at every call
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    held = np.flatnonzero(keys[places] == wanted)
    if not len(held):
        return
    number, size, width = books.shape
    codes = weights["memory.codes"][places[held]] + np.arange(0, number * size, size)
    parts = books.reshape(number * size, width).take(codes, axis=0)
    vectors[held] += parts.reshape(len(held), number * width) @ weights["memory.basis"]


FORWARDS: dict[str, Forward] = {
    "distillemb-small": _distillemb,
    "distillemb-mid": _distillemb,
    "distillemb-large": _distillemb,
    "char-cnn": _char_cnn,
    "char-rnn": _char_rnn,
    "ngram-bag": _ngram_bag,
    "ngram-sam": _ngram_sam,
    "cnn": _cnn,
}


# Students whose weights are brought into another form once, when the encoder is opened.
_PREPARED: dict[str, Callable[[dict[str, Any], Tensors], Tensors]] = {
    "cnn": _cnn_weights,
    "ngram-bag": lambda args, weights: _zero_padding(weights),
}


def build_forward(config: dict[str, Any], tensors: Tensors) -> Callable[[Rows], Array]:
    """The forward pass of the student that ``config["encoder_type"]`` names.

    Raises `DistillEmbError` for a type that does not exist, or weights that do not fit the sizes.
    """
    kind = config["encoder_type"]
    if kind not in FORWARDS:
        raise DistillEmbError(f"encoder_type is {kind!r}: choose one of {', '.join(FORWARDS)}.")
    forward, args = FORWARDS[kind], config["encoder_args"]
    prepare = _PREPARED.get(kind, lambda _, same: same)

    def run(rows: Rows) -> Array:
        vectors = forward(args, weights, rows).astype(np.float32, copy=False)
        if config.get("memory"):
            _add_memory(tensors, rows, vectors)
        return vectors

    try:
        weights = prepare(args, tensors)
        probe = run(np.zeros((1, config["max_chars"]), dtype=np.int32))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise DistillEmbError(
            f"The weights do not fit the sizes of {kind} ({error}): copy the encoder again."
        ) from error
    if probe.shape != (1, config["dim"]):
        raise DistillEmbError(f"The weights give vectors of {probe.shape[1:]}, config.json says {config['dim']}.")
    return run
