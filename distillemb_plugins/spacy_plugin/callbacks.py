"""Callbacks of a config: computed vectors for a pipeline, and which library multiplies matrices."""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from spacy.language import Language
from thinc.api import Model, NumpyOps, get_current_ops, set_current_ops

from ..encoder import DistillEmb, Runtime
from ..errors import DistillEmbError
from .pretrained import read_pretrained, warn, warn_of_characters
from .vectors import DEFAULT_CACHE, DistillEmbVectors

WHERE = "distillemb.set_vectors.v1 ([initialize.before_init])"


def create_set_vectors(
    pretrained: str | Path | None, cache_size: int = DEFAULT_CACHE, attr: str = "ORTH", runtime: str = "numpy"
) -> Callable[[Language], Language]:
    """Build `distillemb.set_vectors.v1`, which calls `set_vectors` with these arguments."""

    def callback(nlp: Language) -> Language:
        if not any(node.name == "static_vectors" for _, node in _nodes(nlp)):
            warn(
                f"{WHERE}: no component reads the vectors, and training does not use them: set include_static_vectors "
                "= true in [components.tok2vec.model.embed], or in the block of another component."
            )
        set_vectors(nlp, pretrained, cache_size=cache_size, attr=attr, runtime=runtime, where=WHERE)
        encoder = cast(DistillEmbVectors, nlp.vocab.vectors).encoder
        warn_of_characters(encoder.files, WHERE)
        return nlp

    return callback


def create_numpy_matmul() -> Callable[[type[Language]], type[Language]]:
    """Build `distillemb.numpy_matmul.v1`, for ``[nlp] before_creation``.

    thinc then multiplies matrices with NumPy's BLAS in the place of its own, in every model of the process that is made
    from then on. That is faster on some processors. It is best on one thread (``OMP_NUM_THREADS=1``). On a GPU nothing
    changes.
    """

    def callback(nlp_class: type[Language]) -> type[Language]:
        if isinstance(get_current_ops(), NumpyOps):
            set_current_ops(NumpyOps(use_blis=False))
        return nlp_class

    return callback


def set_vectors(
    nlp: Language,
    pretrained: str | Path | DistillEmb | None,
    *,
    cache_size: int = DEFAULT_CACHE,
    attr: str = "ORTH",
    runtime: str = "numpy",
    where: str = "set_vectors",
) -> Language:
    """Give a pipeline the vectors of an encoder, so that it also saves and loads with them.

    Setting ``nlp.vocab.vectors`` alone is not enough: the pipeline's config decides what is loaded, so its
    ``[nlp.vectors]`` is set as well.

    Args:
        nlp: The pipeline. It is changed in place.
        pretrained: Encoder directory, bundled name, hub id, or an open encoder.
        cache_size: The most words whose vectors are kept, ``dim * 4`` bytes each.
        attr: The token attribute that is encoded: ORTH, or LOWER, NORM and so on.
        runtime: What computes the vectors: numpy, onnx, onnx-int8 or auto; see `DistillEmb.from_pretrained`. It is not
            read when `pretrained` is an open encoder.
        where: What the message of an error begins with.

    Returns:
        The pipeline.

    Raises:
        DistillEmbError: The encoder cannot be read, or a component was trained with vectors of another size.
    """
    if isinstance(pretrained, DistillEmb):
        encoder, runtime = pretrained, pretrained.requested_runtime
    else:
        files = read_pretrained(None if pretrained is None else str(pretrained), where)
        encoder = DistillEmb.from_files(files, cache_size, cast(Runtime, runtime))
    for component, size in trained_vector_sizes(nlp):
        if size != encoder.dim:
            raise DistillEmbError(
                f"{where}: the encoder's vectors have {encoder.dim} values, but [components.{component}] was trained "
                f"with vectors of {size}: give the encoder it was trained with, or train a new component."
            )
    nlp.vocab.vectors = DistillEmbVectors(
        strings=nlp.vocab.strings, encoder=encoder, cache_size=cache_size, attr=attr, runtime=runtime
    )
    nlp.config["nlp"]["vectors"] = {
        "@vectors": "distillemb.Vectors.v1",
        "pretrained": None,
        "cache_size": cache_size,
        "attr": attr,
        "runtime": runtime,
    }
    return nlp


def trained_vector_sizes(nlp: Language) -> Iterator[tuple[str, int]]:
    """Yield ``(component, size)`` for every layer that was trained with static vectors of that size."""
    for name, node in _nodes(nlp):
        if node.name == "static_vectors" and node.has_dim("nM"):
            yield name, node.get_dim("nM")


def _nodes(nlp: Language) -> Iterator[tuple[str, Model]]:
    for name, component in nlp.components:
        model = getattr(component, "model", None)
        for node in model.walk() if isinstance(model, Model) else ():
            yield name, node
