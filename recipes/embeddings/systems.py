"""The systems: ways to embed a word in spaCy pipelines that are otherwise equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from distillemb_plugins.errors import DistillEmbError, require
from distillemb_plugins.files import atomic_directory
from distillemb_plugins.locations import bundled, bundled_names
from distillemb_plugins.persistence import WEIGHTS_FILE, resolve
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.vectors import Floats

HERE = Path(__file__).resolve().parent
WORK = HERE / "training"
# What the systems read, in the working folder.
FASTTEXT = "afro11-fasttext.bin"
PPMI_SVD = "afro11-ppmi_svd.npz"
FLORET = "afro11-floret"
COMPRESSED = "afro11-compressed.bin"
BUNDLED = "bundled"  # of the linear model alone
ENCODER, RANDOM, PPMI_SVD_ENCODER = "afro11-encoder", "afro11-random", "afro11-ppmi_svd-encoder"

Lookup = Callable[[Sequence[str]], tuple[Floats, NDArray[np.bool_]]]  # vectors of words, and which words have one


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


@dataclass(frozen=True)
class System:
    """One way to embed words; grad_factor: how fast the encoder learns, as a share of the pipeline's rate (NER)."""

    name: str
    embedding: str = "none"  # as `build_config` names it: also "static" (an encoder's vectors), "trainable", "context"
    reads: str = ""  # in the working folder, or the name of a bundled encoder; "{seed}" stands for the seed of the run
    lookup: Callable[[Path], Lookup] | None = None  # opens what a system with a table of vectors reads
    grad_factor: float = 1.0


SYSTEMS = {
    system.name: system
    for system in (
        System("hash"),
        # What comes with the package.
        System("frozen-afro11", "static", "afro11"),
        System("finetuned-afro11", "trainable", "afro11", grad_factor=0.3),
        System("finetuned-afro11-context", "context", "afro11-context", grad_factor=0.3),
        System("static", reads=FASTTEXT, lookup=lambda path: load_teacher(path).lookup),
        System("floret", reads=FLORET, lookup=_floret_lookup),
        System("compressed", reads=COMPRESSED, lookup=_compressed_lookup),
        System("random", "trainable", RANDOM),  # needs the full rate
        System("frozen", "static", ENCODER),
        System("finetuned", "trainable", ENCODER, grad_factor=0.1),
        System("static-ppmi_svd", reads=PPMI_SVD, lookup=_ppmi_svd_lookup),
        System("frozen-ppmi_svd", "static", PPMI_SVD_ENCODER),
        System("finetuned-ppmi_svd", "trainable", PPMI_SVD_ENCODER, grad_factor=0.3),
        # The encoders of taggers of all languages at once, which recipes/tagging trains.
        System("joint", "trainable", "joint-encoder-{seed}", grad_factor=0.1),
        System("refined", "trainable", "refined-encoder-{seed}", grad_factor=0.1),
    )
}
TABLES = tuple(name for name, system in SYSTEMS.items() if system.lookup)
TAGGERS = ("joint", "refined")
COMMON = tuple(name for name in SYSTEMS if name not in TAGGERS)  # those of every task with tagged words
DISTILLED = ("frozen", "finetuned", "frozen-ppmi_svd", "finetuned-ppmi_svd")


def source(name: str, work: Path, seed: int = 0) -> Path:
    """What a system reads. Raises `DistillEmbError` when it is the encoder of a tagger that is not there."""
    path = work / SYSTEMS[name].reads.format(seed=seed)
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
    if name == BUNDLED:
        return sum(int(tensor.nbytes) for tensor in load_file(resolve("afro11") / WEIGHTS_FILE).values())
    if name not in SYSTEMS or not SYSTEMS[name].reads:
        return 0
    path = source(name, work, seed)
    inside = "" if path.is_file() else "vocab/vectors" if name == "floret" else WEIGHTS_FILE
    return (path / inside).stat().st_size


def table_path(name: str, task: str, language: str, work: Path) -> Path:
    """A spaCy pipeline without components that holds a system's vectors of the words of a task in one language."""
    return work / "tables" / f"{task}-{language}-{name}"
