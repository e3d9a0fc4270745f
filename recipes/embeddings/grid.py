"""The grid: systems (systems.yml), what they read and how large it is; tasks (tasks.yml), and how they are scored."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import spacy
import srsly
from datasets import DatasetDict
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from distillemb_plugins import DistillEmb
from distillemb_plugins.data import Layout, Sentence, labels_of, load_classification, pos, read_sentences, task_files
from distillemb_plugins.errors import DistillEmbError, require
from distillemb_plugins.evaluate import class_scores
from distillemb_plugins.locations import bundled, bundled_names
from distillemb_plugins.persistence import WEIGHTS_FILE
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.spacy_plugin.training import numpy_matmul
from distillemb_plugins.teachers import Teacher, load_teacher
from distillemb_plugins.text import tokenize
from distillemb_plugins.vectors import Floats
from recipes.results import Row
from recipes.tables import Tag, ner_scores, pos_scores, text_scores

HERE = Path(__file__).resolve().parent
WORK = HERE / "training"


@dataclass(frozen=True)
class System:
    """One way to embed words; see systems.yml."""

    embedding: str = "none"
    reads: str = ""
    grad_factor: float = 1.0
    together: bool = False
    begins_with: str = ""
    steps: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    low_data: str = ""


SYSTEMS = {name: System(**given) for name, given in srsly.read_yaml(HERE / "systems.yml").items()}
FASTTEXT, PPMI_SVD, FLORET, COMPRESSED, ENCODER, PPMI_SVD_ENCODER, RANDOM = (
    SYSTEMS[name].reads
    for name in ("static", "static-ppmi_svd", "floret", "compressed", "frozen", "frozen-ppmi_svd", "random")
)


def _ppmi_svd_table(path: Path) -> Teacher:
    """The row of a word, else that of its lower-case form: there are no n-grams."""
    table = load_teacher(path)
    return replace(table, subwords=lambda words: table.lookup([word.lower() for word in words])[0])


def _computed(vectors: Callable[[Sequence[str]], Floats]) -> Teacher:
    """A table without rows of words: the vector of any word is computed."""
    return Teacher("computed", [], vectors(["a"])[:0], subwords=vectors)


OPENERS: dict[str, Callable[[Path], Teacher]] = {  # of the systems with a table: what opens it
    "static": load_teacher,
    "floret": lambda path: _computed(spacy.load(path).vocab.vectors.get_batch),
    "compressed": lambda path: _computed(
        require("compress_fasttext", "recipes").models.CompressedFastTextKeyedVectors.load(str(path)).__getitem__
    ),
    "static-ppmi_svd": _ppmi_svd_table,
}
TABLES = tuple(OPENERS)
TAGGERS = ("joint", "refined")
# Of every task with tagged words.
COMMON = tuple(n for n, one in SYSTEMS.items() if not (n in TAGGERS or one.together or one.begins_with or one.steps))
DISTILLED = ("frozen", "finetuned", "frozen-ppmi_svd", "finetuned-ppmi_svd")


def source(name: str, work: Path, seed: int = 0) -> Path:
    """What a system reads. Raises `DistillEmbError` when it is the encoder of a tagger that is not there."""
    path = work / SYSTEMS[name].reads.format(seed=seed)
    if path.name in bundled_names():
        return bundled(path.name)
    if name in TAGGERS and not path.is_dir():
        tagger = path.with_name(f"hf-{name}-fasttext-{seed}")
        if not tagger.is_dir():
            raise DistillEmbError(
                f"{tagger} is not there: train it with recipes/tagging (mode {name}, seed {seed}) and put it there."
            )
        DistillEmb.from_pretrained(tagger).save_pretrained(path)  # the encoder below the tagger's head
    return path


def embedding_bytes(name: str, work: Path, seed: int = 0) -> int:
    """Bytes of what a user of a system loads beside the pipeline's weights: the whole model, not a task's table."""
    if not SYSTEMS.get(name, System()).reads:
        return 0
    path = source(name, work, seed)
    inside = "" if path.is_file() else "vocab/vectors" if name == "floret" else WEIGHTS_FILE
    return (path / inside).stat().st_size


def table_path(name: str, task: str, language: str, work: Path) -> Path:
    """A spaCy pipeline without components that holds a system's vectors of the words of a task in one language."""
    return work / "tables" / f"{task}-{language}-{name}"


# -- tasks

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class _Task:
    """A task of the grid, see tasks.yml. Its subclasses read and score.

    words: all words that a table has to have vectors of. corpora: what the config says of the files, which may be there
    for the time of the run alone. score: the scores of a trained pipeline on the splits.
    """

    name: str
    config: str
    languages: tuple[str, ...]  # for POS the sets of sentences
    models: Mapping[str, tuple[str, ...]]
    steps: int
    evaluations: int
    grad_factor: float | None
    network_languages: tuple[str, ...] = ()

    def steps_for(self, language: str, share: int) -> int:
        """Updates with a share (per cent) of the sentences: fewer, by the square root."""
        return max(1, round(self.steps * (share / 100) ** 0.5))


def tagger(nlp: Any, read: Callable[[Any], str]) -> Tag:
    """Tags sentences in the words of the data; read: the tag of a token. The speed is by processor time."""

    def tag(sentences: Sequence[Sentence]) -> tuple[list[list[str]], int]:
        docs = [Doc(nlp.vocab, words=s.words, spaces=s.spaces) for s in sentences]
        with numpy_matmul():
            start = time.process_time()
            found = list(nlp.pipe(docs, batch_size=256))
            seconds = time.process_time() - start
        return [[read(token) for token in doc] for doc in found], round(sum(map(len, found)) / max(seconds, 1e-9))

    return tag


@dataclass(frozen=True)
class NerTask(_Task):
    """MasakhaNER, a pipeline a language. Scores are corpus-level, of entities seen in training or not."""

    folder: str = "ner/masakhaner1"

    def _file(self, data: Path, run: Row, split: str) -> Path:
        return task_files(data, self.folder, run["language"])[split]

    def words(self, data: Path, language: str) -> set[str]:
        files = task_files(data, self.folder, language).values()
        return {word for file in files for s in read_sentences(file, Layout()) for word in s.words}

    def part(self, data: Path, run: Row, split: str = "train") -> ConllCorpus:
        """What a run reads. Its share of the training sentences is a prefix of one shuffle, the same for every run."""
        file = self._file(data, run, split)
        if run["share"] == 100 or split != "train":
            return ConllCorpus(file)
        whole = sum(1 for _ in ConllCorpus(file).sentences())
        return ConllCorpus(file, shuffle=True, limit=max(1, round(run["share"] / 100 * whole)))

    @contextmanager
    def corpora(self, data: Path, run: Row) -> Iterator[Row]:
        part = self.part(data, run)
        files = {f"paths.{split}": str(self._file(data, run, split)) for split in ("train", "dev")}
        yield {**files, "corpora.train.shuffle": part.shuffle, "corpora.train.limit": part.limit}

    @contextmanager
    def all_corpora(self, data: Path, share: int) -> Iterator[Row]:
        """The sentences of all languages, for a pipeline of all."""
        with tempfile.TemporaryDirectory() as folder:
            files = {split: Path(folder) / f"{split}.txt" for split in ("train", "dev")}
            for split, file in files.items():
                parts = (self.part(data, {"language": one, "share": share}, split) for one in self.languages)
                found = (zip(s.words, s.tags, strict=True) for part in parts for s in part.sentences())
                file.write_text("\n".join("".join(f"{word} {tag}\n" for word, tag in one) for one in found), "utf-8")
            yield {f"paths.{split}": str(file) for split, file in files.items()}

    def score(self, nlp: Any, data: Path, run: Row, splits: Sequence[str] = ("dev", "test")) -> Row:
        part = list(self.part(data, run).sentences())
        gold = {split: list(read_sentences(self._file(data, run, split), Layout())) for split in splits}
        tag = tagger(nlp, lambda token: f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O")
        return {"sentences": len(part), **ner_scores(tag, part, gold)}


@dataclass(frozen=True)
class PosTask(_Task):
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
        files = pos.pos_files(data, run["language"], self.joint_languages)
        return pos_scores(tagger(nlp, lambda token: str(token.tag_)), data, run["language"], files, splits)


@lru_cache(maxsize=1)
def texts_of(data: Path, task: str, language: str) -> tuple[DatasetDict, list[str]]:
    """The texts of a set, read once for all its runs, and what was amiss in them."""
    return load_classification(data, task, language)


class TextTask(_Task):
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
                box, names = DocBin(store_user_data=False), labels_of(texts)
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
            row |= text_scores(split, texts["label"], found)
        return row


def _docs(texts: Iterable[str], vocab: Any) -> Iterator[Doc]:
    return (Doc(vocab, words=tokenize(text) or [" "]) for text in texts)


def likeliest(doc: Doc) -> str:
    """The class with the highest score."""
    return max(doc.cats, key=doc.cats.__getitem__)


def weighted_f1(examples: Iterable[Example], **kwargs: Any) -> dict[str, float]:
    """``cats_weighted_f1``, from 0 to 1. spaCy's own scores would prefer the commonest class, or rare ones."""
    pairs = [(likeliest(example.reference), likeliest(example.predicted)) for example in examples]
    gold, found = zip(*pairs, strict=True)
    return {"cats_weighted_f1": class_scores(gold, found)["f1"] / 100}


spacy.registry.scorers("distillemb_recipes.weighted_f1.v1", func=lambda: weighted_f1)  # it chooses the checkpoint


Task = NerTask | PosTask | TextTask


def _tasks() -> Iterator[Task]:
    classes: dict[str, type[Task]] = {"ner": NerTask, "pos": PosTask, "textcat": TextTask}
    sets = {"languages": pos.SETS, "network_languages": (*pos.LANGUAGES, *pos.TREEBANKS)}
    for name, given in srsly.read_yaml(HERE / "tasks.yml").items():
        some = sets if name == "pos" else {key: tuple(given[key]) for key in sets if key in given}
        models = {
            model: tuple(n for n in SYSTEMS if n in (*COMMON, *names)) if "common" in names else tuple(names)
            for model, names in given["models"].items()
        }
        yield classes[given["config"]](name, **given | some | {"models": models})


TASKS = {task.name: task for task in _tasks()}
TEXT_TASKS = ("afrisenti", "masakhanews")
