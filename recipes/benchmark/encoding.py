"""Words a second: our encoder, its storages and its memory, the table, and the rivals, to the published way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from distillemb_plugins import DistillEmb
from distillemb_plugins.encoder import Runtime
from distillemb_plugins.inference.students import RUNTIMES
from distillemb_plugins.persistence import EncoderFiles
from distillemb_plugins.quantization import Storage, dequantize, quantize
from recipes.benchmark.fixtures import (
    Sizes,
    encoder_of,
    random_encoder,
    running_text,
    runtimes,
    with_memory,
    without_memory,
)
from recipes.benchmark.lookups import Encode, rivals, table_lookup
from recipes.benchmark.published import WORDS_A_CALL, published_encoder
from recipes.benchmark.quality import differences, ner_scores
from recipes.benchmark.timing import Work, interleaved, ratio, row, spread, threads

PUBLISHED = "published way"
_CALLS = 20
TEXT_CALL = 4096  # tokens a call in running text: some hundred sentences
Rows = list[dict[str, Any]]


def word_rows(files: EncoderFiles, words: list[str], sizes: Sizes, thread_count: int, data: Path) -> Rows:
    """Distinct words, running text and rivals as ratios to the published way, `thread_count` threads.

    With one thread, the fast and small forms also say what they change; data: where the NER sentences are.
    """
    half = len(words) // 2
    seen, unseen = words[:half], words[half:]
    cases, alone = _cases(files, words, unseen, sizes), thread_count == 1
    for name, encode in rivals(seen, sizes.dim, sizes.buckets).items() if alone else ():
        cases[name] = distinct(encode, unseen[: max(512, sizes.published_words)])
    with threads(thread_count):
        rates = interleaved(cases, sizes.rounds, processor_time=alone)
        changes = _changes(files, unseen, data, sizes) if alone else {}
    section = f"words, {thread_count} thread" + ("s" if thread_count > 1 else "")
    return [
        row(
            section,
            name,
            "times the published way",
            ratio(each, rates[PUBLISHED]),
            words_per_second=round(each.median),
            **changes.get(name, {}),
            **(_target(name) if alone else {}),
        )
        for name, each in rates.items()
    ]


DISTINCT, COLD, WARM = "distinct words", "running text, cold cache", "running text, warm cache"
MEMORY, NETWORK = "distinct words, network and memory", "distinct words, network alone"
_TARGETS: dict[str, float] = {DISTINCT: 10, NETWORK: 10, COLD: 60, WARM: 300}


def by(name: str, runtime: Runtime) -> str:
    """The name of an case that another runtime computes."""
    return name if runtime == "numpy" else f"{name}, {runtime}"


def _target(name: str) -> dict[str, float]:
    """A target holds for every runtime."""
    for runtime in RUNTIMES:
        name = name.removesuffix(f", {runtime}")
    return {"at_least": _TARGETS[name]} if name in _TARGETS else {}


def _cases(files: EncoderFiles, words: list[str], unseen: list[str], sizes: Sizes) -> dict[str, Work]:
    text = running_text(words, sizes.tokens)
    warm = encoder_of(files, cache_size=len(words))
    warm.encode(text)
    same = encoder_of(random_encoder("distillemb-small", words, sizes.dim))
    few = unseen[: sizes.published_words]
    return {
        PUBLISHED: distinct(published_encoder(words, sizes.dim), few),
        "distillemb-small in NumPy": distinct(same.encode, few),
        **_by_runtime(files, words, unseen, text),
        MEMORY: distinct(encoder_of(with_memory(files, words)).encode, unseen),
        **{f"distinct words, {kind}": distinct(encoder_of(stored(files, kind)).encode, unseen) for kind in _STORED},
        WARM: lambda: in_calls(warm.encode, text, TEXT_CALL),
        "running text, warm cache, 512 words a call": lambda: in_calls(warm.encode, text, WORDS_A_CALL),
        "table lookup": partial(in_calls, table_lookup(words, sizes.dim), text, TEXT_CALL),
    }


def _by_runtime(files: EncoderFiles, words: list[str], unseen: list[str], text: list[str]) -> dict[str, Work]:
    cases: dict[str, Work] = {}
    for runtime in ("numpy", *runtimes(files)):
        cases[by(DISTINCT, runtime)] = distinct(encoder_of(files, runtime=runtime).encode, unseen)
        cases[by(NETWORK, runtime)] = distinct(encoder_of(without_memory(files), runtime=runtime).encode, unseen)
        cases[by(COLD, runtime)] = partial(cold, encoder_of(files, len(words), runtime), text)
    return cases


def cold(encoder: DistillEmb, text: list[str]) -> int:
    """Running text from an empty cache on."""
    encoder.cache_clear()
    return in_calls(encoder.encode, text, TEXT_CALL)


_STORED: tuple[Storage, ...] = ("float16", "int8")


def stored(files: EncoderFiles, storage: Storage) -> EncoderFiles:
    """The encoder as it comes back from that storage."""
    return replace(files, tensors=dequantize(quantize(files.tensors, storage)))


def distinct(encode: Encode, words: list[str]) -> Work:
    def work() -> int:
        encode(words)
        return len(words)

    return work


def in_calls(encode: Encode, words: list[str], size: int) -> int:
    for start in range(0, len(words), size):
        encode(words[start : start + size])
    return len(words)


def _changes(files: EncoderFiles, words: list[str], data: Path, sizes: Sizes) -> dict[str, dict[str, float]]:
    """What each fast or small form changes against float32, by the name of its case."""
    size = len(words)
    forms = {by(DISTINCT, runtime): encoder_of(files, size, runtime) for runtime in ("numpy", *runtimes(files))}
    forms |= {f"distinct words, {kind}": encoder_of(stored(files, kind), size) for kind in _STORED}
    found = differences(files, forms, words)
    for name, score in ner_scores(forms[DISTINCT], forms, data, sizes).items():
        found[name]["ner_f1"] = score
    return found


def one_word_rows(files: EncoderFiles, words: list[str], sizes: Sizes) -> Rows:
    """Microseconds of processor time from call to result for a single word, warm and cold; one thread."""
    few = words[-min(2000, len(words)) :]
    with threads(1):
        warm = encoder_of(files, cache_size=len(words))
        warm.encode(few)
        each = {"warm": list(_microseconds(warm, few))}
        for runtime in ("numpy", *runtimes(files)):
            each[by("cold", runtime)] = list(_microseconds(encoder_of(files, runtime=runtime), few))
    return [
        row("one word", name, "microseconds", spread(values), at_most=5 if name == "warm" else 100)
        for name, values in each.items()
    ]


def _microseconds(encoder: DistillEmb, words: list[str]) -> Iterator[float]:
    """The mean of some calls at a time: reading the clock costs as much as a warm call."""
    for place in range(0, len(words), _CALLS):
        few = words[place : place + _CALLS]
        start = time.process_time()
        for word in few:
            encoder.encode(word)
        yield 1e6 * (time.process_time() - start) / len(few)
