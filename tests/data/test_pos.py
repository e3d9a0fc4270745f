"""Part-of-speech sets: treebanks, the joined set, tests of transfer."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillemb_plugins.data import pos

TEXT = "Juma PROPN\nanaishi VERB\n\nwatoto NOUN\n"
CONLLU = """1-2\tkàːbá\t_\t_\t_\t_\t_\t_\t_\t_
1\tkàː\tkàː\tNOUN\t_\t_\t0\troot\t_\t_
2\tɓá\tɓá\t_\t_\t_\t1\tdep\t_\t_
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MasakhaPOS in two languages and one treebank."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for language in ("swa", "hau"):
        folder = tmp_path / "tasks" / "pos" / "masakhapos" / language
        folder.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / f"{split}.txt").write_text(TEXT, "utf-8")
    treebank = tmp_path / "tasks" / "pos" / pos._NORTHERN
    treebank.parent.mkdir(parents=True)
    treebank.write_text(CONLLU, "utf-8")
    return tmp_path


def test_marks_are_dropped_and_hooked_letters_kept() -> None:
    assert pos.without_marks("ƙàːƙàː") == "ƙaƙa"
    assert pos.without_marks("ɓá") == "ɓa"


def test_treebanks_are_read_by_syntactic_words_and_may_be_absent(data: Path) -> None:
    plain = next(test for test in pos.transfer_tests("hau") if test.plain)
    file = pos.transfer_file(data, plain)
    assert file is not None
    (sentence,) = pos.read_pos(file, plain=True)
    assert (sentence.words, sentence.tags) == (["ka", "ɓa"], ["NOUN", ""])
    assert pos.transfer_file(data, pos.transfer_tests("yor")[0]) is None


def test_the_joint_set_holds_all_languages(data: Path) -> None:
    joint = pos.pos_files(data, pos.JOINT, ["swa", "hau"])
    one = pos.pos_files(data, "swa")
    for split in ("train", "dev", "test"):
        assert len(pos.read_pos(joint[split])) == 2 * len(pos.read_pos(one[split]))


def test_the_words_of_a_set_are_those_of_its_tests_too(data: Path) -> None:
    assert pos.pos_words(data, "swa") == {"Juma", "anaishi", "watoto"}
    assert pos.pos_words(data, "hau") == {"Juma", "anaishi", "watoto", "kàː", "ɓá", "ka", "ɓa"}
