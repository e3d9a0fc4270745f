"""thinc layers around an encoder: words in, vectors out, each distinct word of a batch computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from spacy.attrs import ORTH
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged

from ..encoder import DistillEmb
from ..errors import DistillEmbError
from .pretrained import read_pretrained, warn_of_characters
from .shims import EncoderShim

WHERE = "distillemb.Embed.v1 ([components.*.model.embed])"
ENCODER_NODE = "distillemb_encoder"


def word_encoder(pretrained: str | None, shim: EncoderShim) -> Model[list[str], Floats2d]:
    """Build a layer from words to vectors float32 ``[n, dim]``.

    `pretrained` is read when the model is initialized, and never again.
    """
    return Model(
        ENCODER_NODE, _encode, init=partial(_init_encoder, pretrained=pretrained), shims=[shim], dims={"nO": None}
    )


def _init_encoder(model: Model, X: Any = None, Y: Any = None, *, pretrained: str | None) -> None:  # noqa: N803
    shim = cast(EncoderShim, model.shims[0])
    if pretrained is None and shim.is_loaded:
        return  # a loaded pipeline that is initialized again keeps its encoder
    files = read_pretrained(pretrained, WHERE)
    dim = int(files.config["dim"])
    if model.has_dim("nO") and model.get_dim("nO") != dim:
        raise DistillEmbError(
            f"{WHERE}: {pretrained} gives vectors of {dim} values, the pipeline was trained with "
            f"{model.get_dim('nO')}: give the encoder it was trained with, or train a new component."
        )
    model.set_dim("nO", dim)
    shim.load(files)


def _encode(model: Model, words: list[str], is_train: bool) -> tuple[Floats2d, Callable]:
    shim = cast(EncoderShim, model.shims[0])
    vectors, backprop = shim(words, is_train)
    if not is_train or not shim.dropout:
        return vectors, backprop
    mask = model.ops.get_dropout_mask(vectors.shape, shim.dropout)

    def masked_backprop(gradient: Floats2d) -> None:
        backprop(gradient * mask)

    return vectors * mask, masked_backprop


def with_unique_words(layer: Model[list[str], Floats2d]) -> Model[list[Doc], Ragged]:
    """Run `layer` on the distinct words of a batch of documents. The gradients of each word are summed."""
    return Model("unique_words", _unique_forward, init=_unique_init, layers=[layer], dims={"nO": None})


def _unique_init(model: Model[Any, Any], X: list[Doc] | None = None, Y: Any = None) -> None:  # noqa: N803
    layer = model.layers[0]
    words = sorted({token.text for doc in X or [] for token in doc}) or ["a"]
    layer.initialize(X=words)
    model.set_dim("nO", layer.get_dim("nO"))
    for node in layer.walk():
        if node.name == ENCODER_NODE:
            warn_of_characters(cast(EncoderShim, node.shims[0]).files, WHERE, X or [])


def _unique_forward(
    model: Model[Any, Any], docs: list[Doc], is_train: bool
) -> tuple[Ragged, Callable[[Ragged], list[Doc]]]:
    ops = model.ops
    lengths = ops.asarray1i([len(doc) for doc in docs])
    if not any(len(doc) for doc in docs):
        return Ragged(ops.alloc2f(0, model.get_dim("nO")), lengths), _no_documents
    words, indices = unique_words(docs)
    vectors, backprop = model.layers[0](words, is_train)
    rows = ops.asarray1i(cast(Ints1d, indices))

    def summed_backprop(gradient: Ragged) -> list[Doc]:
        summed = ops.alloc2f(*vectors.shape)
        ops.scatter_add(summed, rows, ops.as_contig(cast(Floats2d, gradient.data)))
        backprop(summed)
        return []

    return Ragged(ops.as_contig(vectors[rows]), lengths), summed_backprop


def unique_words(docs: list[Doc]) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the distinct words of documents, and for every token the index of its word (int64 ``[tokens]``).

    The documents may be of several vocabularies: a word has the same hash in all of them.
    """
    keys = np.concatenate([doc.to_array(ORTH) for doc in docs])
    distinct, indices = np.unique(keys, return_inverse=True)
    stores = list({id(doc.vocab): doc.vocab.strings for doc in docs}.values())
    words = [next(strings[key] for strings in stores if key in strings) for key in distinct.tolist()]
    return words, indices.reshape(-1)


def _no_documents(gradient: Ragged) -> list[Doc]:
    return []


def pipeline_encoder(nlp: Language, component: str = "tok2vec") -> DistillEmb:
    """Return the encoder inside a component of a pipeline, with its present weights: to look at or to save.

    Raises:
        DistillEmbError: The component holds none.
    """
    model = getattr(nlp.get_pipe(component), "model", None)
    nodes = [node for node in model.walk() if node.name == ENCODER_NODE] if isinstance(model, Model) else []
    if not nodes:
        raise DistillEmbError(f"The component {component!r} holds no distillemb encoder: name one with Embed.v1.")
    shim = cast(EncoderShim, nodes[0].shims[0])
    return DistillEmb.from_files(shim.files, shim.cache_size, shim.runtime)
