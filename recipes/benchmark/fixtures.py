"""What is measured on: words and text of the shared data (or of the package's sample), and encoders."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from functools import cached_property
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


SIZES = {"full": Sizes(), "tiny": Sizes(300, 2000, 2, 128, 24, 200, 0.1, 12, 500, 400, 1000, 12, 1)}


@dataclass(frozen=True)
class Bench:
    """What every part measures on: the data folder, the encoder, and how much."""

    data: Path
    files: EncoderFiles
    sizes: Sizes

    @cached_property
    def words(self) -> list[str]:
        """Distinct words, the most frequent first: the African teachers', else made up from syllables."""
        return read_words(self.data, self.sizes.words)

    @cached_property
    def teacher(self) -> Teacher:
        """The first words of the African fastText table, else a random table of made-up words."""
        count = self.sizes.teacher_words
        if (self.data / TEACHER).is_file():
            return load_teacher(self.data / TEACHER, limit=count)
        return Teacher("random", made_up_words(count), random_rows(count, self.sizes.dim))


def open_bench(data: Path, encoder: str, sizes: Sizes) -> Bench:
    """Open the encoder asked for; else the bundled one; else a default `cnn` with random weights."""
    try:
        files = read_encoder(encoder or resolve(BUNDLED))
    except DistillEmbError:
        if encoder:
            raise
        files = random_encoder("cnn", read_words(data, sizes.words), sizes.dim)
    return Bench(data, files, replace(sizes, dim=files.config["dim"]))


def read_words(data: Path, count: int) -> list[str]:
    """The first words of the African teachers, else made-up ones."""
    words = load_teacher(data / TEACHER, limit=count).words if (data / TEACHER).is_file() else []
    return words if len(words) == count else made_up_words(count)


def made_up_words(count: int) -> list[str]:
    """Distinct words like the languages', drawn from the sample's text with prefixes and suffixes."""
    from distillemb_plugins.sample import LANGUAGES, raw_lines
    from distillemb_plugins.text import tokenize

    before, after = ("", "a", "ku", "wa", "m", "በ", "ye", "n"), ("", "ni", "na", "ji", "ው", "sha", "ka", "o")
    lines = (line for language in LANGUAGES for line in raw_lines(language, 1000))
    stems = dict.fromkeys(token for line in lines for token in tokenize(line) if token.isalpha())
    found = dict.fromkeys(b + s + a + c for c in after for a in after for b in before for s in stems)
    if len(found) < count:
        raise DistillEmbError(f"The sample makes {len(found)} words, {count} are asked for: give --data DIR.")
    return list(islice(found, count))


def running_text(words: list[str], tokens: int) -> list[str]:
    """Tokens drawn from words with Zipf's frequencies, the first word the most frequent."""
    weights = 1 / np.arange(1, len(words) + 1)
    places = np.random.default_rng(0).choice(len(words), tokens, p=weights / weights.sum())
    return [words[place] for place in places.tolist()]


def random_rows(count: int, dim: int) -> Any:
    """A table of random vectors, float32."""
    return np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)


def random_encoder(kind: str, words: list[str], dim: int) -> EncoderFiles:
    """An encoder of the published or default sizes with random weights: as fast as a trained one."""
    import torch

    from distillemb_plugins.hf.configuration_distillemb import ALIGNMENTS, DistillEmbConfig
    from distillemb_plugins.hf.encoders_distillemb import build_encoder

    align: Any = ALIGNMENTS[kind]
    characters = CharTable.learn(words, max_chars=13 if kind.startswith("distillemb") else 16, align=align)
    sizes: dict[str, Any] = {"dim": dim, "vocab_size": len(characters), "max_chars": characters.max_chars}
    config = DistillEmbConfig(encoder_type=kind, **sizes).to_dict()
    torch.manual_seed(0)
    tensors = {name: tensor.numpy() for name, tensor in build_encoder(SimpleNamespace(**config)).state_dict().items()}
    return EncoderFiles(config, tensors, characters)


def describe(files: EncoderFiles) -> str:
    """One phrase on an encoder for the tables."""
    memory = files.config.get("memory")
    held = f" with a memory of {memory['words']:,} words" if memory else ""
    weights = "random weights" if files.path is None else "trained"
    return f"{files.config['encoder_type']}, {files.num_parameters:,} weights ({weights}){held}"


def encoder_of(files: EncoderFiles, cache_size: int = 0, runtime: Runtime = "numpy") -> DistillEmb:
    """The encoder as a user opens it; without a cache unless asked for."""
    return DistillEmb.from_files(files, cache_size, runtime)


def runtimes(files: EncoderFiles) -> tuple[Runtime, ...]:
    """NumPy, and the optional runtimes that are installed and compute this encoder."""
    there = files.config["encoder_type"] == "cnn" and installed("onnx", "onnxruntime")
    return ("numpy", "onnx", "onnx-int8") if there else ("numpy",)


def installed(*modules: str) -> bool:
    """Whether libraries are there."""
    return all(importlib.util.find_spec(module) is not None for module in modules)
