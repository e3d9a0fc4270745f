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

from ..errors import require
from .cnn import EPSILON, Array, DenseWeights

_INPUT_DEVIATIONS = 6
_HIDDEN_DEVIATIONS = 5
_WEIGHT_LIMIT = 64  # two products of 255 x 64 fit into 16 bits
_ACTIVATION_LIMIT = 255
_BIAS_LIMIT = 1 << 28  # in steps of the product
_ZERO = 128  # of signed values in uint8
_OPSET, _IR_VERSION = 17, 8  # old enough for every ONNX Runtime of the extra
_TINY = np.float32(1e-30)


class OnnxHead:
    """`DenseHead` in float32."""

    def __init__(self, layers: DenseWeights, basis: Array | None) -> None:
        self.dims = 0 if basis is None else len(basis)
        self.session = self._session(layers, basis)

    def tables(self, codebooks: Array) -> NDArray[Any]:
        """See `DenseHead`."""
        return codebooks

    def __call__(self, x: Array, parts: NDArray[Any] | None) -> Array:
        """See `DenseHead`."""
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
        node = require("onnx.helper", "onnx").make_node
        nodes = [
            _layer_norm(node),
            node("Gemm", ["x", "hidden", "hidden_bias"], ["h"]),
            node("Relu", ["h"], ["r"]),
            *([node("Concat", ["r", "parts"], ["inner"], axis=1)] if self.dims else []),
            node("Gemm", ["inner" if self.dims else "r", "output", "output_bias"], ["vectors"]),
        ]
        weights = {
            "hidden": layers.hidden,
            "hidden_bias": layers.hidden_bias,
            "output": layers.output if basis is None else np.concatenate([layers.output, basis]),
            "output_bias": layers.output_bias,
        }
        return _open(nodes, weights, self.dims, np.dtype(np.float32))


class Int8Head(OnnxHead):
    """`DenseHead` in int8, a little less exact; see the module."""

    def __init__(self, layers: DenseWeights, basis: Array | None, codebooks: Array | None) -> None:
        largest = 0.0 if codebooks is None else float(np.abs(codebooks).max())
        self._part_scale = np.float32((largest or 1.0) / (_ZERO - 1))
        super().__init__(layers, basis)

    def tables(self, codebooks: Array) -> NDArray[Any]:
        """See `DenseHead`; uint8, 128 for nothing."""
        return (np.rint(codebooks / self._part_scale) + _ZERO).astype(np.uint8)

    def _nothing(self, words: int) -> NDArray[Any]:
        return np.full((words, self.dims), _ZERO, np.uint8)

    def _session(self, layers: DenseWeights, basis: Array | None) -> Any:
        node = require("onnx.helper", "onnx").make_node
        first, last = "x8 x_scale x_zero w1 w1_scale w1_zero b1", "h_scale h_zero w2 w2_scale w2_zero b2"
        nodes = [
            _layer_norm(node),
            node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x8"]),
            # what is below the zero of an unsigned output is cut off, which is the ReLU
            node("QGemm", [*first.split(), "h_scale", "h_zero"], ["h8"], domain="com.microsoft"),
            *([node("Concat", ["h8", "parts"], ["inner8"], axis=1)] if self.dims else []),
            node("QGemm", ["inner8" if self.dims else "h8", *last.split()], ["vectors"], domain="com.microsoft"),
        ]
        return _open(nodes, self._quantized(layers, basis), self.dims, np.dtype(np.uint8))

    def _quantized(self, layers: DenseWeights, basis: Array | None) -> dict[str, NDArray[Any]]:
        x_scale = np.float32(_INPUT_DEVIATIONS / (_ZERO - 1))
        h_scale = np.float32(1 / _ACTIVATION_LIMIT)
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
        return {
            "x_scale": np.array(x_scale),
            "x_zero": np.array(_ZERO, np.uint8),
            "w1": w1,
            "w1_scale": w1_scale,
            "w1_zero": np.zeros(w1.shape[1], np.int8),
            "b1": _whole(b1 / (w1_scale * x_scale)),
            "h_scale": np.array(h_scale),
            "h_zero": np.array(0, np.uint8),
            "w2": w2,
            "w2_scale": w2_scale,
            "w2_zero": np.zeros(w2.shape[1], np.int8),
            "b2": _whole(layers.output_bias / (w2_scale * h_scale)) - too_high,
        }


def _by_column(matrix: Array, bias: Array) -> tuple[NDArray[np.int8], Array]:
    """A matrix in 7 bits and the scale of each column, which is not so small that its bias leaves 32 bits."""
    scale = np.maximum(np.abs(matrix).max(axis=0) / _WEIGHT_LIMIT, np.abs(bias) / _BIAS_LIMIT)
    scale = np.maximum(scale, _TINY).astype(np.float32)
    return np.rint(matrix / scale).astype(np.int8), scale


def _whole(values: Array) -> NDArray[np.int32]:
    return np.rint(values).astype(np.int32)


def _layer_norm(node: Any) -> Any:
    return node("LayerNormalization", ["features", "one"], ["x"], axis=-1, epsilon=EPSILON)


def _open(nodes: list[Any], weights: dict[str, NDArray[Any]], dims: int, parts: np.dtype[Any]) -> Any:
    """A session of one thread on the nodes; inputs ``features`` and, with `dims`, ``parts``; output ``vectors``."""
    helper, numpy_helper = require("onnx.helper", "onnx"), require("onnx.numpy_helper", "onnx")
    runtime = require("onnxruntime", "onnx")
    first = weights["hidden"] if "hidden" in weights else weights["w1"]
    width, dim = first.shape[0], len(weights["output_bias"] if "output_bias" in weights else weights["b2"])
    constants = {**weights, "one": np.ones(width, np.float32)}

    def described(name: str, kind: Any, size: int) -> Any:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), ["words", size])

    graph = helper.make_graph(
        nodes,
        "products",
        [described("features", np.float32, width), *([described("parts", parts, dims)] if dims else [])],
        [described("vectors", np.float32, dim)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
