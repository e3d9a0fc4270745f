"""The tasks: what a pipeline is trained on, which words it needs vectors of, and how it is scored."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import spacy
import typer

from distillemb_plugins.data import pos
from distillemb_plugins.data.classification import load_classification
from distillemb_plugins.data.conll import Layout, Sentence, read_sentences
from distillemb_plugins.data.sources import task_files
from distillemb_plugins.data.tagged import labels_of
from distillemb_plugins.evaluate.tagging import class_scores, entity_scores, per_type, seen_accuracy, seen_scores
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.spacy_plugin.training import numpy_matmul
from distillemb_plugins.text import tokenize
from recipes.embeddings.systems import COMMON, TAGGERS
from recipes.results import RAW_TEXT, Row

if TYPE_CHECKING:
    from datasets import DatasetDict
    from spacy.tokens import Doc
    from spacy.training import Example

SPLITS = ("train", "dev", "test")
Languages = Annotated[list[str], typer.Option("--language", help="Which languages or POS sets; all of the task.")]


@dataclass(frozen=True)
class Task(ABC):
    """A task of the grid. Its subclasses read and score."""

    name: str
    config: str  # as `build_config` names the task; the overlay in configs/ has the same name
    languages: tuple[str, ...]  # for POS the sets of sentences
    models: Mapping[str, tuple[str, ...]]  # the systems of each
    steps: int  # updates of a run
    evaluations: int  # how often a run is scored on dev; the best checkpoint is kept
    grad_factor: float | None = 1.0  # how fast encoders learn, to the pipeline's rate; None: as each system says
    network_languages: tuple[str, ...] = ()  # those in which networks are trained unless others are named

    def steps_for(self, language: str, share: int) -> int:
        """Updates with a share (per cent) of the sentences: fewer, by the square root."""
        return max(1, round(self.steps * (share / 100) ** 0.5))

    @abstractmethod
    def words(self, data: Path, language: str) -> set[str]:
        """All words that a table has to have vectors of."""

    @abstractmethod
    def corpora(self, data: Path, run: Row) -> AbstractContextManager[Row]:
        """What the config says of the files, which may be there for the time of the run alone."""

    @abstractmethod
    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        """The scores of a trained pipeline on the splits."""


def tagged_docs(nlp: Any, sentences: Sequence[Sentence]) -> tuple[list[Doc], int]:
    """Docs that a pipeline has tagged, in the words of the data, and the words a second of processor time."""
    docs = [spacy.tokens.Doc(nlp.vocab, words=s.words, spaces=s.spaces) for s in sentences]
    with numpy_matmul():
        start = time.process_time()
        found = list(nlp.pipe(docs, batch_size=256))
        seconds = time.process_time() - start
    return found, round(sum(map(len, found)) / max(seconds, 1e-9))


class NerTask(Task):
    """MasakhaNER 1.0, a pipeline a language. Scores are corpus-level, of entities seen in training or not."""

    def _file(self, data: Path, run: Row, split: str) -> Path:
        return task_files(data, "ner/masakhaner1", run["language"])[split]

    def words(self, data: Path, language: str) -> set[str]:
        files = task_files(data, "ner/masakhaner1", language).values()
        return {word for file in files for s in read_sentences(file, Layout()) for word in s.words}

    def training_part(self, data: Path, run: Row) -> ConllCorpus:
        """The sentences that a run learns from: a prefix of one shuffle, the same for every system and seed."""
        file = self._file(data, run, "train")
        if run["share"] == 100:
            return ConllCorpus(file)
        whole = sum(1 for _ in ConllCorpus(file).sentences())
        return ConllCorpus(file, shuffle=True, limit=max(1, round(run["share"] / 100 * whole)))

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[Row]:
        part = self.training_part(data, run)
        files = {f"paths.{split}": str(self._file(data, run, split)) for split in ("train", "dev")}
        yield {**files, "corpora.train.shuffle": part.shuffle, "corpora.train.limit": part.limit}

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        part = [(s.words, s.tags) for s in self.training_part(data, run).sentences()]
        row: Row = {"sentences": len(part)}
        for split in splits:
            gold = list(read_sentences(self._file(data, run, split), Layout()))
            docs, speed = tagged_docs(nlp, gold)
            words, tags = [s.words for s in gold], [s.tags for s in gold]
            found = [[f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc] for doc in docs]
            scores = entity_scores(tags, found) | seen_scores(part, words, tags, found)
            row |= {f"{split}_{name}": round(value, 2) for name, value in scores.items()}
            row |= {f"{split}_per_type": per_type(tags, found), f"{split}_words_per_second": speed}
        return row


@dataclass(frozen=True)
class PosTask(Task):
    """MasakhaPOS and treebanks; a "language" is a set of `pos.SETS`. Accuracy is of seen and of unseen words."""

    joint_languages: tuple[str, ...] = pos.LANGUAGES  # those of the set "joint"

    def steps_for(self, language: str, share: int) -> int:
        """The joint tagger takes as many updates a language as the others."""
        return self.steps * (len(self.joint_languages) if language == pos.JOINT else 1)

    def words(self, data: Path, language: str) -> set[str]:
        return pos.pos_words(data, language, self.joint_languages)

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[Row]:
        files = pos.pos_files(data, run["language"], self.joint_languages)
        yield {f"paths.{split}": str(files[split]) for split in ("train", "dev")}

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        """With test also the tests of transfer that the data has."""
        files = pos.pos_files(data, run["language"], self.joint_languages)
        known = pos.words_of(pos.read_pos(files["train"]))

        def accuracy(gold: Sequence[Sentence]) -> tuple[Row, int]:
            docs, speed = tagged_docs(nlp, gold)
            tags = [[token.tag_ for token in doc] for doc in docs]
            return seen_accuracy(known, [s.words for s in gold], [s.tags for s in gold], tags), speed

        row: Row = {}
        for split in splits:
            row[split], row["words_per_second"] = accuracy(pos.read_pos(files[split]))
        if "test" in splits:
            found = {test: pos.transfer_file(data, test) for test in pos.transfer_tests(run["language"])}
            row["transfer"] = {t.name: accuracy(pos.read_pos(file, t.plain))[0] for t, file in found.items() if file}
        return row


@lru_cache(maxsize=1)
def texts_of(data: Path, task: str, language: str) -> tuple[DatasetDict, list[str]]:
    """The texts of a set, read once for all its runs, and what was amiss in them."""
    return load_classification(data, task, language)


class TextTask(Task):
    """A set of texts with classes. Texts are cut by `tokenize` for every model."""

    def words(self, data: Path, language: str) -> set[str]:
        splits = texts_of(data, self.name, language)[0].values()
        return {word for split in splits for text in split["text"] for word in tokenize(text)}

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[Row]:
        with tempfile.TemporaryDirectory() as folder:
            files = {split: Path(folder) / f"{split}.spacy" for split in ("train", "dev")}
            for split, file in files.items():
                texts = texts_of(data, self.name, run["language"])[0][split]
                box, names = spacy.tokens.DocBin(store_user_data=False), labels_of(texts)
                for doc, label in zip(_docs(texts["text"], spacy.vocab.Vocab()), texts["label"], strict=True):
                    doc.cats = {name: float(number == label) for number, name in enumerate(names)}
                    box.add(doc)
                box.to_disk(file)
            yield {f"paths.{split}": str(file) for split, file in files.items()}

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        row: Row = {}
        for split in splits:
            texts = texts_of(data, self.name, run["language"])[0][split]
            with numpy_matmul():
                found = [labels_of(texts).index(likeliest(doc)) for doc in nlp.pipe(_docs(texts["text"], nlp.vocab))]
            row |= split_scores(split, texts["label"], found)
        return row


def split_scores(split: str, gold: Sequence[int], found: Sequence[int]) -> dict[str, float]:
    """Weighted F1, macro F1 and accuracy over all texts of a split, per cent, with the split in their names."""
    return {f"{split}_{name}": round(score, 2) for name, score in class_scores(list(gold), list(found)).items()}


def _docs(texts: Iterable[str], vocab: Any) -> Iterator[Doc]:
    return (spacy.tokens.Doc(vocab, words=tokenize(text) or [" "]) for text in texts)


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


_NER_LANGUAGES = tuple(language for language in RAW_TEXT if language != "tir")
_POS_LANGUAGES = (*pos.LANGUAGES, *pos.TREEBANKS)
_TEXT_MODELS = {
    "linear": ("tf-idf", "static", "random", "bundled", "frozen"),
    "textcat": ("hash", "static", "random", "frozen", "finetuned"),
    "bilstm": ("static", "random", "frozen", "finetuned"),
}
# AfriSenti's Tigrinya has no training texts. News are fewer than tweets, and longer.
_AFRISENTI, _TWEETS = ("amh", "hau", "ibo", "kin", "pcm", "swa", "yor"), ("amh", "hau", "ibo", "swa", "yor")
_MASAKHANEWS, _NEWS = ("amh", "hau", "ibo", "lug", "pcm", "swa", "tir", "yor"), ("amh", "hau", "swa", "yor")
TASKS: dict[str, Task] = {
    "ner": NerTask("ner", "ner", _NER_LANGUAGES, {"ner": (*COMMON, *TAGGERS)}, 800, 5, grad_factor=None),
    "pos": PosTask("pos", "pos", pos.SETS, {"tagger": COMMON}, 160, 4, network_languages=_POS_LANGUAGES),
    "afrisenti": TextTask("afrisenti", "textcat", _AFRISENTI, _TEXT_MODELS, 600, 6, network_languages=_TWEETS),
    "masakhanews": TextTask("masakhanews", "textcat", _MASAKHANEWS, _TEXT_MODELS, 300, 6, network_languages=_NEWS),
}
TEXT_TASKS = ("afrisenti", "masakhanews")
