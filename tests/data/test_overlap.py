"""What texts have in common: runs of words, letters, and sentences in raw text."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillemb_plugins.data.overlap import fold, letters, overlapping, sentence_key, share_in_text, word_runs

ONE, TWO = ["a", "b", "c", "d", "e", "f"], ["d", "e", "f", "g", "h", "i"]


def test_texts_are_compared_without_case_spaces_and_unicode_form() -> None:
    assert fold("Ọ\u0301JỌ\u0300  titun\n") == fold("o\u0323\u0301jo\u0323\u0300 titun")
    assert sentence_key(["Juma", "yuko", "Voi", "."]) == sentence_key("JUMA yuko  Voi.") == "jumayukovoi."
    assert letters(["Ng'ombe", "2,000", "-", "DAR"]) == ["ngombe", "dar"]


def test_runs_have_the_length_that_is_asked_for() -> None:
    assert word_runs(ONE, 5) == {tuple("abcde"), tuple("bcdef")}
    assert word_runs(ONE[:4], 5) == set()


@pytest.mark.parametrize(
    ("others", "length", "share", "pooled", "expected"),
    [
        (["a b c d", "c d e f"], 2, 1, True, True),  # all five runs, in both together
        (["a b c d", "c d e f"], 2, 0.7, False, False),  # three of five in each
        (["a b c d", "c d e f"], 2, 0.5, False, True),
        (["b c d e f"], 3, 1, True, False),  # three of four
        (["x c d e y"], 3, 0, True, True),
        (["a b c", "d e f"], 4, 0, True, False),
    ],
)
def test_overlap_is_a_share_of_the_runs_in_one_or_in_all_others(
    others: list[str], length: int, share: float, pooled: bool, expected: bool
) -> None:
    given = (text.split() for text in others)  # read once
    assert overlapping([ONE, ["short"]], given, length=length, share=share, pooled=pooled) == [expected, False]


def test_the_share_of_sentences_that_stand_in_raw_text(tmp_path: Path) -> None:
    there = ["Rais", "wa", "Kenya", "alikwenda", "mjini", "Nairobi", "jana", "."]
    half = [*there[:7], "na", "leo"]  # two of its four runs
    other = ["Wanafunzi", "wengi", "walisoma", "vitabu", "vyao", "jana"]
    text = tmp_path / "raw.txt"
    text.write_text("Habari: RAIS wa Kenya alikwenda mjini - Nairobi jana asubuhi.\n", "utf-8")
    splits = {"train": [there, half, other, ["Fupi", "."]], "dev": [other], "test": [["Fupi"]]}
    assert share_in_text(splits, [text]) == {"train": 2 / 3, "dev": 0, "test": 0}
