"""Saved taggers of every face behind one interface: Hugging Face directories, spaCy pipelines, exported directories.

What a directory is, is found out before torch, transformers or spaCy is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..characters import CharTable
from ..errors import DistillEmbError, brief, require
from ..files import is_directory, is_file, read_json_object
from ..locations import BUNDLED, CONFIG_FILE, resolve
from .exported import ExportedModel, ExportedTagger, is_exported
from .records import NER, POS, TaggedText
from .words import OUTSIDE, Arrays, Tagger, WordTagger, join_words

if TYPE_CHECKING:
    from spacy.tokens import Token

_PIPELINE = "meta.json"
_TRAIN = "train one with `distillemb build TEXT --language CODE --conll FOLDER -o OUT`"
_COMPONENTS = {NER: ("ner", "beam_ner", "entity_ruler"), POS: ("tagger", "morphologizer")}


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
        self.characters = CharTable.from_dict(table)
        super().__init__([config.id2label[number] for number in range(self.model.num_labels)], config.max_words)

    def read(self, words: list[str]) -> Arrays:
        return {"char_ids": self.characters.encode(words)}

    def predict(self, inputs: Arrays, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        torch = self._torch
        with torch.inference_mode():
            logits = self.model(torch.from_numpy(inputs["char_ids"]).long(), torch.from_numpy(mask)).logits
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
        joined = zip(*join_words(sentences), strict=True)
        return [TaggedText(*one, self._tags(doc)) for doc, one in zip(docs, joined, strict=True)]

    def _tags(self, words: Iterable[Token]) -> dict[str, list[str]]:
        words = list(words)
        tags: dict[str, list[str]] = {}
        if NER in self.layers:
            tags[NER] = [f"{word.ent_iob_}-{word.ent_type_}" if word.ent_type_ else OUTSIDE for word in words]
        if POS in self.layers:
            tags[POS] = [word.pos_ or word.tag_ for word in words]
        return tags


def open_tagger(name_or_path: str | Path) -> Tagger:
    """Open a saved tagger.

    Args:
        name_or_path: A directory that `DistillEmbForTokenClassification` or its `Trainer` saved, what `distillemb
            export` made of one, or a spaCy pipeline with an entity recognizer or a tagger, as a directory or installed
            package; or a hub id.

    Raises:
        DistillEmbError: There is no such directory, it is damaged, or it is no tagger; the message says what it is.
        MissingExtraError: What it needs is not installed.
    """
    path = _directory(name_or_path)
    if is_file(path / _PIPELINE):
        return SpacyTagger(path)
    if is_exported(path):
        return ExportedTagger(ExportedModel(path))
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
    return read_json_object(file, "copy the tagger again")
