"""Text classification tasks as `datasets`: AfriSenti, MasakhaNEWS, NollySenti and two Tigrinya sets, checked.

Every set is read the way its files are written, and what would falsify a score is taken out of the training texts:

* AfriSenti has quotation marks in tweets that quote nothing, so nothing is read as quoted. All Amharic test tweets, and
  no training tweet, stand in a pair of single quotes: such a pair is cut off, and so is "@user", the masked name.
* MasakhaNEWS' training files may be absent; the headlines of its raw annotations stand in for them, and dev and test
  texts are cut shorter to be like them.
* The Tigrinya sets have no split; theirs is made here, stratified, with a fixed seed.
* A training text that is also in dev or test is dropped, and so is a dev text that is in test.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import regex

from ..errors import DistillEmbError, brief
from .overlap import fold, overlapping
from .sources import HUB_SPLITS, hub_dataset, not_under_data, task_file

if TYPE_CHECKING:
    from datasets import DatasetDict

NEWS_WORDS = 100  # of an article's body; the headline comes before them
# The same where train is headlines. Of 0, 30 and 100 the best on the dev sets of Swahili and Amharic together.
HEADLINE_WORDS = 30
SPLIT_SEED = 13
RUN = 5  # words of the runs by which two news texts are compared
SENTIMENTS = ("negative", "neutral", "positive")
_LONGEST_FIELD = 1 << 24  # characters
_DELIMITERS = ("\t", ",", ";", "|")
_MASKED_NAME = regex.compile(r"(?<!\S)@user\b:?")


@dataclass(frozen=True)
class Item:
    """One text with its label.

    key: what two equal texts have in common. whole: an article uncut. place: file and line, for messages.
    """

    text: str
    label: str
    key: str
    whole: str
    place: str = ""


@dataclass(frozen=True)
class Task:
    """How a task is stored, in `folder` below ``tasks/cls``.

    text: the columns that make the text, the first of which tells equal texts. labels: the classes; none where the
    files name them. file: of a task without a split. quoting: of the `csv` module. hub: the name on the Hugging Face
    hub. codes: names of the languages' folders where these are not our codes. part_of: a text half of whose five-word
    runs occur in a dev or test text counts as equal to it. tweets: to be cleaned by `clean_tweet`.
    """

    folder: str
    text: tuple[str, ...]
    label: str
    labels: tuple[str, ...] = ()
    file: str = ""
    delimiter: str = "\t"
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
    hub: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    part_of: bool = False
    tweets: bool = False


_NOLLYSENTI = {"hau": "ha", "ibo": "ig", "pcm": "pcm", "yor": "yo", "eng": "en"}
TASKS = {
    "afrisenti": Task(
        "afrisenti", ("tweet",), "label", SENTIMENTS, quoting=csv.QUOTE_NONE, hub="masakhane/afrisenti", tweets=True
    ),
    "masakhanews": Task("masakhanews", ("headline", "text"), "category", hub="masakhane/masakhanews", part_of=True),
    "nollysenti": Task("nollysenti", ("{code}_review",), "sentiment", ("negative", "positive"), codes=_NOLLYSENTI),
    "tir-sentiment": Task("tir", ("text",), "label", SENTIMENTS, "tigrigna_sentiment_dataset.csv", ","),
    "tir-news": Task("tir", ("Text",), "Label", (), "Tigrinya-News-Article-Dataset.csv", ","),
}
# MasakhaNEWS' raw annotations: headline (and for some the lead) with the category that most annotators chose.
_RAW_NEWS = Task("masakhanews_rawmajority", ("text",), "category")


def classification_dataset(data: Path, task: str, language: str, words: int = NEWS_WORDS) -> DatasetDict:
    """Load the texts of a task in one language; see `load_classification`. What was dropped is printed."""
    dataset, notes = load_classification(data, task, language, words)
    for note in notes:
        print(f"{task} {language}: {note}", file=sys.stderr)
    return dataset


def load_classification(data: Path, task: str, language: str, words: int = NEWS_WORDS) -> tuple[DatasetDict, list[str]]:
    """Load the texts of a task in one language.

    Args:
        data: The folder that holds ``tasks/cls`` or its archive. Otherwise the hub is asked.
        task: One of `TASKS`.
        language: Such as ``swa``.
        words: Of a news article, so many words of its body follow the headline.

    Returns:
        The splits train, dev and test with the columns ``text`` and ``label`` (class labels), and a sentence for each
        thing that was found amiss.

    Raises:
        DistillEmbError: There is no such task, a file cannot be read (named with the line), or a split has no texts.
    """
    if task not in TASKS:
        raise DistillEmbError(f"There is no task {task}: choose from {', '.join(TASKS)}.")
    notes: list[str] = []
    splits, labels = _read_splits(data, task, language, words, notes)
    splits = {name: _with_text(name, items, notes) for name, items in splits.items()}
    splits = {name: _with_label(name, items, labels, notes) for name, items in splits.items()}
    if TASKS[task].file:
        splits = _make_splits(_once("the file", splits["train"], notes))
    _separate(splits, TASKS[task].part_of, notes)
    unseen = sorted({item.label for item in splits["test"]} - {item.label for item in splits["train"]})
    if unseen and splits["train"]:
        notes.append(f"test: no training text has the label {', '.join(unseen)}.")
    for name, items in splits.items():
        if not items:
            raise DistillEmbError(f"{task} has no {name} texts in {language}: choose another language or task.")
    return _as_dataset(splits, labels), notes


def _as_dataset(splits: dict[str, list[Item]], labels: Sequence[str]) -> DatasetDict:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=list(labels))})
    parts = {
        name: Dataset.from_dict({"text": [i.text for i in items], "label": [i.label for i in items]}, features=features)
        for name, items in splits.items()
    }
    return DatasetDict(parts)


def _read_splits(
    data: Path, task: str, language: str, words: int, notes: list[str]
) -> tuple[dict[str, list[Item]], list[str]]:
    """The items of each split as the files (or the hub) have them, and the labels in alphabetical order."""
    spec = TASKS[task]
    if spec.file:
        file = task_file(data, "cls", f"{spec.folder}/{spec.file}")
        if language != "tir":
            raise DistillEmbError(f"{task} is of Tigrinya alone, not of {language}: choose --language tir.")
        if file is None:
            raise not_under_data(task, language, f"tasks/cls/{spec.folder}/{spec.file}")
        items = list(_read(file, spec, "", words))
        return {"train": items}, sorted(spec.labels or {item.label for item in items})
    code = spec.codes.get(language, language)
    folder = task_file(data, "cls", f"{spec.folder}/{code}")
    if folder is None or not (folder / "test.tsv").is_file():
        return _from_hub(task, language, words)
    train = folder / "train.tsv"
    whole = train.is_file()
    words = words if whole else min(words, HEADLINE_WORDS)
    splits = {
        "train": list(_read(train, spec, code, words)) if whole else _raw_news(data, task, language, words, notes)
    }
    splits |= {name: list(_read(folder / f"{name}.tsv", spec, code, words)) for name in ("dev", "test")}
    return splits, sorted(spec.labels or {item.label for item in splits["test"]})


def _raw_news(data: Path, task: str, language: str, words: int, notes: list[str]) -> list[Item]:
    """Training texts from the raw annotations, for a language whose training file is absent."""
    file = task_file(data, "cls", f"{_RAW_NEWS.folder}/{language}.tsv")
    if file is None:
        raise not_under_data(task, language, f"tasks/cls/{TASKS[task].folder}/{language}/train.tsv")
    notes.append("there is no train.tsv: train is the raw annotations, of which most are headlines only.")
    return list(_read(file, _RAW_NEWS, "", words))


def _read(file: Path, spec: Task, code: str, words: int) -> Iterator[Item]:
    """The rows of a file. Raises `DistillEmbError` for a missing column or a row of another length."""
    csv.field_size_limit(_LONGEST_FIELD)
    columns = [name.format(code=code) for name in spec.text]
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            delimiter = _delimiter(file, stream.readline(), [*columns, spec.label], spec)
            stream.seek(0)
            reader = csv.DictReader(stream, restkey="", delimiter=delimiter, quoting=spec.quoting)
            for row in reader:
                if "" in row or None in row.values():
                    raise DistillEmbError(f"{file}, line {reader.line_num} has too many or too few columns: mend it.")
                item = make_item([row[name] for name in columns], row[spec.label], words, tweet=spec.tweets)
                yield replace(item, place=f"{file}, line {reader.line_num}: ")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DistillEmbError(f"{file} cannot be read ({brief(error)}): is it a UTF-8 table?") from error


def _delimiter(file: Path, first: str, wanted: Sequence[str], spec: Task) -> str:
    """What parts the columns: the set's own character, or another one with which the first line names all columns.

    The length of every row is checked against the first line afterwards.
    """
    for delimiter in dict.fromkeys((spec.delimiter, *_DELIMITERS)):
        names = next(csv.reader([first], delimiter=delimiter, quoting=spec.quoting), [])
        if set(wanted) <= set(names):
            return delimiter
    found = next(csv.reader([first], delimiter=spec.delimiter, quoting=spec.quoting), [])
    missing = next((name for name in wanted if name not in found), wanted[0])
    raise DistillEmbError(
        f"{file}, line 1: no column {missing!r}: the first line must name the columns {', '.join(wanted)}, and has "
        f"{', '.join(found)[:80]!r}; rename them."
    )


def make_item(parts: Sequence[str], label: str, words: int, *, tweet: bool = False) -> Item:
    """A text of one part, or of a headline and so many words of the body."""
    head, *body = (" ".join((clean_tweet(part) if tweet else part).split()) for part in parts)
    lead = " ".join(" ".join(body).split()[:words])
    text = f"{head}. {lead}" if lead and head[-1:].isalnum() else f"{head} {lead}"
    return Item(text.strip(), label.strip(), fold(head), " ".join([head, *body]))


def clean_tweet(text: str) -> str:
    """A tweet without the pair of single quotes around it, if there is one, and without masked names."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        text = text[1:-1]
    return _MASKED_NAME.sub(" ", text)


def _from_hub(task: str, language: str, words: int) -> tuple[dict[str, list[Item]], list[str]]:
    spec = TASKS[task]
    wanted = f"tasks/cls/{spec.folder}/{spec.codes.get(language, language)}/train.tsv, dev.tsv and test.tsv"
    if not spec.hub:
        raise not_under_data(task, language, wanted)
    loaded = hub_dataset(spec.hub, task, language, wanted)
    splits = {name: _hub_items(loaded[part], spec, words) for name, part in HUB_SPLITS.items()}
    return splits, sorted(spec.labels or {item.label for item in splits["test"]})


def _hub_items(rows: Any, spec: Task, words: int) -> list[Item]:
    column = spec.label if spec.label in rows.features else "label"
    names = getattr(rows.features[column], "names", None)
    return [
        make_item(
            [row[name] for name in spec.text], names[row[column]] if names else row[column], words, tweet=spec.tweets
        )
        for row in rows
    ]


def _with_text(name: str, items: list[Item], notes: list[str]) -> list[Item]:
    kept = [item for item in items if item.key]
    if len(kept) < len(items):
        notes.append(f"{name}: {len(items) - len(kept)} texts are empty and dropped.")
    return kept


def _with_label(name: str, items: list[Item], labels: Sequence[str], notes: list[str]) -> list[Item]:
    """Training texts whose label the task has. Raises `DistillEmbError` where dev or test has another one."""
    unknown = Counter(item.label for item in items if item.label not in labels)
    if unknown and name != "train":
        place = next(item.place for item in items if item.label in unknown)
        raise DistillEmbError(
            f"{place}{name} has the label {next(iter(unknown))!r}, which is none of {', '.join(labels)}: mend the line."
        )
    if unknown:
        names = ", ".join(f"{label} ({count})" for label, count in sorted(unknown.items()))
        notes.append(f"{name}: {sum(unknown.values())} texts have labels that test has not, and are dropped: {names}.")
    return [item for item in items if item.label in labels]


def _once(name: str, items: list[Item], notes: list[str]) -> list[Item]:
    """Each text once, the first time. What repeats is said."""
    first = {item.key: item for item in reversed(items)}
    if len(first) < len(items):
        notes.append(f"{name}: {len(items) - len(first)} texts repeat another one and are dropped.")
    return [item for item in items if first[item.key] is item]


def _make_splits(items: list[Item]) -> dict[str, list[Item]]:
    """Eight tenths train, one tenth dev, one tenth test, of each label; the same ones every time."""
    from sklearn.model_selection import train_test_split

    train, held = train_test_split(items, test_size=0.2, random_state=SPLIT_SEED, stratify=[i.label for i in items])
    dev, test = train_test_split(held, test_size=0.5, random_state=SPLIT_SEED, stratify=[i.label for i in held])
    return {"train": train, "dev": dev, "test": test}


def _separate(splits: dict[str, list[Item]], part_of: bool, notes: list[str]) -> None:
    """Drop from train what is in dev or test, from dev what is in test, and repeats from train."""
    splits["train"] = _once("train", splits["train"], notes)
    for low, high in (("dev", "test"), ("train", "test"), ("train", "dev")):
        shared = _shared(splits[low], splits[high], part_of)
        if any(shared):
            notes.append(f"{low}: {sum(shared)} texts are in {high} too and are dropped from {low}.")
            splits[low] = [item for item, also in zip(splits[low], shared, strict=True) if not also]


def _shared(low: list[Item], high: list[Item], part_of: bool) -> list[bool]:
    """Which items have an equal one in `high`, or are part of a whole article there."""
    keys = {item.key for item in high}
    parts = [False] * len(low)
    if part_of:
        parts = overlapping(
            (_words(item.text) for item in low), (_words(item.whole) for item in high), length=RUN, pooled=False
        )
    return [item.key in keys or part for item, part in zip(low, parts, strict=True)]


def _words(text: str) -> list[str]:
    return regex.findall(r"[\p{L}\p{M}\p{N}]+", fold(text))
