"""ONNX graphs written operator by operator, and the sessions that run them. The extra ``onnx`` is needed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import require
from .cnn import EPSILON

OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime of the extra
Weights = Mapping[str, NDArray[Any]]


class Graph:
    """A graph that grows by one operator at a time. Names of values are strings, as in ONNX."""

    def __init__(self) -> None:
        self._helper = require("onnx.helper", "onnx")
        self._numpy = require("onnx.numpy_helper", "onnx")
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operator: str, *inputs: str | NDArray[Any] | float, **attributes: Any) -> str:
        """Add an operator and return the name of its output. Arrays and numbers (float32) become constants."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(operator, names, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any] | float) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self._constants)}"
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self._constants.append(self._numpy.from_array(array, name))
        return name

    def linear(self, x: str, weights: Weights, name: str) -> str:
        """A linear layer."""
        return self.add("Add", self.add("MatMul", x, weights[f"{name}.weight"].T), weights[f"{name}.bias"])

    def norm(self, x: str, weights: Weights, name: str) -> str:
        """LayerNorm over the last dimension."""
        given = x, weights[f"{name}.weight"], weights[f"{name}.bias"]
        return self.add("LayerNormalization", *given, axis=-1, epsilon=EPSILON)

    def to_bytes(self, inputs: Mapping[str, tuple[Any, Sequence[Any]]], output: str, shape: Sequence[Any]) -> bytes:
        """The model. `inputs` has the type and shape of each; sizes that vary are names. The output is ``scores``."""

        def described(name: str, kind: Any, sizes: Sequence[Any]) -> Any:
            return self._helper.make_tensor_value_info(
                name, self._helper.np_dtype_to_tensor_dtype(np.dtype(kind)), sizes
            )

        self._nodes.append(self._helper.make_node("Identity", [output], ["scores"]))
        graph = self._helper.make_graph(
            self._nodes,
            "head",
            [described(name, *one) for name, one in inputs.items()],
            [described("scores", np.float32, shape)],
            self._constants,
        )
        opsets = [self._helper.make_opsetid("", OPSET)]
        if any(node.domain for node in self._nodes):
            opsets.append(self._helper.make_opsetid("com.microsoft", 1))
        result: bytes = self._helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
        return result


def open_session(model: bytes) -> Any:
    """A session of one thread, which survives a fork; the products are too small to be shared out."""
    runtime = require("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
