"""The trainable embed layer and the whole tok2vec, for ``[components.tok2vec.model]``."""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spacy.attrs import intify_attr
from spacy.ml.featureextractor import FeatureExtractor
from spacy.ml.models.tok2vec import MaxoutWindowEncoder
from spacy.tokens import Doc
from thinc.api import HashEmbed, Linear, Maxout, Model, chain, concatenate, list2ragged, ragged2list, with_array
from thinc.layers.chain import forward as chain_forward
from thinc.types import Floats2d, Ragged

from ..errors import DistillEmbError
from ..inference.students import check_runtime
from .context import build_bilstm_encoder_v1
from .contextual import ContextShim, contextual_words
from .layers import with_unique_words, word_encoder
from .rates import DEFAULT_GRAD_FACTOR
from .shims import EncoderShim

DEFAULT_ROWS = 2500
_FIRST_SEED = 8  # of the hash tables, as in MultiHashEmbed
_PIECES = 3
_CONTEXTS = ("cnn", "bilstm", "pretrained", "pretrained-cnn")


def build_embed_v1(
    width: int,
    pretrained: str | Path | None,
    *,
    freeze: bool = False,
    dropout: float = 0.0,
    grad_factor: float = DEFAULT_GRAD_FACTOR,
    attrs: list[str | int] | None = None,
    rows: list[int] | None = None,
    cache_size: int = 200_000,
    runtime: str = "numpy",
) -> Model[list[Doc], list[Floats2d]]:
    """Build `distillemb.Embed.v1`: an encoder as the embed layer of a tok2vec, fine-tuned with the pipeline or frozen.

    The distinct words of a batch are computed once, forward and backward. ``use_averages = true`` averages the
    encoder's weights too.

    Args:
        width: Width of the output.
        pretrained: Encoder directory, bundled name or hub id. It is read when the pipeline is initialized for training
            and not afterwards: a trained pipeline carries its encoder inside.
        freeze: Keep the encoder as it is, to the last bit. What follows it learns. Faster than fine-tuning.
        dropout: Share of the word vectors' values dropped in training. ``[training] dropout`` does not change it: that
            is for the layer that mixes the vector with the attributes. The encoder's own dropout (of n-grams, in its
            config) is active in training too.
        grad_factor: The encoder's learning rate as a share of the pipeline's. The default is for entities; for parts of
            speech and text classification 1.0 is better. The optimizer's step is scaled, not the gradient, because
            Adam's steps do not depend on the gradient's scale.
        attrs: Lexical attributes (NORM, PREFIX, SUFFIX, SHAPE, ...) hashed beside the encoder, as MultiHashEmbed does.
            Capitals and shapes matter for NER.
        rows: Rows of the attributes' tables; 2,500 each by default.
        cache_size: The most words whose vectors are kept when predicting, ``dim * 4`` bytes each, taken as they come.
        runtime: What computes the vectors when predicting, and those of a frozen encoder always: numpy, onnx,
            onnx-int8 or auto; see `DistillEmb.from_pretrained`.

    Returns:
        A model that takes documents and gives float32 ``[len(doc), width]`` for each.

    Raises:
        DistillEmbError: A value is impossible.
    """
    _check(width, dropout, grad_factor, cache_size)
    check_runtime(runtime)
    shim = EncoderShim(freeze=freeze, lr_scale=grad_factor, dropout=dropout, cache_size=cache_size, runtime=runtime)
    encoder = word_encoder(None if pretrained is None else str(pretrained), shim)
    if not attrs:
        mixed = _maxout(width, None)
        return _chained(width, with_unique_words(chain(encoder, mixed)), ragged2list())
    features = _hashed_attributes(width, attrs, rows)
    vectors = with_unique_words(chain(encoder, Linear(nO=width)))
    mixed = with_array(_maxout(width, width * (len(attrs) + 1)))
    return _chained(width, concatenate(features, vectors), mixed, ragged2list())


def build_tok2vec_v1(
    width: int,
    pretrained: str | Path | None,
    *,
    depth: int = 4,
    context: str = "cnn",
    window_size: int = 1,
    maxout_pieces: int = 3,
    freeze: bool = False,
    dropout: float = 0.0,
    grad_factor: float = DEFAULT_GRAD_FACTOR,
    attrs: list[str | int] | None = None,
    rows: list[int] | None = None,
    cache_size: int = 200_000,
    runtime: str = "numpy",
) -> Model[list[Doc], list[Floats2d]]:
    """Build `distillemb.Tok2Vec.v1`: `distillemb.Embed.v1` and a context encoder in one block.

    For another context encoder use spacy.Tok2Vec.v2 with `distillemb.Embed.v1` as its embed.

    Args:
        width: Width of the embed layer and of the output.
        pretrained: See `build_embed_v1`, as for the arguments that are not named here.
        depth: Layers of the context encoder.
        context: ``"cnn"`` (spaCy's MaxoutWindowEncoder), ``"bilstm"`` (`distillemb.BiLSTMEncoder.v1`), or
            ``"pretrained"``: the context layers that `pretrained` holds (see ``distillemb pretrain``), with the hashed
            `attrs` beside them; `depth` is not read then. ``"pretrained-cnn"``: the same with the words' vectors beside
            them, and spaCy's MaxoutWindowEncoder over it all.
        window_size: Words on each side that a layer of a CNN reads.
        maxout_pieces: Pieces of a layer of a CNN.

    Returns:
        A model that takes documents and gives float32 ``[len(doc), width]`` for each.

    Raises:
        DistillEmbError: A value is impossible.
    """
    if context not in _CONTEXTS:
        raise DistillEmbError(f"distillemb.Tok2Vec.v1: context is {context!r}: say {', '.join(_CONTEXTS)}.")
    if depth < 1 and context != "pretrained":
        raise DistillEmbError(f"distillemb.Tok2Vec.v1: depth is {depth}: give at least 1 layer.")
    if context.startswith("pretrained"):
        _check(width, dropout, grad_factor, cache_size)
        check_runtime(runtime)
        over = [MaxoutWindowEncoder(width, window_size, maxout_pieces, depth)] if context == "pretrained-cnn" else []
        shim = ContextShim(
            static_vectors=bool(over),
            freeze=freeze,
            lr_scale=grad_factor,
            dropout=dropout,
            cache_size=cache_size,
            runtime=runtime,
        )
        words = contextual_words(None if pretrained is None else str(pretrained), shim)
        states: Model[Any, Any] = chain(words, with_array(Linear(nO=width)))
        features = [_hashed_attributes(width, attrs, rows)] if attrs else []
        mixed: Model[Any, Any] = with_array(_maxout(width, width * (len(attrs or ()) + 1)))
        return _chained(width, concatenate(*features, states), mixed, ragged2list(), *over)
    embed = build_embed_v1(
        width,
        pretrained,
        freeze=freeze,
        dropout=dropout,
        grad_factor=grad_factor,
        attrs=attrs,
        rows=rows,
        cache_size=cache_size,
        runtime=runtime,
    )
    if context == "cnn":
        encode = MaxoutWindowEncoder(width, window_size, maxout_pieces, depth)
    else:
        encode = build_bilstm_encoder_v1(width, depth)
    tok2vec = _chained(width, embed, encode)
    tok2vec.set_ref("embed", embed)
    tok2vec.set_ref("encode", encode)
    return tok2vec


def _maxout(width: int, n_in: int | None) -> Model[Floats2d, Floats2d]:
    return Maxout(nO=width, nI=n_in, nP=_PIECES, dropout=0.0, normalize=True)


def _chained(width: int, *layers: Model[Any, Any]) -> Model[Any, Any]:
    """Chain layers from documents to arrays ``[len(doc), width]``; a batch without a token goes past them."""
    model: Model[Any, Any] = chain(*layers)
    return Model(model.name, _forward, init=model.init, layers=model.layers, dims={"nO": width})


def _forward(model: Model[Any, Any], docs: list[Doc], is_train: bool) -> tuple[list[Floats2d], Callable]:
    if any(len(doc) for doc in docs):
        return chain_forward(model, docs, is_train)
    return [model.ops.alloc2f(0, model.get_dim("nO")) for _ in docs], _no_gradient


def _no_gradient(gradient: list[Floats2d]) -> list[Doc]:
    return []


def _hashed_attributes(width: int, attrs: list[str | int], rows: list[int] | None) -> Model[list[Doc], Ragged]:
    """Build one hashed table for each attribute, joined: ``[tokens, width * len(attrs)]``."""
    rows = rows or [DEFAULT_ROWS] * len(attrs)
    unknown = [attr for attr in attrs if intify_attr(attr) is None]
    if unknown:
        raise DistillEmbError(
            f"distillemb.Embed.v1: attrs holds {unknown[0]!r}, which is not a token attribute: use NORM, PREFIX, ..."
        )
    if len(rows) != len(attrs) or min(rows) < 1:
        raise DistillEmbError(
            f"distillemb.Embed.v1: {len(attrs)} attrs and rows = {rows}: give one positive number of rows for each."
        )
    tables: list[Model[Any, Any]] = [
        HashEmbed(width, size, column=column, seed=_FIRST_SEED + column, dropout=0.0)
        for column, size in enumerate(rows)
    ]
    return chain(FeatureExtractor(attrs), list2ragged(), with_array(concatenate(*tables)))


def _check(width: int, dropout: float, grad_factor: float, cache_size: int) -> None:
    if width < 1:
        raise DistillEmbError(f"distillemb.Embed.v1: width is {width}: give a positive number such as 96.")
    if not 0 <= dropout < 1:
        raise DistillEmbError(f"distillemb.Embed.v1: dropout is {dropout}: give a share from 0 up to, not with, 1.")
    if grad_factor <= 0:
        raise DistillEmbError(
            f"distillemb.Embed.v1: grad_factor is {grad_factor}: give a positive share of the learning rate, or say "
            "freeze = true."
        )
    if cache_size < 0:
        raise DistillEmbError(f"distillemb.Embed.v1: cache_size is {cache_size}: give 0 (no cache) or more words.")
