"""Words a second by our encoder in its forms, by rivals, and by the published way; what a form changes; growth.

The published way, the yardstick, is Mersha & Wu 2022 as one would write it down, and as their code does it.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from distillemb_plugins import DistillEmb, Teacher
from distillemb_plugins.hf import DistillEmbConfig
from distillemb_plugins.layers.encoders_distillemb import build_encoder
from distillemb_plugins.persistence import EncoderFiles
from distillemb_plugins.teachers import train_teacher
from distillemb_plugins.text import tokenize
from distillemb_plugins.vectors import Floats, nearest, unit_rows
from recipes.benchmark.harness import Bench, Work, interleaved, random_rows, ratio_row, row, running_text, threads
from recipes.benchmark.pipelines import Corpus, computed, embedded, ner_scores, random_table
from recipes.results import Row

Encode = Callable[[list[str]], Any]
PUBLISHED = "published way"
WORDS_A_CALL, MAX_CHARS, BATCH, WINDOW = 512, 13, 64, 32  # of the published way
DISTINCT, COLD, WARM = "distinct words", "running text, cold cache", "running text, warm cache"
MEMORY, NETWORK = "distinct words, network and memory", "distinct words, network alone"
TARGETS = {DISTINCT: 10, NETWORK: 10, COLD: 60, WARM: 300}  # for every runtime
BUSY = {0: 1.7, 2: 0.95}  # busy processes beside two threads, which are to be at least these times as fast as one
TEXT_CALL = 4096  # tokens a call in running text: some hundred sentences
ASKED, NEIGHBORS = 2000, 10  # words whose neighbors are compared, and how many
GROWING_WORDS = 8192
GROWTH = ("words a call", "characters a word", "vocabulary of 200k tokens, cold cache")
LEAST_QUANTIZED = 2048  # fewer words give product quantization too little to learn from
FASTTEXT: Row = {"min_n": 4, "max_n": 5, "epochs": 1, "min_count": 1, "threads": 1, "progress": False}
FLORET: Row = {"minn": 4, "maxn": 5, "epoch": 1, "minCount": 1, "thread": 1, "verbose": 0}
FASTTEXT_CPP, AHEAD = "fastText's C++", 1.3  # how far unseen words are to be ahead of it


def word_rows(bench: Bench) -> list[Row]:
    """Distinct words, running text and rivals as ratios to the published way, and what the forms change; one thread."""
    sizes, half = bench.sizes, len(bench.words) // 2
    seen, unseen = bench.words[:half], bench.words[half:]
    cases = _cases(bench, unseen)
    for name, encode in rivals(seen, bench.dim, sizes.buckets).items():
        cases[name] = distinct(encode, unseen[: max(512, sizes.published_words)])
    with threads(1):
        rates = interleaved(cases, sizes.rounds)
        more = differences(bench, unseen)
    targets: dict[str, Row] = {
        named(name, one): {"at_least": value} for name, value in TARGETS.items() for one in ("", "onnx", "onnx-int8")
    }
    rows = [
        ratio_row("words, 1 thread", name, "times the published way", each, rates[PUBLISHED],
                  **more.get(name, {}), **targets.get(name, {}))
        for name, each in rates.items()
    ]  # fmt: skip
    ahead = {named(DISTINCT, runtime): rates[named(DISTINCT, runtime)] for runtime in bench.runtimes}
    return rows + [
        ratio_row(f"words, 1 thread, against {FASTTEXT_CPP}", name, "times its words/s", each, rates[FASTTEXT_CPP],
                  at_least=AHEAD)
        for name, each in ahead.items()
    ]  # fmt: skip


def named(case: str, form: str) -> str:
    """The name of a case in a form of the encoder."""
    return f"{case}, {form}" if form else case


def _cases(bench: Bench, unseen: list[str]) -> dict[str, Work]:
    files, words, sizes = bench.files, bench.words, bench.sizes
    text, few = running_text(words, sizes.tokens), unseen[: sizes.published_words]
    warm = bench.encoder(cache_size=len(words))
    warm.encode(text)
    weights = {name: tensor for name, tensor in files.tensors.items() if not name.startswith("memory.")}
    network = replace(bench, files=replace(files, config={**files.config, "memory": None}, tensors=weights))
    cases = {PUBLISHED: distinct(published_encoder(words, bench.dim), few)}
    for form, encoder in bench.forms().items():
        cases[named(DISTINCT, form)] = distinct(encoder.encode, unseen)
    for form, runtime in bench.runtimes.items():
        cases[named(NETWORK, form)] = distinct(network.encoder(0, runtime).encode, unseen)
        cases[named(COLD, form)] = partial(cold, bench.encoder(len(words), runtime), text)
    if files.config.get("memory"):
        cases[MEMORY] = distinct(bench.encoder().encode, unseen)
    cases[WARM] = partial(in_calls, warm.encode, text, TEXT_CALL)
    numbers, table = {word: place for place, word in enumerate(words)}, random_rows(len(words), bench.dim)
    cases["table lookup"] = partial(in_calls, lambda some: table[[numbers[word] for word in some]], text, TEXT_CALL)
    return cases


def distinct(encode: Encode, words: list[str]) -> Work:
    """All words in one call."""
    return partial(in_calls, encode, words, len(words))


def in_calls(encode: Encode, words: list[str], size: int) -> int:
    """All words, `size` a call."""
    for start in range(0, len(words), size):
        encode(words[start : start + size])
    return len(words)


def cold(encoder: DistillEmb, text: list[str]) -> int:
    """Running text from an empty cache on."""
    encoder.cache_clear()
    return in_calls(encoder.encode, text, TEXT_CALL)


def rivals(seen: list[str], dim: int, buckets: int) -> dict[str, Encode]:
    """fastText's C++ (in floret), gensim's and a quantized one, floret, spaCy's floret table, all of the seen words."""
    import compress_fasttext
    import floret
    from gensim.models.fasttext import load_facebook_vectors

    found: dict[str, Encode] = {}
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder) / "text.txt", Path(folder) / "model.bin"
        text.write_text("\n".join(" ".join(seen[i : i + 20]) for i in range(0, len(seen), 20)), "utf-8")
        train_teacher([text], binary, "fasttext", dim=dim, buckets=buckets, **FASTTEXT)
        vectors = load_facebook_vectors(str(binary))
        found["gensim fastText"] = _one_by_one(vectors.__getitem__)
        if len(vectors.vectors) > LEAST_QUANTIZED:
            few = min(20_000, len(vectors.vectors_ngrams) // 4)
            kept = {"new_vocab_size": min(few, len(vectors.vectors) // 2), "new_ngrams_size": few}
            small = compress_fasttext.prune_ft_freq(vectors, pq=True, qdim=math.gcd(dim, 100), **kept)
            found["compress-fasttext"] = _one_by_one(small.__getitem__)
        tables = {FASTTEXT_CPP: {"mode": "fasttext", "bucket": buckets}}
        tables["floret"] = {"mode": "floret", "bucket": buckets // 4, "hashCount": 2}
        for name, table in tables.items():
            model = floret.train_unsupervised(str(text), dim=dim, **table, **FLORET)
            found[name] = _one_by_one(model.get_word_vector)
        found["spaCy's floret table, in batches"] = random_table(buckets // 4, dim).get_batch
    return found


def _one_by_one(vector: Callable[[str], Any]) -> Encode:
    return lambda words: [vector(word) for word in words]


def differences(bench: Bench, words: list[str]) -> dict[str, Row]:
    """What each form changes against torch in float32: cosine, largest difference, neighbors, F1 in a pipeline."""
    forms = bench.forms(len(words))
    exact = torch_vectors(bench.files, words)
    asked = np.random.default_rng(0).permutation(len(words))[:ASKED]
    near = nearest(exact[asked], exact, NEIGHBORS, exclude=asked)[0]
    scores = ner_scores(forms, bench)
    found: dict[str, Row] = {}
    for name, form in forms.items():
        vectors = form.encode(words)
        cosine = np.einsum("nd,nd->n", unit_rows(vectors), unit_rows(exact)).mean()
        pairs = zip(near, nearest(vectors[asked], vectors, NEIGHBORS, exclude=asked)[0], strict=True)
        shared = np.mean([len(np.intersect1d(one, other)) / near.shape[1] for one, other in pairs])
        largest = float(f"{np.abs(vectors - exact).max():.2g}")
        found[named(DISTINCT, name)] = {
            "cosine": round(float(cosine), 6),
            "largest_difference": largest,
            "neighbours_shared": round(float(shared), 4),
            "ner_f1": scores[name],
        }
    return found


def torch_vectors(files: EncoderFiles, words: list[str]) -> Floats:
    """The vectors of the torch module in float32, ``[n, dim]``."""
    module = build_encoder(SimpleNamespace(**files.config)).eval()
    module.load_state_dict({name: torch.from_numpy(np.asarray(tensor)) for name, tensor in files.tensors.items()})
    rows = torch.from_numpy(files.characters.encode(words)).long()
    with torch.no_grad():
        vectors: Floats = torch.cat([module(part) for part in rows.split(1024)]).numpy()
    return vectors


def thread_rows(bench: Bench) -> list[Row]:
    """Two threads against one: `encode` by runtime, the torch module, and spaCy's pipeline with either layer.

    On the machine as it is, and beside two busy processes. By the clock of the wall.
    """
    rows, works = [], {"torch module": distinct(partial(torch_vectors, bench.files), bench.words)}
    for form, runtime in bench.runtimes.items():
        works[named("encode", form)] = distinct(bench.encoder(0, runtime).encode, bench.words)
    with tempfile.TemporaryDirectory() as folder:
        corpus, encoder = Corpus(bench, bench.sizes.sentences), bench.write(Path(folder) / "encoder")
        layers = computed(encoder, cache_size=0), embedded(encoder, cache_size=0, freeze=True)
        for name, layer in zip(("spaCy, Vectors.v1", "spaCy, Embed.v1, frozen"), layers, strict=True):
            works[name] = partial(corpus.tag, corpus.pipeline(layer))
        cases = {f"{name}, {count}": threads(count)(work) for name, work in works.items() for count in (1, 2)}
        for busy, target in BUSY.items():
            others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
            try:
                rates = interleaved(cases, bench.sizes.rounds, processor_time=False)
            finally:
                for other in others:
                    other.kill()
                    other.wait()
            section = f"threads, beside {busy} busy processes" if busy else "threads, the machine as it is"
            for name in works:
                more: Row = {} if name == "torch module" else {"at_least": target}
                two, one = rates[f"{name}, 2"], rates[f"{name}, 1"]
                rows.append(ratio_row(section, f"{name}, 2 threads", "times 1 thread", two, one, **more))
    return rows


def one_word_rows(bench: Bench) -> list[Row]:
    """Microseconds of processor time from call to result for a single word, warm and cold; one thread."""
    few = bench.words[-2000:]
    encoders = {"warm": bench.encoder(cache_size=len(bench.words))}
    encoders |= {named("cold", form): bench.encoder(0, runtime) for form, runtime in bench.runtimes.items()}
    with threads(1):
        cases = {name: distinct(_one_by_one(encoder.encode), few) for name, encoder in encoders.items()}
        rates = interleaved(cases, bench.sizes.rounds)
    return [
        row("one word", name, "microseconds", [1e6 / rate for rate in each], at_most=5 if name == "warm" else 50)
        for name, each in rates.items()
    ]


def scaling_rows(bench: Bench) -> list[Row]:
    """How the cost grows; one thread."""
    files, words, sizes = bench.files, bench.words, bench.sizes
    encode, few = bench.encoder().encode, words[-GROWING_WORDS:]
    calls, lengths, vocabulary = GROWTH
    cases: dict[tuple[str, int], Work] = {}
    for size in (1, 8, 64, 512, 4096):
        cases[calls, size] = partial(in_calls, encode, few[: 256 * size], size)
    drawn, known = np.random.default_rng(0), files.characters.characters
    for length in (2, 4, 8, 12, 16):
        letters = drawn.integers(0, len(known), (min(GROWING_WORDS // 2, sizes.words), length)).tolist()
        made = dict.fromkeys("".join(known[letter] for letter in word) for word in letters)
        cases[lengths, length] = distinct(encode, list(made))
    for size in (len(words) // 100, len(words) // 10, len(words)):
        text = running_text(words[:size], sizes.tokens)
        cases[vocabulary, size] = partial(cold, bench.encoder(len(text)), text)
    with threads(1):
        rates = interleaved({f"{what}: {value:,}": work for (what, value), work in cases.items()}, sizes.rounds)
    return [
        row("scaling", name, "words/s", each, what=what, value=value)
        for (name, each), (what, value) in zip(rates.items(), cases, strict=True)
    ]


# -- the published way


def padded(word: str, ids: dict[str, int]) -> list[int]:
    """The ids of a word's first 13 characters through a dict, half of the padding on each side."""
    row = [ids.get(character, 1) for character in word[:MAX_CHARS]]
    left = (MAX_CHARS - len(row)) // 2
    return [0] * left + row + [0] * (MAX_CHARS - len(row) - left)


def character_ids(words: list[str]) -> dict[str, int]:
    """A number from 2 on for each character: 0 is the padding, 1 an unknown one."""
    return {character: place + 2 for place, character in enumerate(sorted(set("".join(words))))}


def published_network(characters: int, dim: int) -> Any:
    """The torch module of `distillemb-small` with random weights."""
    sizes: Row = {"dim": dim, "vocab_size": characters, "max_chars": MAX_CHARS}
    config = DistillEmbConfig(encoder_type="distillemb-small", **sizes)
    torch.manual_seed(0)
    return build_encoder(config)


def published_encoder(words: list[str], dim: int) -> Callable[[list[str]], np.ndarray]:
    """`distillemb-small` in torch eager, 512 words a call: words to vectors float32 ``[n, dim]``."""
    ids = character_ids(words)
    module = published_network(len(ids) + 2, dim).eval()

    @torch.no_grad()
    def encode(wanted: list[str]) -> np.ndarray:
        calls = (wanted[start : start + WORDS_A_CALL] for start in range(0, len(wanted), WORDS_A_CALL))
        return np.concatenate([module(torch.tensor([padded(word, ids) for word in some])).numpy() for some in calls])

    return encode


class PublishedItems:
    """One example an item: the word's characters, its vector, and the nearest word of a random window of the text.

    As in the published code: vectors in a dict, the window's stacked, compared and sorted in NumPy for each item.
    """

    def __init__(self, teacher: Teacher, corpus: Path) -> None:
        self.vectors = dict(zip(teacher.words, teacher.vectors, strict=True))
        self.tokens = [token for token in tokenize(corpus.read_text("utf-8")) if token in self.vectors]
        self.words, self.ids = teacher.words, character_ids(teacher.words)

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, place: int) -> tuple[Any, Any, Any]:
        word = self.words[place]
        near: list[str] = []
        while not near:
            start = random.randint(0, len(self.tokens) - WINDOW)
            near = list(set(self.tokens[start : start + WINDOW]) - {word})
        distances = np.linalg.norm(np.stack([self.vectors[other] for other in near]) - self.vectors[word], axis=1)
        negative = near[int(np.argsort(distances)[0])]
        rows = torch.LongTensor(padded(word, self.ids))
        return rows, torch.Tensor(self.vectors[word]), torch.Tensor(self.vectors[negative])


def published_training_speed(teacher: Teacher, corpus: Path, seconds: float, warmup_steps: int = 3) -> float:
    """Examples a second of processor time of the published training: batches of 64, float32, triplet loss."""
    items: Any = PublishedItems(teacher, corpus)
    module = published_network(len(items.ids) + 2, teacher.dim).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    loss = torch.nn.TripletMarginLoss(margin=1.0)
    loader = DataLoader(items, batch_size=BATCH, shuffle=True, drop_last=True)
    step = examples = 0
    start = time.process_time()
    while True:
        for rows, positive, negative in loader:
            if step == warmup_steps:
                start, examples = time.process_time(), 0
            optimizer.zero_grad()
            loss(module(rows), positive, negative).backward()
            optimizer.step()
            step, examples = step + 1, examples + len(rows)
            if step > warmup_steps and time.process_time() - start > seconds:
                return examples / (time.process_time() - start)
