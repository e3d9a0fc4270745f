"""Arbitrary strings and damaged files: each is opened, or refused in one sentence. `campaign.py` tries many more."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillemb_plugins.characters import PAD_ID, UNKNOWN_ID, CharTable, split_characters
from distillemb_plugins.persistence import encoder_to_bytes, read_encoder

from ..conftest import TINY_ARGS
from .damage import judge, open_damaged
from .samples import Sample, conll_samples, encoder_samples, teacher_samples, use_blob

QUICK = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
TEACHERS = {sample.kind: sample for sample in teacher_samples()}
CONLL = {sample.kind: sample for sample in conll_samples()}
LETTERS = st.text(st.sampled_from("abẹọñሰላ́̀̂̈mİßﬁ가\ud800\udc00\u200d🙂\0 "), max_size=12)
WORD = st.one_of(LETTERS, st.text(st.characters(), max_size=40))  # surrogates too


def reference(table: CharTable, word: str) -> list[int]:
    """The row of ids as the documentation of `CharTable` describes it, character by character."""
    import unicodedata

    ids = {character: number for number, character in enumerate(table.characters, 2)}
    row = []
    for character in split_characters(word.lower() if table.lowercase else word):
        bare = character[0]
        options = [character[:size] for size in range(len(character), 0, -1)]
        if not 0xD800 <= ord(bare) < 0xE000:
            options.append(unicodedata.normalize("NFD", bare)[0])
        row.append(next((ids[option] for option in options if option in ids), UNKNOWN_ID))
    row = row[: table.max_chars]
    pads = table.max_chars - len(row)
    before = pads // 2 if table.align == "center" else 0
    return [PAD_ID] * before + row + [PAD_ID] * (pads - before)


@QUICK
@given(
    words=st.lists(WORD, max_size=5),
    known=st.lists(LETTERS, max_size=3),
    max_chars=st.integers(10, 20),
    align=st.sampled_from(["left", "center"]),
    lowercase=st.booleans(),
)
def test_any_string_has_the_row_that_the_documentation_says(
    words: list[str], known: list[str], max_chars: int, align: str, lowercase: bool
) -> None:
    learned = sorted({c for word in [*known, "mẹ́"] for c in split_characters(word)})
    table = CharTable(learned, max_chars, align, lowercase)  # type: ignore[arg-type]
    rows = table.encode(words)
    assert rows.shape == (len(words), max_chars) and rows.dtype == np.int32
    for word, row in zip(words, rows, strict=True):
        if len(word) <= 4 * max_chars:  # longer ones are cut before their marks are counted
            assert row.tolist() == reference(table, word)
        assert table.encode([word])[0].tolist() == row.tolist()


@QUICK
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), st.lists, max_leaves=10)
)
def test_any_json_value_in_a_character_table_is_read_or_refused(value: object) -> None:
    good = {"characters": ["a", "b"], "max_chars": 8, "align": "left", "lowercase": False}
    for key in good:
        try:
            table = CharTable.from_dict(json.loads(json.dumps(good | {key: value})))
        except (ValueError, TypeError):  # what read_encoder turns into a sentence
            continue
        assert table.encode(["abc", ""]).shape == (2, table.max_chars)


@pytest.mark.parametrize("kind", TEACHERS)
def test_a_damaged_teacher_is_opened_or_refused(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    check(TEACHERS[kind], tmp_path_factory.mktemp("teacher"), 40)


@pytest.mark.parametrize("kind", CONLL)
def test_a_damaged_conll_file_is_opened_or_refused(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    check(CONLL[kind], tmp_path_factory.mktemp("conll"), 40)


@pytest.mark.parametrize("kind", [*TINY_ARGS, "blob"])
def test_a_damaged_encoder_is_opened_or_refused(
    kind: str, tiny_encoder_dirs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if kind == "blob":
        blob = encoder_to_bytes(read_encoder(tiny_encoder_dirs["cnn"]))
        sample = Sample("blob", {"blob": blob}, "blob", use_blob)
    else:
        sample = encoder_samples({kind: tiny_encoder_dirs[kind]})[0]
    check(sample, tmp_path_factory.mktemp("encoder"), 30)


def check(sample: Sample, folder: Path, examples: int) -> None:
    """Open the sample as it is, then damaged in `examples` ways."""
    assert judge(sample.use, sample.write(folder / "whole")) == "opened"

    @settings(QUICK, max_examples=examples)
    @given(st.integers(0, 1 << 32))
    def opened_or_refused(seed: int) -> None:
        open_damaged(sample, folder / "damaged", random.Random(seed))

    opened_or_refused()
