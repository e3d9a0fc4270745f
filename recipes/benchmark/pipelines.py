"""A spaCy NER pipeline: words a second and F1 by the kind of its vectors, and the time of a training step."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from spacy.strings import StringStore
from spacy.tokens import Doc
from spacy.training.batchers import minibatch_by_words
from spacy.util import load_model_from_config
from spacy.vectors import Vectors as Table

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.data import task_files
from distillemb_plugins.sample import FOLDER
from distillemb_plugins.spacy_plugin import build_config
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.spacy_plugin.training import numpy_matmul
from distillemb_plugins.spacy_plugin.vectors import DistillEmbVectors
from recipes.benchmark.harness import Bench, Work, interleaved, random_rows, ratio_row, row, threads
from recipes.results import Row

LANGUAGES = ("swa", "amh")
BATCH_WORDS = 500  # of a training step
DROPOUT = 0.2
WITH_VECTORS: Row = {"components.tok2vec.model.embed.include_static_vectors": True}
RATE = {"@schedules": "warmup_linear.v1", "warmup_steps": 50, "total_steps": 800, "initial_rate": 0.002}
EMBED = {"width": 96, "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"], "rows": [5000, 1000, 2500, 2500]}
Vectors = Callable[[Any], Any]  # makes those of a pipeline's vocabulary


class Corpus:
    """Sentences of MasakhaNER in Swahili and Amharic, `count` together, else of the package's sample."""

    def __init__(self, bench: Bench, count: int, part: str = "train") -> None:
        try:
            files = [task_files(bench.data, "ner/masakhaner1", language)[part] for language in LANGUAGES]
        except DistillEmbError:
            files = [FOLDER / f"{language}-{part}.conll" for language in LANGUAGES]
        self.parts = [ConllCorpus(file, limit=count // len(LANGUAGES)) for file in files]
        self.sentences = [sentence for part in self.parts for sentence in part.sentences()]

    def examples(self, nlp: Any) -> list[Any]:
        """spaCy's examples."""
        return [example for part in self.parts for example in part(nlp)]

    def batches(self, nlp: Any, order: random.Random | None = None) -> list[list[Any]]:
        """Examples in batches of about 500 words, in the order of the sentences or in one that is drawn."""
        examples = self.examples(nlp)
        if order is not None:
            order.shuffle(examples)
        return list(minibatch_by_words(examples, BATCH_WORDS))

    def pipeline(self, changes: Row, vectors: Vectors | None = None) -> Any:
        """The package's NER pipeline with changes (dotted keys), initialized."""
        config = build_config("ner", "none", {"training.optimizer.learn_rate": RATE, **changes})
        nlp = load_model_from_config(config.interpolate(), auto_fill=True)
        if vectors is not None:
            nlp.vocab.vectors = vectors(nlp)
        nlp.initialize(lambda: self.examples(nlp))
        return nlp

    def tag(self, nlp: Any, forgetful: bool = False) -> int:
        """Tag all sentences; forgetful: from an empty cache of vectors on."""
        if forgetful:
            nlp.vocab.vectors.encoder.cache_clear()
        docs = [Doc(nlp.vocab, words=sentence.words, spaces=sentence.spaces) for sentence in self.sentences]
        return sum(len(doc) for doc in nlp.pipe(docs))


def computed(encoder: Path, **more: Any) -> Row:
    """What a config has for vectors that the encoder computes."""
    return {**WITH_VECTORS, "nlp.vectors": {"@vectors": "distillemb.Vectors.v1", "pretrained": str(encoder), **more}}


def embedded(encoder: Path, **more: Any) -> Row:
    """What a config has for the encoder in the place of the hash embeddings."""
    layer = {"@architectures": "distillemb.Embed.v1", "pretrained": str(encoder), **EMBED, **more}
    return {"components.tok2vec.model.embed": layer}


def random_table(rows: int, dim: int, words: Sequence[str] = ()) -> Any:
    """A spaCy table of words, or without words a floret table, with random rows: as fast as a trained one."""
    strings, floret = StringStore(words), {"mode": "floret", "minn": 4, "maxn": 5, "hash_count": 2, "name": "floret"}
    kind: Row = {"keys": [strings[word] for word in words]} if words else floret
    return Table(strings=strings, data=random_rows(rows, dim), **kind)


def spacy_rows(bench: Bench) -> list[Row]:
    """Prediction with four kinds of vectors and training with two embed layers, one thread, processor time."""
    with threads(1), tempfile.TemporaryDirectory() as folder:
        encoder, corpus = bench.write(Path(folder) / "encoder"), Corpus(bench, bench.sizes.sentences)
        return _prediction(encoder, corpus, bench) + _training(encoder, corpus, bench)


def _prediction(encoder: Path, corpus: Corpus, bench: Bench) -> list[Row]:
    words = sorted({word for sentence in corpus.sentences for word in sentence.words})
    tables = random_table(len(words), bench.dim, words), random_table(bench.sizes.buckets // 4, bench.dim)
    pipelines = {
        "static table": corpus.pipeline(WITH_VECTORS, lambda _: tables[0]),
        "floret": corpus.pipeline(WITH_VECTORS, lambda _: tables[1]),
        "distillemb": corpus.pipeline(computed(encoder)),
        "none": corpus.pipeline({}),
    }
    cases: dict[str, Work] = {name: partial(corpus.tag, nlp) for name, nlp in pipelines.items()}
    cases["distillemb, cold cache"] = partial(corpus.tag, pipelines["distillemb"], forgetful=True)
    rates, rows = interleaved(cases, bench.sizes.rounds), []
    for mine in ("distillemb", "distillemb, cold cache", "none"):
        for other, target in {"static table": 0.95, "floret": 1.0}.items():
            if (mine, other) != ("none", "floret"):
                more: Row = {"at_least": target} if mine == "distillemb" else {}
                name, unit = f"{mine} against {other}", "times the words/s"
                rows.append(ratio_row("spaCy NER, prediction", name, unit, rates[mine], rates[other], **more))
    return rows


def _training(encoder: Path, corpus: Corpus, bench: Bench) -> list[Row]:
    base, ours = "MultiHashEmbed", "Embed.v1, fine-tuned"
    changes = {base: {}, ours: embedded(encoder), "Embed.v1, frozen": embedded(encoder, freeze=True)}
    cases: dict[str, Work] = {}
    for name, change in changes.items():
        nlp = corpus.pipeline(change)
        cases[name] = partial(_update, nlp, corpus.batches(nlp)[:8], nlp.create_optimizer())
        cases[f"{name}, NumPy's products"] = numpy_matmul()(cases[name])
    rates, rows = interleaved(cases, bench.sizes.rounds), []
    for name, each in rates.items():
        times = [its / mine for its, mine in zip(rates[base], each, strict=True)]  # of a step
        more: Row = {"words_per_second": round(statistics.median(each)), **({"at_most": 1.5} if name == ours else {})}
        rows.append(row("spaCy NER, training step", name, f"times the time of {base}", times, **more))
    return rows


def _update(nlp: Any, batches: list[list[Any]], optimizer: Any, schedules: bool = False) -> int:
    for batch in batches:
        nlp.update(batch, sgd=optimizer, drop=DROPOUT)
        if schedules:
            optimizer.step_schedules()
    return sum(len(example) for batch in batches for example in batch)


def ner_scores(forms: Mapping[str, DistillEmb], bench: Bench) -> dict[str, float]:
    """Dev F1 of each form in the vectors' place of one pipeline, which was trained with the vectors of the first.

    spaCy's own NER with static vectors beside its hash embeddings, Swahili and Amharic together, corpus-level F1 in
    percent. The training is short, and the same for all: what counts is the difference between the forms.
    """

    def vectors(form: DistillEmb) -> Vectors:
        return lambda nlp: DistillEmbVectors(strings=nlp.vocab.strings, encoder=form)

    corpus, dev = (Corpus(bench, bench.sizes.ner_sentences, part) for part in ("train", "dev"))
    nlp = corpus.pipeline(WITH_VECTORS, vectors(next(iter(forms.values()))))
    train(nlp, corpus, bench.sizes.ner_epochs)
    found = {}
    for name, form in forms.items():
        nlp.vocab.vectors = vectors(form)(nlp)
        found[name] = round(100 * float(nlp.evaluate(dev.examples(nlp))["ents_f"] or 0), 2)
    return found


def train(nlp: Any, corpus: Corpus, epochs: int) -> None:
    """Train a pipeline on tagged sentences, in another order each epoch."""
    optimizer, order = nlp.create_optimizer(), random.Random(0)
    for _ in range(epochs):
        _update(nlp, corpus.batches(nlp, order), optimizer, schedules=True)
