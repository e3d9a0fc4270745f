"""Words a second: our encoder, its storages and its memory, the table, and the rivals, to the published way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from distillemb_plugins import DistillEmb
from distillemb_plugins.encoder import unit_rows
from distillemb_plugins.persistence import EncoderFiles, Storage, dequantise, quantise
from recipes.benchmark.scripts.interleave import Work, interleaved, ratio, row, spread, threads
from recipes.benchmark.scripts.lookups import Encode, rivals, table_lookup
from recipes.benchmark.scripts.material import (
    Sizes,
    encoder_of,
    random_encoder,
    running_text,
    with_memory,
    without_memory,
)
from recipes.benchmark.scripts.published import WORDS_A_CALL, published_encoder

PUBLISHED = "published way"
_CALLS = 20
TEXT_CALL = 4096  # tokens a call in running text: some hundred sentences
Rows = list[dict[str, Any]]


def word_rows(files: EncoderFiles, words: list[str], sizes: Sizes, thread_count: int) -> Rows:
    """Distinct words, running text and rivals as ratios to the published way, `thread_count` threads."""
    half = len(words) // 2
    seen, unseen = words[:half], words[half:]
    arms = _arms(files, words, unseen, sizes)
    for name, encode in rivals(seen, sizes.dim, sizes.buckets).items() if thread_count == 1 else ():
        arms[name] = distinct(encode, unseen[: max(512, sizes.published_words)])
    with threads(thread_count):
        rates = interleaved(arms, sizes.rounds, processor_time=thread_count == 1)
    section = f"words, {thread_count} thread" + ("s" if thread_count > 1 else "")
    differences = _differences(files, unseen)
    return [
        row(
            section,
            name,
            "times the published way",
            ratio(each, rates[PUBLISHED]),
            words_per_second=round(each.median),
            **differences.get(name, {}),
            **(_TARGETS.get(name, {}) if thread_count == 1 else {}),
        )
        for name, each in rates.items()
    ]


DISTINCT, COLD, WARM = "distinct words", "running text, cold cache", "running text, warm cache"
MEMORY, NETWORK = "distinct words, network and memory", "distinct words, network alone"
_TARGETS: dict[str, dict[str, float]] = {
    DISTINCT: {"at_least": 10},
    NETWORK: {"at_least": 10},
    COLD: {"at_least": 60},
    WARM: {"at_least": 300},
}


def _arms(files: EncoderFiles, words: list[str], unseen: list[str], sizes: Sizes) -> dict[str, Work]:
    text = running_text(words, sizes.tokens)
    warm = encoder_of(files, cache_size=len(words))
    warm.encode(text)
    same = encoder_of(random_encoder("distillemb-small", words, sizes.dim))
    few = unseen[: sizes.published_words]
    return {
        PUBLISHED: distinct(published_encoder(words, sizes.dim), few),
        "distillemb-small in NumPy": distinct(same.encode, few),
        DISTINCT: distinct(encoder_of(files).encode, unseen),
        NETWORK: distinct(encoder_of(without_memory(files)).encode, unseen),
        MEMORY: distinct(encoder_of(with_memory(files, words)).encode, unseen),
        **{f"distinct words, {kind}": distinct(encoder_of(stored(files, kind)).encode, unseen) for kind in _STORED},
        COLD: lambda: in_calls(encoder_of(files, cache_size=len(words)).encode, text, TEXT_CALL),
        WARM: lambda: in_calls(warm.encode, text, TEXT_CALL),
        "running text, warm cache, 512 words a call": lambda: in_calls(warm.encode, text, WORDS_A_CALL),
        "table lookup": partial(in_calls, table_lookup(words, sizes.dim), text, TEXT_CALL),
    }


_STORED: tuple[Storage, ...] = ("float16", "int8")


def stored(files: EncoderFiles, storage: Storage) -> EncoderFiles:
    """The encoder as it comes back from that storage."""
    return replace(files, tensors=dequantise(quantise(files.tensors, storage)))


def distinct(encode: Encode, words: list[str]) -> Work:
    def work() -> int:
        encode(words)
        return len(words)

    return work


def in_calls(encode: Encode, words: list[str], size: int) -> int:
    for start in range(0, len(words), size):
        encode(words[start : start + size])
    return len(words)


def _differences(files: EncoderFiles, words: list[str]) -> dict[str, dict[str, float]]:
    """What each fast or small form changes against torch in float32: mean cosine, largest difference."""
    exact = _torch_vectors(files, words)
    forms = {DISTINCT: files} | {f"distinct words, {kind}": stored(files, kind) for kind in _STORED}
    found = {}
    for name, form in forms.items():
        vectors = encoder_of(form).encode(words)
        cosine = float(np.einsum("nd,nd->n", unit_rows(vectors), unit_rows(exact)).mean())
        found[name] = {"cosine": round(cosine, 6), "largest_difference": float(f"{np.abs(vectors - exact).max():.2g}")}
    return found


def _torch_vectors(files: EncoderFiles, words: list[str]) -> Any:
    from types import SimpleNamespace

    import torch

    from distillemb_plugins.hf.encoders_distillemb import build_encoder

    module = build_encoder(SimpleNamespace(**files.config)).eval()
    module.load_state_dict({name: torch.from_numpy(np.asarray(tensor)) for name, tensor in files.tensors.items()})
    rows = torch.from_numpy(files.characters.encode(words)).long()
    with torch.no_grad():
        return torch.cat([module(part) for part in rows.split(1024)]).numpy()


def one_word_rows(files: EncoderFiles, words: list[str], sizes: Sizes) -> Rows:
    """Microseconds of processor time from call to result for a single word, warm and cold; one thread."""
    few = words[-min(2000, len(words)) :]
    with threads(1):
        warm = encoder_of(files, cache_size=len(words))
        warm.encode(few)
        each_warm = list(_microseconds(warm, few))
        each_cold = list(_microseconds(encoder_of(files), few))
    return [
        row("one word", "warm", "microseconds", spread(each_warm), at_most=5),
        row("one word", "cold", "microseconds", spread(each_cold), at_most=100),
    ]


def _microseconds(encoder: DistillEmb, words: list[str]) -> Iterator[float]:
    """The mean of some calls at a time: reading the clock costs as much as a warm call."""
    for place in range(0, len(words), _CALLS):
        few = words[place : place + _CALLS]
        start = time.process_time()
        for word in few:
            encoder.encode(word)
        yield 1e6 * (time.process_time() - start) / len(few)
