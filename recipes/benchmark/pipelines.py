"""A spaCy NER pipeline: words a second and F1 by the kind of its vectors, and the time of a training step."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from distillemb_plugins import DistillEmb
from distillemb_plugins.data.sources import task_files
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.persistence import write_encoder
from distillemb_plugins.spacy_plugin.configs import build_config
from recipes.benchmark.fixtures import Bench, random_rows
from recipes.benchmark.timing import Work, interleaved, ratio, row, threads
from recipes.results import Row

LANGUAGES = ("swa", "amh")
SEEN = 200  # examples that a pipeline is initialized with
BATCH_WORDS = 500  # words of a training step
DROPOUT = 0.2
WITH_VECTORS: Row = {"components.tok2vec.model.embed.include_static_vectors": True}
RATE = {"@schedules": "warmup_linear.v1", "warmup_steps": 50, "total_steps": 800, "initial_rate": 0.002}
EMBED = {"width": 96, "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"], "rows": [5000, 1000, 2500, 2500]}


def spacy_rows(bench: Bench) -> list[Row]:
    """Prediction with four kinds of vectors and training with two embed layers, one thread, processor time."""
    with threads(1), tempfile.TemporaryDirectory() as folder:
        sentences = tagged(bench.data, bench.sizes.sentences)
        encoder = Path(folder) / "encoder"
        write_encoder(encoder, bench.files.config, bench.files.tensors, bench.files.characters)
        return _prediction(encoder, sentences, bench) + _training(encoder, sentences, bench)


def tagged(data: Path, count: int, part: str = "train") -> list[Any]:
    """`count` sentences of MasakhaNER in Swahili and Amharic, else of the package's sample."""
    from distillemb_plugins.sample import FOLDER
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    try:
        files = [task_files(data, "ner/masakhaner1", language)[part] for language in LANGUAGES]
    except DistillEmbError:
        files = [FOLDER / f"{language}-{part}.conll" for language in LANGUAGES]
    return [one for file in files for one in ConllCorpus(file, limit=count // len(LANGUAGES)).sentences()]


def to_examples(nlp: Any, sentences: list[Any]) -> list[Any]:
    """spaCy's examples of tagged sentences."""
    from spacy.tokens import Doc
    from spacy.training import Example

    doc = partial(Doc, nlp.vocab)
    return [
        Example(doc(words=s.words, spaces=s.spaces), doc(words=s.words, spaces=s.spaces, ents=s.tags))
        for s in sentences
    ]


def in_batches(examples: list[Any]) -> list[list[Any]]:
    """Examples in batches of about 500 words."""
    batches: list[list[Any]] = [[]]
    for example in examples:
        if sum(map(len, batches[-1])) >= BATCH_WORDS:
            batches.append([])
        batches[-1].append(example)
    return batches


def pipeline(sentences: list[Any], changes: Row, vectors: Callable[[Any], Any] | None = None) -> Any:
    """The package's NER pipeline with changes (dotted keys), initialized; vectors: makes those of the vocabulary."""
    from spacy.util import load_model_from_config

    config = build_config("ner", "none", {"training.optimizer.learn_rate": RATE, **changes})
    nlp = load_model_from_config(config.interpolate(), auto_fill=True)
    if vectors is not None:
        nlp.vocab.vectors = vectors(nlp)
    nlp.initialize(lambda: to_examples(nlp, sentences[:SEEN]))
    return nlp


def floret_vectors(buckets: int, dim: int) -> Any:
    """A spaCy floret table with random rows: as fast as a trained one."""
    from spacy.strings import StringStore
    from spacy.vectors import Vectors

    floret: Row = {"mode": "floret", "minn": 4, "maxn": 5, "hash_count": 2, "name": "floret"}
    return Vectors(strings=StringStore(), data=random_rows(buckets, dim), **floret)


def _prediction(encoder: Path, sentences: list[Any], bench: Bench) -> list[Row]:
    from spacy.tokens import Doc
    from spacy.vectors import Vectors

    words, sizes = sorted({word for sentence in sentences for word in sentence.words}), bench.sizes
    computed = {"nlp.vectors": {"@vectors": "distillemb.Vectors.v1", "pretrained": str(encoder)}}

    def table(nlp: Any) -> Any:
        keys = [nlp.vocab.strings.add(word) for word in words]
        return Vectors(strings=nlp.vocab.strings, data=random_rows(len(words), sizes.dim), keys=keys)

    pipelines = {
        "static table": pipeline(sentences, WITH_VECTORS, table),
        "floret": pipeline(sentences, WITH_VECTORS, lambda _: floret_vectors(sizes.buckets // 4, sizes.dim)),
        "distillemb": pipeline(sentences, {**WITH_VECTORS, **computed}),
        "none": pipeline(sentences, {}),
    }

    def tag(nlp: Any, forgetful: bool = False) -> int:
        if forgetful:
            nlp.vocab.vectors.encoder.cache_clear()
        docs = [Doc(nlp.vocab, words=sentence.words, spaces=sentence.spaces) for sentence in sentences]
        return sum(len(doc) for doc in nlp.pipe(docs))

    cases: dict[str, Work] = {name: partial(tag, nlp) for name, nlp in pipelines.items()}
    cases["distillemb, cold cache"] = partial(tag, pipelines["distillemb"], forgetful=True)
    rates = interleaved(cases, sizes.rounds)
    section, unit, rows = "spaCy NER, prediction", "times the words/s", []
    for mine in ("distillemb", "distillemb, cold cache", "none"):
        for other, target in {"static table": 0.95, "floret": 1.0}.items():
            if (mine, other) != ("none", "floret"):
                more = {"at_least": target} if mine == "distillemb" else {}
                each, speed = ratio(rates[mine], rates[other]), round(statistics.median(rates[mine]))
                rows.append(row(section, f"{mine} against {other}", unit, each, words_per_second=speed, **more))
    return rows


def _training(encoder: Path, sentences: list[Any], bench: Bench) -> list[Row]:
    base = "MultiHashEmbed"
    ours = {"@architectures": "distillemb.Embed.v1", "pretrained": str(encoder), **EMBED}
    embed = {base: {}, "Embed.v1, fine-tuned": ours, "Embed.v1, frozen": {**ours, "freeze": True}}
    cases = {}
    for name, block in embed.items():
        nlp = pipeline(sentences, {"components.tok2vec.model.embed": block} if block else {})
        batches = in_batches(to_examples(nlp, sentences))[:8]
        cases[name] = partial(_update, nlp, batches, nlp.create_optimizer())
    rates = interleaved(cases, bench.sizes.rounds)
    times = {name: ratio(rates[base], each) for name, each in rates.items()}  # of a step, to the yardstick's
    section, unit = "spaCy NER, training step", f"times the time of {base}"
    more: dict[str, Row] = {name: {"words_per_second": round(statistics.median(each))} for name, each in rates.items()}
    more["Embed.v1, fine-tuned"]["at_most"] = 1.5
    return [row(section, name, unit, each, **more[name]) for name, each in times.items()]


def _update(nlp: Any, batches: list[list[Any]], optimizer: Any) -> int:
    for batch in batches:
        nlp.update(batch, sgd=optimizer, drop=DROPOUT)
    return sum(len(example) for batch in batches for example in batch)


def ner_scores(encoder: DistillEmb, forms: dict[str, DistillEmb], bench: Bench) -> dict[str, float]:
    """Dev F1 of each form in the vectors' place of one pipeline, which was trained with the vectors of `encoder`.

    spaCy's own NER with static vectors beside its hash embeddings, Swahili and Amharic together, corpus-level F1 in
    percent. The training is short, and the same for all: what counts is the difference between the forms.
    """
    from distillemb_plugins.spacy_plugin.vectors import DistillEmbVectors

    def vectors(form: DistillEmb) -> Callable[[Any], Any]:
        return lambda nlp: DistillEmbVectors(strings=nlp.vocab.strings, encoder=form)

    sentences, dev = (tagged(bench.data, bench.sizes.ner_sentences, part) for part in ("train", "dev"))
    nlp = pipeline(sentences, WITH_VECTORS, vectors(encoder))
    train(nlp, sentences, bench.sizes.ner_epochs)
    found = {}
    for name, form in forms.items():
        nlp.vocab.vectors = vectors(form)(nlp)
        found[name] = round(100 * float(nlp.evaluate(to_examples(nlp, dev))["ents_f"] or 0), 2)
    return found


def train(nlp: Any, sentences: list[Any], epochs: int) -> None:
    """Train a pipeline on tagged sentences, in another order each epoch."""
    optimizer, order, examples = nlp.create_optimizer(), random.Random(0), to_examples(nlp, sentences)
    for _ in range(epochs):
        order.shuffle(examples)
        for batch in in_batches(examples):
            _update(nlp, [batch], optimizer)
            optimizer.step_schedules()
