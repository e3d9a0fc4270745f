"""What is measured on: words and text of the shared data (or of the package's sample), and encoders."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from distillemb_plugins import CharTable, DistillEmb, DistillEmbError, Teacher, load_teacher
from distillemb_plugins.encoder import Runtime
from distillemb_plugins.persistence import EncoderFiles, read_encoder, resolve

TEACHER = "teachers/afro11-fasttext.npz"
BUNDLED = "afro11"
_BEFORE = ["", "a", "ku", "wa", "m", "በ", "ye", "n"]
_AFTER = ["", "ni", "na", "ji", "ው", "sha", "ka", "o"]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. words: distinct ones. tokens: of running text. rounds: interleaved repetitions."""

    words: int = 30_000
    tokens: int = 200_000
    rounds: int = 5
    published_words: int = 2_048
    dim: int = 300
    teacher_words: int = 20_000
    seconds: float = 3.0
    sentences: int = 800
    table_rows: int = 200_000
    bulk_words: int = 200_000
    buckets: int = 200_000
    ner_sentences: int = 3000
    ner_epochs: int = 5


SIZES = {
    "full": Sizes(),
    "tiny": Sizes(300, 2000, 2, 128, 24, 200, 0.1, 12, 500, 400, 1000, 12, 1),
}


def read_words(data: Path, count: int) -> list[str]:
    """`count` distinct words, the most frequent first: the African teachers', else made up from syllables."""
    if (data / TEACHER).is_file():
        words = load_teacher(data / TEACHER, limit=count).words
        if len(words) == count:
            return words
    return made_up_words(count)


def made_up_words(count: int) -> list[str]:
    """Distinct words like the languages', drawn from the sample's text with prefixes and suffixes."""
    from distillemb_plugins.sample import LANGUAGES, raw_lines
    from distillemb_plugins.text import tokenize

    lines = (line for language in LANGUAGES for line in raw_lines(language, 1000))
    stems = dict.fromkeys(token for line in lines for token in tokenize(line) if token.isalpha())
    found = dict.fromkeys(b + s + a + c for c in _AFTER for a in _AFTER for b in _BEFORE for s in stems)
    if len(found) < count:
        raise DistillEmbError(f"The sample makes {len(found)} words, {count} are asked for: give --data DIR.")
    return list(islice(found, count))


def running_text(words: list[str], tokens: int, seed: int = 0) -> list[str]:
    """Tokens drawn from words with Zipf's frequencies, the first word the most frequent."""
    weights = 1 / np.arange(1, len(words) + 1)
    places = np.random.default_rng(seed).choice(len(words), tokens, p=weights / weights.sum())
    return [words[place] for place in places.tolist()]


def read_teacher(data: Path, words: int, dim: int) -> Teacher:
    """The first words of the African fastText table, else a random table of made-up words."""
    if (data / TEACHER).is_file():
        return load_teacher(data / TEACHER, limit=words)
    vectors = np.random.default_rng(0).normal(size=(words, dim)).astype(np.float32)
    return Teacher("random", made_up_words(words), vectors)


def open_encoder(name: str | None, words: list[str], dim: int) -> EncoderFiles:
    """The encoder asked for; else the bundled one; else a default `cnn` with random weights."""
    if name:
        return read_encoder(name)
    try:
        return read_encoder(resolve(BUNDLED))
    except DistillEmbError:
        return random_encoder("cnn", words, dim)


def describe(files: EncoderFiles) -> str:
    """One phrase on an encoder for the tables."""
    memory = files.config.get("memory")
    held = f" with a memory of {memory['words']:,} words" if memory else ""
    weights = "random weights" if files.path is None else "trained"
    network = sum(tensor.size for name, tensor in files.tensors.items() if not name.startswith("memory."))
    return f"{files.config['encoder_type']}, {network:,} weights ({weights}){held}"


def random_encoder(kind: str, words: list[str], dim: int) -> EncoderFiles:
    """An encoder of the published or default sizes with random weights: as fast as a trained one."""
    import torch

    from distillemb_plugins.hf.configuration_distillemb import ALIGNMENTS, DistillEmbConfig
    from distillemb_plugins.hf.encoders_distillemb import build_encoder

    align: Any = ALIGNMENTS[kind]
    characters = CharTable.learn(words, max_chars=13 if kind.startswith("distillemb") else 16, align=align)
    config = DistillEmbConfig(
        encoder_type=kind, dim=dim, vocab_size=len(characters), max_chars=characters.max_chars
    ).to_dict()
    torch.manual_seed(0)
    tensors = {name: tensor.numpy() for name, tensor in build_encoder(SimpleNamespace(**config)).state_dict().items()}
    return EncoderFiles(config, tensors, characters)


def without_memory(files: EncoderFiles) -> EncoderFiles:
    """The network alone."""
    tensors = {name: tensor for name, tensor in files.tensors.items() if not name.startswith("memory.")}
    return replace(files, config={**files.config, "memory": None}, tensors=tensors)


def with_memory(files: EncoderFiles, words: list[str]) -> EncoderFiles:
    """The encoder with its memory; when it has none, with a random one of these words, for the time it takes."""
    from distillemb_plugins.distill import fit_residual_codebook

    if files.config.get("memory"):
        return files
    noise = np.random.default_rng(0).normal(size=(len(words), files.config["dim"])).astype(np.float32)
    return fit_residual_codebook(files, Teacher("random", words, noise), len(words), codes=8)


def encoder_of(files: EncoderFiles, cache_size: int = 0, runtime: Runtime = "numpy") -> DistillEmb:
    """The encoder as a user opens it; without a cache unless asked for."""
    return DistillEmb.from_files(files, cache_size, runtime)


def runtimes(files: EncoderFiles) -> tuple[Runtime, ...]:
    """The optional runtimes that are installed and compute this encoder."""
    there = files.config["encoder_type"] == "cnn" and installed("onnx", "onnxruntime")
    return ("onnx", "onnx-int8") if there else ()


def installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)
