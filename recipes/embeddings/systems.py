"""The systems of systems.yml: what they read, and how large it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import srsly
from numpy.typing import NDArray

from distillemb_plugins.errors import DistillEmbError, require
from distillemb_plugins.files import atomic_directory
from distillemb_plugins.locations import bundled, bundled_names
from distillemb_plugins.persistence import WEIGHTS_FILE
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.vectors import Floats

HERE = Path(__file__).resolve().parent
WORK = HERE / "training"
BUNDLED = "bundled"  # of the linear model alone: afro11

Lookup = Callable[[Sequence[str]], tuple[Floats, NDArray[np.bool_]]]  # vectors of words, and which words have one


@dataclass(frozen=True)
class System:
    """One way to embed words; see systems.yml."""

    embedding: str = "none"
    reads: str = ""
    grad_factor: float = 1.0


SYSTEMS = {name: System(**given) for name, given in srsly.read_yaml(HERE / "systems.yml").items()}
FASTTEXT, PPMI_SVD, FLORET, COMPRESSED, ENCODER, PPMI_SVD_ENCODER, RANDOM = (
    SYSTEMS[name].reads
    for name in ("static", "static-ppmi_svd", "floret", "compressed", "frozen", "frozen-ppmi_svd", "random")
)


def _ppmi_svd_lookup(path: Path) -> Lookup:
    """The row of a word, else that of its lower-case form: there are no n-grams."""
    table = load_teacher(path)
    return lambda words: table.lookup([word if word in table else word.lower() for word in words])


def _floret_lookup(path: Path) -> Lookup:
    import spacy

    vectors = spacy.load(path).vocab.vectors
    return lambda words: (np.asarray(vectors.get_batch(list(words)), np.float32), np.ones(len(words), dtype=bool))


def _compressed_lookup(path: Path) -> Lookup:
    model = require("compress_fasttext", "recipes").models.CompressedFastTextKeyedVectors.load(str(path))
    return lambda words: (np.array([model[word] for word in words], np.float32), np.ones(len(words), dtype=bool))


LOOKUPS: dict[str, Callable[[Path], Lookup]] = {  # of the systems with a table: what opens it
    "static": lambda path: load_teacher(path).lookup,
    "floret": _floret_lookup,
    "compressed": _compressed_lookup,
    "static-ppmi_svd": _ppmi_svd_lookup,
}
TABLES = tuple(LOOKUPS)
TAGGERS = ("joint", "refined")
COMMON = tuple(name for name in SYSTEMS if name not in TAGGERS)  # those of every task with tagged words
DISTILLED = ("frozen", "finetuned", "frozen-ppmi_svd", "finetuned-ppmi_svd")


def source(name: str, work: Path, seed: int = 0) -> Path:
    """What a system reads. Raises `DistillEmbError` when it is the encoder of a tagger that is not there."""
    path = work / SYSTEMS["frozen-afro11" if name == BUNDLED else name].reads.format(seed=seed)
    if path.name in bundled_names():
        return bundled(path.name)
    if name in TAGGERS and not path.is_dir():
        tagger = path.with_name(f"hf-{name}-fasttext-{seed}")
        if not tagger.is_dir():
            raise DistillEmbError(
                f"{tagger} is not there: train it with recipes/tagging (mode {name}, seed {seed}) and put it there."
            )
        from transformers import AutoTokenizer

        from distillemb_plugins.hf import DistillEmbForTokenClassification

        with atomic_directory(path) as folder:  # the encoder below the tagger's head
            DistillEmbForTokenClassification.from_pretrained(tagger).distillemb.save_pretrained(folder)
            AutoTokenizer.from_pretrained(tagger).save_pretrained(folder)
    return path


def embedding_bytes(name: str, work: Path, seed: int = 0) -> int:
    """Bytes of what a user of a system loads beside the pipeline's weights: the whole model, not a task's table."""
    if name != BUNDLED and not SYSTEMS.get(name, System()).reads:
        return 0
    path = source(name, work, seed)
    inside = "" if path.is_file() else "vocab/vectors" if name == "floret" else WEIGHTS_FILE
    return (path / inside).stat().st_size


def table_path(name: str, task: str, language: str, work: Path) -> Path:
    """A spaCy pipeline without components that holds a system's vectors of the words of a task in one language."""
    return work / "tables" / f"{task}-{language}-{name}"
