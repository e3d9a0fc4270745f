"""What stands over word vectors as an ONNX graph, written operator by operator.

It takes milliseconds, where tracing torch takes minutes, and recurrent layers become ONNX's own operators, which run
several times as fast as a traced loop. The layers are those of ``layers/context_distillemb.py`` and
``layers/heads_distillemb.py``; the tests compare the two. Padding stands at the end of a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..characters import DIGIT, LETTER, OTHER, UPPER
from ..inference.context import ROTARY_BASE
from ..inference.onnx_graph import Graph, Weights

_FORBIDDEN = -1e9
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}  # where torch keeps the gates that ONNX has first, second, ...


def head_graph(config: Any, weights: Weights, *, classifier: bool, pools: bool) -> tuple[bytes, list[str]]:
    """Write what stands over word vectors. Returns the graph, and which of its possible inputs it has.

    The inputs are ``vectors``, float32 ``[batch, words, dim]``; ``char_ids``, int64 ``[batch, words, max_chars]``;
    ``mask``, bool ``[batch, words]``. The output is ``scores``: float32 ``[batch, words, labels]``, ``[batch, labels]``
    of texts, or words in context ``[batch, words, size]``. weights: by the names of a saved head; context layers as
    ``context_layers.``. classifier: whether there is a head over the context layers. pools: whether it classifies
    texts.
    """
    graph, recurrent = Graph(), classifier and config.head != "linear"
    x = "vectors"
    if config.context_layers:
        x = _context_layers(graph, config, weights)
    if classifier:
        if config.context_layers and config.static_vectors:
            x = graph.add("Concat", x, "vectors", axis=-1)
        x = _activation(graph, x, config.head_activation)
        if config.shape_features:
            x = graph.add("Concat", x, _shapes(graph, weights, "shapes."), axis=-1)
        x = graph.norm(x, weights, "norm")
        if recurrent:
            x = _recurrent(graph, config, weights, x)
        x = graph.linear(_pooled(graph, x) if pools else x, weights, "classifier")
    given: dict[str, tuple[Any, Sequence[Any]]] = {"vectors": (np.float32, ["batch", "words", config.dim])}
    if config.context_layers or (classifier and config.shape_features):
        given["char_ids"] = np.int64, ["batch", "words", config.max_chars]
    if config.context_layers or recurrent or pools:
        given["mask"] = np.bool_, ["batch", "words"]
    size = len(weights["classifier.bias"]) if classifier else config.context_size
    return graph.to_bytes(given, x, ["batch", size] if pools else ["batch", "words", size]), list(given)


def _float_mask(graph: Graph) -> str:
    """1 for words, 0 for padding, float32 ``[batch, words, 1]``."""
    return graph.add("Unsqueeze", graph.add("Cast", "mask", to=1), np.array([2]))


def _activation(graph: Graph, x: str, name: str) -> str:
    if name == "gelu":
        return _gelu(graph, x)
    return graph.add({"relu": "Relu", "tanh": "Tanh", "none": "Identity"}[name], x)


def _gelu(graph: Graph, x: str) -> str:
    half = graph.add("Mul", x, 0.5)
    return graph.add("Mul", half, graph.add("Add", graph.add("Erf", graph.add("Mul", x, math.sqrt(0.5))), 1.0))


def _shapes(graph: Graph, weights: Weights, name: str) -> str:
    """See `ShapeFeatures`. Truth is 1 or 0 here: "and" is a product, "or" the larger one."""
    classes = graph.add("Gather", weights[f"{name}classes"].astype(np.int64), "char_ids")

    def is_of(kind: int) -> str:
        return graph.add("Cast", graph.add("Equal", classes, np.array(kind)), to=1)

    def any_of(x: str) -> str:
        return graph.add("ReduceMax", x, axes=[2], keepdims=1)

    def without(x: str, *others: str) -> str:
        return graph.add("Mul", x, graph.add("Sub", 1.0, graph.add("Max", *others)))

    there = graph.add("Cast", graph.add("Cast", "char_ids", to=9), to=1)  # as truth, then as a number
    begun = graph.add("CumSum", there, np.array(2))
    first = graph.add("Cast", graph.add("Equal", begun, 1.0), to=1)
    upper = is_of(UPPER)
    has_upper, has_letter, has_digit, has_other = (any_of(is_of(kind)) for kind in (UPPER, LETTER, DIGIT, OTHER))
    traits = [
        any_of(graph.add("Mul", upper, first)),
        any_of(without(upper, first)),
        without(has_upper, has_letter),
        has_digit,
        without(has_digit, has_upper, has_letter, has_other),
        has_other,
        without(has_other, has_upper, has_letter, has_digit),
    ]
    return graph.add("MatMul", graph.add("Concat", *traits, axis=2), weights[f"{name}traits.weight"].T)


def _context_layers(graph: Graph, config: Any, weights: Weights) -> str:
    """See `ContextLayers`."""
    name = "context_layers."
    read = graph.add("Concat", "vectors", _shapes(graph, weights, f"{name}shapes."), axis=-1)
    x = graph.linear(graph.norm(read, weights, f"{name}input_norm"), weights, f"{name}input")
    size = config.context_size // config.context_heads
    words = graph.add("Gather", graph.add("Shape", "mask"), np.array(1))
    places = graph.add("Cast", graph.add("Range", np.array(0), words, np.array(1)), to=1)
    column, row = (graph.add("Unsqueeze", places, np.array([axis])) for axis in (1, 0))
    steps = np.exp(np.arange(0, size, 2, dtype=np.float32) * np.float32(-math.log(ROTARY_BASE) / size))
    angles = graph.add("Mul", column, np.concatenate([steps, steps])[None])
    turns = graph.add("Cos", angles), graph.add("Sin", angles)
    near = graph.add("Less", graph.add("Abs", graph.add("Sub", column, row)), float(config.context_range))
    query, key = (graph.add("Unsqueeze", "mask", np.array([axis])) for axis in (2, 1))
    allowed = graph.add("And", key, graph.add("Or", near, graph.add("Not", query)))
    allowed = graph.add("Unsqueeze", allowed, np.array([1]))
    for layer in range(config.context_layers):
        x = _context_layer(graph, config, weights, f"{name}layers.{layer}.", x, allowed, turns)
    return graph.add("Mul", graph.norm(x, weights, f"{name}output_norm"), _float_mask(graph))


def _context_layer(
    graph: Graph, config: Any, weights: Weights, name: str, x: str, allowed: str, turns: tuple[str, str]
) -> str:
    heads, size = config.context_heads, config.context_size // config.context_heads
    mixed = graph.linear(graph.norm(x, weights, f"{name}attention_norm"), weights, f"{name}attention_in")
    mixed = graph.add("Reshape", mixed, np.array([0, 0, 3, heads, size]))
    mixed = graph.add("Transpose", mixed, perm=[2, 0, 3, 1, 4])
    query, key, value = (graph.add("Gather", mixed, np.array(part), axis=0) for part in range(3))
    query, key = (_rotate(graph, one, turns, size) for one in (query, key))
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    scores = graph.add("Where", allowed, graph.add("Mul", scores, 1 / math.sqrt(size)), _FORBIDDEN)
    attended = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)
    attended = graph.add("Transpose", attended, perm=[0, 2, 1, 3])
    attended = graph.add("Reshape", attended, np.array([0, 0, config.context_size]))
    x = graph.add("Add", x, graph.linear(attended, weights, f"{name}attention_out"))
    hidden = graph.linear(graph.norm(x, weights, f"{name}feed_forward_norm"), weights, f"{name}feed_forward_in")
    return graph.add("Add", x, graph.linear(_gelu(graph, hidden), weights, f"{name}feed_forward_out"))


def _rotate(graph: Graph, x: str, turns: tuple[str, str], size: int) -> str:
    halves = [graph.add("Slice", x, *(np.array([n]) for n in (at, at + size // 2, -1))) for at in (0, size // 2)]
    swapped = graph.add("Concat", graph.add("Neg", halves[1]), halves[0], axis=-1)
    return graph.add("Add", graph.add("Mul", x, turns[0]), graph.add("Mul", swapped, turns[1]))


def _recurrent(graph: Graph, config: Any, weights: Weights, x: str) -> str:
    """See `Bidirectional`."""
    kind, hidden = config.head_cell.upper(), config.head_hidden_size
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional"}
    if kind == "GRU":
        attributes["linear_before_reset"] = 1  # as torch does
    lengths = graph.add("ReduceSum", graph.add("Cast", "mask", to=6), np.array([1]), keepdims=0)
    lengths = graph.add("Max", lengths, np.array(1, np.int32))
    x = graph.add("Transpose", x, perm=[1, 0, 2])
    for layer in range(config.head_layers):
        given = []
        for parts in (["weight_ih_l0"], ["weight_hh_l0"], ["bias_ih_l0", "bias_hh_l0"]):
            both = [
                [_in_order(weights[f"context.{way}.{layer}.{part}"], kind) for part in parts]
                for way in ("forwards", "backwards")
            ]
            given.append(np.stack([np.concatenate(one) for one in both]))
        x = graph.add(kind, x, *given, lengths, **attributes)
        x = graph.add("Transpose", x, perm=[0, 2, 1, 3])
        x = graph.add("Reshape", x, np.array([0, 0, 2 * hidden]))
    return graph.add("Mul", graph.add("Transpose", x, perm=[1, 0, 2]), _float_mask(graph))


def _in_order(weight: NDArray[Any], kind: str) -> NDArray[Any]:
    gates = np.split(weight, len(_GATES[kind]))
    return np.concatenate([gates[gate] for gate in _GATES[kind]])


def _pooled(graph: Graph, x: str) -> str:
    """See `pool_words`."""
    mask, one = _float_mask(graph), np.array([1])
    count = graph.add("Max", graph.add("ReduceSum", mask, one, keepdims=0), 1.0)
    mean = graph.add("Div", graph.add("ReduceSum", graph.add("Mul", x, mask), one, keepdims=0), count)
    kept = graph.add("Where", graph.add("Cast", mask, to=9), x, float(np.finfo(np.float32).min))
    there = graph.add("ReduceMax", mask, axes=[1], keepdims=0)
    return graph.add(
        "Concat", mean, graph.add("Mul", graph.add("ReduceMax", kept, axes=[1], keepdims=0), there), axis=-1
    )
