"""The synthetic sample: well formed, the same everywhere, and with unseen names where they should be."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.sample import (
    LABELS,
    LANGUAGES,
    PARTS,
    Grammar,
    plain_text,
    raw_lines,
    tagged_sentences,
    write_sample,
)
from distillemb_plugins.sample.morphology import conjugate, definite, inflect, plural
from distillemb_plugins.text import tokenize


@pytest.mark.parametrize("language", LANGUAGES)
def test_tags_are_well_formed(language: str) -> None:
    for part, size in PARTS.items():
        sentences = tagged_sentences(language, part)
        assert len(sentences) == size
        for words, tags in sentences:
            assert len(words) == len(tags)
            assert not any(mark in word for word in words for mark in "{}<>|$#*\x01\x02\x03")
            for before, tag in zip(("O", *tags), tags, strict=False):
                assert tag == "O" or tag[2:] in LABELS
                assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_stands_in_two_parts_or_in_the_raw_text(language: str) -> None:
    tagged = [sentence.words for part in PARTS for sentence in tagged_sentences(language, part)]
    assert len(set(tagged)) == len(tagged)
    raw = set(raw_lines(language, 1000))
    assert not raw & {plain_text(words) for words in tagged}


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_test_entities_are_new_but_occur_in_the_raw_text(language: str) -> None:
    def entity_words(part: str) -> list[str]:
        pairs = [pair for words, tags in tagged_sentences(language, part) for pair in zip(words, tags, strict=True)]
        return [word for word, tag in pairs if tag[2:] in ("PER", "LOC", "ORG")]

    known, raw = set(entity_words("train")), Counter(word for line in raw_lines(language) for word in tokenize(line))
    wanted = entity_words("test")
    new = [word for word in wanted if word not in known]
    assert len(new) > 0.4 * len(wanted)
    assert sum(word in raw for word in new) > 0.85 * len(new)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slot_has_its_section(language: str) -> None:
    grammar = Grammar.load({"swa": "swahili", "amh": "amharic"}[language])
    rng = random.Random(0)
    for section in ("tagged", "raw"):
        assert len(grammar.templates(section)) >= 30
        for template in grammar.templates(section):
            for _ in range(3):
                assert grammar.sentence(template, rng).words


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_tokeniser_gives_the_words_back(language: str) -> None:
    for words, _ in tagged_sentences(language, "test"):
        assert tuple(tokenize(plain_text(words))) == words


def test_capitals_do_not_give_swahili_names_away() -> None:
    pairs = [p for words, tags in tagged_sentences("swa", "test") for p in zip(words, tags, strict=True)]
    names = [word for word, tag in pairs if tag != "O" and not word.isdigit()]
    capital_but_no_name = [word for word, tag in pairs if tag == "O" and word[0].isupper()]
    assert 0.1 < sum(word.islower() for word in names) / len(names) < 0.5
    assert len(capital_but_no_name) > 0.1 * len(names)


def test_same_seed_same_sample_and_another_seed_another() -> None:
    assert list(raw_lines("swa", 20)) == list(raw_lines("swa", 20))
    assert list(raw_lines("swa", 20)) != list(raw_lines("swa", 20, seed=1))
    # Fixed by the seed on every machine and Python version: documents and reports rely on it.
    assert next(iter(raw_lines("amh", 1))) == "የዶክተር ጽጌ ደምሴ አዲስ ጥናት ስለ እናቶች ጤና ገለጸ።"


def test_write_sample(tmp_path: Path) -> None:
    files = write_sample(tmp_path, lines=7, scale=0.1)
    assert [len(path.read_text(encoding="utf-8").splitlines()) for path in files.raw.values()] == [7, 7]
    both = files.parts["all", "train"].read_text(encoding="utf-8")
    assert both == "".join(files.parts[language, "train"].read_text(encoding="utf-8") for language in LANGUAGES)
    assert both.count("\n\n") == 2 * round(0.1 * PARTS["train"])
    assert all(len(line.split(" ")) == 2 for line in both.splitlines() if line)


def test_word_forms() -> None:
    rng = random.Random(0)
    assert {conjugate("sema", "a", rng) for _ in range(99)} == {"alisema", "amesema", "anasema", "hakusema"}
    assert conjugate("cheza vizuri", "i+ta", rng) == "itacheza vizuri"
    assert inflect("shule", "ni", rng) == "shuleni"
    assert [definite(word) for word in ("ቤት", "ገበያ", "ሥራ አስኪያጅ")] == ["ቤቱ", "ገበያው", "ሥራ አስኪያጁ"]
    assert [plural(word) for word in ("ቤት", "ተማሪ", "ዳኛ")] == ["ቤቶች", "ተማሪዎች", "ዳኞች"]
    assert inflect("ቤት", "pldef", rng) == "ቤቶቹ"


def test_notation() -> None:
    grammar = Grammar.parse("[town]\nባሕር ዳር\n[say: m f]\nአለ/አለች\n[tagged]\nበ<LOC {town}>ን {say.$} {#5-5} .")
    words, tags = grammar.sentence(grammar.templates("tagged")[0], random.Random(0))
    assert words[:2] == ("በባሕር", "ዳርን") and words[2] in ("አለ", "አለች") and words[3:] == ("5", ".")
    assert tags == ("B-LOC", "I-LOC", "O", "O", "O")
    with pytest.raises(DistillEmbError, match="Line 2"):
        Grammar.parse("# a comment\nword")


@pytest.mark.parametrize(("language", "part"), [("xho", "train"), ("swa", "validation")])
def test_unknown_language_or_part(language: str, part: str) -> None:
    with pytest.raises(DistillEmbError, match="choose one of"):
        tagged_sentences(language, part)
