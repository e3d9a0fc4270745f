"""A spaCy NER pipeline: words a second by the kind of its vectors, and the time of a training step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins import DistillEmb
from distillemb_plugins.data.sources import task_files
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.persistence import EncoderFiles, write_encoder
from distillemb_plugins.spacy_plugin.configs import build_config
from recipes.benchmark.fixtures import Sizes
from recipes.benchmark.lookups import floret_vectors
from recipes.benchmark.timing import Work, interleaved, ratio, row, spread, threads

LANGUAGES = ("swa", "amh")
_SEEN = 200  # examples that a pipeline is initialised with
BATCH_WORDS = 500  # words of a training step, as the recipe for NER has it
Rows = list[dict[str, Any]]
WITH_VECTORS = {"components.tok2vec.model.embed.include_static_vectors": True}
RATE = {"@schedules": "warmup_linear.v1", "warmup_steps": 50, "total_steps": 800, "initial_rate": 0.002}


def spacy_rows(files: EncoderFiles, data: Path, sizes: Sizes) -> Rows:
    """Prediction with four kinds of vectors and training with two embed layers, one thread, processor time."""
    with threads(1), tempfile.TemporaryDirectory() as folder:
        sentences = tagged(data, Path(folder), sizes.sentences)
        encoder = Path(folder) / "encoder"
        write_encoder(encoder, files.config, files.tensors, files.characters)
        return _prediction(encoder, sentences, sizes) + _training(encoder, sentences, sizes)


def tagged(data: Path, work: Path, count: int, part: str = "train") -> list[Any]:
    """`count` sentences of MasakhaNER in Swahili and Amharic, else of the package's sample."""
    from distillemb_plugins.sample import FOLDER
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    try:
        files = [task_files(data, "ner/masakhaner1", language)[part] for language in LANGUAGES]
    except DistillEmbError:
        files = [FOLDER / f"{language}-{part}.conll" for language in LANGUAGES]
    each = [list(ConllCorpus(file, limit=count // len(LANGUAGES)).sentences()) for file in files]
    return [sentence for language in each for sentence in language]


def to_examples(nlp: Any, sentences: list[Any]) -> list[Any]:
    """spaCy's examples of tagged sentences."""
    from spacy.tokens import Doc
    from spacy.training import Example

    def doc(sentence: Any, tags: list[str] | None) -> Doc:
        return Doc(nlp.vocab, words=sentence.words, spaces=sentence.spaces, ents=tags)

    return [Example(doc(each, None), doc(each, each.tags)) for each in sentences]


def pipeline(sentences: list[Any], changes: dict[str, Any], vectors: Callable[[Any], Any] | None = None) -> Any:
    """The package's NER pipeline with changes (dotted keys), initialized; vectors: makes those of the vocabulary."""
    from spacy.util import load_model_from_config

    config = build_config("ner", "none", {"training.optimizer.learn_rate": RATE, **changes})
    nlp = load_model_from_config(config.interpolate(), auto_fill=True)
    if vectors is not None:
        nlp.vocab.vectors = vectors(nlp)
    nlp.initialize(lambda: to_examples(nlp, sentences[:_SEEN]))
    return nlp


def _prediction(encoder: Path, sentences: list[Any], sizes: Sizes) -> Rows:
    words = sorted({word for sentence in sentences for word in sentence.words})
    computed = {"nlp.vectors": {"@vectors": "distillemb.Vectors.v1", "pretrained": str(encoder)}}
    pipelines = {
        "static table": pipeline(sentences, WITH_VECTORS, lambda nlp: _table(nlp, words, sizes.dim)),
        "floret": pipeline(sentences, WITH_VECTORS, lambda _: floret_vectors(sizes.buckets // 4, sizes.dim)),
        "distillemb": pipeline(sentences, {**WITH_VECTORS, **computed}),
        "none": pipeline(sentences, {}),
    }
    cases: dict[str, Work] = {name: _pipe(nlp, sentences) for name, nlp in pipelines.items()}
    cold = pipelines["distillemb"]
    cases["distillemb, cold cache"] = _pipe(cold, sentences, cold.vocab.vectors.encoder)
    rates = interleaved(cases, sizes.rounds)
    compared: list[tuple[str, str, dict[str, float]]] = [
        ("distillemb", "static table", {"at_least": 0.95}),
        ("distillemb", "floret", {"at_least": 1.0}),
        ("distillemb, cold cache", "static table", {}),
        ("distillemb, cold cache", "floret", {}),
        ("none", "static table", {}),
    ]
    return [
        row(
            "spaCy NER, prediction",
            f"{mine} against {other}",
            "times the words/s",
            ratio(rates[mine], rates[other]),
            words_per_second=round(rates[mine].median),
            **target,
        )
        for mine, other, target in compared
    ]


def _table(nlp: Any, words: list[str], dim: int) -> Any:
    from spacy.vectors import Vectors

    data = np.random.default_rng(0).normal(size=(len(words), dim)).astype(np.float32)
    return Vectors(strings=nlp.vocab.strings, data=data, keys=[nlp.vocab.strings.add(word) for word in words])


def _pipe(nlp: Any, sentences: list[Any], forgetful: DistillEmb | None = None) -> Work:
    """Tag all sentences. forgetful: an encoder whose cache is emptied first."""
    from spacy.tokens import Doc

    def work() -> int:
        if forgetful is not None:
            forgetful.cache_clear()
        docs = [Doc(nlp.vocab, words=sentence.words, spaces=sentence.spaces) for sentence in sentences]
        return sum(len(doc) for doc in nlp.pipe(docs))

    return work


def _training(encoder: Path, sentences: list[Any], sizes: Sizes) -> Rows:
    embed = {"@architectures": "distillemb.Embed.v1", "pretrained": str(encoder)}
    kept = {"width": 96, "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"], "rows": [5000, 1000, 2500, 2500]}
    kinds: dict[str, dict[str, Any]] = {
        "MultiHashEmbed": {},
        "Embed.v1, fine-tuned": {**embed, **kept},
        "Embed.v1, frozen": {**embed, **kept, "freeze": True},
    }
    cases = {}
    for name, block in kinds.items():
        changes = {"components.tok2vec.model.embed": block} if block else {}
        cases[name] = _steps(pipeline(sentences, changes), sentences)
    rates = interleaved(cases, sizes.rounds)
    yardstick = rates["MultiHashEmbed"]
    return [
        row(
            "spaCy NER, training step",
            name,
            "times the time of MultiHashEmbed",
            spread([its / mine for mine, its in zip(each.values, yardstick.values, strict=True)]),
            words_per_second=round(each.median),
            **({"at_most": 1.5} if name == "Embed.v1, fine-tuned" else {}),
        )
        for name, each in rates.items()
    ]


def _steps(nlp: Any, sentences: list[Any]) -> Work:
    """A few training steps of about 500 words each."""
    optimizer = nlp.create_optimizer()
    examples = to_examples(nlp, sentences)
    batches = in_batches(examples, BATCH_WORDS)[:8]

    def work() -> int:
        for batch in batches:
            nlp.update(batch, sgd=optimizer, drop=0.2)
        return sum(len(example) for batch in batches for example in batch)

    return work


def in_batches(examples: list[Any], words: int) -> list[list[Any]]:
    """Examples in batches of about so many words."""
    batches: list[list[Any]] = [[]]
    for example in examples:
        if sum(len(each) for each in batches[-1]) >= words:
            batches.append([])
        batches[-1].append(example)
    return batches
