"""What the three models share: the tasks, the words' vectors of each arm, and the scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from distillemb_plugins import DistillEmb
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.text import tokenize
from distillemb_plugins.vectors import unit_rows
from recipes import spacy_arms

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

Floats = NDArray[np.float32]
Lookup = Callable[[Sequence[str]], Floats]

# Of the eleven languages those that each set has; AfriSenti's Tigrinya has no training texts.
TASK_LANGUAGES = {
    "afrisenti": ("amh", "hau", "ibo", "kin", "pcm", "swa", "yor"),
    "masakhanews": ("amh", "hau", "ibo", "lug", "pcm", "swa", "tir", "yor"),
    "nollysenti": ("hau", "ibo", "pcm", "yor"),
    "tir-sentiment": ("tir",),
    "tir-news": ("tir",),
}
# The arms of each model, weakest information first.
ARMS = {
    "linear": ("tf-idf", "static", "random", "bundled", "frozen"),
    "textcat": ("hash", "static", "random", "frozen", "finetuned"),
    "bilstm": ("static", "random", "frozen", "finetuned"),
}
DETERMINISTIC = {("linear", "tf-idf"), ("linear", "static"), ("linear", "bundled"), ("linear", "frozen")}
BUNDLED = "afro11"


def table_name(task: str, language: str) -> str:
    """The name under which `spacy_arms.word_tables` keeps the vectors of a task's words."""
    return f"{task}-{language}"


def check_arm(model: str, arm: str) -> None:
    """Raises `DistillEmbError` for an arm that a model does not have."""
    if arm not in ARMS[model]:
        raise DistillEmbError(f"The {model} model has no arm {arm}: choose from {', '.join(ARMS[model])}.")


def words_of(dataset: DatasetDict) -> list[str]:
    """The distinct words of all splits, as every model cuts the texts."""
    return sorted({word for split in dataset.values() for text in split["text"] for word in tokenize(text)})


def static_lookup(task: str, language: str, encoders: Path) -> Lookup:
    """fastText's vectors of a task's words, n-grams for unseen words; zeros where it has none.

    Raises `DistillEmbError` when the table was not made.
    """
    import spacy

    path = spacy_arms.table_path("static", table_name(task, language), encoders)
    if not path.is_dir():
        raise DistillEmbError(f"There is no table {path}: run the command prepare first.")
    nlp = spacy.load(path)

    def lookup(words: Sequence[str]) -> Floats:
        vectors = nlp.vocab.vectors
        rows = vectors.find(keys=[nlp.vocab.strings[word] for word in words])
        found = np.asarray(vectors.data)[np.maximum(rows, 0)].astype(np.float32)
        found[rows < 0] = 0
        return found

    return lookup


def encoder_lookup(path: str | Path) -> Lookup:
    """The vectors that an encoder directory (or a bundled encoder) computes."""
    encoder = DistillEmb.from_pretrained(path)
    return lambda words: encoder.encode(list(words))


def random_lookup(encoders: Path, seed: int) -> Lookup:
    """The vectors of the distilled encoder's architecture with weights drawn from `seed`."""
    import torch

    from distillemb_plugins.hf import DistillEmbConfig, DistillEmbModel, DistillEmbTokenizer

    path = spacy_arms.encoder_path(encoders)
    torch.manual_seed(seed)
    model = DistillEmbModel(DistillEmbConfig.from_pretrained(path, memory=None)).eval()
    characters = DistillEmbTokenizer.from_pretrained(path).characters

    def lookup(words: Sequence[str]) -> Floats:
        ids = torch.from_numpy(characters.encode(list(words)).astype(np.int64))
        with torch.inference_mode():
            return np.concatenate([model.encoder(rows).numpy() for rows in ids.split(1024)])

    return lookup


def lookup_of(arm: str, task: str, language: str, seed: int, encoders: Path) -> Lookup:
    """The word vectors of an arm, for a model that takes them as they are."""
    if arm == "static":
        return static_lookup(task, language, encoders)
    if arm == "random":
        return random_lookup(encoders, seed)
    return encoder_lookup(BUNDLED if arm == "bundled" else spacy_arms.encoder_path(encoders))


def mean_vectors(texts: Sequence[str], lookup: Lookup) -> Floats:
    """The mean of the words' vectors, each scaled to length 1: float32 ``[texts, dim]``; zeros without words."""
    sentences = [tokenize(text) for text in texts]
    distinct = sorted({word for sentence in sentences for word in sentence}) or [""]
    number = {word: row for row, word in enumerate(distinct)}
    vectors = unit_rows(np.asarray(lookup(distinct), dtype=np.float32))
    means = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    for row, sentence in enumerate(sentences):
        if sentence:
            means[row] = vectors[[number[word] for word in sentence]].mean(axis=0)
    return means


def embedding_bytes(arm: str, encoders: Path) -> int:
    """Bytes of what an arm loads to know its words, beside the model's own weights."""
    if arm == "bundled":
        return sum(int(tensor.nbytes) for tensor in _bundled_storage().values())
    return spacy_arms.embedding_bytes(arm, encoders)


def _bundled_storage() -> dict[str, Any]:
    from safetensors.numpy import load_file

    import distillemb_plugins

    folder = Path(distillemb_plugins.__file__).parent / "bundled" / BUNDLED
    return load_file(folder / "model.safetensors")


def labels_of(split: Dataset) -> list[str]:
    """The names of the classes, in the order of their numbers."""
    names: list[str] = split.features["label"].names
    return names


def scores(split: str, gold: Sequence[int], found: Sequence[int]) -> dict[str, float]:
    """Weighted F1, macro F1 and accuracy over all texts of a split, per cent."""
    from sklearn.metrics import accuracy_score, f1_score

    figures = {
        "f1": f1_score(gold, found, average="weighted", zero_division=0),
        "macro_f1": f1_score(gold, found, average="macro", zero_division=0),
        "accuracy": accuracy_score(gold, found),
    }
    return {f"{split}_{name}": round(100 * float(figure), 2) for name, figure in figures.items()}
