"""What a second thread gains: on the machine as it is, and beside two busy processes. By the clock of the wall."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from distillemb_plugins.persistence import write_encoder
from recipes.benchmark.encoding import by, distinct, torch_vectors
from recipes.benchmark.fixtures import Bench, encoder_of, runtimes
from recipes.benchmark.pipelines import EMBED, WITH_VECTORS, pipeline, tagged
from recipes.benchmark.timing import Work, interleaved, ratio, row, threads
from recipes.results import Row

BUSY = 2  # processes
TARGETS = {0: 1.7, BUSY: 0.95}  # at least these times one thread


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Let so many processes count in loops meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


def thread_rows(bench: Bench) -> list[Row]:
    """Two threads against one: `encode` by runtime, the torch module, and spaCy's pipeline with either layer."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_encoder(Path(folder) / "it", bench.files.config, bench.files.tensors, bench.files.characters)
        works = _works(bench, str(path))
        cases = {f"{name}, {count}": partial(_limited, work, count) for name, work in works.items() for count in (1, 2)}
        for busy, target in TARGETS.items():
            with busy_processes(busy):
                rates = interleaved(cases, bench.sizes.rounds, processor_time=False)
            section = f"threads, beside {busy} busy processes" if busy else "threads, the machine as it is"
            for name in works:
                each = ratio(rates[f"{name}, 2"], rates[f"{name}, 1"])
                more: Row = {"words_per_second": round(statistics.median(rates[f"{name}, 2"]))}
                more |= {} if name == "torch module" else {"at_least": target}
                rows.append(row(section, f"{name}, 2 threads", "times 1 thread", each, **more))
    return rows


def _works(bench: Bench, path: str) -> dict[str, Work]:
    words, sentences = bench.words, tagged(bench.data, bench.sizes.sentences)
    works: dict[str, Work] = {
        by("encode", runtime): distinct(encoder_of(bench.files, 0, runtime).encode, words)
        for runtime in runtimes(bench.files)
    }
    works["torch module"] = distinct(partial(torch_vectors, bench.files), words)
    ours: Row = {"pretrained": path, "cache_size": 0}
    frozen = {"@architectures": "distillemb.Embed.v1", **ours, **EMBED, "freeze": True}
    changes: dict[str, Row] = {
        "spaCy, Vectors.v1": {**WITH_VECTORS, "nlp.vectors": {"@vectors": "distillemb.Vectors.v1", **ours}},
        "spaCy, Embed.v1, frozen": {"components.tok2vec.model.embed": frozen},
    }
    for name, change in changes.items():
        works[name] = partial(_tag, pipeline(sentences, change), [sentence.words for sentence in sentences])
    return works


def _tag(nlp: Any, sentences: list[list[str]]) -> int:
    from spacy.tokens import Doc

    return sum(len(doc) for doc in nlp.pipe([Doc(nlp.vocab, words=words) for words in sentences]))


def _limited(work: Work, count: int) -> int:
    with threads(count):
        return work()
