"""Tagging tasks as `datasets`: read from CoNLL files, with one set of tags in all splits, and checked."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DistillEmbError
from .conll import read_sentences
from .layout import Layout, Sentence
from .overlap import letters, overlapping

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

NO_TAG = "X"  # of universal tags: what has no other one
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
Files = Mapping[str, "Path | Sequence[Path]"]
T = TypeVar("T")


def tagged_dataset(files: Files, task: str = "ner", **layout: Any) -> DatasetDict:
    """Read the sentences of each split.

    Args:
        files: The file of each split, or several files.
        task: ``"ner"`` (IOB2; an ``I-`` that continues nothing is read as ``B-``) or ``"pos"`` (universal tags; a word
            without one, as CoNLL-U may have, gets ``X``).
        **layout: Options of `Layout`, such as ``tag_column`` and ``scheme``, for files of which something cannot be
            found out.

    Returns:
        Columns ``tokens`` and ``tags``, the tags as class labels that all splits share. "O" is label 0.

    Raises:
        DistillEmbError: A file cannot be read (named with the line), or holds no sentence.
    """
    options = Layout(task=task, **layout)
    splits = {name: [s for file in _listed(some) for s in _sentences(file, options)] for name, some in files.items()}
    found = {tag for sentences in splits.values() for sentence in sentences for tag in sentence.tags}
    columns = {name: ([s.words for s in sentences], [s.tags for s in sentences]) for name, sentences in splits.items()}
    return dataset_of(columns, tag_names(found, task))


def _listed(files: Path | Sequence[Path]) -> Sequence[Path]:
    return [files] if isinstance(files, Path) else files


def dataset_of(splits: Mapping[str, tuple[list[list[str]], list[list[str]]]], names: Sequence[str]) -> DatasetDict:
    """Make a data set, as `tagged_dataset` does, of words and tags.

    Args:
        splits: The words and the tags of the sentences of each split.
        names: All tags, label 0 first.
    """
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
    from datasets import Sequence as ListOf

    features = Features({"tokens": ListOf(Value("string")), "tags": ListOf(ClassLabel(names=list(names)))})
    return DatasetDict(
        {
            name: Dataset.from_dict({"tokens": words, "tags": tags}, features=features)
            for name, (words, tags) in splits.items()
        }
    )


def _sentences(file: Path, layout: Layout) -> list[Sentence]:
    sentences = list(read_sentences(file, layout))
    if not sentences:
        raise DistillEmbError(f"{file} holds no sentence: give a file of words with tags.")
    missing = sum(tag == "" for sentence in sentences for tag in sentence.tags)
    if missing:
        warnings.warn(f"{file}: {missing} words without a tag get the tag {NO_TAG}.", UserWarning, stacklevel=3)
        for sentence in sentences:
            sentence.tags = [tag or NO_TAG for tag in sentence.tags]
    return sentences


def tag_names(found: set[str], task: str) -> list[str]:
    """The tags in a fixed order: for NER "O" first and each type's ``B-`` with its ``I-``, seen or not."""
    if task != "ner":
        return sorted(found)
    types = sorted({tag[2:] for tag in found if tag != "O"})
    return ["O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]


def labels_of(dataset: Dataset) -> list[str]:
    """The names of the tags (column ``tags``) or classes (column ``label``), in the order of their numbers."""
    features = dataset.features
    names: list[str] = (features["tags"].feature if "tags" in features else features["label"]).names
    return names


def named_tags(sentences: Dataset) -> list[list[str]]:
    """The tags' names of every sentence."""
    names = labels_of(sentences)
    return [[names[tag] for tag in tags] for tags in sentences["tags"]]


def split_sentences(sentences: Sequence[T], dev: float = 0.1, test: float = 0.2, seed: int = 0) -> dict[str, list[T]]:
    """Split sentences, or anything else, into train, dev and test. Each split keeps their order.

    Args:
        sentences: What has no split of its own.
        dev: Share of dev.
        test: Share of test.
        seed: Equal seeds give equal splits.
    """
    order = list(range(len(sentences)))
    random.Random(seed).shuffle(order)
    held, size = round(test * len(order)), round(dev * len(order))
    parts = {"train": order[held + size :], "dev": order[held : held + size], "test": order[:held]}
    return {name: [sentences[n] for n in sorted(part)] for name, part in parts.items()}


def join_datasets(datasets: Mapping[str, DatasetDict]) -> DatasetDict:
    """Join several languages into one data set with a column ``language``.

    Raises:
        DistillEmbError: Their tags differ.
    """
    from datasets import DatasetDict, concatenate_datasets

    tags = {language: labels_of(dataset["train"]) for language, dataset in datasets.items()}
    first = next(iter(tags))
    for language, names in tags.items():
        if names != tags[first]:
            raise DistillEmbError(f"{language} has the tags {names}, {first} has {tags[first]}: they cannot be joined.")
    splits = {
        name: [d[name].add_column("language", [language] * len(d[name])) for language, d in datasets.items()]
        for name in datasets[first]
    }
    return DatasetDict({name: concatenate_datasets(parts) for name, parts in splits.items()})


def add_sentences(dataset: DatasetDict, more: Dataset) -> DatasetDict:
    """Add training sentences, without those that the other splits hold.

    Left out is what equals a sentence of another split in all its letters (case and punctuation aside), or shares at
    least half of its runs of six words with them.

    Args:
        dataset: The splits.
        more: Sentences with the same tags.

    Raises:
        DistillEmbError: The tags differ.
    """
    from datasets import DatasetDict, concatenate_datasets

    if labels_of(more) != labels_of(dataset["train"]):
        raise DistillEmbError(
            f"The sentences to add have the tags {labels_of(more)}, not {labels_of(dataset['train'])}."
        )
    held = [letters(words) for name, split in dataset.items() if name != "train" for words in split["tokens"]]
    own = [letters(words) for words in more["tokens"]]
    whole = {"".join(words) for words in held}
    near = overlapping(own, held)
    kept = [n for n, words in enumerate(own) if "".join(words) not in whole and not near[n]]
    return DatasetDict({**dataset, "train": concatenate_datasets([dataset["train"], more.select(kept)])})


def apart_from(sentences: Dataset, others: Dataset) -> Dataset:
    """The sentences that have no run of six words in common with the others (case and punctuation aside)."""
    shared = overlapping(map(letters, sentences["tokens"]), map(letters, others["tokens"]), share=0)
    return sentences.select([number for number, one in enumerate(shared) if not one])


def check_tagged(dataset: DatasetDict, files: Files | None = None) -> list[str]:
    """Look for what is wrong with a tagging task.

    Looks for columns and tags that should be there, sentences twice in one split or in two, words and tags of
    different number, and (with `files`) a byte-order mark.

    Returns:
        A sentence for each problem; nothing when all is well.
    """
    problems = []
    for name, split in dataset.items():
        missing = {"tokens", "tags"} - set(split.column_names)
        if missing:
            problems.append(f"{name}: the column {sorted(missing)[0]} is missing.")
            continue
        uneven = sum(len(row["tokens"]) != len(row["tags"]) for row in split)
        problems += [f"{name}: {uneven} sentences have not one tag a word."] if uneven else []
        unseen = _unseen_tags(dataset, name)
        problems += [f"{name}: no word has the tag {', '.join(unseen)}, which train has."] if unseen else []
    sentences = {name: Counter(_texts(split)) for name, split in dataset.items() if "tokens" in split.column_names}
    for name, texts in sentences.items():
        twice = sum(count - 1 for count in texts.values())
        problems += [f"{name}: {twice} sentences repeat another one of the same split."] if twice else []
    problems += _shared(sentences)
    for name, some in (files or {}).items():
        marked = any(_is_marked(file) for file in _listed(some))
        problems += [f"{name}: the file begins with a byte-order mark (it is skipped)."] if marked else []
    return problems


def _is_marked(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK


def _shared(sentences: Mapping[str, Counter[str]]) -> list[str]:
    names = list(sentences)
    problems = []
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            both = len(sentences[first].keys() & sentences[second].keys())
            problems += [f"{both} sentences are in {first} and in {second}."] if both else []
    return problems


def _texts(split: Dataset) -> Iterable[str]:
    return (" ".join(words) for words in split["tokens"])


def _unseen_tags(dataset: DatasetDict, name: str) -> list[str]:
    """Tags of train that a split never uses (a sign of a cut or mislabelled file)."""
    if name == "train" or "train" not in dataset:
        return []
    used = {split: {tag for tags in dataset[split]["tags"] for tag in tags} for split in ("train", name)}
    names = labels_of(dataset[name])
    return [names[tag] for tag in sorted(used["train"] - used[name])]
