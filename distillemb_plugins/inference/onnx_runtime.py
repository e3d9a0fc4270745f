"""The dense head of the `cnn` student through ONNX Runtime, in float32 or int8: an optional extra, for speed.

NumPy's matrix products do not know every processor's widest instructions, and no int8. ONNX Runtime does; what stands
before the head stays in NumPy. One thread: the products are too small to be shared out, and a session without
threads of its own survives a fork.

int8 is static, so that a word has the same vector (but for a rounding that the last bit of a feature may tip) whatever
is computed beside it, and needs no text to calibrate on:

* LayerNorm bounds what the hidden layer reads; six standard deviations are kept.
* A hidden unit is the product of that with its own weights, so it seldom exceeds five times their length. Each unit is
  scaled by this bound, which the output layer's weights take back: cross-layer equalization, which ReLU allows (Nagel
  et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1).
* Weights are symmetric, a scale for each output, in 7 bits: with 8, processors without VNNI would saturate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cnn import EPSILON, Array, DenseWeights
from .onnx_graph import Graph, open_session

_INPUT_DEVIATIONS = 6
_HIDDEN_DEVIATIONS = 5
_WEIGHT_LIMIT = 64  # two products of 255 x 64 fit into 16 bits
_ACTIVATION_LIMIT = 255
_BIAS_LIMIT = 1 << 28  # in steps of the product
_ZERO = 128  # of signed values in uint8
_TINY = np.float32(1e-30)


class OnnxHead:
    """`NumpyHead` in float32."""

    def __init__(self, layers: DenseWeights, basis: Array | None) -> None:
        self.dims = 0 if basis is None else len(basis)
        self.session = self._session(layers, basis)

    def tables(self, codebooks: Array) -> NDArray[Any]:
        """See `NumpyHead`."""
        return codebooks

    def __call__(self, x: Array, parts: NDArray[Any] | None) -> Array:
        """See `NumpyHead`."""
        inputs: dict[str, NDArray[Any]] = {"features": x}
        if self.dims:
            inputs["parts"] = self._for_all(parts, len(x))
        [vectors] = self.session.run(None, inputs)
        result: Array = vectors
        return result

    def _for_all(self, parts: NDArray[Any] | None, words: int) -> NDArray[Any]:
        if parts is not None and len(parts) == words:
            return parts
        padded = self._nothing(words)
        if parts is not None:
            padded[: len(parts)] = parts
        return padded

    def _nothing(self, words: int) -> NDArray[Any]:
        return np.zeros((words, self.dims), np.float32)

    def _session(self, layers: DenseWeights, basis: Array | None) -> Any:
        graph = Graph()
        inner = graph.add("Relu", graph.add("Gemm", _layer_norm(graph, layers), layers.hidden, layers.hidden_bias))
        output = layers.output if basis is None else np.concatenate([layers.output, basis])
        return self._open(graph, inner, layers, [output, layers.output_bias], np.float32, "Gemm")

    def _open(
        self,
        graph: Graph,
        inner: str,
        layers: DenseWeights,
        output: list[Any],
        kind: type,
        operator: str,
        **options: Any,
    ) -> Any:
        """Add the output layer, over the parts too, and open a session. kind: of the parts."""
        inputs: dict[str, Any] = {"features": (np.float32, ["words", len(layers.hidden)])}
        if self.dims:
            inputs["parts"] = (kind, ["words", self.dims])
            inner = graph.add("Concat", inner, "parts", axis=1)
        vectors = graph.add(operator, inner, *output, **options)
        return open_session(graph.to_bytes(inputs, vectors, ["words", len(layers.output_bias)]))


class Int8Head(OnnxHead):
    """`NumpyHead` in int8, a little less exact; see the module."""

    def __init__(self, layers: DenseWeights, basis: Array | None, codebooks: Array | None) -> None:
        largest = 0.0 if codebooks is None else float(np.abs(codebooks).max())
        self._part_scale = np.float32((largest or 1.0) / (_ZERO - 1))
        super().__init__(layers, basis)

    def tables(self, codebooks: Array) -> NDArray[Any]:
        """See `NumpyHead`; uint8, 128 for nothing."""
        return (np.rint(codebooks / self._part_scale) + _ZERO).astype(np.uint8)

    def _nothing(self, words: int) -> NDArray[Any]:
        return np.full((words, self.dims), _ZERO, np.uint8)

    def _session(self, layers: DenseWeights, basis: Array | None) -> Any:
        graph = Graph()
        x_scale, x_zero = np.array(_INPUT_DEVIATIONS / (_ZERO - 1), np.float32), np.array(_ZERO, np.uint8)
        h_scale, h_zero = np.array(1 / _ACTIVATION_LIMIT, np.float32), np.array(0, np.uint8)
        bound = _HIDDEN_DEVIATIONS * np.linalg.norm(layers.hidden, axis=0) + np.maximum(layers.hidden_bias, 0)
        bound = np.maximum(bound, np.abs(layers.hidden_bias) / 100 + _TINY).astype(
            np.float32
        )  # of a unit without weights
        b1 = layers.hidden_bias / bound
        w1, w1_scale = _by_column(layers.hidden / bound, b1 / x_scale)
        output = layers.output * bound[:, None]
        if basis is not None:
            output = np.concatenate([output, basis * (self._part_scale / h_scale)])
        w2, w2_scale = _by_column(output, layers.output_bias / h_scale)
        # parts stand 128 too high, which the bias takes back
        too_high = _ZERO * w2[len(layers.output) :].astype(np.int32).sum(axis=0, dtype=np.int32)
        x = graph.add("QuantizeLinear", _layer_norm(graph, layers), x_scale, x_zero)
        first: list[Any] = [
            w1,
            w1_scale,
            np.zeros(w1.shape[1], np.int8),
            _whole(b1 / (w1_scale * x_scale)),
            h_scale,
            h_zero,
        ]
        # what is below the zero of an unsigned output is cut off, which is the ReLU
        inner = graph.add("QGemm", x, x_scale, x_zero, *first, domain="com.microsoft")
        b2 = _whole(layers.output_bias / (w2_scale * h_scale)) - too_high
        last = [h_scale, h_zero, w2, w2_scale, np.zeros(w2.shape[1], np.int8), b2]
        return self._open(graph, inner, layers, last, np.uint8, "QGemm", domain="com.microsoft")


def _by_column(matrix: Array, bias: Array) -> tuple[NDArray[np.int8], Array]:
    """A matrix in 7 bits and the scale of each column, which is not so small that its bias leaves 32 bits."""
    scale = np.maximum(np.abs(matrix).max(axis=0) / _WEIGHT_LIMIT, np.abs(bias) / _BIAS_LIMIT)
    scale = np.maximum(scale, _TINY).astype(np.float32)
    return np.rint(matrix / scale).astype(np.int8), scale


def _whole(values: Array) -> NDArray[np.int32]:
    return np.rint(values).astype(np.int32)


def _layer_norm(graph: Graph, layers: DenseWeights) -> str:
    return graph.add(
        "LayerNormalization", "features", np.ones(len(layers.hidden), np.float32), axis=-1, epsilon=EPSILON
    )
