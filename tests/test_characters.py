"""Words to rows of ids."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillemb_plugins.characters import CharTable, split_characters

E_DOT_ACUTE = "ẹ\u0301"  # no single code point exists for it


def test_a_letter_and_its_marks_are_one_character() -> None:
    assert split_characters("ọ" + E_DOT_ACUTE + "b") == ["ọ", E_DOT_ACUTE, "b"]
    table = CharTable(["b", "ọ", E_DOT_ACUTE], max_chars=4)
    assert table.encode(["ọ" + E_DOT_ACUTE + "b"]).tolist() == [[3, 4, 2, 0]]


def test_all_normal_forms_give_one_row() -> None:
    word = "ọlọ́jọ́ à"
    table = CharTable.learn([word])
    rows = table.encode([unicodedata.normalize(form, word) for form in ("NFC", "NFD")])
    assert (rows[0] == rows[1]).all()
    assert 1 not in rows


def test_an_unseen_mark_falls_back_to_the_letter_and_the_rest_is_unknown() -> None:
    table = CharTable(["e", "ẹ", "n"], max_chars=3)
    # ẹ+grave (unseen) -> ẹ; precomposed ñ -> n; Ethiopic and a mark without a letter -> unknown
    assert table.encode(["ẹ\u0300", "ñ", "ሀ", "\u0301e"]).tolist() == [[3, 0, 0], [4, 0, 0], [1, 0, 0], [1, 2, 0]]


def test_unknown_characters_have_hashed_ids_of_their_class() -> None:
    table = CharTable(["o", "e", "ẹ"], max_chars=4, hashed=256)
    rows = table.encode(["ɔe", "ɛe", "Ɔe", "٣", "€", "ɔ\u0301e", "ɔe", "ñ"])
    ids = rows[:, 0]
    assert (ids >= table.first_hashed).all() and (ids < len(table)).all() and len(table) == 5 + 256
    assert [table.classes[number] for number in ids] == [1, 1, 2, 3, 4, 1, 1, 1]
    assert len(set(ids[:5].tolist())) == 5
    assert ids[0] == ids[5] == ids[6], "the marks of an unknown letter do not count"
    alphabet = [chr(code) for code in range(0x7CA, 0x7EB)]  # N'Ko: neighbors in an alphabet rarely share an id
    assert len(set(table.encode(alphabet)[:, 0].tolist())) == len(alphabet)
    assert table.knows("ẹ") and table.knows("e\u0301") and not table.knows("ɔ")
    assert CharTable.from_dict(table.to_dict()) == table != CharTable(["o", "e", "ẹ"], max_chars=4)
    one = np.concatenate([table.encode([word]) for word in ("ɔe", "ɛe")])
    assert (one == rows[:2]).all(), "alone and in company"


@pytest.mark.parametrize("hashed", [-4, 6, True, 4.0, 1 << 20])
def test_a_number_of_hashed_ids_that_cannot_be_is_refused(hashed: object) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        CharTable(["a"], hashed=hashed)  # type: ignore[arg-type]


def test_characters_that_the_words_lack_can_be_known() -> None:
    table = CharTable.learn(["abba"], more="aɛ", lowercase=True, hashed=8)
    assert table.characters == ("a", "b", "ɛ") and table.hashed == 8


def test_alignment_cutting_and_padding() -> None:
    left = CharTable(list("abc"), max_chars=5)
    centre = CharTable(list("abc"), max_chars=5, align="center")
    assert left.encode(["ab", "", "abcabcabc"]).tolist() == [[2, 3, 0, 0, 0], [0] * 5, [2, 3, 4, 2, 3]]
    assert centre.encode(["a", "ab", "abcabcabc"]).tolist() == [[0, 0, 2, 0, 0], [0, 2, 3, 0, 0], [2, 3, 4, 2, 3]]


def test_learning_counts_characters_and_orders_by_frequency() -> None:
    table = CharTable.learn(["aab", "cb"], counts=[10, 1], min_count=2)
    assert table.characters == ("a", "b")
    assert len(table) == 4
    assert CharTable.learn(["aabbc"], max_characters=2).characters == ("a", "b")
    with pytest.raises(ValueError, match="lower min_count"):
        CharTable.learn(["abc"], min_count=5)


def test_lower_casing_and_dictionary_round_trip() -> None:
    table = CharTable(["a", "b"], max_chars=3, align="center", lowercase=True)
    assert table.encode(["AB"]).tolist() == [[2, 3, 0]]
    assert CharTable.from_dict(table.to_dict()) == table
    with pytest.raises(ValueError, match="has the keys"):
        CharTable.from_dict({"characters": ["a"], "colour": "red"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"characters": ["a"], "max_chars": 0}, "max_chars"),
        ({"characters": ["a"], "align": "right"}, "align"),
        ({"characters": ["a", "a"]}, "twice"),
        ({"characters": [""]}, "empty"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CharTable(**arguments)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_strings_give_rows_equal_to_the_plain_definition(words: list[str]) -> None:
    table = CharTable(["a", "é", "ẹ", E_DOT_ACUTE, "ሰ", "𐍈"], max_chars=6)
    rows = table.encode(words)
    assert rows.shape == (len(words), 6) and rows.dtype == np.int32
    assert ((rows >= 0) & (rows < len(table))).all()
    for word, row in zip(words, rows, strict=True):
        assert row.tolist() == table.encode([word])[0].tolist()
        characters = split_characters(word)[:6]
        assert (row[: len(characters)] > 0).all() and (row[len(characters) :] == 0).all()
        for character, number in zip(characters, row.tolist(), strict=False):
            if character in table.characters:
                assert number == table.characters.index(character) + 2


def test_a_huge_word_costs_no_more_than_a_long_one() -> None:
    table = CharTable(["a"], max_chars=8)
    assert table.encode(["a" * 1_000_000]).tolist() == [[2] * 8]


@pytest.mark.parametrize("align", ["left", "center"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_a_word_alone_has_the_row_that_it_has_in_company(align: str, lowercase: bool) -> None:
    table = CharTable(["a", "b", "é", E_DOT_ACUTE, "σ", "ς", "\u0301"], max_chars=4, align=align, lowercase=lowercase)
    words = ["", "a", "ab", "abab", "ababab", "aba\u0301", "abab\u0301", "ababa\u0301", "e\u0301", "é", E_DOT_ACUTE]
    words += ["AB", "ΑΣ", "abaΣ", "abaΣb", "abaΣ'b", "abΣ''b", "z", "\u0301", "\u0301a", "İ", "\ud800"]
    together = table.encode(words)
    for word, row in zip(words, together, strict=True):
        assert table.encode([word])[0].tolist() == row.tolist(), word


def test_files_spell_the_alignment_as_every_version_reads_it() -> None:
    table = CharTable(["a"], align="center")
    assert table.align == "center" and table.to_dict()["align"] == "centre"
    assert CharTable.from_dict(table.to_dict()) == table == CharTable(["a"], align="centre")
