"""Augmenters: words change, annotations stay."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry

from distillemb_plugins import DistillEmbError
from distillemb_plugins.spacy_plugin.readers import ConllCorpus

WORDS = ["Adébáyọ̀", "ƙasa", "በኢትዮጵያ", "ọjọ́", "العَرَب", "3.5"]


def augmenter(name: str, **settings: Any) -> Any:
    return registry.resolve({"a": {"@augmenters": f"distillemb.{name}.v1", **settings}})["a"]


def example() -> tuple[spacy.Language, Example]:
    nlp = spacy.blank("xx")
    reference = Doc(
        nlp.vocab,
        words=WORDS,
        spaces=[True] * 5 + [False],
        ents=["B-PER", "O", "B-LOC", "I-LOC", "O", "O"],
        tags=["PROPN", "NOUN", "PROPN", "NOUN", "NOUN", "NUM"],
        pos=["PROPN", "NOUN", "PROPN", "NOUN", "NOUN", "NUM"],
    )
    reference.cats = {"news": 1.0}
    return nlp, Example(Doc(nlp.vocab, words=WORDS), reference)


def check_annotations(original: Example, changed: Example) -> None:
    assert [t.ent_iob_ + t.ent_type_ for t in changed.reference] == [
        t.ent_iob_ + t.ent_type_ for t in original.reference
    ]
    assert [(t.tag_, t.pos_) for t in changed.reference] == [(t.tag_, t.pos_) for t in original.reference]
    assert changed.reference.cats == original.reference.cats
    assert [t.text for t in changed.predicted] == [t.text for t in changed.reference]


def words_of(changed: Example) -> list[str]:
    return [token.text for token in changed.reference]


def test_lower_case() -> None:
    nlp, original = example()
    (changed,) = augmenter("lower_case", level=1.0)(nlp, original)
    assert words_of(changed) == [word.lower() for word in WORDS]
    check_annotations(original, changed)


def test_diacritics_are_dropped_from_latin_letters_only() -> None:
    nlp, original = example()
    (changed,) = augmenter("drop_diacritics", level=1.0)(nlp, original)
    assert words_of(changed) == ["Adebayo", "kasa", "በኢትዮጵያ", "ojo", "العَرَب", "3.5"]
    check_annotations(original, changed)
    (dotted,) = augmenter("drop_diacritics", level=1.0, keep="\u0323")(nlp, original)
    assert words_of(dotted)[0] == "Adebayọ"


def test_typos_change_long_words_by_one_character() -> None:
    nlp, original = example()
    seen = set()
    for seed in range(40):
        random.seed(seed)
        (changed,) = augmenter("typos", level=1.0, rate=1.0)(nlp, original)
        check_annotations(original, changed)
        words = words_of(changed)
        assert words[1:2] != [""] and words[3] == "ọjọ́" and words[5] == "3.5"  # short, or no word
        assert abs(len(words[2]) - len(WORDS[2])) <= 1
        seen.add(words[2])
    assert len(seen) > 5


def test_level_and_original() -> None:
    nlp, original = example()
    assert list(augmenter("lower_case", level=0.0)(nlp, original)) == [original]
    both = list(augmenter("lower_case", level=1.0, keep_original=True)(nlp, original))
    assert both[0] is original and words_of(both[1]) != WORDS
    random.seed(0)
    changed = [words_of(*augmenter("lower_case", level=0.3)(nlp, original)) != WORDS for _ in range(200)]
    assert 30 < sum(changed) < 90


def test_in_a_corpus(ner_file: Path) -> None:
    corpus = ConllCorpus(ner_file, augmenter=augmenter("lower_case", level=1.0))
    assert next(iter(corpus(spacy.blank("xx")))).text == "rafiki kitani anasoma mjini"


def test_own_tokenisation_is_repeated() -> None:
    nlp = spacy.blank("xx")
    reference = Doc(nlp.vocab, words=["Abeba!", "Ni"], ents=["B-PER", "O"])
    (changed,) = augmenter("lower_case", level=1.0)(nlp, Example(nlp.make_doc(reference.text), reference))
    assert [t.text for t in changed.predicted] == ["abeba", "!", "ni"]


@pytest.mark.parametrize("name", ["lower_case", "drop_diacritics", "typos"])
def test_shares_are_checked(name: str) -> None:
    with pytest.raises(DistillEmbError, match=f"distillemb.{name}.v1: level is 1.5"):
        augmenter(name, level=1.5)
