"""Training teachers from raw text: word2vec and fastText with gensim, and counted PPMI-SVD.

gensim trains from file on many threads without the GIL. It is called shard by shard with its own slice of the
learning-rate schedule: that gives progress within an epoch and checkpoints. (It also keeps the schedule right: with
several threads gensim lowers the rate within one call only by 1 / threads of what it should.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..errors import DistillEmbError, require
from ..files import atomic_file, remove_directory
from ..inference.threads import usable_cores
from ..quantization import STORAGES
from ..runs import (
    CHECKPOINT_FILE,
    begun_settings,
    damaged,
    file_identity,
    load_checkpoint,
    save_checkpoint,
    work_directory,
    work_path,
)
from ..settings import check_choice
from ..vectors import Floats
from .amount import expectation
from .combine import merge_languages
from .corpus import Corpus, make_corpus, open_corpus
from .io.reading import load_teacher
from .io.writing import save_teacher, table_format
from .ngrams import NgramTable
from .ppmi_svd import ppmi_svd_vectors
from .settings import Algorithm, FittedSettings, TeacherSettings, default_window, unread_settings
from .table import Teacher

_END_RATE = 1e-5
_CHECKPOINT_SECONDS = 600.0
# A thread reads at least a batch of 10,000 words: with too little text each, threads would train it twice.
_WORDS_A_THREAD = 50_000


def train_teacher(
    texts: Sequence[str | Path],
    out: str | Path,
    algorithm: Algorithm = "fasttext",
    *,
    dim: int = 300,
    window: int | None = None,
    negative: int = 5,
    min_count: int | None = None,
    epochs: int | None = None,
    skipgram: bool | None = None,
    min_n: int | None = None,
    max_n: int = 5,
    buckets: int | None = None,
    learning_rate: float = 0.05,
    sample: float = 1e-4,
    threads: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    contexts: int = 5000,
    storage: str = "float32",
    min_words: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    say: Callable[[str], object] | None = None,
) -> Path:
    """Train a teacher on text files of any size and write it to a file.

    While it trains, ``<out>.work`` holds the tokenized text and the last checkpoint (after every epoch, and every 10
    minutes). It is removed at the end.

    min_count, epochs, skipgram, min_n and buckets are fitted to the number of words when they are not given
    (`fitted_settings`).

    Args:
        texts: Text files, plain or .gz/.xz/.bz2.
        out: By suffix a table (.npz, .safetensors, .vec), or a fastText .bin that holds the n-grams too, so that
            unseen words have vectors.
        algorithm: ``"fasttext"``, ``"word2vec"`` (no n-grams), or ``"ppmi-svd"``: counted instead of trained, see
            `ppmi_svd`. The last reads only dim, window, min_count, limit, contexts and seed.
        dim: Width of a vector.
        window: Words on each side. Default 5, for ppmi-svd 2.
        negative: Negative samples.
        min_count: Leave out words that occur less often.
        epochs: Passes over the text.
        skipgram: Skip-gram in place of CBOW: about four times slower.
        min_n: Length of the shortest character n-gram (fasttext).
        max_n: Length of the longest one.
        buckets: Rows of ``4 * dim`` bytes that the n-grams are hashed into.
        learning_rate: Learning rate at the start.
        sample: Threshold above which frequent words are downsampled.
        threads: Default all. The same seed gives the same result only with one thread.
        seed: Of all random numbers.
        limit: Most words of the vocabulary, the most frequent ones.
        contexts: Most frequent words told apart as neighbors (ppmi-svd).
        storage: Numbers of a table, as in `save_teacher`.
        min_words: Refuse a text of fewer words.
        resume: Go on with an interrupted run.
        overwrite: Replace what stands at `out`. Without `resume`, also forget an interrupted run.
        progress: Show a bar.
        say: Is given what the text is good for, and the settings that were fitted to it.

    Returns:
        The path `out`.

    Raises:
        DistillEmbError: An argument is bad, `out` or an interrupted run is there and neither `resume` nor `overwrite`
            is given, the corpus is empty or has too few words, no word reaches `min_count`, or the words are too few
            for `dim` (ppmi-svd).
    """
    out = Path(out)
    settings = TeacherSettings(
        algorithm, dim, default_window(algorithm) if window is None else window, negative, min_count,
        epochs, skipgram, min_n, max_n, buckets, learning_rate, sample, seed, limit, contexts,
    )  # fmt: skip
    threads = usable_cores() if threads is None else threads
    _check(settings, threads, out, storage)
    require("sklearn" if algorithm == "ppmi-svd" else "gensim", "train")
    texts = [texts] if isinstance(texts, str | Path) else list(texts)
    if not texts:
        raise DistillEmbError("No text file was given to train on: give at least one.")
    if resume:
        settings = settings.going_on_from(begun_settings(work_path(out)))
    begun_with = asdict(settings) | {"texts": file_identity(texts)}
    with work_directory(out, begun_with, resume=resume, overwrite=overwrite) as work:
        corpus = open_corpus(work)
        try:
            if corpus is None:
                corpus = make_corpus(texts, work, settings.min_count, limit, progress, min_words)
            fitted = settings.fitted(corpus.word_tokens)
            if say is not None:
                say(_about(corpus.word_tokens, settings, fitted))
            if algorithm == "ppmi-svd":
                _write_ppmi_svd(fitted, corpus, out, storage, progress)
        except DistillEmbError:
            remove_directory(work)  # bad text: there is nothing to resume
            raise
        if algorithm != "ppmi-svd":
            model = _new_model(fitted, corpus)
            _Run(model, fitted, corpus, work, threads).train(progress)
            _write(model, fitted, corpus, out, storage)
        remove_directory(work)
    return out


def train_by_language(
    texts: Mapping[str, Sequence[str | Path]], out: str | Path, algorithm: Algorithm = "ppmi-svd", **settings: Any
) -> Path:
    """Train a teacher a language and merge them into one table (see `merge_languages`).

    The teachers of the languages stay in a folder of the name of `out` without its suffix. What is there already is not
    made again.

    Args:
        texts: Text files by language.
        out: The table to write.
        algorithm: See `train_teacher`.
        **settings: See `train_teacher`.

    Returns:
        `out`.

    Raises:
        DistillEmbError: As for `train_teacher`.
    """
    out = Path(out)
    if out.is_file():
        return out
    parts = [out.with_suffix("") / f"{language}.npz" for language in texts]
    out.with_suffix("").mkdir(parents=True, exist_ok=True)
    for files, part in zip(texts.values(), parts, strict=True):
        if not part.is_file():
            train_teacher(files, part, algorithm, **{"resume": True} | settings)
    teachers = sorted(map(load_teacher, parts), key=len, reverse=True)  # the others are rotated onto the largest
    save_teacher(merge_languages(teachers, out.stem), out)
    return out


def _check(settings: TeacherSettings, threads: int, out: Path, storage: str) -> None:
    """Refuse what the settings do not know of before hours of work."""
    if threads <= 0:
        raise DistillEmbError(f"threads={threads} must be positive.")
    check_choice("storage", storage, STORAGES)
    if out.suffix.lower() != ".bin":
        table_format(out)
    elif settings.algorithm != "fasttext":
        raise DistillEmbError(f"{out}: .bin is fastText's format: write a {settings.algorithm} table as .npz or .vec.")


def _about(words: int, asked: TeacherSettings, fitted: FittedSettings) -> str:
    """What a text is good for, and the settings that were fitted to it."""
    unread = unread_settings(asked.algorithm)
    values = {n: v for n, v in asdict(fitted).items() if getattr(asked, n) is None and n not in unread and n != "limit"}
    text = f"{words:,} words: {expectation(words)}."
    shown = ", ".join(f"{name} {str(value).lower()}" for name, value in values.items())
    return f"{text} Fitted to it: {shown}." if shown else text


def _new_model(settings: FittedSettings, corpus: Corpus) -> Any:
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


def _matrices(model: Any) -> dict[str, Floats]:
    """The trained state, by reference: filling these arrays sets the model."""
    if hasattr(model.wv, "vectors_ngrams"):
        return {"words": model.wv.vectors_vocab, "ngrams": model.wv.vectors_ngrams, "output": model.syn1neg}
    return {"words": model.wv.vectors, "output": model.syn1neg}


@dataclass
class _Run:
    """One training run. A step is one shard in one epoch."""

    model: Any
    settings: FittedSettings
    corpus: Corpus
    work: Path
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
        begun = self.load()
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
                    save_checkpoint(self.work, _matrices(self.model), {"step": step + 1})
                    saved = time.monotonic()

    def load(self) -> int:
        """Fill the matrices from the last checkpoint, if there is one. Returns the number of steps done."""
        found = load_checkpoint(self.work)
        if found is None:
            return 0
        tensors, progress = found
        try:
            for name, matrix in _matrices(self.model).items():
                matrix[:] = tensors[name]
            return int(progress["step"])
        except (KeyError, ValueError, TypeError) as error:
            raise damaged(self.work / CHECKPOINT_FILE, error) from error

    def train_step(self, step: int, before: float, after: float) -> None:
        """Train on one shard. The learning rate follows from the shares of the whole run done before and after it."""
        path, words = self.shard(step)
        start, end = (self.rate(share) for share in (before, after))
        # Its own random numbers for each step: a resumed run goes on exactly as the first one would have.
        self.model.random = np.random.RandomState([self.settings.seed, step])
        self.model.workers = max(1, min(self.threads, words // _WORDS_A_THREAD))
        self.model.train(corpus_file=str(path), total_words=words, epochs=1, start_alpha=start, end_alpha=end)

    def rate(self, share: float) -> float:
        """The learning rate when this share of the run is done: linear, to nearly zero."""
        return self.settings.learning_rate + (_END_RATE - self.settings.learning_rate) * share


def _write(model: Any, settings: FittedSettings, corpus: Corpus, out: Path, storage: str) -> None:
    if out.suffix.lower() == ".bin":
        _write_fasttext(model, settings, out)
        return
    words = list(model.wv.index_to_key)
    vectors: Floats = model.wv.vectors
    if settings.algorithm == "fasttext":
        ngrams = NgramTable(model.wv.vectors_ngrams, settings.min_n, settings.max_n)
        vectors = ngrams(words, model.wv.vectors_vocab)
    counts = np.array([corpus.counts[word] for word in words], dtype=np.int64)
    save_teacher(Teacher(out.stem, words, vectors, counts), out, storage)


def _write_ppmi_svd(settings: FittedSettings, corpus: Corpus, out: Path, storage: str, progress: bool) -> None:
    vectors = ppmi_svd_vectors(corpus, settings.dim, settings.window, settings.contexts, settings.seed, progress)
    counts = np.array(list(corpus.counts.values()), dtype=np.int64)
    save_teacher(Teacher(out.stem, list(corpus.counts), vectors, counts), out, storage)


def _write_fasttext(model: Any, settings: FittedSettings, out: Path) -> None:
    from gensim.models.fasttext import save_facebook_model

    model.epochs, model.min_count = settings.epochs, settings.min_count  # for the header
    with atomic_file(out) as stream:
        save_facebook_model(model, stream)
