"""Drawing the synthetic sample: raw text and entity-tagged sentences in Swahili and Amharic."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import DistillEmbError
from ..files import atomic_file
from .grammar import Grammar, Sentence

LANGUAGES = {"swa": "Swahili", "amh": "Amharic"}
PARTS = {"train": 250, "dev": 150, "test": 300}
RAW_LINES = 6000
LABELS = ("PER", "LOC", "ORG", "DATE")

_FILES = {"swa": "swahili", "amh": "amharic"}
_NO_SPACE_BEFORE = frozenset(".,?!:;።፣፤")


@dataclass(frozen=True)
class SampleFiles:
    """Where `write_sample` put things. parts: (language or "all", "train"/"dev"/"test") -> CoNLL file."""

    raw: dict[str, Path]
    parts: dict[tuple[str, str], Path]


def tagged_sentences(language: str, part: str, *, scale: float = 1.0, seed: int = 0) -> list[Sentence]:
    """Entity-tagged sentences of one part.

    language: "swa" or "amh". part: "train", "dev" or "test"; no sentence stands in two of them. scale: the
    share of the usual number of sentences. Every fourth template is kept from the training part, so that dev
    and test also hold sentence shapes that training never showed.
    Raises `DistillEmbError` for an unknown language or part.
    """
    if part not in PARTS:
        raise DistillEmbError(f"There is no part {part!r} of the sample: choose one of {', '.join(PARTS)}.")
    parts = _all_parts(_known(language), seed)
    return list(parts[part][: max(1, round(PARTS[part] * scale))])


def raw_lines(language: str, lines: int = RAW_LINES, *, seed: int = 0) -> Iterator[str]:
    """Raw text, one or two sentences a line; no tagged sentence is among them.

    language: "swa" or "amh". Raises `DistillEmbError` for an unknown language.
    """
    grammar = _grammar(_known(language))
    rng = random.Random(f"{seed} raw {language}")  # a text seed: the same draws on every machine and version
    held = {sentence.words for part in _all_parts(language, seed).values() for sentence in part}
    tagged, raw = grammar.templates("tagged"), grammar.templates("raw")
    for _ in range(lines):
        texts: list[str] = []
        wanted = rng.choice((1, 1, 2))
        while len(texts) < wanted:
            template = rng.choice(raw if rng.random() < 0.3 else tagged)
            sentence = _styled(grammar.sentence(template, rng), language, rng)
            if sentence.words not in held:
                texts.append(plain_text(sentence.words))
        yield " ".join(texts)


def plain_text(words: tuple[str, ...] | list[str]) -> str:
    """Words joined as one writes them: no space before a mark that closes."""
    return "".join(word if word in _NO_SPACE_BEFORE else f" {word}" for word in words).strip()


def write_sample(out: str | Path, *, lines: int = RAW_LINES, scale: float = 1.0, seed: int = 0) -> SampleFiles:
    """Write the sample below `out`: ``raw/swa.txt``, ``ner/swa/train.conll`` ..., and ``ner/all/`` with both.

    lines: raw lines a language. scale: share of the tagged sentences.
    """
    out = Path(out)
    raw, parts = {}, {}
    for language in LANGUAGES:
        raw[language] = out / "raw" / f"{language}.txt"
        with atomic_file(raw[language], "w") as stream:
            stream.writelines(f"{line}\n" for line in raw_lines(language, lines, seed=seed))
    for part in PARTS:
        both: list[Sentence] = []
        for language in LANGUAGES:
            sentences = tagged_sentences(language, part, scale=scale, seed=seed)
            parts[language, part] = _write_conll(out / "ner" / language / f"{part}.conll", sentences)
            both += sentences
        parts["all", part] = _write_conll(out / "ner" / "all" / f"{part}.conll", both)
    return SampleFiles(raw, parts)


def _write_conll(path: Path, sentences: list[Sentence]) -> Path:
    with atomic_file(path, "w") as stream:
        for words, tags in sentences:
            stream.writelines(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True))
            stream.write("\n")
    return path


def _known(language: str) -> str:
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise DistillEmbError(f"The sample has no language {language!r}: choose one of {known}.")
    return language


@cache
def _grammar(language: str) -> Grammar:
    return Grammar.load(_FILES[language])


@cache
def _all_parts(language: str, seed: int) -> dict[str, tuple[Sentence, ...]]:
    grammar = _grammar(language)
    rng = random.Random(f"{seed} tagged {language}")
    templates = grammar.templates("tagged")
    shown = tuple(template for place, template in enumerate(templates) if place % 4 != 3)
    seen: set[tuple[str, ...]] = set()
    parts = {}
    for part, size in PARTS.items():
        sentences: list[Sentence] = []
        while len(sentences) < size:
            sentence = grammar.sentence(rng.choice(shown if part == "train" else templates), rng)
            sentence = _styled(sentence, language, rng)
            if sentence.words not in seen:
                seen.add(sentence.words)
                sentences.append(sentence)
        parts[part] = tuple(sentences)
    return parts


def _styled(sentence: Sentence, language: str, rng: random.Random) -> Sentence:
    """Capitals as people use them in Swahili: mostly a first one, also messages without any, and headlines.

    So capitals are a hint and not the answer, as in real text. Ethiopic has no capitals.
    """
    if language != "swa":
        return sentence
    words = list(sentence.words)
    style = rng.random()
    if style < 0.20:
        words = [word.lower() for word in words]
    elif style < 0.26:
        words = [word.upper() for word in words]
    elif style < 0.36:
        words = [word[:1].upper() + word[1:] for word in words]
    else:
        words[0] = words[0][:1].upper() + words[0][1:]
    return Sentence(tuple(words), sentence.tags)
