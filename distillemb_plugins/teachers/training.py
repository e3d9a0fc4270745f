"""Training teachers from raw text: word2vec and fastText with gensim, and vectors of counted neighbours.

gensim trains from file on many threads without the GIL. It is called shard by shard with its own slice of the
learning-rate schedule: that gives progress within an epoch and checkpoints. (It also keeps the schedule
right: with several threads gensim lowers the rate within one call only by 1 / threads of what it should.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import DistillEmbError, require
from ..files import atomic_file, locked
from .checkpoint import Matrices, WorkDirectory, work_path
from .corpus import Corpus, tokenised
from .neighbours import neighbour_vectors
from .ngrams import NgramTable
from .table import Teacher
from .writers import STORAGES, save_teacher, table_format

Algorithm = Literal["fasttext", "word2vec", "ppmi-svd"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_WINDOWS = {"fasttext": 5, "word2vec": 5, "ppmi-svd": 2}
_END_RATE = 1e-5
_CHECKPOINT_SECONDS = 600.0
# A thread reads at least a batch of 10,000 words: with too little text each, threads would train it twice.
_WORDS_A_THREAD = 50_000


@dataclass(frozen=True)
class _Settings:
    """What makes two runs the same; threads do not belong here."""

    algorithm: str
    dim: int
    window: int
    negative: int
    min_count: int
    epochs: int
    skipgram: bool
    min_n: int
    max_n: int
    buckets: int
    learning_rate: float
    sample: float
    seed: int
    limit: int | None
    contexts: int


def train_teacher(
    texts: Sequence[str | Path],
    out: str | Path,
    algorithm: Algorithm = "fasttext",
    *,
    dim: int = 300,
    window: int | None = None,
    negative: int = 5,
    min_count: int = 5,
    epochs: int | None = None,
    skipgram: bool = False,
    min_n: int = 4,
    max_n: int = 5,
    buckets: int = 500_000,
    learning_rate: float = 0.05,
    sample: float = 1e-4,
    threads: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    contexts: int = 5000,
    storage: str = "float32",
    resume: bool = False,
    progress: bool = True,
) -> Path:
    """Train a teacher on text files of any size, plain or .gz/.xz/.bz2, and write it to `out`; returns `out`.

    out: by suffix a table (``.npz``, ``.safetensors``, ``.vec``; `storage` as in `save_teacher`), or a
    fastText ``.bin`` that holds the n-grams too, so that unseen words have vectors. algorithm: ``"fasttext"``
    (n-grams of min_n to max_n characters hashed into `buckets` rows of ``4 * dim`` bytes), ``"word2vec"``
    (no n-grams), or ``"ppmi-svd"``: counted instead of trained, from the `contexts` most frequent words and their
    places beside a word (see `neighbours`). CBOW, or with `skipgram` skip-gram: slower by about four times. window:
    words on each side, default 5, for ppmi-svd 2. epochs: default 5. sample: downsampling threshold of frequent
    words. limit: vocabulary, the most frequent words. threads: default all; the same seed gives the same result only
    with one thread. (ppmi-svd reads only dim, window, min_count, limit, contexts and seed.) resume: go on from
    ``<out>.work/``, which holds the tokenised text and the last checkpoint (after every epoch, and every 10 minutes)
    of an interrupted run, and which success removes. Raises `DistillEmbError` for bad arguments, an empty corpus, or
    one where no word reaches `min_count`, or whose words are too few for `dim` (ppmi-svd).
    """
    out = Path(out)
    epochs = 5 if epochs is None else epochs
    window = _WINDOWS.get(algorithm, 0) if window is None else window
    settings = _Settings(
        algorithm, dim, window, negative, min_count, epochs, skipgram,
        min_n, max_n, buckets, learning_rate, sample, seed, limit, contexts,
    )  # fmt: skip
    threads = _available_threads() if threads is None else threads
    _check(settings, threads, out, storage)
    require("sklearn" if algorithm == "ppmi-svd" else "gensim", "train")
    texts = _checked_texts(texts)
    with locked(work_path(out)):
        work = WorkDirectory(out, asdict(settings) | {"texts": _identity(texts)}, resume)
        try:
            corpus = tokenised(texts, work.path, min_count, limit, progress)
            if algorithm == "ppmi-svd":
                _write_counted(settings, corpus, out, storage, progress)
        except DistillEmbError:
            work.remove()  # bad text: there is nothing to resume
            raise
        if algorithm != "ppmi-svd":
            model = _new_model(settings, corpus)
            _Run(model, settings, corpus, work, threads).train(progress)
            _write(model, settings, corpus, out, storage)
        work.remove()
    return out


def _check(settings: _Settings, threads: int, out: Path, storage: str) -> None:
    """Refuse bad arguments before hours of work."""
    if settings.algorithm not in ALGORITHMS:
        raise DistillEmbError(f"algorithm={settings.algorithm!r} is unknown: choose {', '.join(ALGORITHMS)}.")
    names = ("dim", "window", "negative", "min_count", "epochs", "contexts")
    positive = {name: getattr(settings, name) for name in names}
    positive |= {"threads": threads, "learning_rate": settings.learning_rate}
    if settings.algorithm == "fasttext":
        positive |= {"min_n": settings.min_n, "buckets": settings.buckets}
        if settings.max_n < settings.min_n:
            raise DistillEmbError(
                f"max_n={settings.max_n} is below min_n={settings.min_n}: raise it, or use word2vec for no n-grams."
            )
    if settings.limit is not None:
        positive["limit"] = settings.limit
    for name, value in positive.items():
        if value <= 0:
            raise DistillEmbError(f"{name}={value} must be positive.")
    if storage not in STORAGES:
        raise DistillEmbError(f"storage={storage!r} is unknown: choose {', '.join(STORAGES)}.")
    if out.suffix.lower() != ".bin":
        table_format(out)
    elif settings.algorithm != "fasttext":
        raise DistillEmbError(f"{out}: .bin is fastText's format: write a {settings.algorithm} table as .npz or .vec.")


def _checked_texts(texts: Sequence[str | Path]) -> list[Path]:
    if isinstance(texts, str | Path):
        texts = [texts]
    paths = [Path(path) for path in texts]
    if not paths:
        raise DistillEmbError("No text file was given to train on: give at least one.")
    for path in paths:
        if not path.is_file():
            raise DistillEmbError(f"There is no file {path}: check the path.")
    return paths


def _identity(paths: list[Path]) -> list[list[Any]]:
    return [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


def _available_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _new_model(settings: _Settings, corpus: Corpus) -> Any:
    """An untrained gensim model over the corpus's vocabulary, its rows in our order."""
    from gensim.models import FastText, Word2Vec

    common = {
        "vector_size": settings.dim, "window": settings.window, "negative": settings.negative, "hs": 0,
        "min_count": 1, "sg": int(settings.skipgram), "sample": settings.sample, "seed": settings.seed,
        "sorted_vocab": 0, "alpha": settings.learning_rate, "min_alpha": _END_RATE,
    }  # fmt: skip
    if settings.algorithm == "fasttext":
        model = FastText(**common, min_n=settings.min_n, max_n=settings.max_n, bucket=settings.buckets)
        # After every shard it would recompute all word vectors in a Python loop; we do it once, at the end.
        model.wv.adjust_vectors = lambda: None
    else:
        model = Word2Vec(**common)
    model.lifecycle_events = None  # a log entry for each of our many calls
    model.build_vocab_from_freq(dict(corpus.counts), corpus_count=corpus.lines)
    if settings.algorithm == "fasttext":
        model.wv.vectors = model.wv.vectors_vocab  # gensim only looks whether there is something
    model.corpus_total_words = corpus.words
    return model


def _matrices(model: Any) -> Matrices:
    """The trained state, by reference: filling these arrays sets the model."""
    if hasattr(model.wv, "vectors_ngrams"):
        return {"words": model.wv.vectors_vocab, "ngrams": model.wv.vectors_ngrams, "output": model.syn1neg}
    return {"words": model.wv.vectors, "output": model.syn1neg}


@dataclass
class _Run:
    """One training run. A step is one shard in one epoch."""

    model: Any
    settings: _Settings
    corpus: Corpus
    work: WorkDirectory
    threads: int

    @property
    def steps(self) -> int:
        return self.settings.epochs * len(self.corpus.shards)

    def shard(self, step: int) -> tuple[Path, int]:
        """File and number of words of the shard that this step trains on."""
        name, words = self.corpus.shards[step % len(self.corpus.shards)]
        return self.corpus.directory / name, words

    def train(self, progress: bool) -> None:
        """All epochs, from the last checkpoint on."""
        begun = self.work.load(_matrices(self.model))
        done = sum(self.shard(step)[1] for step in range(begun))
        saved = time.monotonic()
        label = f"training {self.settings.algorithm}"
        total = self.settings.epochs * self.corpus.words
        with tqdm(total=total, initial=done, desc=label, unit=" words", unit_scale=True, disable=not progress) as bar:
            for step in range(begun, self.steps):
                words = self.shard(step)[1]
                self.train_step(step, done / total, (done + words) / total)
                done += words
                bar.set_postfix(epoch=f"{step // len(self.corpus.shards) + 1}/{self.settings.epochs}", refresh=False)
                bar.update(words)
                end_of_epoch = (step + 1) % len(self.corpus.shards) == 0
                if end_of_epoch or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    self.work.save(step + 1, _matrices(self.model))
                    saved = time.monotonic()

    def train_step(self, step: int, before: float, after: float) -> None:
        """Train on one shard. before, after: share of the whole run done, which sets the learning rate."""
        path, words = self.shard(step)
        start, end = (self.rate(share) for share in (before, after))
        # Its own random numbers for each step: a resumed run goes on exactly as the first one would have.
        self.model.random = np.random.RandomState([self.settings.seed, step])
        self.model.workers = max(1, min(self.threads, words // _WORDS_A_THREAD))
        self.model.train(corpus_file=str(path), total_words=words, epochs=1, start_alpha=start, end_alpha=end)

    def rate(self, share: float) -> float:
        """The learning rate when this share of the run is done: linear, to nearly zero."""
        return self.settings.learning_rate + (_END_RATE - self.settings.learning_rate) * share


def _write(model: Any, settings: _Settings, corpus: Corpus, out: Path, storage: str) -> None:
    if out.suffix.lower() == ".bin":
        _write_fasttext(model, settings, out)
        return
    words = list(model.wv.index_to_key)
    vectors: NDArray[np.float32] = model.wv.vectors
    if settings.algorithm == "fasttext":
        ngrams = NgramTable(model.wv.vectors_ngrams, settings.min_n, settings.max_n)
        vectors = ngrams.word_vectors(words, model.wv.vectors_vocab)
    counts = np.array([corpus.counts[word] for word in words], dtype=np.int64)
    save_teacher(Teacher(out.stem, words, vectors, counts), out, storage)


def _write_counted(settings: _Settings, corpus: Corpus, out: Path, storage: str, progress: bool) -> None:
    vectors = neighbour_vectors(
        corpus, settings.dim, settings.window, settings.contexts, settings.seed, progress=progress
    )
    counts = np.array(list(corpus.counts.values()), dtype=np.int64)
    save_teacher(Teacher(out.stem, list(corpus.counts), vectors, counts), out, storage)


def _write_fasttext(model: Any, settings: _Settings, out: Path) -> None:
    from gensim.models.fasttext import save_facebook_model

    model.epochs, model.min_count = settings.epochs, settings.min_count  # for the header
    with atomic_file(out) as stream:
        save_facebook_model(model, stream)
