"""The tasks: what a pipeline is trained on, which words it needs vectors of, and how it is scored."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spacy

from distillemb_plugins.data import pos
from distillemb_plugins.data.classification import load_classification
from distillemb_plugins.data.conll import Layout, Sentence, read_sentences
from distillemb_plugins.data.sources import task_files
from distillemb_plugins.evaluate.tagging import class_scores, entity_scores, per_type, seen_accuracy, seen_scores
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.spacy_plugin.training import numpy_matmul
from distillemb_plugins.text import tokenize
from recipes.embeddings.systems import COMMON, TAGGERS

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from spacy.tokens import Doc
    from spacy.training import Example
    from spacy.vocab import Vocab

RAW_TEXT = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "tir", "wol", "yor")  # languages of the teachers
SPLITS = ("train", "dev", "test")
Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A task of the grid. Its subclasses read and score.

    Attributes:
        name: As results have it.
        languages: All that it has; for POS the sets of sentences.
        models: The systems of each model.
        steps: Updates of a run.
        evaluations: How often a run is scored on dev; the best checkpoint is kept.
        grad_factor: How fast encoders learn, as a share of the pipeline's rate; None: as each system says.
        network_languages: Those in which networks are trained unless others are named.
    """

    name: str
    languages: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]]
    steps: int
    evaluations: int
    grad_factor: float | None = None
    network_languages: tuple[str, ...] = ()
    config: str = field(default="", kw_only=True)  # the task as `build_config` names it, and the overlay in configs/

    def steps_for(self, language: str, share: int) -> int:
        """Updates with a share (per cent) of the sentences: fewer, by the square root."""
        return max(1, round(self.steps * (share / 100) ** 0.5))


def tagged_docs(nlp: Any, sentences: Sequence[Sentence]) -> tuple[list[Doc], int]:
    """Docs that a pipeline has tagged, in the words of the data, and the words a second of processor time."""
    from spacy.tokens import Doc

    docs = [Doc(nlp.vocab, words=s.words, spaces=s.spaces) for s in sentences]
    with numpy_matmul():
        start = time.process_time()
        found = list(nlp.pipe(docs, batch_size=256))
        seconds = time.process_time() - start
    return found, round(sum(map(len, found)) / max(seconds, 1e-9))


@dataclass(frozen=True)
class NerTask(Task):
    """MasakhaNER 1.0, a pipeline a language."""

    def files(self, data: Path, language: str) -> dict[str, Path]:
        """The files of the splits."""
        return task_files(data, "ner/masakhaner1", language)

    def words(self, data: Path, language: str) -> set[str]:
        """All words of the three files."""
        files = self.files(data, language).values()
        return {word for file in files for s in read_sentences(file, Layout()) for word in s.words}

    def training_part(self, data: Path, run: Row) -> ConllCorpus:
        """The sentences that a run learns from: a prefix of one shuffle, the same for every system and seed."""
        file = self.files(data, run["language"])["train"]
        if run["share"] == 100:
            return ConllCorpus(file)
        whole = sum(1 for _ in ConllCorpus(file).sentences())
        return ConllCorpus(file, shuffle=True, limit=max(1, round(run["share"] / 100 * whole)))

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[dict[str, Any]]:
        """What the config says of the files."""
        part, files = self.training_part(data, run), self.files(data, run["language"])
        yield {
            "paths.train": str(files["train"]),
            "paths.dev": str(files["dev"]),
            "corpora.train.shuffle": part.shuffle,
            "corpora.train.limit": part.limit,
        }

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        """Corpus-level scores (per cent), of entities seen in training or not, and words a second."""
        part = list(self.training_part(data, run).sentences())
        row: Row = {"sentences": len(part)}
        for split in splits:
            gold = list(read_sentences(self.files(data, run["language"])[split], Layout()))
            docs, speed = tagged_docs(nlp, gold)
            words, tags, found = [s.words for s in gold], [s.tags for s in gold], [_iob_tags(doc) for doc in docs]
            scores = entity_scores(tags, found) | seen_scores([(s.words, s.tags) for s in part], words, tags, found)
            named: Row = {name: round(value, 2) for name, value in scores.items()}
            named |= {"per_type": per_type(tags, found), "words_per_second": speed}
            row |= {f"{split}_{name}": value for name, value in named.items()}
        return row


def _iob_tags(doc: Doc) -> list[str]:
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]


@dataclass(frozen=True)
class PosTask(Task):
    """MasakhaPOS and treebanks; a "language" is a set of `pos.SETS`.

    Attributes:
        joint_languages: Those of the set "joint".
    """

    joint_languages: tuple[str, ...] = pos.LANGUAGES

    def steps_for(self, language: str, share: int) -> int:
        """The joint tagger takes as many updates a language as the others."""
        return self.steps * (len(self.joint_languages) if language == pos.JOINT else 1)

    def files(self, data: Path, language: str) -> dict[str, Path]:
        """The files of the splits."""
        return pos.pos_files(data, language, self.joint_languages)

    def words(self, data: Path, language: str) -> set[str]:
        """All words of the three files and of the tests of transfer."""
        return pos.pos_words(data, language, self.joint_languages)

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[dict[str, Any]]:
        """What the config says of the files."""
        files = self.files(data, run["language"])
        yield {"paths.train": str(files["train"]), "paths.dev": str(files["dev"])}

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        """Accuracy on seen and unseen words, of the splits and of the tests of transfer that the data has."""
        files = self.files(data, run["language"])
        known = pos.words_of(pos.read_pos(files["train"]))
        row: Row = {}
        for split in splits:
            row[split], row["words_per_second"] = self._accuracy(nlp, pos.read_pos(files[split]), known)
        if "test" in splits:
            found = ((test, pos.transfer_file(data, test)) for test in pos.transfer_tests(run["language"]))
            row["transfer"] = {
                test.name: self._accuracy(nlp, pos.read_pos(file, test.plain), known)[0] for test, file in found if file
            }
        return row

    def _accuracy(self, nlp: Any, gold: Sequence[Sentence], known: set[str]) -> tuple[Row, int]:
        docs, speed = tagged_docs(nlp, gold)
        tags = [[token.tag_ for token in doc] for doc in docs]
        return seen_accuracy(known, [s.words for s in gold], [s.tags for s in gold], tags), speed


@lru_cache(maxsize=1)
def texts_of(data: Path, task: str, language: str) -> tuple[DatasetDict, list[str]]:
    """The texts of a set, read once for all its runs, and what was amiss in them."""
    return load_classification(data, task, language)


@dataclass(frozen=True)
class TextTask(Task):
    """A set of texts with classes. Texts are cut by `tokenize` for every model."""

    def words(self, data: Path, language: str) -> set[str]:
        """The words of all splits."""
        splits = texts_of(data, self.name, language)[0].values()
        return {word for split in splits for text in split["text"] for word in tokenize(text)}

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[dict[str, Any]]:
        """What the config says of the files, which are written for the time of the run."""
        dataset, _ = texts_of(data, self.name, run["language"])
        with tempfile.TemporaryDirectory() as folder:
            for split in ("train", "dev"):
                _write_docs(dataset[split], Path(folder) / f"{split}.spacy")
            yield {f"paths.{split}": f"{folder}/{split}.spacy" for split in ("train", "dev")}

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        """Weighted F1, macro F1 and accuracy of the likeliest classes."""
        dataset, _ = texts_of(data, self.name, run["language"])
        row: Row = {}
        for split in splits:
            number = {name: place for place, name in enumerate(class_names(dataset[split]))}
            with numpy_matmul():
                found = [number[likeliest(doc)] for doc in nlp.pipe(_docs(dataset[split], nlp.vocab))]
            row |= split_scores(split, dataset[split]["label"], found)
        return row


def class_names(split: Dataset) -> list[str]:
    """The names of the classes, in the order of their numbers."""
    names: list[str] = split.features["label"].names
    return names


def split_scores(split: str, gold: Sequence[int], found: Sequence[int]) -> dict[str, float]:
    """Weighted F1, macro F1 and accuracy over all texts of a split, per cent, with the split in their names."""
    return {f"{split}_{name}": round(score, 2) for name, score in class_scores(list(gold), list(found)).items()}


def _docs(split: Dataset, vocab: Vocab) -> Iterator[Doc]:
    for text in split["text"]:
        yield spacy.tokens.Doc(vocab, words=tokenize(text) or [" "])


def _write_docs(split: Dataset, out: Path) -> None:
    """The texts with their classes, for ``spacy.Corpus.v1``."""
    box, names = spacy.tokens.DocBin(store_user_data=False), class_names(split)
    for doc, label in zip(_docs(split, spacy.vocab.Vocab()), split["label"], strict=True):
        doc.cats = {name: float(number == label) for number, name in enumerate(names)}
        box.add(doc)
    box.to_disk(out)


def likeliest(doc: Doc) -> str:
    """The class with the highest score."""
    return max(doc.cats, key=doc.cats.__getitem__)


@spacy.registry.scorers("distillemb_recipes.weighted_f1.v1")
def make_weighted_f1() -> Callable[..., dict[str, float]]:
    """The scorer that chooses the checkpoint: spaCy's own scores would prefer the commonest class, or rare ones."""
    return weighted_f1


def weighted_f1(examples: Iterable[Example], **kwargs: Any) -> dict[str, float]:
    """``cats_weighted_f1``, from 0 to 1, of the likeliest classes."""
    pairs = [(likeliest(example.reference), likeliest(example.predicted)) for example in examples]
    gold, found = zip(*pairs, strict=True)
    return {"cats_weighted_f1": class_scores(gold, found)["f1"] / 100}


_TEXT_MODELS = {
    "linear": ("tf-idf", "static", "random", "bundled", "frozen"),
    "textcat": ("hash", "static", "random", "frozen", "finetuned"),
    "bilstm": ("static", "random", "frozen", "finetuned"),
}
_NER_LANGUAGES = tuple(language for language in RAW_TEXT if language != "tir")
AnyTask = NerTask | PosTask | TextTask
TASKS: dict[str, AnyTask] = {
    task.name: task
    for task in (
        NerTask("ner", _NER_LANGUAGES, {"ner": (*COMMON, *TAGGERS)}, 800, 5, config="ner"),
        PosTask("pos", pos.SETS, {"tagger": COMMON}, 160, 4, 1.0, (*pos.LANGUAGES, *pos.TREEBANKS), config="pos"),
        # AfriSenti's Tigrinya has no training texts. News are fewer than tweets, and longer.
        TextTask(
            "afrisenti",
            ("amh", "hau", "ibo", "kin", "pcm", "swa", "yor"),
            _TEXT_MODELS,
            600,
            6,
            1.0,
            ("amh", "hau", "ibo", "swa", "yor"),
            config="textcat",
        ),
        TextTask(
            "masakhanews",
            ("amh", "hau", "ibo", "lug", "pcm", "swa", "tir", "yor"),
            _TEXT_MODELS,
            300,
            6,
            1.0,
            ("amh", "hau", "swa", "yor"),
            config="textcat",
        ),
    )
}
TEXT_TASKS = ("afrisenti", "masakhanews")
