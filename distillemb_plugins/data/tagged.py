"""Tagging tasks as `datasets`: read from CoNLL files, with one set of tags in all splits, and checked."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DistillEmbError
from ..files import iter_lines
from ..text import tokenize
from .conll import Layout, Sentence, read_sentences

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
RUN = 6  # words in a row that two sentences have in common only when one was made from the other


def tagged_dataset(files: Mapping[str, Path], task: str = "ner") -> DatasetDict:
    """The sentences of each split: columns ``tokens`` and ``tags``, these as class labels that all splits share.

    task: ``"ner"`` (IOB2; an ``I-`` that continues nothing is read as ``B-``) or ``"pos"`` (universal tags). "O" is
    label 0.

    Raises `DistillEmbError` naming file and line for what cannot be read, and for a split without sentences.
    """
    splits = {name: _sentences(file, task) for name, file in files.items()}
    found = {tag for sentences in splits.values() for sentence in sentences for tag in sentence.tags}
    columns = {name: ([s.words for s in sentences], [s.tags for s in sentences]) for name, sentences in splits.items()}
    return dataset_of(columns, tag_names(found, task))


def dataset_of(splits: Mapping[str, tuple[list[list[str]], list[list[str]]]], names: Sequence[str]) -> DatasetDict:
    """Words and tags of the sentences of each split as `datasets`. names: all tags, label 0 first."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
    from datasets import Sequence as ListOf

    features = Features({"tokens": ListOf(Value("string")), "tags": ListOf(ClassLabel(names=list(names)))})
    return DatasetDict(
        {
            name: Dataset.from_dict({"tokens": words, "tags": tags}, features=features)
            for name, (words, tags) in splits.items()
        }
    )


def _sentences(file: Path, task: str) -> list[Sentence]:
    sentences = list(read_sentences(file, Layout(task=task)))
    if not sentences:
        raise DistillEmbError(f"{file} holds no sentence: give a file of words with tags.")
    return sentences


def tag_names(found: set[str], task: str) -> list[str]:
    """The tags in a fixed order: for NER "O" first and each type's ``B-`` with its ``I-``, seen or not."""
    if task != "ner":
        return sorted(found)
    types = sorted({tag[2:] for tag in found if tag != "O"})
    return ["O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]


def labels_of(dataset: Dataset) -> list[str]:
    """The tags' names, in the order of their numbers."""
    names: list[str] = dataset.features["tags"].feature.names
    return names


def named_tags(sentences: Dataset) -> list[list[str]]:
    """The tags' names of every sentence."""
    names = labels_of(sentences)
    return [[names[tag] for tag in tags] for tags in sentences["tags"]]


def join_datasets(datasets: Mapping[str, DatasetDict]) -> DatasetDict:
    """Several languages as one, with a column ``language``. Raises `DistillEmbError` when their tags differ."""
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
    """`dataset` with the sentences of `more` in its train split, without those that its other splits hold.

    Left out is what equals a sentence of another split in all its letters (case and punctuation aside), or shares at
    least half of its runs of six words with them. Raises `DistillEmbError` when the tags differ.
    """
    from datasets import DatasetDict, concatenate_datasets

    if labels_of(more) != labels_of(dataset["train"]):
        raise DistillEmbError(
            f"The sentences to add have the tags {labels_of(more)}, not {labels_of(dataset['train'])}."
        )
    held = [words for name, split in dataset.items() if name != "train" for words in split["tokens"]]
    kept = more.select(_not_among(more["tokens"], held))
    return DatasetDict({**dataset, "train": concatenate_datasets([dataset["train"], kept])})


def _not_among(sentences: Iterable[Sequence[str]], held: Iterable[Sequence[str]]) -> list[int]:
    """The numbers of the sentences that do not stand among the held ones, nor nearly so."""
    letters = [_letters(words) for words in held]
    whole, runs = {"".join(words) for words in letters}, {run for words in letters for run in _runs(words)}
    kept = []
    for number, sentence in enumerate(sentences):
        words = _letters(sentence)
        own = _runs(words)
        if "".join(words) not in whole and 2 * len(own & runs) < max(1, len(own)):
            kept.append(number)
    return kept


def apart_from(sentences: Dataset, others: Dataset) -> Dataset:
    """The sentences that have no run of six words in common with the others (case and punctuation aside)."""
    runs = {run for words in others["tokens"] for run in runs_of(words)}
    return sentences.select([number for number, words in enumerate(sentences["tokens"]) if not runs_of(words) & runs])


def runs_of(words: Iterable[str]) -> set[tuple[str, ...]]:
    """All runs of six words of a sentence, case and punctuation aside; by these two texts are told to be alike."""
    return _runs(_letters(words))


def share_in_text(sentences: Mapping[str, Iterable[Iterable[str]]], texts: Sequence[Path]) -> dict[str, float]:
    """For each split, the share of its sentences that stand in raw text: at least half of their runs of six words do.

    Sentences of less than six words are left out; 0 for a split without longer ones.
    """
    runs = {split: list(filter(None, map(runs_of, part))) for split, part in sentences.items()}
    wanted = {run for part in runs.values() for sentence in part for run in sentence}
    there: set[tuple[str, ...]] = set()
    for line in iter_lines(texts):
        there |= runs_of(tokenize(line)) & wanted
    known = {split: [2 * len(sentence & there) >= len(sentence) for sentence in part] for split, part in runs.items()}
    return {split: sum(part) / max(1, len(part)) for split, part in known.items()}


def _letters(words: Iterable[str]) -> list[str]:
    """The words in lower case, their letters alone; those without a letter are left out."""
    forms = ("".join(c for c in unicodedata.normalize("NFC", word).casefold() if c.isalpha()) for word in words)
    return [form for form in forms if form]


def _runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[n : n + RUN]) for n in range(len(words) - RUN + 1)}


def check_tagged(dataset: DatasetDict, files: Mapping[str, Path] | None = None) -> list[str]:
    """What is wrong with a tagging task, a sentence each; nothing when all is well.

    Looks for columns and tags that should be there, sentences twice in one split or in two, words and tags of
    different number, and (with `files`) a byte-order mark.
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
    for name, file in (files or {}).items():
        with file.open("rb") as stream:
            marked = stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK
        problems += [f"{name}: the file begins with a byte-order mark (it is skipped)."] if marked else []
    return problems


def _shared(sentences: Mapping[str, Counter[str]]) -> list[str]:
    names = list(sentences)
    problems = []
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            both = len(sentences[first].keys() & sentences[second].keys())
            problems += [f"{both} sentences are in {first} and in {second}."] if both else []
    return problems


def _texts(split: Dataset) -> list[str]:
    return [" ".join(words) for words in split["tokens"]]


def _unseen_tags(dataset: DatasetDict, name: str) -> list[str]:
    """Tags of train that a split never uses (a sign of a cut or mislabelled file)."""
    if name == "train" or "train" not in dataset:
        return []
    used = {split: {tag for tags in dataset[split]["tags"] for tag in tags} for split in ("train", name)}
    names = labels_of(dataset[name])
    return [names[tag] for tag in sorted(used["train"] - used[name])]
