"""Reading tagged files and text sets, finding them, and checking what they share."""

from .classification import classification_dataset, load_classification
from .conll import conll_files, read_sentences
from .layout import Layout, Sentence
from .overlap import overlapping, sentence_key, share_in_text, word_runs
from .sources import corpus_files, task_file, task_files
from .tagged import (
    add_sentences,
    apart_from,
    check_tagged,
    join_datasets,
    labels_of,
    named_tags,
    split_sentences,
    tagged_dataset,
)

__all__ = [
    "Layout",
    "Sentence",
    "add_sentences",
    "apart_from",
    "check_tagged",
    "classification_dataset",
    "conll_files",
    "corpus_files",
    "join_datasets",
    "labels_of",
    "load_classification",
    "named_tags",
    "overlapping",
    "read_sentences",
    "sentence_key",
    "share_in_text",
    "split_sentences",
    "tagged_dataset",
    "task_file",
    "task_files",
    "word_runs",
]
