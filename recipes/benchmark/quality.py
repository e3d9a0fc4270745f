"""What a fast or small form of the encoder changes: cosine, neighbors, and NER with the form in a trained pipeline."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillemb_plugins import DistillEmb
from distillemb_plugins.persistence import EncoderFiles
from distillemb_plugins.vectors import nearest, unit_rows
from recipes.benchmark.fixtures import Sizes
from recipes.benchmark.pipelines import BATCH_WORDS, WITH_VECTORS, in_batches, pipeline, tagged, to_examples

Forms = dict[str, DistillEmb]
_ASKED = 2000  # words whose neighbors are compared
_NEIGHBORS = 10
_DROPOUT = 0.2


def differences(files: EncoderFiles, forms: Forms, words: list[str]) -> dict[str, dict[str, float]]:
    """Of each form, against torch in float32: mean cosine, largest difference, shared ones of the 10 neighbors."""
    exact = torch_vectors(files, words)
    asked = np.random.default_rng(0).permutation(len(words))[:_ASKED]
    near = nearest(exact[asked], exact, _NEIGHBORS, exclude=asked)[0]
    found = {}
    for name, form in forms.items():
        vectors = form.encode(words)
        cosine = np.einsum("nd,nd->n", unit_rows(vectors), unit_rows(exact)).mean()
        pairs = zip(near, nearest(vectors[asked], vectors, _NEIGHBORS, exclude=asked)[0], strict=True)
        shared = np.mean([len(np.intersect1d(one, other)) / near.shape[1] for one, other in pairs])
        found[name] = {
            "cosine": round(float(cosine), 6),
            "largest_difference": float(f"{np.abs(vectors - exact).max():.2g}"),
            "neighbours_shared": round(float(shared), 4),
        }
    return found


def torch_vectors(files: EncoderFiles, words: list[str]) -> NDArray[np.float32]:
    """The vectors of the torch module in float32, ``[n, dim]``."""
    import torch

    from distillemb_plugins.hf.encoders_distillemb import build_encoder

    module = build_encoder(SimpleNamespace(**files.config)).eval()
    module.load_state_dict({name: torch.from_numpy(np.asarray(tensor)) for name, tensor in files.tensors.items()})
    rows = torch.from_numpy(files.characters.encode(words)).long()
    with torch.no_grad():
        vectors: NDArray[np.float32] = torch.cat([module(part) for part in rows.split(1024)]).numpy()
    return vectors


def ner_scores(encoder: DistillEmb, forms: Forms, data: Path, sizes: Sizes) -> dict[str, float]:
    """Dev F1 of each form in the vectors' place of one pipeline, which was trained with the vectors of `encoder`.

    spaCy's own NER with static vectors beside its hash embeddings, Swahili and Amharic together, corpus-level F1 in
    percent. The training is short, and the same for all: what counts is the difference between the forms.
    """
    from distillemb_plugins.spacy_plugin.vectors import DistillEmbVectors

    def vectors(form: DistillEmb) -> Callable[[Any], Any]:
        return lambda nlp: DistillEmbVectors(strings=nlp.vocab.strings, encoder=form)

    with tempfile.TemporaryDirectory() as folder:
        sentences, dev = (tagged(data, Path(folder), sizes.ner_sentences, part) for part in ("train", "dev"))
    nlp = pipeline(sentences, WITH_VECTORS, vectors(encoder))
    train(nlp, sentences, sizes.ner_epochs)
    found = {}
    for name, form in forms.items():
        nlp.vocab.vectors = vectors(form)(nlp)
        found[name] = round(100 * float(nlp.evaluate(to_examples(nlp, dev))["ents_f"] or 0), 2)
    return found


def train(nlp: Any, sentences: list[Any], epochs: int) -> None:
    """Train a pipeline on tagged sentences, in another order each epoch."""
    optimizer, order = nlp.create_optimizer(), random.Random(0)
    examples = to_examples(nlp, sentences)
    for _ in range(epochs):
        order.shuffle(examples)
        for batch in in_batches(examples, BATCH_WORDS):
            nlp.update(batch, sgd=optimizer, drop=_DROPOUT)
            optimizer.step_schedules()
