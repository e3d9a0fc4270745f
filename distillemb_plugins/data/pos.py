"""Part-of-speech data: MasakhaPOS, treebanks of Universal Dependencies (UD), and tests of transfer between them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DistillEmbError
from ..files import atomic_file
from .conll import read_sentences
from .layout import Layout, Sentence
from .sources import cache_folder, task_file, task_files

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
class TransferTest:
    """A test on other text than the tagger was trained on.

    file: below the folder of the POS tasks. trained_on: the sets whose taggers are scored on it. plain: whether tone
    and length marks are dropped from the words, as everyday spelling has none.
    """

    name: str
    file: str
    trained_on: tuple[str, ...]
    plain: bool = False


_NORTHERN = "ud/Hausa-NorthernAutogramm/ha_northernautogramm-ud-test.conllu"
_SOUTHERN = "ud/Hausa-SouthernAutogramm/ha_southernautogramm-ud-test.conllu"
TRANSFER_TESTS = (
    TransferTest("UD Yoruba-YTB", "ud/Yoruba-YTB/yo_ytb-ud-test.conllu", ("yor", JOINT)),
    TransferTest("UD Bambara-CRB", "ud/Bambara-CRB/bm_crb-ud-test.conllu", ("bam", JOINT)),
    TransferTest("UD Hausa-Northern", _NORTHERN, ("hau", JOINT)),
    TransferTest("UD Hausa-Northern, marks dropped", _NORTHERN, ("hau", JOINT), plain=True),
    TransferTest("UD Hausa-Southern", _SOUTHERN, ("hau", JOINT)),
    TransferTest("UD Hausa-Southern, marks dropped", _SOUTHERN, ("hau", JOINT), plain=True),
    TransferTest("UD Wolof-WTB", "transfer/wo_wtb/test.txt", ("wol", JOINT)),
    TransferTest("UD Naija-NSC", "transfer/pcm_nsc/test.txt", ("pcm", JOINT)),
    TransferTest("UD Amharic-ATT", "ud/Amharic-ATT/am_att-ud-test.conllu", (JOINT,)),
    TransferTest("MasakhaPOS wol", "masakhapos/wol/test.txt", ("wo_wtb", JOINT)),
    TransferTest("MasakhaPOS pcm", "masakhapos/pcm/test.txt", ("pcm_nsc", "en_ewt", JOINT)),
    *(
        TransferTest(f"MasakhaPOS {name}", f"masakhapos/{name}/test.txt", (JOINT,))
        for name in LANGUAGES
        if name not in ("wol", "pcm")
    ),
)


def pos_files(data: Path, name: str, languages: Sequence[str] = LANGUAGES) -> dict[str, Path]:
    """Find the files of ``train``, ``dev`` and ``test`` of a set, one of `SETS`; those of "joint" are joined."""
    if name == JOINT:
        return _joined_files(data, languages)
    return task_files(data, "pos/transfer" if name in TREEBANKS else f"pos/{MASAKHAPOS}", name)


def _joined_files(data: Path, languages: Sequence[str]) -> dict[str, Path]:
    parts = [pos_files(data, language) for language in languages]
    folder = cache_folder() / "pos-joint" / "-".join(languages)
    files = {split: folder / f"{split}.txt" for split in parts[0]}
    for split, file in files.items():
        texts = [part[split].read_text("utf-8-sig").strip("\n") for part in parts]
        with atomic_file(file, "w") as stream:
            stream.write("\n\n".join(texts) + "\n")
    return files


def transfer_tests(name: str) -> list[TransferTest]:
    """The tests of transfer for taggers that were trained on a set."""
    return [test for test in TRANSFER_TESTS if name in test.trained_on]


def transfer_file(data: Path, test: TransferTest) -> Path | None:
    """The file of a test of transfer; None where the data has no such treebank (the hub has MasakhaPOS alone)."""
    kind, folder, _ = Path(test.file).parts
    if kind != MASAKHAPOS:
        return task_file(data, "pos", test.file)
    try:
        return task_files(data, f"pos/{MASAKHAPOS}", folder)["test"]
    except DistillEmbError:
        return None


def read_pos(file: Path, plain: bool = False) -> list[Sentence]:
    """Read a file with universal tags; of CoNLL-U, the syntactic words. plain: drop tone and length marks."""
    found = list(read_sentences(file, Layout(task="pos")))
    if plain:
        for sentence in found:
            sentence.words = [without_marks(word) or word for word in sentence.words]
    return found


def without_marks(word: str) -> str:
    """A word without tone and length marks: all combining marks and ``ː``. Hooked letters stay."""
    kept = (c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c) and c != LENGTH_MARK)
    return unicodedata.normalize("NFC", "".join(kept))


def words_of(sentences: Iterable[Sentence]) -> set[str]:
    """All distinct words of sentences."""
    return {word for sentence in sentences for word in sentence.words}


def pos_words(data: Path, name: str, languages: Sequence[str] = LANGUAGES) -> set[str]:
    """The words of a set's three files and of its tests of transfer: what a table needs vectors for."""
    words = set().union(*(words_of(read_pos(file)) for file in pos_files(data, name, languages).values()))
    for test in transfer_tests(name):
        file = transfer_file(data, test)
        words |= words_of(read_pos(file, test.plain)) if file else set()
    return words
