"""Pretrained context layers as a thinc layer: words of documents to words in context.

Predicting runs in NumPy, so a trained pipeline needs no torch. Learning runs the torch modules of ``hf/``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model, get_current_ops
from thinc.types import Floats2d, Ragged
from thinc.util import torch2xp, xp2torch

from ..errors import DistillEmbError
from ..inference.context import ContextForward, windows
from ..persistence import EncoderFiles
from .pretrained import read_pretrained, warn_of_characters
from .shims import Array, Backprop, EncoderShim

if TYPE_CHECKING:
    import torch

WHERE = "distillemb.Tok2Vec.v1 with pretrained context"
LONGEST = 512  # words of a window; longer documents are cut into windows that overlap by the layers' range
Sentences = list[list[str]]


class ContextShim(EncoderShim):
    """Holds an encoder and its context layers for a thinc node; see `EncoderShim`.

    static_vectors: give each word's vector beside its state in context.
    """

    _forward: ContextForward | None = None

    def __init__(self, *, static_vectors: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.static_vectors = static_vectors

    @property
    def size(self) -> int:
        """Width of what comes out for a word."""
        config = self.files.config
        return int(config["context_size"]) + (int(config["dim"]) if self.static_vectors else 0)

    def load(self, files: EncoderFiles) -> None:
        super().load(files)
        self._forward = None

    def build(self, files: EncoderFiles) -> torch.nn.Module:
        """Build the torch modules with the weights of `files`."""
        import torch

        from ..layers.context_distillemb import ContextLayers

        module = torch.nn.ModuleDict({"encoder": super().build(files)})
        classes = torch.from_numpy(files.context["shapes.classes"]).tolist()
        module["context"] = ContextLayers(SimpleNamespace(**{"context_dropout": 0.1, **files.config}), classes)
        module["context"].load_state_dict({name: torch.from_numpy(t.copy()) for name, t in files.context.items()})
        return module

    def with_weights(self, files: EncoderFiles, weights: dict[str, Any]) -> EncoderFiles:
        parts: dict[str, dict[str, Any]] = {"encoder": {}, "context": {}}
        for name, tensor in weights.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        return replace(super().with_weights(files, parts["encoder"]), context=parts["context"])

    def forget(self) -> None:
        super().forget()
        self._forward = None

    def _predict(self, inputs: Any) -> Array:
        sentences: Sentences = inputs
        files, cut = self.files, [windows(len(one), LONGEST, self._margin) for one in sentences]
        if self._forward is None:
            self._forward = ContextForward(files.config, files.context)
        pieces = [one[begin:end] for one, some in zip(sentences, cut, strict=True) for begin, end, _, _ in some]
        words = [word for piece in pieces for word in piece]
        at = np.cumsum([0, *map(len, pieces)])
        vectors, rows = self.encoder().encode(words), files.characters.encode(words)
        spans = list(pairwise(at))
        found = self._forward([vectors[a:b] for a, b in spans], [rows[a:b] for a, b in spans])
        if self.static_vectors:
            found = [np.concatenate([one, vectors[a:b]], 1) for one, (a, b) in zip(found, spans, strict=True)]
        kept = [span for some in cut for span in some]
        states = [one[first:last] for one, (_, _, first, last) in zip(found, kept, strict=True)]
        joined = np.concatenate(states) if states else np.zeros((0, self.size), np.float32)
        return get_current_ops().asarray2f(cast(Floats2d, joined))

    @property
    def _margin(self) -> int:
        return min(int(self.files.config["context_range"]), LONGEST // 4)

    def _learn(self, inputs: Any) -> tuple[Array, Backprop]:
        import torch

        sentences: Sentences = inputs
        module = cast(Any, self.module().train())
        device = next(module.parameters()).device
        numbers: dict[str, int] = {}
        ids = [[numbers.setdefault(word, len(numbers)) for word in one] for one in sentences]
        cut = [(row, *span) for row, one in enumerate(ids) for span in windows(len(one), LONGEST, self._margin)]
        width = max(end - begin for _, begin, end, _, _ in cut)
        places = torch.zeros(len(cut), width, dtype=torch.long)
        mask, kept = torch.zeros(2, len(cut), width, dtype=torch.bool)
        for n, (row, begin, end, first, last) in enumerate(cut):
            places[n, : end - begin] = torch.tensor(ids[row][begin:end], dtype=torch.long)
            mask[n, : end - begin] = True
            kept[n, first:last] = True
        char_ids = self._rows(list(numbers))
        vectors = module["encoder"](char_ids)
        inner = module["context"].read(vectors[None], char_ids[None])[0]
        places, kept = places.to(device), kept.to(device)
        states = module["context"](inner[places], mask.to(device))[0][kept]
        if self.static_vectors:
            states = torch.cat([states, vectors[places[kept]]], 1)

        def backprop(gradient: Array) -> None:
            states.backward(xp2torch(gradient, device=states.device))

        return cast(Array, torch2xp(states)), backprop


def contextual_words(pretrained: str | None, shim: ContextShim) -> Model[list[Doc], Ragged]:
    """Build a layer from documents to words in context, float32 ``[tokens, shim.size]``."""
    return Model(
        "distillemb_context", _forward, init=partial(_init, pretrained=pretrained), shims=[shim], dims={"nO": None}
    )


def _init(model: Model[Any, Any], X: Any = None, Y: Any = None, *, pretrained: str | None) -> None:  # noqa: N803
    shim = cast(ContextShim, model.shims[0])
    if pretrained is None and shim.is_loaded:
        return  # a loaded pipeline that is initialized again keeps its layers
    files = read_pretrained(pretrained, WHERE)
    if not files.context:
        raise DistillEmbError(
            f"{WHERE}: {pretrained} has no context layers: make some with distillemb pretrain, or say context = "
            '"cnn" or "bilstm".'
        )
    shim.load(files)
    model.set_dim("nO", shim.size)
    warn_of_characters(files, WHERE, X or [])


def _forward(model: Model[Any, Any], docs: list[Doc], is_train: bool) -> tuple[Ragged, Callable[[Ragged], list[Doc]]]:
    shim, lengths = cast(ContextShim, model.shims[0]), model.ops.asarray1i([len(doc) for doc in docs])
    if not any(len(doc) for doc in docs):
        return Ragged(model.ops.alloc2f(0, model.get_dim("nO")), lengths), lambda gradient: []
    sentences: Any = [[token.text for token in doc] for doc in docs]
    states, backprop = shim(sentences, is_train)
    mask = model.ops.get_dropout_mask(states.shape, shim.dropout) if is_train and shim.dropout else None

    def gradients(gradient: Ragged) -> list[Doc]:
        data = cast(Floats2d, gradient.data)
        backprop(model.ops.as_contig(data if mask is None else data * mask))
        return []

    return Ragged(model.ops.as_contig(states if mask is None else states * mask), lengths), gradients
