"""Logistic regression on the mean of the words' vectors, or on the words themselves (tf-idf)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillemb_plugins.text import tokenize
from distillemb_plugins.vectors import unit_rows
from recipes.classification.scripts.arms import lookup_of, mean_vectors, scores

if TYPE_CHECKING:
    from datasets import DatasetDict

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # C, the inverse of the regularisation
STRENGTHS_OF_WORDS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
ITERATIONS = 300


def run_linear(dataset: DatasetDict, task: str, language: str, arm: str, seed: int, encoders: Path) -> dict[str, Any]:
    """Fit one model for each C, keep the best on dev, and score it once on test."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = (
        _tf_idf(dataset) if arm == "tf-idf" else _averages(dataset, lookup_of(arm, task, language, seed, encoders))
    )
    gold = {name: list(split["label"]) for name, split in dataset.items()}
    best: tuple[float, Any, float] | None = None
    for strength in STRENGTHS_OF_WORDS if arm == "tf-idf" else STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features["train"], gold["train"])
        score = scores("dev", gold["dev"], model.predict(features["dev"]))["dev_f1"]
        if best is None or score > best[0]:
            best = (score, model, strength)
    assert best is not None
    row: dict[str, Any] = {"C": best[2]}
    for split in ("dev", "test"):
        row |= scores(split, gold[split], best[1].predict(features[split]))
    return row | {"model_bytes": int(best[1].coef_.nbytes)}


def _averages(dataset: DatasetDict, lookup: Any) -> dict[str, Any]:
    """Mean vectors, with the mean of the training texts taken away, at length 1, each value scaled to variance 1.

    (On the dev sets of three tasks better than the means as they are: short and long texts come to be alike.)
    """
    from sklearn.preprocessing import StandardScaler

    means = {name: mean_vectors(list(split["text"]), lookup) for name, split in dataset.items()}
    centre = means["train"].mean(axis=0)
    units = {name: unit_rows(rows - centre) for name, rows in means.items()}
    scaler = StandardScaler().fit(units["train"])
    return {name: scaler.transform(rows) for name, rows in units.items()}


def _tf_idf(dataset: DatasetDict) -> dict[str, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(tokenizer=tokenize, token_pattern=None, sublinear_tf=True)
    vectorizer.fit(dataset["train"]["text"])
    return {name: vectorizer.transform(split["text"]) for name, split in dataset.items()}
