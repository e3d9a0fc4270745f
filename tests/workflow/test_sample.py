"""The synthetic sample: well formed, complete, and with unseen names where they should be."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from distillemb_plugins.data.conll import Layout, Sentence, read_sentences
from distillemb_plugins.sample import FOLDER, LANGUAGES, PARTS, RAW_LINES, raw_lines, write_sample
from distillemb_plugins.text import tokenize

LABELS = ("PER", "LOC", "ORG", "DATE")
# The raw text on every machine: documents and reports rely on it.
RAW_SHA256 = {
    "swa": "177ca473a7d09468539aad57c159db66be3be9a893deb08ce3d50c20c852f628",
    "amh": "628212ce05503c76a91810c7656bbb70ac828d6e341b1dea9ab045f2d2fae3a2",
}


def tagged_sentences(language: str, part: str) -> list[Sentence]:
    return list(read_sentences(FOLDER / f"{language}-{part}.conll", Layout()))


def plain_text(words: list[str]) -> str:
    """Words joined as one writes them: no space before a mark that closes."""
    return "".join(word if word in ".,?!:;።፣፤" else f" {word}" for word in words).strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_tags_are_well_formed(language: str) -> None:
    for part, size in PARTS.items():
        sentences = tagged_sentences(language, part)
        assert len(sentences) == size
        for sentence in sentences:
            assert len(sentence.words) == len(sentence.tags)
            assert not any(mark in word for word in sentence.words for mark in "{}<>|$#*\x01\x02\x03")
            for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False):
                assert tag == "O" or tag[2:] in LABELS
                assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_stands_in_two_parts_or_in_the_raw_text(language: str) -> None:
    tagged = [plain_text(sentence.words) for part in PARTS for sentence in tagged_sentences(language, part)]
    assert len(set(tagged)) == len(tagged)
    assert not set(raw_lines(language)) & set(tagged)


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_test_entities_are_new_but_occur_in_the_raw_text(language: str) -> None:
    def entity_words(part: str) -> list[str]:
        pairs = [pair for s in tagged_sentences(language, part) for pair in zip(s.words, s.tags, strict=True)]
        return [word for word, tag in pairs if tag[2:] in ("PER", "LOC", "ORG")]

    known, raw = set(entity_words("train")), Counter(word for line in raw_lines(language) for word in tokenize(line))
    wanted = entity_words("test")
    new = [word for word in wanted if word not in known]
    assert len(new) > 0.4 * len(wanted)
    assert sum(word in raw for word in new) > 0.85 * len(new)


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_tokeniser_gives_the_words_back(language: str) -> None:
    for sentence in tagged_sentences(language, "test"):
        assert tokenize(plain_text(sentence.words)) == sentence.words


def test_capitals_do_not_give_swahili_names_away() -> None:
    pairs = [p for s in tagged_sentences("swa", "test") for p in zip(s.words, s.tags, strict=True)]
    names = [word for word, tag in pairs if tag != "O" and not word.isdigit()]
    capital_but_no_name = [word for word, tag in pairs if tag == "O" and word[0].isupper()]
    assert 0.1 < sum(word.islower() for word in names) / len(names) < 0.5
    assert len(capital_but_no_name) > 0.1 * len(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_raw_text_is_what_it_was(language: str) -> None:
    lines = list(raw_lines(language))
    assert len(lines) == RAW_LINES
    assert hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest() == RAW_SHA256[language]


def test_write_sample(tmp_path: Path) -> None:
    write_sample(tmp_path, lines=7, scale=0.1)
    raw = [tmp_path / "raw" / f"{language}.txt" for language in LANGUAGES]
    assert [len(path.read_text(encoding="utf-8").splitlines()) for path in raw] == [7, 7]
    parts = {name: (tmp_path / "ner" / name / "train.conll").read_text("utf-8") for name in (*LANGUAGES, "all")}
    assert parts["all"] == "".join(parts[language] for language in LANGUAGES)
    assert parts["all"].count("\n\n") == 2 * round(0.1 * PARTS["train"])
    assert all(len(line.split(" ")) == 2 for line in parts["all"].splitlines() if line)
