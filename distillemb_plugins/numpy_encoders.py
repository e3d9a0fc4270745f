"""The students' forward passes in NumPy, equal to the torch ones: rows of character ids to vectors.

They need no torch, survive fork and spawn, and are what `DistillEmb` and the static spaCy vectors run on.
Each function takes the sizes, the weights, and int32 rows ``[n, max_chars]``, and returns float32 ``[n, dim]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .characters import PAD_ID
from .errors import DistillEmbError

Array = NDArray[np.float32]
Rows = NDArray[np.int32]
Tensors = dict[str, NDArray[Any]]
Forward = Callable[[dict[str, Any], Tensors, Rows], Array]

_HASH_MASK = np.int64(0x7FFFFFFF)
_HASH_FACTOR = np.int64(0x5BD1E995)
_HASH_MIX = np.int64(0x2C1B3C6D)
_HASH_STEP = np.int64(0x3C6EF35F)
_EPSILON = 1e-5  # of torch's normalisation layers


def mix_hash(value: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same finaliser as in the torch encoders."""
    value = ((value ^ (value >> 15)) * _HASH_MIX) & _HASH_MASK
    return value ^ (value >> 13)


def ngram_hashes(rows: Rows, min_n: int, max_n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """31-bit hashes of all n-grams of the framed words and their validity, both ``[n, grams]``."""
    framed = np.pad(rows.astype(np.int64), ((0, 0), (1, 1)))
    ends = (rows != PAD_ID).sum(1, keepdims=True) + 2
    width = framed.shape[1]
    starts = np.arange(width)
    rolling = np.zeros_like(framed)
    hashes, valid = [], []
    for n in range(1, min(max_n, width) + 1):
        span = width - n + 1
        rolling = (rolling[:, :span] * _HASH_FACTOR + framed[:, n - 1 :] + 1) & _HASH_MASK
        if n >= min_n:
            hashes.append(mix_hash(rolling))
            valid.append(starts[:span] + n <= ends)
    return np.concatenate(hashes, axis=1), np.concatenate(valid, axis=1)


def ngram_buckets(rows: Rows, min_n: int, max_n: int, buckets: int) -> NDArray[np.int64]:
    """Bucket of each character n-gram from 1 to `buckets`, 0 where there is none: int64 ``[n, grams]``."""
    hashes, valid = ngram_hashes(rows, min_n, max_n)
    return (hashes % buckets + 1) * valid


def without_padding(rows: Rows) -> Rows:
    """The columns up to the longest word: for students that padding at the end does not change."""
    return rows[:, : max(1, int((rows != PAD_ID).sum(1).max(initial=1)))]


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
    grams = ngram_buckets(without_padding(rows), args["min_n"], args["max_n"], args["buckets"])
    return sum_rows(weights["table.weight"], grams)


def sum_rows(table: Array, ids: NDArray[np.int64]) -> Array:
    """Sum of the table's rows for each row of ids, id 0 left out: ``[n, grams]`` to ``[n, width]``."""
    taken = table[ids] * (ids != PAD_ID)[:, :, None]
    result: Array = taken.sum(axis=1)
    return result


def _ngram_sam(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    grams = ngram_buckets(without_padding(rows), args["min_n"], args["max_n"], args["buckets"])
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


def _cnn_ngrams(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    hashes, valid = ngram_hashes(rows, args["min_n"], args["max_n"])
    buckets = args["buckets"]
    parts = [
        sum_rows(
            weights["table.weight"],
            (mix_hash((hashes + place * _HASH_STEP) & _HASH_MASK) % buckets + 1 + place * buckets) * valid,
        )
        for place in range(args["hashes"])
    ]
    number = np.sqrt(np.maximum(valid.sum(axis=1, keepdims=True), 1, dtype=np.float32))
    result: Array = np.concatenate(parts, axis=1) / number
    return result


def _cnn_places(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    kernel, length = args["kernel"], rows.shape[1]
    table = weights["convolution.weight"]
    vocabulary = len(table) // kernel
    framed = np.pad(rows, ((0, 0), (kernel // 2, kernel // 2)))
    x: Array = weights["convolution_bias"] + sum(
        table[framed[:, k : k + length] + k * vocabulary] for k in range(kernel)
    )
    result: Array = (np.maximum(x, 0) * (rows != PAD_ID)[:, :, None]).max(axis=1)
    return result


def _cnn(args: dict[str, Any], weights: Tensors, rows: Rows) -> Array:
    rows = without_padding(rows)
    features = np.concatenate([_cnn_ngrams(args, weights, rows), _cnn_places(args, weights, rows)], axis=1)
    hidden = np.maximum(_linear(weights, "hidden", _layer_norm(weights, "norm", features)), 0)
    return _linear(weights, "output", hidden)


def fingerprints(rows: Rows) -> NDArray[np.int64]:
    """31-bit hash of each row, int64 ``[n]``; the same as in the torch encoders."""
    places = np.arange(1, rows.shape[1] + 1, dtype=np.int64)
    factors = mix_hash(mix_hash((places * _HASH_FACTOR) & _HASH_MASK))
    return mix_hash((rows * factors).sum(axis=1) & _HASH_MASK)


def _add_memory(weights: Tensors, rows: Rows, vectors: Array) -> None:
    """Add what the network misses of the words that are held, in place."""
    keys = weights["memory.keys"]
    wanted = fingerprints(rows)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    held = np.flatnonzero(keys[places] == wanted)
    codes = weights["memory.codes"][places[held]]
    parts = weights["memory.codebooks"][np.arange(codes.shape[1]), codes]
    basis = weights["memory.basis"]
    vectors[held] += parts.reshape(len(held), len(basis)) @ basis


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


def build_forward(config: dict[str, Any], tensors: Tensors) -> Callable[[Rows], Array]:
    """The forward pass of the student that ``config["encoder_type"]`` names.

    Raises `DistillEmbError` for a type that does not exist, or weights that do not fit the sizes.
    """
    kind = config["encoder_type"]
    if kind not in FORWARDS:
        raise DistillEmbError(f"encoder_type is {kind!r}: choose one of {', '.join(FORWARDS)}.")
    forward, args = FORWARDS[kind], config["encoder_args"]

    def run(rows: Rows) -> Array:
        vectors = forward(args, tensors, rows).astype(np.float32, copy=False)
        if config.get("memory"):
            _add_memory(tensors, rows, vectors)
        return vectors

    try:
        probe = run(np.zeros((1, config["max_chars"]), dtype=np.int32))
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise DistillEmbError(
            f"The weights do not fit the sizes of {kind} ({error}): copy the encoder again."
        ) from error
    if probe.shape != (1, config["dim"]):
        raise DistillEmbError(f"The weights give vectors of {probe.shape[1:]}, config.json says {config['dim']}.")
    return run
