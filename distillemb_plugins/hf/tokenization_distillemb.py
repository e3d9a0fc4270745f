"""The tokenizer: text to words, and every word to one id and a row of character ids.

The backend (`tokenizer.json`) is the same for every encoder. It is a fast tokenizer with an empty vocabulary, so that
offsets, `word_ids`, overflow and the pipelines' aggregation work as they do for any model; the characters come beside
it as `char_ids`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BatchEncoding, PreTrainedTokenizerFast

from .characters_distillemb import PAD_ID, CharTable
from .configuration_distillemb import copy_sources

AUTO_MAP = {"AutoTokenizer": [None, "tokenization_distillemb.DistillEmbTokenizer"]}  # [slow, fast]
MODEL_MAX_LENGTH = 4096
_SURROGATE = re.compile("[\ud800-\udfff]")


class DistillEmbTokenizer(PreTrainedTokenizerFast):
    """Words with their characters.

    Calling it gives, beside what every fast tokenizer gives, ``char_ids``: int64 ``[batch, words, max_chars]``, all
    zero where `attention_mask` is 0. `input_ids` only tells words (1) from padding (0). Text is split as
    `distillemb_plugins.text.tokenize` does; with ``is_split_into_words=True`` no word is split, and blank words vanish
    (align labels by ``word_ids()``). With `return_tensors` an empty text has one padding position, so that no model
    meets a sentence of no width.

    There is no ``__init__``: transformers 5 rebuilds the backend of a subclass that has one, silently empty. The
    character table is kept in ``init_kwargs["char_table"]``.
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json"}  # noqa: RUF012 - transformers' own form
    model_input_names = ["input_ids", "char_ids", "attention_mask"]  # noqa: RUF012
    slow_tokenizer_class = None

    @property
    def characters(self) -> CharTable:
        """The character table. Raises ValueError when the directory was not written for an encoder."""
        table = self.__dict__.get("_characters")
        if table is None:
            settings = self.init_kwargs.get("char_table")
            if not isinstance(settings, dict):
                raise ValueError("tokenizer_config.json holds no char_table: load the tokenizer of an encoder directory.")
            table = self.__dict__["_characters"] = CharTable.from_dict(settings)
        return table

    def __call__(self, text: Any = None, text_pair: Any = None, *args: Any, **kwargs: Any) -> BatchEncoding:
        """Words, offsets and character ids of one text or a batch; arguments as for every fast tokenizer.

        Raises ValueError when something in the batch is not text.
        """
        tensors = kwargs.pop("return_tensors", None)
        split = bool(kwargs.get("is_split_into_words"))
        text, text_pair = _clean(text), _clean(text_pair)
        if not split and isinstance(text, list) and not text:
            return BatchEncoding({name: [] for name in self.model_input_names})
        backend = self._without_splitting() if split else self
        encoded = PreTrainedTokenizerFast.__call__(backend, text, text_pair, *args, **kwargs)
        single = bool(encoded.encodings) and not _is_batch(text, split) and not kwargs.get("return_overflowing_tokens")
        self._add_characters(encoded, _samples(text, text_pair, split), split, single)
        return encoded if tensors is None else self._to_tensors(encoded, tensors, single)

    def encode(self, text: Any, text_pair: Any = None, **kwargs: Any) -> Any:
        """The ids of the words: 1 for each (see `__call__` for the characters)."""
        return self(text, text_pair, **kwargs)["input_ids"]

    def tokenize(self, text: str, pair: str | None = None, **kwargs: Any) -> list[str]:
        """The words of a text (and of its pair), as they stand there."""
        kwargs = {name: kwargs[name] for name in ("is_split_into_words", "truncation", "max_length") if name in kwargs}
        encoded = self(text, pair, **kwargs)
        sequences = next(_samples(_clean(text), _clean(pair), bool(kwargs.get("is_split_into_words"))))
        return list(_words(encoded.encodings[0], sequences, bool(kwargs.get("is_split_into_words"))))

    def _without_splitting(self) -> DistillEmbTokenizer:
        """This tokenizer over a second backend, whose pre-tokenizer leaves words whole (``don't`` would be cut)."""
        whole = self.__dict__.get("_whole_words")
        if whole is None:
            from tokenizers import normalizers

            whole = copy.deepcopy(self.backend_tokenizer)
            whole.pre_tokenizer = None
            whole.normalizer = normalizers.Strip()  # so that a word of blanks is no word, as in a text
            self.__dict__["_whole_words"] = whole
        other = copy.copy(self)
        other._tokenizer = whole
        return other

    def _add_characters(
        self, encoded: BatchEncoding, samples: Iterator[Sequence[Any]], split: bool, single: bool
    ) -> None:
        """Set ``encoded["char_ids"]``: a list ``[rows, words, max_chars]``, without `rows` for a single text."""
        if encoded.encodings is None:
            return
        texts = list(samples)
        origins = encoded.get("overflow_to_sample_mapping") or range(len(encoded.encodings))
        words = [
            list(_words(encoding, texts[origin], split))
            for encoding, origin in zip(encoded.encodings, origins, strict=True)
        ]
        rows = self.characters.encode([word for sentence in words for word in sentence]).astype(np.int64)
        ends = np.cumsum([len(sentence) for sentence in words])
        char_ids = [part.tolist() for part in np.split(rows, ends[:-1])]
        encoded["char_ids"] = char_ids[0] if single else char_ids

    def _to_tensors(self, encoded: BatchEncoding, tensors: Any, single: bool) -> BatchEncoding:
        rows = encoded.encodings or []
        if rows and not any(len(row) for row in rows):
            for row in rows:
                row.pad(1, direction=self.padding_side, pad_id=self.pad_token_id, pad_token=self.pad_token)
            self._widen(encoded, single)
        return encoded.convert_to_tensors(tensors, prepend_batch_axis=single)

    def _widen(self, encoded: BatchEncoding, single: bool) -> None:
        """Give every (empty) sentence one padding position."""
        padding: dict[str, Any] = {
            "input_ids": self.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": self.pad_token_type_id,
            "special_tokens_mask": 1,
            "offset_mapping": (0, 0),
            "char_ids": [PAD_ID] * self.characters.max_chars,
        }
        for name in padding.keys() & encoded.keys():
            encoded[name] = [padding[name]] if single else [[padding[name]] for _ in encoded[name]]

    def _pad(self, encoded_inputs: Any, max_length: int | None = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        before = len(encoded_inputs["input_ids"])
        if max_length == 0:  # a batch of empty sentences
            max_length = 1
        padded = super()._pad(encoded_inputs, max_length, *args, **kwargs)
        missing = len(padded["input_ids"]) - before
        if missing > 0 and "char_ids" in padded:
            rows = [[PAD_ID] * self.characters.max_chars for _ in range(missing)]
            own = [list(row) for row in padded["char_ids"]]
            left = (kwargs.get("padding_side") or self.padding_side) == "left"
            padded["char_ids"] = rows + own if left else own + rows
        return padded

    def _save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        self.backend_tokenizer.no_truncation()  # how the last call cut and padded is no property of the tokenizer
        self.backend_tokenizer.no_padding()
        copy_sources(save_directory)
        return super()._save_pretrained(save_directory, *args, **kwargs)


def build_tokenizer(characters: CharTable, model_max_length: int = MODEL_MAX_LENGTH) -> DistillEmbTokenizer:
    """A tokenizer for a character table, as an encoder directory would give it.

    model_max_length: words of a sentence beyond which ``truncation=True`` cuts.
    """
    template = Path(__file__).with_name("tokenizer_template.json")
    return DistillEmbTokenizer(
        tokenizer_file=str(template),
        char_table=characters.to_dict(),
        auto_map=dict(AUTO_MAP),
        model_max_length=model_max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        padding_side="right",
        truncation_side="right",
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )


def _clean(text: Any) -> Any:
    """The text with unpaired surrogates replaced (the backend refuses them); tuples become lists.

    Raises ValueError for anything that is not a string or a list of them.
    """
    if text is None:
        return None
    if isinstance(text, str):
        return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    if isinstance(text, (list, tuple)):
        if any(item is None for item in text):
            raise ValueError(f"Item {list(text).index(None)} of the batch is None: give text, or leave it out.")
        return [_clean(item) for item in text]
    raise ValueError(f"The text is a {type(text).__name__}: give a string, or a list of strings.")


def _is_batch(text: Any, split: bool) -> bool:
    if split:
        return isinstance(text, list) and bool(text) and isinstance(text[0], list)
    return isinstance(text, list)


def _samples(text: Any, pair: Any, split: bool) -> Iterator[Sequence[Any]]:
    """For each sample its sequences: strings, or lists of words."""
    if not _is_batch(text, split):
        yield [text, pair]
        return
    pairs = pair if pair is not None else [None] * len(text)
    for first, second in zip(text, pairs, strict=True):
        joined = isinstance(first, list) and (not split or bool(first) and isinstance(first[0], list))
        yield first if joined else [first, second]


def _words(encoding: Any, sequences: Sequence[Any], split: bool) -> Iterator[str]:
    """The words of one row, read by their offsets; an empty one for padding."""
    places = zip(encoding.sequence_ids, encoding.word_ids, encoding.offsets, strict=True)
    for sequence, word, (start, end) in places:
        if sequence is None or word is None:
            yield ""
        else:
            source = sequences[sequence]
            yield (source[word] if split else source)[start:end]
