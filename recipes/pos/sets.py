"""What the POS recipe trains and tests on: MasakhaPOS, and the treebanks of Universal Dependencies (UD)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillemb_plugins.data.conll import Layout, Sentence, read_sentences
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file
from recipes.common import cache_folder, task_files, unpacked_tasks

MASAKHAPOS = "masakhapos"
# fmt: off
LANGUAGES = (
    "bam", "bbj", "ewe", "fon", "hau", "ibo", "kin", "lug", "luo", "mos", "pcm", "sna", "swa", "wol", "xho", "yor",
    "zul",
)
# fmt: on
TREEBANKS = ("wo_wtb", "pcm_nsc", "en_ewt")  # those with training files: Wolof, Naija (Nigerian Pidgin), English
JOINT = "joint"  # one tagger for all languages of MasakhaPOS
SETS = (*LANGUAGES, *TREEBANKS, JOINT)
LENGTH_MARK = "ː"


@dataclass(frozen=True)
class Test:
    """A test of transfer: other text than the tagger was trained on.

    name: as the tables print it. file: under the folder of the POS task. trained_on: the sets whose taggers are
    scored on it. plain: tone and length marks are dropped from the words, as everyday spelling has none.
    """

    __test__ = False  # no test class, whatever its name says to pytest

    name: str
    file: str
    trained_on: tuple[str, ...]
    plain: bool = False


_NORTHERN = "ud/Hausa-NorthernAutogramm/ha_northernautogramm-ud-test.conllu"
_SOUTHERN = "ud/Hausa-SouthernAutogramm/ha_southernautogramm-ud-test.conllu"
TESTS = (
    Test("UD Yoruba-YTB", "ud/Yoruba-YTB/yo_ytb-ud-test.conllu", ("yor", JOINT)),
    Test("UD Bambara-CRB", "ud/Bambara-CRB/bm_crb-ud-test.conllu", ("bam", JOINT)),
    Test("UD Hausa-Northern", _NORTHERN, ("hau", JOINT)),
    Test("UD Hausa-Northern, marks dropped", _NORTHERN, ("hau", JOINT), plain=True),
    Test("UD Hausa-Southern", _SOUTHERN, ("hau", JOINT)),
    Test("UD Hausa-Southern, marks dropped", _SOUTHERN, ("hau", JOINT), plain=True),
    Test("UD Wolof-WTB", "transfer/wo_wtb/test.txt", ("wol", JOINT)),
    Test("UD Naija-NSC", "transfer/pcm_nsc/test.txt", ("pcm", JOINT)),
    Test("UD Amharic-ATT", "ud/Amharic-ATT/am_att-ud-test.conllu", (JOINT,)),
    Test("MasakhaPOS wol", "masakhapos/wol/test.txt", ("wo_wtb", JOINT)),
    Test("MasakhaPOS pcm", "masakhapos/pcm/test.txt", ("pcm_nsc", "en_ewt", JOINT)),
    *(
        Test(f"MasakhaPOS {name}", f"masakhapos/{name}/test.txt", (JOINT,))
        for name in LANGUAGES
        if name not in ("wol", "pcm")
    ),
)


def training_files(data: Path, name: str, languages: Sequence[str] = LANGUAGES) -> dict[str, Path]:
    """The files ``train``, ``dev`` and ``test`` of a set; those of `JOINT` are joined from the languages' files.

    Raises `DistillEmbError` when they are not to be had.
    """
    if name == JOINT:
        return _joined_files(data, languages)
    return task_files(data, "pos/transfer" if name in TREEBANKS else f"pos/{MASAKHAPOS}", name)


def _joined_files(data: Path, languages: Sequence[str]) -> dict[str, Path]:
    parts = [training_files(data, language) for language in languages]
    folder = cache_folder() / "pos-joint" / "-".join(languages)
    files = {split: folder / f"{split}.txt" for split in parts[0]}
    for split, file in files.items():
        texts = [part[split].read_text("utf-8-sig").strip("\n") for part in parts]
        with atomic_file(file, "w") as stream:
            stream.write("\n\n".join(texts) + "\n")
    return files


def test_file(data: Path, test: Test) -> Path | None:
    """The file of a test of transfer; none where the data has no such treebank (the hub has MasakhaPOS alone)."""
    kind, folder, _ = Path(test.file).parts
    if kind == MASAKHAPOS:
        try:
            return task_files(data, f"pos/{MASAKHAPOS}", folder)["test"]
        except DistillEmbError:
            return None
    candidates = (data / "tasks" / "pos", data / "pos", unpacked_tasks(data, "pos") / "pos")
    return next((place / test.file for place in candidates if (place / test.file).is_file()), None)


def sentences(file: Path, plain: bool = False) -> list[Sentence]:
    """The sentences of a file with universal tags; of CoNLL-U, the syntactic words.

    Raises `DistillEmbError` naming file and line for what cannot be read.
    """
    found = list(read_sentences(file, Layout(task="pos")))
    if plain:
        for sentence in found:
            sentence.words = [without_marks(word) or word for word in sentence.words]
    return found


def without_marks(word: str) -> str:
    """A word without tone and length marks: all combining marks and ``ː``; hooked letters stay."""
    kept = (c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c) and c != LENGTH_MARK)
    return unicodedata.normalize("NFC", "".join(kept))


def words_of(found: Iterable[Sentence]) -> set[str]:
    """All distinct words."""
    return {word for sentence in found for word in sentence.words}


def tests_of(name: str) -> list[Test]:
    """The tests of transfer for taggers that were trained on a set."""
    return [test for test in TESTS if name in test.trained_on]


def all_words(data: Path, name: str, languages: Sequence[str] = LANGUAGES) -> set[str]:
    """The words of a set's three files and of its tests: what a table needs vectors for."""
    words = set().union(*(words_of(sentences(file)) for file in training_files(data, name, languages).values()))
    for test in tests_of(name):
        file = test_file(data, test)
        words |= words_of(sentences(file, test.plain)) if file else set()
    return words
