"""The classifiers that are not spaCy's: logistic regression on averaged vectors, and the paper's BiLSTM."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler, normalize

from distillemb_plugins import DistillEmb
from distillemb_plugins.data import labels_of
from distillemb_plugins.finetune import FineTuneArguments, build_model, fine_tune, predict, random_encoder
from distillemb_plugins.finetune.table import table_model
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from distillemb_plugins.vectors import Floats, unit_rows
from recipes.embeddings.grid import ENCODER, Task, source, table_path, texts_of
from recipes.results import Row, needed
from recipes.tables import text_scores

Vectors = Callable[[Sequence[str]], Floats]
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # C, the inverse of the regularization
STRENGTHS_OF_WORDS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
ITERATIONS = 300
HIDDEN = 128  # units of the BiLSTM, each way


def vectors_of(task: Task, work: Path, run: Row) -> Vectors:
    """The vectors of a system; zeros for words that have none."""
    if run["system"] == "random":  # the encoder's architecture, with weights drawn from the seed
        return DistillEmb(random_encoder(read_encoder(work / ENCODER), run["seed"])).encode
    if run["system"] != "static":
        return DistillEmb.from_pretrained(source(run["system"], work)).encode
    path = table_path("static", task.name, run["language"], work)
    table = load_teacher(needed(path, "embeddings/prepare.py tables"))
    return lambda words: table.lookup(words)[0]


def mean_vectors(texts: Sequence[str], vectors: Vectors) -> Floats:
    """The mean of the words' vectors, each scaled to length 1: float32 ``[texts, dim]``; zeros without words."""
    counter = CountVectorizer(analyzer=tokenize)
    shares = normalize(counter.fit_transform(texts), "l1")  # of a text's words, float64 [texts, distinct words]
    units = unit_rows(np.asarray(vectors(list(counter.get_feature_names_out())), dtype=np.float32))
    return np.asarray(shares @ units, dtype=np.float32)


def run_linear(task: Task, data: Path, work: Path, run: Row) -> Row:
    """Fit one model for each C, keep the best on dev, and score it once on test."""
    dataset, _ = texts_of(data, task.name, run["language"])
    words_alone = run["system"] == "tf-idf"
    if words_alone:
        reader: Any = TfidfVectorizer(tokenizer=tokenize, token_pattern=None, sublinear_tf=True)
    else:  # centered and at length 1, better on dev than the means as they are: short and long texts become alike
        means = FunctionTransformer(mean_vectors, kw_args={"vectors": vectors_of(task, work, run)})
        reader = make_pipeline(means, StandardScaler(with_std=False), Normalizer(), StandardScaler())
    reader.fit(dataset["train"]["text"])
    features = {name: reader.transform(split["text"]) for name, split in dataset.items()}
    gold = {name: list(split["label"]) for name, split in dataset.items()}
    tried = []
    for strength in STRENGTHS_OF_WORDS if words_alone else STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features["train"], gold["train"])
        tried.append((text_scores("dev", gold["dev"], model.predict(features["dev"]))["dev_f1"], -strength, model))
    _, strength, model = max(tried, key=lambda one: one[:2])  # of equal ones the most regular
    row: Row = {"C": -strength, "model_bytes": int(model.coef_.nbytes)}
    for split in ("dev", "test"):
        row |= text_scores(split, gold[split], model.predict(features[split]))
    return row


def run_bilstm(task: Task, data: Path, work: Path, run: Row) -> Row:
    """The classifier of Mersha & Wu 2022 (section 4): word vectors, a BiLSTM, pooling, a linear layer.

    The best of the evaluations by dev is kept. The system `static` has a table in the place of the encoder, with a row
    for each word of the task, that does not learn.
    """
    dataset, _ = texts_of(data, task.name, run["language"])
    names, system = labels_of(dataset["train"]), run["system"]
    head: Row = {"tagger": False, "seed": run["seed"], "head": "bilstm", "head_hidden_size": HIDDEN}
    if system == "static":
        words = sorted(task.words(data, run["language"]))
        model, tokenizer = table_model(words, unit_rows(vectors_of(task, work, run)(words)), names, **head)
    else:
        head |= {"pretrained": system != "random", "freeze_encoder": system == "frozen"}
        encoder = work / ENCODER if system == "random" else source(system, work)
        model, tokenizer = build_model(encoder, names, **head)
    batches = math.ceil(len(dataset["train"]) / FineTuneArguments.per_device_train_batch_size)
    epochs = max(2, round(run["steps"] / batches))
    with tempfile.TemporaryDirectory() as folder:
        args = FineTuneArguments(folder, num_train_epochs=epochs, evaluations=task.evaluations, seed=run["seed"])
        result = fine_tune(model, tokenizer, dataset, args)
    row: Row = {"epochs": epochs, "model_bytes": sum(p.numel() * p.element_size() for p in result.model.parameters())}
    for split in ("dev", "test"):
        found = predict(result.model, tokenizer, dataset[split])
        row |= text_scores(split, dataset[split]["label"], [names.index(name) for name in found])
    return row
