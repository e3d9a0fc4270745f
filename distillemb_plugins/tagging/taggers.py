"""Saved taggers of every face behind one interface: Hugging Face directories, spaCy pipelines, exported directories.

What a directory is, is found out before torch, transformers or spaCy is imported.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..characters import CharTable
from ..errors import DistillEmbError, brief, require
from ..files import is_directory, is_file
from ..inference.context import alike, windows
from ..locations import BUNDLED, CONFIG_FILE, resolve
from ..text import token_spans
from .records import NER, POS, Spans, TaggedText

if TYPE_CHECKING:
    from spacy.tokens import Token

OUTSIDE = "O"
_PIPELINE = "meta.json"
_MARGIN = 64  # words on each side of a window that are read and not kept
_TRAIN = "train one with `distillemb build TEXT --language CODE --conll FOLDER -o OUT`"
_COMPONENTS = {NER: ("ner", "beam_ner", "entity_ruler"), POS: ("tagger", "morphologizer")}


class Tagger(ABC):
    """A tagger of words. Texts may have any length; what is tagged beside a text does not change its tags.

    Attributes:
        layers: What it tags: ``"ner"``, ``"pos"``, or both.
    """

    layers: tuple[str, ...]

    @abstractmethod
    def tag_texts(self, texts: Sequence[str]) -> list[TaggedText]:
        """Cut texts into words, and tag them.

        Args:
            texts: A sentence or paragraph each. Their characters are kept as they are.

        Returns:
            Each text with its tags, in the order given.
        """

    @abstractmethod
    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[TaggedText]:
        """Tag sentences that are cut into words, which blanks then part.

        Args:
            sentences: Of each its words.

        Returns:
            Each sentence with its tags, in the order given.
        """


class WordTagger(Tagger):
    """A tagger that reads rows of characters.

    Args:
        characters: The character table of its encoder.
        labels: The names of the tags.
        max_words: The most words that are read together. A longer text is read in windows that overlap.
    """

    def __init__(self, characters: CharTable, labels: Sequence[str], max_words: int) -> None:
        self.characters, self.labels, self.max_words = characters, list(labels), max_words
        self.layers = (NER if OUTSIDE in self.labels else POS,)

    @abstractmethod
    def predict(self, char_ids: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the numbers of the tags ``[sentences, words]``.

        Args:
            char_ids: int32 ``[sentences, words, max_chars]``, padding at the end of each sentence.
            mask: bool ``[sentences, words]``, true for words.
        """

    def tag_texts(self, texts: Sequence[str]) -> list[TaggedText]:
        return self._tag(texts, [token_spans(text) for text in texts])

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[TaggedText]:
        return self._tag(*_joined(sentences))

    def _tag(self, texts: Sequence[str], spans: Sequence[Spans]) -> list[TaggedText]:
        words = [text[start:end] for text, own in zip(texts, spans, strict=True) for start, end in own]
        numbers = self._numbers(self.characters.encode(words), [len(own) for own in spans])
        result = []
        for text, own, found in zip(texts, spans, numbers, strict=True):
            tags = [self.labels[number] for number in found.tolist()]
            result.append(TaggedText(text, own, {self.layers[0]: tags}))
        return result

    def _numbers(self, rows: NDArray[np.int32], lengths: Sequence[int]) -> list[NDArray[np.int64]]:
        """The tags' numbers of each text; `rows` are the characters of all words, one text after the other."""
        ends = np.cumsum(lengths)
        result = [np.zeros(length, np.int64) for length in lengths]
        margin = min(_MARGIN, (self.max_words - 1) // 4)
        parts = [(n, *part) for n, length in enumerate(lengths) for part in windows(length, self.max_words, margin)]
        sizes = [end - start for _, start, end, _, _ in parts]
        for chosen in alike(sizes):
            width = max(sizes[p] for p in chosen)
            mask = np.arange(width) < np.array([sizes[p] for p in chosen])[:, None]
            batch = np.zeros((len(chosen), width, rows.shape[1]), np.int32)
            for row, (n, start, end, _, _) in zip(batch, (parts[p] for p in chosen), strict=True):
                begin = ends[n] - lengths[n]
                row[: end - start] = rows[begin + start : begin + end]
            for found, (n, start, _, first, last) in zip(
                self.predict(batch, mask), (parts[p] for p in chosen), strict=True
            ):
                result[n][start + first : start + last] = found[first:last]
        return result


class HuggingFaceTagger(WordTagger):
    """A saved `DistillEmbForTokenClassification`.

    Args:
        path: Its directory.
    """

    def __init__(self, path: Path) -> None:
        self._torch = require("torch", "hf")
        logging = require("transformers", "hf").utils.logging
        from ..hf import DistillEmbForTokenClassification

        logging.disable_progress_bar()
        self.model: Any = DistillEmbForTokenClassification.from_pretrained(str(path)).eval()
        config, stored = self.model.config, self.model.tokenizer_files.get("tokenizer_config.json", "{}")
        table = json.loads(stored).get("char_table")
        if table is None:
            raise DistillEmbError(f"{path} has no tokenizer: save that of its encoder beside it.")
        labels = [config.id2label[number] for number in range(self.model.num_labels)]
        super().__init__(CharTable.from_dict(table), labels, config.max_words)

    def predict(self, char_ids: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        torch = self._torch
        with torch.inference_mode():
            logits = self.model(torch.from_numpy(char_ids).long(), torch.from_numpy(mask)).logits
        result: NDArray[np.int64] = logits.argmax(-1).numpy()
        return result


class SpacyTagger(Tagger):
    """A spaCy pipeline with an entity recognizer, a tagger, or both.

    Args:
        path: Its directory.

    Raises:
        DistillEmbError: It has neither, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        spacy = require("spacy", "spacy")
        try:
            self.nlp = spacy.load(path)
        except (OSError, ValueError) as error:
            raise DistillEmbError(f"{path} is a spaCy pipeline that cannot be opened: {brief(error)}") from error
        factories = {self.nlp.get_pipe_meta(name).factory for name in self.nlp.pipe_names}
        self.layers = tuple(layer for layer, names in _COMPONENTS.items() if factories & set(names))
        if not self.layers:
            raise DistillEmbError(
                f"{path} is a spaCy pipeline of {', '.join(self.nlp.pipe_names) or 'no components'}, which tags "
                f"nothing: {_TRAIN}."
            )
        self.nlp.max_length = max(self.nlp.max_length, 1 << 62)  # the limit is for parsers

    def tag_texts(self, texts: Sequence[str]) -> list[TaggedText]:
        result = []
        for doc in self.nlp.pipe(texts):
            words = [word for word in doc if not word.is_space]
            spans = [(word.idx, word.idx + len(word)) for word in words]
            result.append(TaggedText(doc.text, spans, self._tags(words)))
        return result

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[TaggedText]:
        from spacy.tokens import Doc

        docs = self.nlp.pipe(Doc(self.nlp.vocab, words=list(words)) for words in sentences)
        joined = zip(*_joined(sentences), strict=True)
        return [TaggedText(*one, self._tags(doc)) for doc, one in zip(docs, joined, strict=True)]

    def _tags(self, words: Iterable[Token]) -> dict[str, list[str]]:
        words, tags = list(words), {}
        if NER in self.layers:
            tags[NER] = [f"{word.ent_iob_}-{word.ent_type_}" if word.ent_type_ else OUTSIDE for word in words]
        if POS in self.layers:
            tags[POS] = [word.pos_ or word.tag_ for word in words]
        return tags


def _joined(sentences: Iterable[Sequence[str]]) -> tuple[list[str], list[Spans]]:
    """Each sentence as a text whose words blanks part, and where they stand in it."""
    texts, spans = [], []
    for words in sentences:
        ends = np.cumsum([len(word) + 1 for word in words], dtype=int).tolist()
        texts.append(" ".join(words))
        spans.append([(end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)])
    return texts, spans


def open_tagger(name_or_path: str | Path) -> Tagger:
    """Open a saved tagger.

    Args:
        name_or_path: A directory that `DistillEmbForTokenClassification` or its `Trainer` saved, or a spaCy pipeline
            with an entity recognizer or a tagger, as a directory or installed package; or a hub id.

    Raises:
        DistillEmbError: There is no such directory, it is damaged, or it is no tagger; the message says what it is.
        MissingExtraError: What it needs is not installed.
    """
    path = _directory(name_or_path)
    if is_file(path / _PIPELINE):
        return SpacyTagger(path)
    config = _config(path)
    kinds = [str(name) for name in config.get("architectures") or [] if isinstance(name, str)]
    if config.get("model_type") != "distillemb":
        raise DistillEmbError(
            f"{path} holds a model of type {brief(repr(config.get('model_type')))}, which is not ours: open it with "
            "transformers."
        )
    if kinds == ["DistillEmbForTokenClassification"]:
        return HuggingFaceTagger(path)
    if kinds == ["DistillEmbForSequenceClassification"]:
        raise DistillEmbError(f"{path} is a classifier of texts, not a tagger of words: {_TRAIN}.")
    raise DistillEmbError(f"{path} is an encoder, which gives words vectors and no tags: {_TRAIN}.")


def _directory(name_or_path: str | Path) -> Path:
    path, name = Path(name_or_path).expanduser(), str(name_or_path)
    if is_directory(path):
        return path
    if is_file(path):
        raise DistillEmbError(f"{path} is a file: give a tagger's directory first, and then the text.")
    if name.isidentifier() and (package := find_spec(name)) and package.origin:  # as `spacy package` makes them
        for file in Path(package.origin).parent.glob(f"{name}-*/{_PIPELINE}"):
            return file.parent
    if "/" in name or is_directory(BUNDLED / name):
        return resolve(name_or_path)
    raise DistillEmbError(f"There is no tagger {brief(name)}: check the path, or {_TRAIN}.")


def _config(path: Path) -> dict[str, Any]:
    file = path / CONFIG_FILE
    if not is_file(file):
        raise DistillEmbError(f"{path} is no tagger: it has neither {CONFIG_FILE} nor {_PIPELINE}; {_TRAIN}.")
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DistillEmbError(f"{file} is damaged ({brief(error)}): copy the tagger again.") from error
    return config if isinstance(config, dict) else {}
