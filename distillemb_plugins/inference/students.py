"""The students' forward passes in NumPy, equal to the torch ones: rows of character ids to vectors.

They need no torch, survive fork and spawn, and are what `DistillEmb` and the static spaCy vectors run on.
Each function takes the sizes, the weights, and int32 rows ``[n, max_chars]``, and returns float32 ``[n, dim]``;
the default student, `cnn`, is in `cnn.py`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..characters import PAD_ID
from ..errors import DistillEmbError
from . import threads
from .cnn import EPSILON, Array, CnnFeatures, DenseWeights, NumpyHead, Tensors, zero_padding
from .hashing import Rows, ngram_buckets, row_hash, row_hashes, without_padding

__all__ = ["AUTO", "FORWARDS", "RUNTIMES", "build_forward", "check_runtime", "resolve_runtime", "row_hashes"]

RUNTIMES = ("numpy", "onnx", "onnx-int8")
AUTO = "auto"
_BATCH = 256  # words at a time: enough for good matrix products, few enough for the processor's cache
_LEAST = 4  # batches a thread
_FEW = 32  # words that are not worth sorting
_BLOCK = 16_384  # words whose features are held at once


def _linear(weights: Tensors, name: str, x: Array) -> Array:
    result: Array = x @ weights[f"{name}.weight"].T
    if f"{name}.bias" in weights:
        result += weights[f"{name}.bias"]
    return result


def _layer_norm(weights: Tensors, name: str, x: Array) -> Array:
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    axes = tuple(range(-scale.ndim, 0))
    centered = x - x.mean(axis=axes, keepdims=True)
    spread = np.sqrt((centered * centered).mean(axis=axes, keepdims=True) + np.float32(EPSILON))
    return centered / spread * scale + shift


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
        [np.tanh(_conv(weights, f"convs.{place}", x).max(axis=2)) for place in range(len(args["widths"]))], axis=1
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


class _ResidualCodebook:
    """What the network misses of frequent words, product-quantized. A word is found by the hash of its row."""

    def __init__(self, tensors: Tensors, tables: NDArray[Any]) -> None:
        self.keys, self.codes = tensors["memory.keys"], tensors["memory.codes"]
        number, size, width = tables.shape
        if self.codes.shape != (len(self.keys), number) or len(tensors["memory.basis"]) != number * width:
            raise ValueError("the residual codebook's tables are of different sizes")
        self.rows = tables.reshape(number * size, width)
        self.first_rows = np.arange(0, number * size, size)

    def find(self, rows: Rows) -> NDArray[np.intp]:
        """Where the codes of each word stand, -1 for a word that is not held."""
        wanted = row_hashes(rows)  # of the keys' type, or NumPy would convert all keys at every call
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        places[self.keys[places] != wanted] = -1
        return places

    def parts_of_one(self, row: NDArray[np.int32]) -> NDArray[Any] | None:
        """`parts` of a single row ``[max_chars]``, ``[1, dims]``; None for a word that is not held."""
        wanted = np.int32(row_hash(row.tolist()))
        place = self.keys.searchsorted(wanted)
        held = place < len(self.keys) and self.keys[place] == wanted
        return self.parts(np.array([place])) if held else None

    def parts(self, places: NDArray[np.intp]) -> NDArray[Any]:
        """The words' coordinates in the codebook's basis, ``[n, dims]``."""
        codes = self.codes[places] + self.first_rows
        return self.rows.take(codes, axis=0).reshape(len(places), -1)


class _Plain:
    """A student whose forward pass is one piece; the codebook's directions are added behind it."""

    def __init__(self, forward: Callable[[dict[str, Any], Tensors, Rows], Array], args: Any, weights: Tensors) -> None:
        self.forward, self.args = forward, args
        self.weights = zero_padding(weights) if "table.weight" in weights else weights
        self.tables = weights.get("memory.codebooks")

    def features(self, rows: Rows) -> Array:
        """The vectors, without the residual codebook."""
        return self.forward(self.args, self.weights, rows).astype(np.float32, copy=False)

    def head(self, x: Array, parts: NDArray[Any] | None) -> Array:
        """See `NumpyHead`."""
        if parts is not None:
            x[: len(parts)] += parts @ self.weights["memory.basis"]
        return x


class _Cnn:
    """The default student; its products may come from another runtime."""

    def __init__(self, args: dict[str, Any], weights: Tensors, max_chars: int, runtime: str) -> None:
        self.features = CnnFeatures(args, weights, max_chars, rounded=runtime == "onnx-int8")
        self.head = _dense_head(weights, runtime)
        codebooks = weights.get("memory.codebooks")
        self.tables = None if codebooks is None else self.head.tables(codebooks)


def _dense_head(weights: Tensors, runtime: str) -> Any:
    layers, basis = DenseWeights(weights), weights.get("memory.basis")
    if runtime == "numpy":
        return NumpyHead(layers, basis)
    from .onnx_runtime import Int8Head, OnnxHead

    if runtime == "onnx":
        return OnnxHead(layers, basis)
    return Int8Head(layers, basis, weights.get("memory.codebooks"))


def _plain(forward: Callable[[dict[str, Any], Tensors, Rows], Array]) -> Callable[..., _Plain]:
    return lambda args, weights, max_chars, runtime: _Plain(forward, args, weights)


# Each builds a network from sizes, weights, row length and runtime.
FORWARDS: dict[str, Callable[..., _Plain | _Cnn]] = {
    "distillemb-small": _plain(_distillemb),
    "distillemb-mid": _plain(_distillemb),
    "distillemb-large": _plain(_distillemb),
    "char-cnn": _plain(_char_cnn),
    "char-rnn": _plain(_char_rnn),
    "ngram-bag": _plain(_ngram_bag),
    "ngram-sam": _plain(_ngram_sam),
    "cnn": _Cnn,
}


def check_runtime(runtime: str) -> None:
    """Raise `DistillEmbError` where `runtime` is none of `RUNTIMES` and not ``"auto"``."""
    if runtime not in (*RUNTIMES, AUTO):
        raise DistillEmbError(f"runtime is {runtime!r}: choose one of {', '.join((*RUNTIMES, AUTO))}.")


def resolve_runtime(runtime: str, config: dict[str, Any]) -> str:
    """The runtime that ``"auto"`` stands for; every other one is itself.

    ONNX Runtime is the faster exact one where the processor has AVX-512, which NumPy's products often do not use.
    What must be imported costs time and memory, so that elsewhere NumPy is kept.
    """
    check_runtime(runtime)
    if runtime != AUTO:
        return runtime
    installed = all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxruntime"))
    return "onnx" if config["encoder_type"] == "cnn" and _has_avx512() and installed else "numpy"


def _has_avx512() -> bool:
    core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get("numpy.core._multiarray_umath")
    return bool(getattr(core, "__cpu_features__", {}).get("AVX512F"))


def build_forward(config: dict[str, Any], tensors: Tensors, runtime: str = "numpy") -> Callable[[Rows], Array]:
    """Build the forward pass of a student.

    It turns rows of character ids int32 ``[n, max_chars]`` into vectors float32 ``[n, dim]``. runtime: one of
    `RUNTIMES`, all but the first for `cnn` only. Raises `DistillEmbError` when the type or the runtime does not exist,
    or the weights do not fit the sizes.
    """
    kind = config["encoder_type"]
    if kind not in FORWARDS:
        raise DistillEmbError(f"encoder_type is {kind!r}: choose one of {', '.join(FORWARDS)}.")
    check_runtime(runtime)
    if runtime != "numpy" and kind != "cnn":
        raise DistillEmbError(f"runtime {runtime!r} computes encoders of type cnn only, this is {kind}: leave it out.")
    try:
        run = _build(config, tensors, "numpy")
        probe = run(np.zeros((1, config["max_chars"]), dtype=np.int32))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise DistillEmbError(
            f"The weights do not fit the sizes of {kind} ({error}): copy the encoder again."
        ) from error
    if probe.shape != (1, config["dim"]):
        raise DistillEmbError(f"The weights give vectors of {probe.shape[1:]}, config.json says {config['dim']}.")
    return run if runtime == "numpy" else _build(config, tensors, runtime)


def _build(config: dict[str, Any], tensors: Tensors, runtime: str) -> Callable[[Rows], Array]:
    network = FORWARDS[config["encoder_type"]](config["encoder_args"], tensors, config["max_chars"], runtime)
    codebook = _ResidualCodebook(tensors, cast(Any, network.tables)) if config.get("memory") else None

    def run(rows: Rows) -> Array:
        if len(rows) == 1:  # for which every call counts
            with threads.one_blas_thread:
                x = network.features(rows)
                return network.head(x, None if codebook is None else codebook.parts_of_one(rows[0]))
        vectors = np.empty((len(rows), config["dim"]), np.float32)
        with threads.one_blas_thread:
            for start in range(0, len(rows), _BLOCK):
                block = rows[start : start + _BLOCK]
                _compute(network, codebook, block, vectors[start : start + _BLOCK])
        return vectors

    return run


def _compute(network: _Plain | _Cnn, codebook: _ResidualCodebook | None, rows: Rows, out: Array) -> None:
    """Write the vectors of words into `out`, float32 ``[n, dim]``.

    First all features, then all products: their tables and weights do not fit into a cache together. Which words stand
    in a product together does not depend on the number of threads, and so neither does any bit.
    """
    x = _features(network, rows)
    places = np.zeros(0, np.intp) if codebook is None else codebook.find(rows)
    held, absent = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
    starts = range(0, len(rows), _BATCH)
    if codebook is None or not len(held):

        def plain(start: int) -> None:
            out[start : start + _BATCH] = network.head(x[start : start + _BATCH], None)

        threads.share_out(plain, starts, least=_LEAST)
        return
    order = np.concatenate([held, absent])  # those that the codebook holds stand together

    def corrected(start: int) -> None:
        chunk = order[start : start + _BATCH]
        known = chunk[: max(len(held) - start, 0)]
        out[chunk] = network.head(x.take(chunk, axis=0), codebook.parts(places[known]) if len(known) else None)

    threads.share_out(corrected, starts, least=_LEAST)


def _features(network: _Plain | _Cnn, rows: Rows) -> Array:
    """The features of words; those of like length together, because short ones cost less among themselves."""
    if len(rows) <= _FEW:
        return network.features(rows)
    order = np.argsort((rows != PAD_ID).sum(axis=1, dtype=np.int16), kind="stable")
    first = network.features(rows[order[:_BATCH]])
    x = np.empty((len(rows), first.shape[1]), np.float32)
    x[order[:_BATCH]] = first

    def compute(start: int) -> None:
        chunk = order[start : start + _BATCH]
        x[chunk] = network.features(rows.take(chunk, axis=0))

    threads.share_out(compute, range(_BATCH, len(rows), _BATCH), least=_LEAST)
    return x
