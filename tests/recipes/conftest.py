"""The recipes' scripts as modules, and a tiny data folder in the shape that they expect."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from distillemb_plugins.data import pos
from distillemb_plugins.teachers import Teacher, save_teacher

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Load ``recipes/<path>`` as a module."""

    def load(path: str) -> ModuleType:
        file = ROOT / "recipes" / path
        name = "recipe_" + path.replace("/", "_").removesuffix(".py")
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # dataclasses look their module up
            spec.loader.exec_module(module)
        return sys.modules[name]

    return load


SENTENCES = [
    ("Juma anaishi Nairobi .", "B-PER O B-LOC O"),
    ("Asha alikwenda Mombasa jana .", "B-PER O B-LOC B-DATE O"),
    ("Benki ya Kenya ilifungwa .", "B-ORG I-ORG I-ORG O O"),
    ("watoto wanacheza mpira .", "O O O O"),
]


POS_SENTENCES = [
    ("Juma anaishi Nairobi .", "PROPN VERB PROPN PUNCT"),
    ("Asha alikwenda Mombasa jana .", "PROPN VERB PROPN ADV PUNCT"),
    ("watoto wanacheza mpira .", "NOUN VERB NOUN PUNCT"),
]
UNSEEN = ("wazee wanacheza mpira .", "NOUN VERB NOUN PUNCT")
CONLLU = """1-2\tkàːbá\t_\t_\t_\t_\t_\t_\t_\t_
1\tkàː\tkàː\tNOUN\t_\t_\t0\troot\t_\t_
2\tɓá\tɓá\t_\t_\t_\t1\tdep\t_\t_
"""


def conll(pairs: list[tuple[str, str]]) -> str:
    """Sentences and their tags, a word a line."""
    return "".join(
        "".join(f"{w} {t}\n" for w, t in zip(words.split(), tags.split(), strict=True)) + "\n" for words, tags in pairs
    )


def write_pos(data: Path) -> None:
    """MasakhaPOS in two languages, and a treebank."""
    for language in ("swa", "hau"):
        folder = data / "tasks" / "pos" / "masakhapos" / language
        folder.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / f"{split}.txt").write_text(conll(POS_SENTENCES * 4 + [UNSEEN] * (split == "test")), "utf-8")
    treebank = data / "tasks" / "pos" / pos.TRANSFER_TESTS[2].file
    treebank.parent.mkdir(parents=True)
    treebank.write_text(CONLLU, "utf-8")


def pos_row(system: str, language: str, seed: int, accuracy: float) -> dict[str, Any]:
    """A row of parts of speech, of any recipe."""
    test = {"accuracy": accuracy, "seen": accuracy, "unseen": accuracy - 10, "unseen_share": 10.0}
    run = {"task": "pos", "model": "tagger", "system": system, "language": language, "seed": seed}
    costs = {"embedding_bytes": 10, "model_bytes": 20, "seconds": 1.0, "cpu_seconds": 1.0, "words_per_second": 5}
    return run | {"test": test, "transfer": {}} | costs


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from, or left in, the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Teacher) -> Path:
    """corpora/, teachers/ and tasks/ of a few words each."""
    data = tmp_path_factory.mktemp("data")
    sentences = conll(SENTENCES * 3)
    for language in ("swa", "amh"):
        folder = data / "tasks" / "ner" / "masakhaner1" / language
        folder.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / f"{split}.txt").write_text(sentences, "utf-8")
        more = data / "tasks" / "ner" / "masakhaner2" / language
        more.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (more / f"{split}.txt").write_text(sentences + "Zuri B-PER\nanaimba O\n\n", "utf-8")
        corpus = data / "corpora" / language / "OPEN.tico19.txt"
        corpus.parent.mkdir(parents=True)
        corpus.write_text("\n".join(words for words, _ in SENTENCES * 40), "utf-8")
    _write_teachers(data, tiny_teacher)
    return data


def _write_teachers(data: Path, teacher: Teacher) -> None:
    teachers, similarity = data / "teachers", data / "tasks" / "sim"
    teachers.mkdir()
    similarity.mkdir()
    noisy = Teacher("other", teacher.words, teacher.vectors + np.float32(0.1))
    for name in ("eng-fasttext", "eng-fasttext-similarity-words", "afro11-fasttext"):
        save_teacher(teacher, teachers / f"{name}.npz")
    save_teacher(noisy, teachers / "afro11-word2vec.npz")
    pairs = "".join(
        f"{a}\t{b}\t{n}\n" for n, (a, b) in enumerate(zip(teacher.words, teacher.words[5:30], strict=False))
    )
    five = ("EN-RG-65", "EN-MC-30", "EN-WS-353-ALL", "EN-MEN-TR-3k", "EN-RW-STANFORD")
    for name in (*five, "EN-YP-130", "EN-MTurk-287", "EN-VERB-143"):
        (similarity / f"{name}.txt").write_text(pairs, "utf-8")
    analogy = data / "tasks" / "analogy"
    analogy.mkdir()
    words = [word for word in teacher.words if word.startswith("ሰላም")] or teacher.words
    (analogy / "amh-word-analogy.txt").write_text(": one\n" + " ".join(words[:4]) + "\n", "utf-8")
