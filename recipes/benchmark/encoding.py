"""Words a second by the published way, by our encoder in its forms, and by rivals; what a form changes; growth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins import DistillEmb
from distillemb_plugins.encoder import Runtime
from distillemb_plugins.inference.students import RUNTIMES
from distillemb_plugins.persistence import EncoderFiles
from distillemb_plugins.quantization import Storage, dequantize, quantize
from distillemb_plugins.vectors import Floats, nearest, unit_rows
from recipes.benchmark.fixtures import Bench, encoder_of, installed, random_encoder, random_rows, running_text, runtimes
from recipes.benchmark.pipelines import floret_vectors, ner_scores
from recipes.benchmark.published import WORDS_A_CALL, module_of, published_encoder
from recipes.benchmark.timing import Work, interleaved, ratio_rows, row, threads
from recipes.results import Row

Encode = Callable[[list[str]], Any]
PUBLISHED = "published way"
DISTINCT, COLD, WARM = "distinct words", "running text, cold cache", "running text, warm cache"
MEMORY, NETWORK = "distinct words, network and memory", "distinct words, network alone"
TARGETS = {DISTINCT: 10, NETWORK: 10, COLD: 60, WARM: 300}  # for every runtime
STORED: tuple[Storage, ...] = ("float16", "int8")
TEXT_CALL = 4096  # tokens a call in running text: some hundred sentences
CALLS = 20  # of one word between two looks at the clock
ASKED, NEIGHBORS = 2000, 10  # words whose neighbors are compared, and how many
GROWING_WORDS = 8192
LEAST_QUANTIZED = 2048  # fewer words give product quantization too little to learn from
FASTTEXT: Row = {"minn": 4, "maxn": 5, "epoch": 1, "minCount": 1, "thread": 1, "verbose": 0}


def word_rows(bench: Bench) -> list[Row]:
    """Distinct words, running text and rivals as ratios to the published way, and what the forms change; one thread."""
    sizes, half = bench.sizes, len(bench.words) // 2
    seen, unseen = bench.words[:half], bench.words[half:]
    cases = _cases(bench, unseen)
    for name, encode in rivals(seen, sizes.dim, sizes.buckets).items():
        cases[name] = distinct(encode, unseen[: max(512, sizes.published_words)])
    more: dict[str, Row] = {name: {} for name in cases}
    with threads(1):
        rates = interleaved(cases, sizes.rounds)
        more |= differences(bench, unseen)
        for name in cases:
            plain = name
            for runtime in RUNTIMES:
                plain = plain.removesuffix(f", {runtime}")
            more[name] |= {"at_least": TARGETS[plain]} if plain in TARGETS else {}
    return ratio_rows("words, 1 thread", "times the published way", rates, PUBLISHED, more)


def by(name: str, runtime: Runtime) -> str:
    """The name of a case that another runtime computes."""
    return name if runtime == "numpy" else f"{name}, {runtime}"


def _cases(bench: Bench, unseen: list[str]) -> dict[str, Work]:
    files, words, sizes = bench.files, bench.words, bench.sizes
    text, few = running_text(words, sizes.tokens), unseen[: sizes.published_words]
    warm = encoder_of(files, cache_size=len(words))
    warm.encode(text)
    weights = {name: tensor for name, tensor in files.tensors.items() if not name.startswith("memory.")}
    network = replace(files, config={**files.config, "memory": None}, tensors=weights)
    cases = {PUBLISHED: distinct(published_encoder(words, sizes.dim), few)}
    small = encoder_of(random_encoder("distillemb-small", words, sizes.dim))
    cases["distillemb-small in NumPy"] = distinct(small.encode, few)
    for runtime in runtimes(files):
        cases[by(DISTINCT, runtime)] = distinct(encoder_of(files, 0, runtime).encode, unseen)
        cases[by(NETWORK, runtime)] = distinct(encoder_of(network, 0, runtime).encode, unseen)
        cases[by(COLD, runtime)] = partial(cold, encoder_of(files, len(words), runtime), text)
    if files.config.get("memory"):
        cases[MEMORY] = distinct(encoder_of(files).encode, unseen)
    for kind in STORED:
        cases[f"{DISTINCT}, {kind}"] = distinct(encoder_of(stored(files, kind)).encode, unseen)
    cases[WARM] = partial(in_calls, warm.encode, text, TEXT_CALL)
    cases[f"{WARM}, 512 words a call"] = partial(in_calls, warm.encode, text, WORDS_A_CALL)
    numbers, table = {word: place for place, word in enumerate(words)}, random_rows(len(words), sizes.dim)
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


def stored(files: EncoderFiles, storage: Storage) -> EncoderFiles:
    """The encoder as it comes back from that storage."""
    return replace(files, tensors=dequantize(quantize(files.tensors, storage)))


def rivals(seen: list[str], dim: int, buckets: int) -> dict[str, Encode]:
    """fastText C++, gensim's and a quantized fastText, floret and spaCy's floret table, fitted to the seen words.

    What is not installed is left out.
    """
    found: dict[str, Encode] = {}
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder) / "text.txt", str(Path(folder) / "model.bin")
        text.write_text("\n".join(" ".join(seen[i : i + 20]) for i in range(0, len(seen), 20)), "utf-8")
        if installed("fasttext"):
            import fasttext

            model = fasttext.train_unsupervised(str(text), dim=dim, bucket=buckets, **FASTTEXT)
            model.save_model(binary)
            found["fastText C++"] = _one_by_one(model.get_word_vector)
        if installed("fasttext", "gensim"):
            from gensim.models.fasttext import load_facebook_vectors

            vectors = load_facebook_vectors(binary)
            found["gensim fastText"] = _one_by_one(vectors.__getitem__)
            if installed("compress_fasttext") and len(vectors.vectors) > LEAST_QUANTIZED:
                import compress_fasttext

                few = min(20_000, len(vectors.vectors_ngrams) // 4)
                kept = {"new_vocab_size": min(few, len(vectors.vectors) // 2), "new_ngrams_size": few}
                small = compress_fasttext.prune_ft_freq(vectors, pq=True, qdim=max(dim // 3, 1), **kept)
                found["compress-fasttext"] = _one_by_one(small.__getitem__)
        if installed("floret"):
            import floret

            options = {"bucket": buckets // 4, "mode": "floret", "hashCount": 2}
            model = floret.train_unsupervised(str(text), dim=dim, **options, **FASTTEXT)
            found["floret"] = _one_by_one(model.get_word_vector)
            found["spaCy's floret table, in batches"] = floret_vectors(buckets // 4, dim).get_batch
    return found


def _one_by_one(vector: Callable[[str], Any]) -> Encode:
    return lambda words: [vector(word) for word in words]


def differences(bench: Bench, words: list[str]) -> dict[str, Row]:
    """What each form changes against torch in float32: cosine, largest difference, neighbors, F1 in a pipeline."""
    files, size = bench.files, len(words)
    forms = {by(DISTINCT, runtime): encoder_of(files, size, runtime) for runtime in runtimes(files)}
    forms |= {f"{DISTINCT}, {kind}": encoder_of(stored(files, kind), size) for kind in STORED}
    exact = torch_vectors(files, words)
    asked = np.random.default_rng(0).permutation(size)[:ASKED]
    near = nearest(exact[asked], exact, NEIGHBORS, exclude=asked)[0]
    scores = ner_scores(forms[DISTINCT], forms, bench)
    found: dict[str, Row] = {}
    for name, form in forms.items():
        vectors = form.encode(words)
        cosine = np.einsum("nd,nd->n", unit_rows(vectors), unit_rows(exact)).mean()
        pairs = zip(near, nearest(vectors[asked], vectors, NEIGHBORS, exclude=asked)[0], strict=True)
        shared = np.mean([len(np.intersect1d(one, other)) / near.shape[1] for one, other in pairs])
        largest = float(f"{np.abs(vectors - exact).max():.2g}")
        found[name] = {"cosine": round(float(cosine), 6), "largest_difference": largest}
        found[name] |= {"neighbours_shared": round(float(shared), 4), "ner_f1": scores[name]}
    return found


def torch_vectors(files: EncoderFiles, words: list[str]) -> Floats:
    """The vectors of the torch module in float32, ``[n, dim]``."""
    import torch

    module = module_of(files.config).eval()
    module.load_state_dict({name: torch.from_numpy(np.asarray(tensor)) for name, tensor in files.tensors.items()})
    rows = torch.from_numpy(files.characters.encode(words)).long()
    with torch.no_grad():
        vectors: Floats = torch.cat([module(part) for part in rows.split(1024)]).numpy()
    return vectors


def one_word_rows(bench: Bench) -> list[Row]:
    """Microseconds of processor time from call to result for a single word, warm and cold; one thread."""
    few = bench.words[-2000:]
    with threads(1):
        warm = encoder_of(bench.files, cache_size=len(bench.words))
        warm.encode(few)
        each = {"warm": list(_microseconds(warm, few))}
        for runtime in runtimes(bench.files):
            each[by("cold", runtime)] = list(_microseconds(encoder_of(bench.files, 0, runtime), few))
    most = {name: 5 if name == "warm" else 50 for name in each}
    return [row("one word", name, "microseconds", values, at_most=most[name]) for name, values in each.items()]


def _microseconds(encoder: DistillEmb, words: list[str]) -> Iterator[float]:
    """The mean of some calls at a time: reading the clock costs as much as a warm call."""
    for place in range(0, len(words), CALLS):
        few = words[place : place + CALLS]
        start = time.process_time()
        for word in few:
            encoder.encode(word)
        yield 1e6 * (time.process_time() - start) / len(few)


GROWTH = ("words a call", "characters a word", "vocabulary of 200k tokens, cold cache")


def scaling_rows(bench: Bench) -> list[Row]:
    """How the cost grows; one thread."""
    files, words, sizes = bench.files, bench.words, bench.sizes
    encode, few = encoder_of(files).encode, words[-GROWING_WORDS:]
    calls, lengths, vocabulary = GROWTH
    cases: dict[tuple[str, int], Work] = {}
    for size in (1, 8, 64, 512, 4096):
        cases[calls, size] = partial(in_calls, encode, few[: 256 * size], size)
    random, known = np.random.default_rng(0), files.characters.characters
    for length in (2, 4, 8, 12, 16):
        letters = random.integers(0, len(known), (min(GROWING_WORDS // 2, sizes.words), length)).tolist()
        made = dict.fromkeys("".join(known[letter] for letter in word) for word in letters)
        cases[lengths, length] = distinct(encode, list(made))
    for size in (len(words) // 100, len(words) // 10, len(words)):
        text = running_text(words[:size], sizes.tokens)
        cases[vocabulary, size] = partial(cold, encoder_of(files, len(text)), text)
    named = {f"{what}: {value:,}": work for (what, value), work in cases.items()}
    with threads(1):
        rates = interleaved(named, sizes.rounds)
    return [
        row("scaling", name, "words/s", each, what=what, value=value)
        for (name, each), (what, value) in zip(rates.items(), cases, strict=True)
    ]
