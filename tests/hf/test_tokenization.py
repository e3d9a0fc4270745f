"""The tokenizer: words, characters, and every way in which transformers calls a tokenizer."""

from __future__ import annotations

import copy
import json
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, DataCollatorForTokenClassification

from distillemb_plugins import CharTable
from distillemb_plugins.hf import DistillEmbTokenizer, build_tokenizer
from distillemb_plugins.hf_files import AUTO_MAP, MODEL_MAX_LENGTH, TOKENIZER_AUTO_MAP, tokenizer_files
from distillemb_plugins.text import tokenize

TEXTS = [
    "Ng'ombe n'ọ́jọ́ don't mfano-mfano!",
    "3.5 au 1,000 -5 a.b 2-3 x- 'y' (z)",
    "ሰላም፣ ልጅ። ከመይ",
    "ẹ̀kọ́ àti ọmọ ọ̀bọ̀",
    "don’t ʼn a‑b\u200bc\ttab\nline\u00a0gap\u3000end",
    "[PAD] [UNK] é\u0301 😀👍🏽 #x @y",
    "",
    "   \t ",
]


def test_words_are_those_of_tokenize(tokenizer: Any) -> None:
    for text in TEXTS:
        encoded = tokenizer(text, return_offsets_mapping=True)
        assert [text[a:b] for a, b in encoded["offset_mapping"]] == tokenize(text)
        assert encoded["input_ids"] == [1] * len(tokenize(text))
        assert tokenizer.tokenize(text) == tokenize(text)


def test_every_assigned_character_splits_as_in_tokenize(tokenizer: Any) -> None:
    # Up to CJK, then Latin, Vai, Bamum and Ethiopic further up, Adlam, emoji. Characters that a newer Unicode assigned
    # are left out: the two regex libraries know different versions.
    blocks = [(1, 0x3100), (0xA500, 0xAC00), (0xFB00, 0x10000), (0x1E7E0, 0x1E960), (0x1F300, 0x1F700)]
    points = [chr(c) for block in blocks for c in range(*block)]
    points = [c for c in points if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    texts = [f"a{c}b" for c in points]
    offsets = tokenizer(texts, return_offsets_mapping=True)["offset_mapping"]
    wrong = [t for t, o in zip(texts, offsets, strict=True) if [t[a:b] for a, b in o] != tokenize(t)]
    assert not wrong, f"{len(wrong)} of {len(texts)}: {wrong[:5]!r}"


def test_characters_are_the_tables(tokenizer: Any) -> None:
    text = "kitani ọ́kọ̀ ሰላም !"
    encoded = tokenizer([text, "m"], padding=True, return_tensors="pt")
    assert encoded["char_ids"].dtype == torch.int64
    assert encoded["char_ids"].shape == (2, 4, tokenizer.characters.max_chars)
    np.testing.assert_array_equal(encoded["char_ids"][0].numpy(), tokenizer.characters.encode(tokenize(text)))
    assert not encoded["char_ids"][1, 1:].any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["pt", "np"])
def test_padding_sides(tokenizer: Any, side: str, kind: str) -> None:
    direct = tokenizer(["m", "kitani nyota ilé"], padding=True, padding_side=side, return_tensors=kind)
    one_by_one = [tokenizer("m"), tokenizer("kitani nyota ilé")]
    later = tokenizer.pad(one_by_one, padding_side=side, return_tensors=kind)
    tokenizer.padding_side = side
    default = tokenizer.pad(one_by_one, return_tensors=kind)
    place = -1 if side == "left" else 0
    for encoded in (direct, later, default):
        assert np.asarray(encoded["attention_mask"])[0].tolist() == ([0, 0, 1] if side == "left" else [1, 0, 0])
        assert np.asarray(encoded["char_ids"])[0].any(1).tolist() == [w == place % 3 for w in range(3)]
    for name in ("input_ids", "char_ids", "attention_mask"):
        assert np.array_equal(direct[name], later[name]) and np.array_equal(direct[name], default[name])
    fixed = tokenizer.pad(one_by_one, padding="max_length", max_length=5, pad_to_multiple_of=4, return_tensors=kind)
    assert fixed["char_ids"].shape == (2, 8, tokenizer.characters.max_chars)


def test_word_ids_offsets_and_masks(tokenizer: Any) -> None:
    wanted = {"return_special_tokens_mask": True, "return_offsets_mapping": True}
    encoded = tokenizer(["kita don't.", "m"], padding=True, **wanted)
    assert encoded.word_ids(0) == [0, 1, 2] and encoded.word_ids(1) == [0, None, None]
    assert encoded["special_tokens_mask"] == [[0, 0, 0], [0, 1, 1]]
    assert encoded["offset_mapping"][0] == [(0, 4), (5, 10), (10, 11)]
    assert encoded.char_to_word(0, 6) == 1 and encoded.word_to_chars(0, 1) == (5, 10)


def test_words_given_are_not_split(tokenizer: Any) -> None:
    words = ["don't", "New York", "", " ", " ilé ", "[PAD]", "a.b"]
    encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    assert encoded.word_ids(0) == [0, 1, 4, 5, 6]  # blank words vanish
    kept = ["don't", "New York", "ilé", "[PAD]", "a.b"]
    np.testing.assert_array_equal(encoded["char_ids"][0].numpy(), tokenizer.characters.encode(kept))
    assert encoded["input_ids"].tolist() == [[1] * 5]
    assert len(tokenizer.encode(words, is_split_into_words=True)) == 5
    assert tokenizer.tokenize(["don't", "a.b"], is_split_into_words=True) == ["don't", "a.b"]
    batch = tokenizer([words, ["m"]], is_split_into_words=True, padding=True)
    assert batch["char_ids"][0] == encoded["char_ids"][0].tolist() and len(batch["char_ids"][1]) == 5
    assert tokenizer("don't.")["input_ids"] == [1, 1]  # the other way is as it was


def test_truncation_and_overflow(tokenizer: Any) -> None:
    texts = ["kita soma mji ndege rafiki", "m"]
    cut = tokenizer(texts[0], truncation=True, max_length=2)
    assert len(cut["char_ids"]) == 2
    settings = {"truncation": True, "max_length": 3, "stride": 1, "return_overflowing_tokens": True}
    encoded = tokenizer(texts, **settings, padding=True, return_tensors="np")
    assert encoded["overflow_to_sample_mapping"].tolist() == [0, 0, 1]
    whole = tokenizer(texts[0], return_tensors="np")["char_ids"][0]
    np.testing.assert_array_equal(encoded["char_ids"][0], whole[:3])
    np.testing.assert_array_equal(encoded["char_ids"][1], whole[2:])
    single = tokenizer(texts[0], truncation=True, max_length=3, return_overflowing_tokens=True)
    assert np.array(single["char_ids"][0]).tolist() == whole[:3].tolist() and len(single["char_ids"]) == 2
    tokenizer.truncation_side = "left"
    left = tokenizer(texts[0], truncation=True, max_length=2)
    assert left["char_ids"] == whole[3:].tolist()


def test_pairs(tokenizer: Any) -> None:
    expected = tokenizer.characters.encode(["kita", "soma", "mji"]).tolist()
    assert tokenizer("kita soma", "mji")["char_ids"] == expected
    assert tokenizer(["kita soma"], ["mji"])["char_ids"] == [expected]
    assert tokenizer([("kita soma", "mji")])["char_ids"] == [expected]
    assert tokenizer([["kita", "soma"]], [["mji"]], is_split_into_words=True)["char_ids"] == [expected]
    assert tokenizer("kita", "mji", return_token_type_ids=True)["token_type_ids"] == [0, 1]


def test_empty_input(tokenizer: Any) -> None:
    width = tokenizer.characters.max_chars
    assert tokenizer("")["char_ids"] == [] and tokenizer([])["input_ids"] == []
    for empty in ("", " \n", []):
        encoded = tokenizer(
            empty,
            is_split_into_words=isinstance(empty, list),
            return_tensors="pt",
            return_special_tokens_mask=True,
            return_offsets_mapping=True,
        )
        assert encoded["input_ids"].tolist() == [[0]] and encoded["attention_mask"].tolist() == [[0]]
        assert encoded["char_ids"].shape == (1, 1, width) and encoded["char_ids"].dtype == torch.int64
        assert encoded["special_tokens_mask"].tolist() == [[1]] and encoded["offset_mapping"].shape == (1, 1, 2)
        assert encoded.word_ids(0) == [None]
    both = tokenizer(["", "kita"], padding=True, return_tensors="np")
    assert both["attention_mask"].tolist() == [[0], [1]]
    padded = tokenizer.pad([tokenizer(""), tokenizer(" ")], return_tensors="pt")
    assert padded["char_ids"].shape == (2, 1, width)


def test_hostile_text(tokenizer: Any) -> None:
    huge = "a" * 200_000
    encoded = tokenizer(["\ud800 kita", huge, "e" + "\u0301" * 5000, "\x00\u202e"], padding=True, return_tensors="pt")
    assert encoded["char_ids"].shape[1] == 2
    assert torch.equal(encoded["char_ids"][0, 1], tokenizer("kita", return_tensors="pt")["char_ids"][0, 0])


@pytest.mark.parametrize("wrong", [["kita", None], [["kita", None]], 3, ["kita", 4]])
def test_what_is_not_text_is_refused(tokenizer: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"give (a string|text)"):
        tokenizer(wrong, is_split_into_words=isinstance(wrong, list) and isinstance(wrong[0], list))


def test_without_a_table_it_says_so(tokenizer: Any) -> None:
    del tokenizer.init_kwargs["char_table"]
    with pytest.raises(ValueError, match="holds no char_table"):
        tokenizer("kita")


def test_save_and_reload_equal(tokenizer: Any, tmp_path: Path) -> None:
    sample = [*TEXTS, "kitani ọ́kọ̀"]
    expected = tokenizer(sample, padding=True)
    tokenizer(sample, truncation=True, max_length=2, padding="max_length")  # must leave no trace
    tokenizer.save_pretrained(tmp_path / "a")
    again = AutoTokenizer.from_pretrained(tmp_path / "a")
    again.save_pretrained(tmp_path / "b")
    assert type(again) is DistillEmbTokenizer and again.characters == tokenizer.characters
    assert dict(again(sample, padding=True)) == dict(expected)
    assert again.model_max_length == MODEL_MAX_LENGTH and again.padding_side == "right"
    for name in ("tokenizer.json", "tokenizer_config.json", "tokenization_distillemb.py", "characters_distillemb.py"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for clone in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert dict(clone(sample, padding=True)) == dict(expected)
        assert clone(["a.b"], is_split_into_words=True)["input_ids"] == [1]


def test_files_written_without_transformers_are_the_same(tiny_words: list[str], tmp_path: Path) -> None:
    """`write_encoder` writes what a tokenizer would save, and names the classes as the modules do."""
    from distillemb_plugins.hf import configuration_distillemb, tokenization_distillemb

    assert AUTO_MAP == configuration_distillemb.AUTO_MAP
    assert TOKENIZER_AUTO_MAP == tokenization_distillemb.AUTO_MAP
    assert MODEL_MAX_LENGTH == tokenization_distillemb.MODEL_MAX_LENGTH
    table = CharTable.learn(tiny_words, max_chars=9, lowercase=True)
    built = build_tokenizer(table)
    built.save_pretrained(tmp_path)
    files = tokenizer_files(table.to_dict())
    assert json.loads(files["tokenizer.json"]) == json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    saved = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    written = json.loads(files["tokenizer_config.json"])
    assert {name: saved[name] for name in written} == written


def test_collator_aligns_labels(tokenizer: Any) -> None:
    rows = [{**tokenizer("kita soma mji"), "labels": [1, 2, 0]}, {**tokenizer("m"), "labels": [3]}]
    batch = DataCollatorForTokenClassification(tokenizer)(rows)
    assert batch["labels"].tolist() == [[1, 2, 0], [3, -100, -100]]
    assert batch["char_ids"].shape == (2, 3, tokenizer.characters.max_chars) and not batch["char_ids"][1, 1:].any()


def test_map_with_two_processes(tokenizer: Any, tmp_path: Path) -> None:
    from datasets import Dataset

    texts = ["kita soma", "m", "", "ndege rafiki ilé"]
    mapped = Dataset.from_dict({"text": texts}).map(lambda rows: tokenizer(rows["text"]), batched=True, num_proc=2)
    assert mapped["char_ids"][:] == tokenizer(texts)["char_ids"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("tensors", ["pt", "np"])
def test_batches_are_padded_as_arrays_and_as_lists_alike(tokenizer: Any, side: str, tensors: str) -> None:
    sentences = [["Rais", "alikwenda"], ["leo"], []]
    features = [dict(tokenizer(words, is_split_into_words=True)) for words in sentences]
    lists = tokenizer.pad(features, padding_side=side)
    arrays = tokenizer.pad(features, padding_side=side, return_tensors=tensors)
    assert set(arrays) == set(lists)
    for name in lists:
        assert arrays[name].tolist() == [list(map(_plain, row)) for row in lists[name]]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
