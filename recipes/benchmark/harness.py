"""What is measured on, and how: every case runs once a round, and is compared with the yardstick of its round."""

from __future__ import annotations

import gc
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from threadpoolctl import threadpool_limits

from distillemb_plugins import DistillEmb, Teacher, load_teacher
from distillemb_plugins.encoder import Runtime
from distillemb_plugins.persistence import EncoderFiles, write_encoder
from distillemb_plugins.quantization import STORAGES, Storage, dequantize, quantize
from distillemb_plugins.sample import LANGUAGES, raw_lines
from distillemb_plugins.text import tokenize
from recipes.results import Row

Work = Callable[[], int]  # does a piece of work and returns how many words (or examples) it was
Rates = dict[str, list[float]]  # what each case did in each round, per second
TEACHER = "teachers/afro11-fasttext.npz"
SETTINGS: Row = yaml.safe_load(Path(__file__).with_name("settings.yml").read_text("utf-8"))


@dataclass(frozen=True)
class Sizes:
    """How much is measured. words: distinct ones. tokens: of running text. rounds: interleaved repetitions."""

    words: int = 30_000
    tokens: int = 200_000
    rounds: int = 5
    published_words: int = 2_048
    teacher_words: int = 20_000
    seconds: float = 3.0
    sentences: int = 800
    table_rows: int = 200_000
    bulk_words: int = 200_000
    buckets: int = 200_000
    ner_sentences: int = 3000
    ner_epochs: int = 5


SIZES = {"full": Sizes(), "tiny": Sizes(300, 2000, 2, 128, 200, 0.1, 12, 500, 400, 1000, 12, 1)}


@dataclass(frozen=True)
class Bench:
    """What every part measures on: the data folder, the encoder, how much, and trained taggers if there are any."""

    data: Path
    files: EncoderFiles
    sizes: Sizes
    taggers: Path = Path()

    @property
    def dim(self) -> int:
        """Of the encoder, and of everything that it is compared with."""
        return int(self.files.config["dim"])

    @cached_property
    def words(self) -> list[str]:
        """Distinct words, the most frequent first: the African teachers', else made up from syllables."""
        file, count = self.data / TEACHER, self.sizes.words
        words = load_teacher(file, limit=count).words if file.is_file() else []
        return words if len(words) == count else made_up_words(count)

    @cached_property
    def teacher(self) -> Teacher:
        """A random table of the first words: it is learned as fast as a trained one."""
        count = self.sizes.teacher_words
        return Teacher("random", self.words[:count], random_rows(count, self.dim))

    def encoder(self, cache_size: int = 0, runtime: Runtime = "numpy", storage: Storage | None = None) -> DistillEmb:
        """The encoder as a user opens it, without a cache unless asked for; as it comes back from a storage."""
        files = self.files
        if storage:
            files = replace(files, tensors=dequantize(quantize(files.tensors, storage)))
        return DistillEmb.from_files(files, cache_size, runtime)

    @property
    def runtimes(self) -> dict[str, Runtime]:
        """NumPy, called "", and the optional runtimes that are installed and compute this encoder."""
        found: dict[str, Runtime] = {"": "numpy"}
        if self.files.config["encoder_type"] == "cnn" and installed("onnx", "onnxruntime"):
            found |= {"onnx": "onnx", "onnx-int8": "onnx-int8"}
        return found

    def forms(self, cache_size: int = 0) -> dict[str, DistillEmb]:
        """The encoder by every runtime that is there, and from every storage."""
        found = {name: self.encoder(cache_size, runtime) for name, runtime in self.runtimes.items()}
        return found | {one: self.encoder(cache_size, storage=one) for one in STORAGES if one != "float32"}

    def write(self, path: Path, storage: Storage = "float32") -> Path:
        """Write the encoder's directory."""
        return write_encoder(path, self.files.config, self.files.tensors, self.files.characters, storage=storage)

    def describe(self) -> str:
        """One phrase on the encoder for the tables."""
        memory = self.files.config.get("memory")
        held = f" with a memory of {memory['words']:,} words" if memory else ""
        return f"{self.files.config['encoder_type']}, {self.files.num_parameters:,} weights (trained){held}"


def made_up_words(count: int) -> list[str]:
    """Distinct words like the languages', drawn from the sample's text with prefixes and suffixes."""
    lines = (line for language in LANGUAGES for line in raw_lines(language, 1000))
    stems = dict.fromkeys(token for line in lines for token in tokenize(line) if token.isalpha())
    affixes = product(("", "ni", "na", "ji", "ው", "sha", "ka", "o"), repeat=2)
    made = (first + stem + last for first, last in affixes for stem in stems)
    return list(islice(dict.fromkeys(islice(made, 2 * count)), count))  # some are made twice


def running_text(words: list[str], tokens: int) -> list[str]:
    """Tokens drawn from words with Zipf's frequencies, the first word the most frequent."""
    weights = 1 / np.arange(1, len(words) + 1)
    places = np.random.default_rng(0).choice(len(words), tokens, p=weights / weights.sum())
    return [words[place] for place in places.tolist()]


def random_rows(count: int, dim: int) -> Any:
    """A table of random vectors, float32."""
    return np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)


def installed(*modules: str) -> bool:
    """Whether libraries are there."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let NumPy's matrix products and torch use `count` threads, and put things back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def interleaved(cases: Mapping[str, Work], rounds: int, *, processor_time: bool = True) -> Rates:
    """Run all cases once a round, one after another, after a round to warm up; the rates by name.

    processor_time: per second of this process's processor time instead of the clock's: right for one thread, and
    untouched by what else the machine does.
    """
    clock = time.process_time if processor_time else time.perf_counter
    rates: Rates = {name: [] for name in cases}
    gc.collect()
    gc.freeze()  # what is there before is not searched again
    for round_number in range(rounds + 1):
        for name, work in cases.items():
            gc.collect()
            start = clock()
            done = work()
            seconds = clock() - start
            if round_number:
                rates[name].append(done / max(seconds, 1e-9))
    gc.unfreeze()
    return rates


def row(section: str, name: str, unit: str, values: Sequence[float], **more: Any) -> Row:
    """A line of the results file, with the median and the quartiles of the values (of two, their range).

    more: ``at_least`` or ``at_most`` for a target, and whatever describes the case.
    """
    several = len(values) > 1
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if several else [values[0]] * 3
    met = median >= more["at_least"] if "at_least" in more else median <= more["at_most"] if "at_most" in more else None
    rounded = {name: float(f"{value:.4g}") for name, value in {"median": median, "low": low, "high": high}.items()}
    return {"section": section, "name": name, "unit": unit, **rounded, "met": met, **more}


def ratio_row(
    section: str, name: str, unit: str, mine: Sequence[float], base: Sequence[float], speed: str = "words_per_second",
    **more: Any,
) -> Row:  # fmt: skip
    """A line that says how many times the yardstick's rate, compared round by round, and the rate itself."""
    ratios = [one / other for one, other in zip(mine, base, strict=True)]
    return row(section, name, unit, ratios, **{speed: round(statistics.median(mine))}, **more)
