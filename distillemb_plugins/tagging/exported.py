"""Reading what `distillemb export` wrote, with NumPy and ONNX Runtime: no torch, no transformers.

The directory is an encoder directory with three more files: ``head.onnx`` (what stands over the word vectors),
``exported.json`` (what it is, its labels, its CRF), and ``encoder.onnx``, which is for other languages and not read
here: NumPy computes the vectors faster, and each distinct word once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..encoder import DistillEmb
from ..errors import DistillEmbError, brief, require
from ..files import is_file
from ..inference.onnx_graph import open_session
from ..locations import resolve
from ..text import tokenize
from ..vectors import Floats
from .records import TaggedText
from .words import Arrays, WordTagger, batches

EXPORTED_FILE, HEAD_FILE, ENCODER_FILE = "exported.json", "head.onnx", "encoder.onnx"
TAGS, CLASSES, FEATURES = "token-classification", "text-classification", "feature-extraction"
INPUTS = ("vectors", "char_ids", "mask")
SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
_AGAIN = "export it again"


class Crf(NamedTuple):
    """The scores of a linear-chain CRF: of the first label ``[labels]``, of the last, and of each after each."""

    start: Floats
    end: Floats
    transitions: Floats

    def decode(self, emissions: Floats, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Find the most probable labels (Viterbi), int64 ``[sentences, words]``, without meaning for padding.

        emissions: float32 ``[sentences, words, labels]``. mask: bool ``[sentences, words]``, words come first.
        """
        sentences, words, labels = emissions.shape
        best = self.start + emissions[:, 0]
        origins = np.empty((words, sentences, labels), np.int64)
        for word in range(1, words):
            scores = best[:, :, None] + self.transitions
            live = mask[:, word, None]
            origins[word] = np.where(live, scores.argmax(1), np.arange(labels))
            best = np.where(live, scores.max(1) + emissions[:, word], best)
        path = np.empty((sentences, words), np.int64)
        path[:, -1] = (best + self.end).argmax(1)
        for word in range(words - 1, 0, -1):
            path[:, word - 1] = origins[word][np.arange(sentences), path[:, word]]
        return path


class ExportedModel:
    """An encoder, tagger or classifier that `distillemb export` wrote.

    >>> model = ExportedModel.from_pretrained("exported")  # doctest: +SKIP
    >>> model.tag(["Juma anaishi Nairobi ."])  # doctest: +SKIP

    Attributes:
        path: Its directory.
        task: ``"token-classification"``, ``"text-classification"`` or ``"feature-extraction"``.
        labels: The names of its tags or classes.
        encoder: Its encoder, which computes and keeps the vectors of words.
    """

    def __init__(self, path: Path, cache_size: int = 200_000) -> None:
        about = _read_about(path)
        self.path, self.task = path, str(about["task"])
        self.labels: list[str] = about["labels"]
        self.encoder = DistillEmb.from_pretrained(path, cache_size)
        self.max_words = int(self.encoder.config.get("max_words", 4096))
        self.crf: Crf | None = about["crf"]
        self._inputs: list[str] = about["inputs"]
        self._kind = about["problem_type"]
        self._session = _open_head(path / HEAD_FILE) if self._inputs else None

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, cache_size: int = 200_000) -> ExportedModel:
        """Open an exported directory.

        Args:
            name_or_path: The directory, or a hub id.
            cache_size: The most words whose vectors are kept.

        Raises:
            DistillEmbError: It is no exported directory, or a damaged one.
            MissingExtraError: ONNX Runtime is not installed.
        """
        return cls(resolve(name_or_path), cache_size)

    def tag(self, texts: Sequence[str]) -> list[TaggedText]:
        """Tag the words of texts; see `Tagger.tag_texts`.

        Raises:
            DistillEmbError: It is no tagger.
        """
        return ExportedTagger(self).tag_texts(texts)

    def classify(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Classify texts.

        Args:
            texts: Of any length. Words after ``max_words`` are not read.

        Returns:
            Of each text the probability of each class, or the value of each label of a regression.

        Raises:
            DistillEmbError: It is no classifier.
        """
        self.require(CLASSES)
        logits = np.zeros((len(texts), len(self.labels)), np.float32)
        for chosen, inputs, mask in self._batches([tokenize(text) for text in texts]):
            logits[chosen] = self.run(inputs, mask)
        return [dict(zip(self.labels, row.tolist(), strict=True)) for row in _probabilities(logits, self._kind)]

    def contextualize(self, sentences: Sequence[Sequence[str]]) -> list[Floats]:
        """Compute words in context, or the vectors of words where there are no context layers.

        Args:
            sentences: Of each its words, at most ``max_words``.

        Returns:
            Of each sentence float32 ``[words, size]``.

        Raises:
            DistillEmbError: It is a tagger or classifier.
        """
        self.require(FEATURES)
        if self._session is None:
            return [self.encoder.encode(list(words)) for words in sentences]
        size = int(self.encoder.config["context_size"])
        result = [np.zeros((len(words), size), np.float32) for words in sentences]
        for chosen, inputs, mask in self._batches(sentences):
            for n, states in zip(chosen, self.run(inputs, mask), strict=True):
                result[n] = states[: len(result[n])]
        return result

    def require(self, task: str) -> None:
        """Raise `DistillEmbError` where it was exported for another task."""
        if self.task != task:
            raise DistillEmbError(f"{self.path} was exported for {self.task}, not for {task}: export another model.")

    def read(self, words: list[str]) -> Arrays:
        """Return what the head reads of each word alone: ``vectors``, ``char_ids`` or both, ``[words, ...]``."""
        found: Arrays = {"vectors": self.encoder.encode(words)}
        if "char_ids" in self._inputs:
            found["char_ids"] = self.encoder.characters.encode(words).astype(np.int64)
        return found

    def run(self, inputs: Arrays, mask: NDArray[np.bool_]) -> Floats:
        """Run the head on a batch; see `batches`."""
        assert self._session is not None
        given = {**inputs, "mask": mask}
        result: Floats = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        return result

    def _batches(self, sentences: Sequence[Sequence[str]]) -> Iterable[tuple[list[int], Arrays, NDArray[np.bool_]]]:
        """Batches of sentences; one without a word is a place of padding."""
        kept = [list(words[: self.max_words]) for words in sentences]
        ends = np.cumsum([len(words) for words in kept])
        arrays = self.read([word for words in kept for word in words])
        yield from batches(arrays, [(end - len(words), end) for words, end in zip(kept, ends, strict=True)])
        empty = [n for n, words in enumerate(kept) if not words]
        if empty:
            nothing = {name: np.zeros((len(empty), 1, *one.shape[1:]), one.dtype) for name, one in arrays.items()}
            yield empty, nothing, np.zeros((len(empty), 1), bool)


class ExportedTagger(WordTagger):
    """An exported tagger.

    Args:
        model: The model.

    Raises:
        DistillEmbError: It is no tagger.
    """

    def __init__(self, model: ExportedModel) -> None:
        model.require(TAGS)
        super().__init__(model.labels, model.max_words)
        self.model = model

    def read(self, words: list[str]) -> Arrays:
        return self.model.read(words)

    def predict(self, inputs: Arrays, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        emissions = self.model.run(inputs, mask)
        result: NDArray[np.int64] = (
            emissions.argmax(-1) if self.model.crf is None else self.model.crf.decode(emissions, mask)
        )
        return result


def is_exported(path: Path) -> bool:
    """Return whether a directory is one that `distillemb export` wrote."""
    return is_file(path / EXPORTED_FILE)


def _read_about(path: Path) -> dict[str, Any]:
    file = path / EXPORTED_FILE
    if not is_file(file):
        raise DistillEmbError(f"{path} is no exported directory: make one with `distillemb export {path} -o OUT`.")
    try:
        about: dict[str, Any] = json.loads(file.read_text("utf-8"))
        problem = set(about["inputs"]) - set(INPUTS) or {about["task"]} - {TAGS, CLASSES, FEATURES}
        crf = about["crf"] and Crf(**{name: np.array(one, np.float32) for name, one in about["crf"].items()})
        size = len(about["labels"])
        fits = not crf or [one.shape for one in crf] == [(size,), (size,), (size, size)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DistillEmbError(f"{file} is damaged ({brief(repr(error))}): {_AGAIN}.") from error
    if problem or not fits:
        raise DistillEmbError(f"{file} is damaged or of a newer version: upgrade distillemb-plugins, or {_AGAIN}.")
    return about | {"crf": crf or None}


def _open_head(file: Path) -> Any:
    require("onnxruntime", "onnx")
    if not is_file(file):
        raise DistillEmbError(f"There is no file {file}: {_AGAIN}.")
    try:
        return open_session(file.read_bytes())
    except Exception as error:  # a file that is cut or foreign raises any of ONNX Runtime's own errors
        raise DistillEmbError(f"{file} cannot be opened ({brief(error)}): {_AGAIN}.") from error


def _probabilities(logits: Floats, kind: str | None) -> Floats:
    if kind == REGRESSION:
        return logits
    if kind == MULTI:
        return (1 / (1 + np.exp(-logits))).astype(np.float32)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = raised / raised.sum(axis=1, keepdims=True)
    return result
