"""spaCy's textcat in arms that differ in the embedding alone (recipes/spacy_arms.py)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spacy

from distillemb_plugins.text import tokenize
from recipes import spacy_arms
from recipes.classification.scripts.arms import labels_of, scores, table_name

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from spacy.tokens import Doc
    from spacy.training import Example
    from spacy.vocab import Vocab

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "textcat.cfg"
EVALUATIONS = 6
# How the encoder learns here; chosen on dev (`classify.py choose`).
FINETUNE = {**spacy_arms.FINETUNE, "grad_factor": 1.0}


@spacy.registry.scorers("distillemb_recipes.weighted_f1.v1")
def make_weighted_f1() -> Callable[..., dict[str, float]]:
    """The scorer that chooses the checkpoint: spaCy's own scores would prefer the commonest class, or rare ones."""
    return weighted_f1


def weighted_f1(examples: Iterable[Example], **kwargs: Any) -> dict[str, float]:
    """``cats_weighted_f1``, from 0 to 1, of the likeliest classes."""
    from sklearn.metrics import f1_score

    pairs = [(likeliest(example.reference), likeliest(example.predicted)) for example in examples]
    gold, found = zip(*pairs, strict=True)
    return {"cats_weighted_f1": float(f1_score(gold, found, average="weighted", zero_division=0))}


def likeliest(doc: Doc) -> str:
    """The class with the highest score."""
    return max(doc.cats, key=doc.cats.__getitem__)


def run_textcat(
    dataset: DatasetDict,
    task: str,
    language: str,
    arm: str,
    seed: int,
    encoders: Path,
    updates: int,
    finetune: Mapping[str, Any] = FINETUNE,
) -> dict[str, Any]:
    """Train one pipeline, keep the best of its checkpoints by dev, and score it. finetune: how the encoder learns."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("train", "dev"):
            write_docs(dataset[name], Path(folder) / f"{name}.spacy")
        overrides = {
            "paths": {name: f"{folder}/{name}.spacy" for name in ("train", "dev")},
            "system": {"seed": seed},
            "training": {"max_steps": updates, "eval_frequency": max(1, updates // EVALUATIONS)},
        }
        config = spacy_arms.arm_config(CONFIG, arm, table_name(task, language), encoders, overrides, finetune)
        trained = spacy_arms.train_pipeline(config)
    row: dict[str, Any] = {"model_bytes": trained.bytes}
    if arm == "finetuned":
        row["grad_factor"] = finetune["grad_factor"]
    for name in ("dev", "test"):
        row |= scores(name, list(dataset[name]["label"]), predict(trained.nlp, dataset[name]))
    return row


def docs_of(split: Dataset, vocab: Vocab) -> Iterator[Doc]:
    """A text as a `Doc` of the words that every model sees, without the spaces between them."""
    from spacy.tokens import Doc

    for text in split["text"]:
        yield Doc(vocab, words=tokenize(text) or [" "])


def write_docs(split: Dataset, out: Path) -> None:
    """The texts with their classes, for ``spacy.Corpus.v1``."""
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    names = labels_of(split)
    box = DocBin(store_user_data=False)
    for doc, label in zip(docs_of(split, Vocab()), split["label"], strict=True):
        doc.cats = {name: float(number == label) for number, name in enumerate(names)}
        box.add(doc)
    box.to_disk(out)


def predict(nlp: Any, split: Dataset) -> list[int]:
    """The number of the likeliest class of each text."""
    number = {name: place for place, name in enumerate(labels_of(split))}
    docs = docs_of(split, nlp.vocab)
    with spacy_arms.numpy_products():
        return [number[likeliest(doc)] for doc in nlp.pipe(docs)]
