"""Sentences and texts as the models read them, by the tokenizer and its collators, and what a model says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import DataCollatorForTokenClassification, DataCollatorWithPadding

from ..characters import PAD_ID, UNKNOWN_ID

if TYPE_CHECKING:
    from datasets import Dataset

    from ..hf import DistillEmbTokenizer

Features = list[dict[str, Any]]
_CHUNK = 512  # sentences that are tokenized at once


def encode_dataset(dataset: Dataset, tokenizer: DistillEmbTokenizer, max_words: int = 256) -> Features:
    """Tokenize a data set for training.

    Args:
        dataset: Columns ``tokens`` and ``tags`` (numbers), or ``text`` and ``label``; without ``tags`` or ``label``
            for prediction.
        tokenizer: Of the encoder.
        max_words: Longer sentences are cut.

    Returns:
        For each sentence ``input_ids``, ``attention_mask``, ``char_ids`` (int32 ``[words, max_chars]``), ``labels``
        where there are some, and for tokens ``word_ids``: the places of the words that the tokenizer keeps (blank
        words vanish).
    """
    split = "tokens" in dataset.column_names
    features: Features = []
    for begin in range(0, len(dataset), _CHUNK):
        rows = dataset[begin : begin + _CHUNK]
        labels = rows.get("tags", rows.get("label"))
        # Padded, because arrays are much faster than lists of characters; the padding is taken off again.
        batch = tokenizer(
            list(rows["tokens" if split else "text"]),
            is_split_into_words=split,
            truncation=True,
            max_length=max_words,
            padding=True,
            return_tensors="np",
        )
        for row, mask in enumerate(batch["attention_mask"].astype(bool)):
            feature: dict[str, Any] = {
                "input_ids": batch["input_ids"][row][mask].tolist(),
                "attention_mask": [1] * int(mask.sum()),
                "char_ids": batch["char_ids"][row][mask].astype(np.int32),
            }
            if split:
                feature["word_ids"] = [word for word in batch.word_ids(row) if word is not None]
            if labels is not None:
                feature["labels"] = [labels[row][word] for word in feature["word_ids"]] if split else labels[row]
            features.append(feature)
    return features


@dataclass
class WordCollator:
    """Makes a batch with the standard collator of the task; a share of the characters becomes unknown."""

    tokenizer: DistillEmbTokenizer
    character_dropout: float = 0.0

    def __call__(self, features: Features) -> dict[str, Any]:
        """Pad ``char_ids`` by 0 and the tags by -100."""
        tagged = isinstance(features[0].get("labels"), list)
        collator: Any = (DataCollatorForTokenClassification if tagged else DataCollatorWithPadding)(self.tokenizer)
        batch = dict(collator([{k: v for k, v in one.items() if k != "word_ids"} for one in features]))
        if self.character_dropout:
            rows = batch["char_ids"]
            drop = (torch.rand(rows.shape) < self.character_dropout) & (rows != PAD_ID)
            batch["char_ids"] = rows.masked_fill(drop, UNKNOWN_ID)
        return batch


@torch.inference_mode()
def predict(
    model: Any, tokenizer: DistillEmbTokenizer, sentences: Dataset, max_words: int = 4096, batch_size: int = 64
) -> list[Any]:
    """Tag sentences, or classify texts.

    Args:
        model: A `DistillEmbForTokenClassification` or `DistillEmbForSequenceClassification`, in evaluation mode.
        tokenizer: Of its encoder.
        sentences: A column ``tokens`` (words), or ``text``.
        max_words: Words after these get the first tag, and so do blank words.
        batch_size: Sentences of a batch. Sentences of about equal length come together.

    Returns:
        For each sentence the names of its words' tags, or for a text the name of its class.
    """
    column = "tokens" if "tokens" in sentences.column_names else "text"
    features = encode_dataset(sentences.select_columns([column]), tokenizer, max_words)
    names = [model.config.id2label[number] for number in range(model.num_labels)]
    collate = WordCollator(tokenizer)
    order = sorted(range(len(features)), key=lambda n: len(features[n]["input_ids"]))
    result: list[Any] = [[names[0]] * len(words) for words in sentences[column]]
    for begin in range(0, len(order), batch_size):
        chunk = order[begin : begin + batch_size]
        batch = collate([features[n] for n in chunk])
        inputs = {name: batch[name].to(model.device) for name in ("char_ids", "attention_mask")}
        for n, best in zip(chunk, model(**inputs).logits.argmax(-1).tolist(), strict=True):
            if column == "text":
                result[n] = names[best]
            else:
                for word, label in zip(features[n]["word_ids"], best, strict=False):
                    result[n][word] = names[label]
    return result
