"""New labels for a pipeline that learns on: tags and morphological features; see `create_learn_new_labels`."""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from spacy.language import Language
from spacy.morphology import Morphology
from spacy.pipeline import Morphologizer, SentenceRecognizer, Tagger, TextCategorizer
from spacy.training import Example
from spacy.util import resolve_dot_names
from thinc.api import Model

from ..errors import DistillEmbError

_STREAMED = 100  # examples that are read where the corpus has no end, as spaCy does


def create_learn_new_labels() -> Callable[[Language], Language]:
    """Build `distillemb.learn_new_labels.v1`, for ``[initialize] before_init``.

    spaCy gives a component that learns on no new labels, and ends in a KeyError at the first one. This callback reads
    the training corpus, and adds the tags and features that the trained taggers and morphologizers do not know. Their
    rows of the output layer begin as zeros. (Entity recognizers take up new types by themselves.)
    `build_config(..., source=...)` sets it.

    Raises:
        DistillEmbError: A text has a class that a trained text classifier does not know.
    """

    def callback(nlp: Language) -> Language:
        config = nlp.config.interpolate()
        training = config["training"]
        trained = [pipe for name, pipe in nlp.components if name not in training["frozen_components"]]
        pipes = [pipe for pipe in trained if isinstance(pipe, Tagger | TextCategorizer) and pipe.labels]
        pipes = [pipe for pipe in pipes if not isinstance(pipe, SentenceRecognizer)]  # a tagger with labels of its own
        if not pipes:
            return nlp
        found: dict[str, set[str]] = {pipe.name: set() for pipe in pipes}
        (corpus,) = resolve_dot_names(config, [training["train_corpus"]])
        for example in islice(corpus(nlp), _STREAMED if training["max_epochs"] == -1 else None):
            for pipe in pipes:
                found[pipe.name].update(_labels(pipe, example))
        for pipe in pipes:
            if new := found[pipe.name].difference(pipe.labels):
                _add_labels(pipe, sorted(new))
        return nlp

    return callback


def _labels(pipe: Any, example: Example) -> Iterator[str]:
    """The labels of an example, as the component writes them."""
    if isinstance(pipe, TextCategorizer):
        yield from example.reference.cats
    elif isinstance(pipe, Morphologizer):  # which is a tagger too
        for token in example.reference:
            if token.pos_ or token.has_morph():
                features = Morphology.feats_to_dict(str(token.morph)) | ({"POS": token.pos_} if token.pos_ else {})
                yield pipe.vocab.strings[pipe.vocab.morphology.add(features)]
    else:
        yield from filter(None, (token.tag_ for token in example.reference))


def _add_labels(pipe: Any, new: list[str]) -> None:
    model: Model[Any, Any] = pipe.model
    if isinstance(pipe, TextCategorizer) and "resize_output" not in model.attrs:
        raise DistillEmbError(
            f"[components.{pipe.name}]: the training texts have classes {', '.join(new)}, which the trained pipeline "
            f"does not know. It knows {', '.join(pipe.labels)}. Use these, or train a new pipeline: distillemb config "
            "textcat without --source."
        )
    if isinstance(pipe, Tagger):
        _widen(model, len(new))
        model.attrs["resize_output"] = None  # that the component lets them in
    for label in new:
        pipe.add_label(label)
    if isinstance(pipe, Tagger):
        model.attrs.pop("resize_output", None)


def _widen(model: Model[Any, Any], more: int) -> None:
    """Give the output layer of a tagger more rows, of zeros."""
    layer = model.get_ref("output_layer")
    width = layer.get_dim("nO") + more
    old = {name: layer.get_param(name) for name in ("W", "b")}
    for name in old:
        layer.set_param(name, None)  # thinc changes no size of a layer that has weights
    for node in (node for node in model.walk() if layer in node.walk() and node.has_dim("nO")):
        node.set_dim("nO", width, force=True)
    for name, weights in old.items():
        wider = layer.ops.alloc((width, *weights.shape[1:]), dtype=weights.dtype)
        wider[: len(weights)] = weights
        layer.set_param(name, wider)
