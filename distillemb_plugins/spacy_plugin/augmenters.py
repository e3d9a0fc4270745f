"""Augmenters for languages with little annotated text: lower case, missing diacritics, typing errors.

They change words, not the number of words or the annotations. Chance comes from Python's `random`, which spaCy seeds
with ``[training] seed``, so a run can be repeated.
"""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

import random
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import regex
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.tokens.doc import DOCBIN_ALL_ATTRS
from spacy.training import Example
from thinc.types import Ints2d

from ..errors import DistillEmbError

Augmenter = Callable[[Language, Example], Iterator[Example]]
Change = Callable[[list[str]], list[str]]

# Letters whose hook or stroke has no combining mark in Unicode, and the letter people type instead.
_HOOKED = str.maketrans("ɓɗƙƴƁƊƘƳ", "bdkyBDKY")
_ANNOTATIONS = [name for name in DOCBIN_ALL_ATTRS if name not in ("ORTH", "NORM")]
_CHARACTERS = regex.compile(r"\X")
_SHORTEST_TYPO = 4  # characters: a typing error in a shorter word often makes another word


def create_lower_case(level: float = 0.3, keep_original: bool = False) -> Augmenter:
    """Build `distillemb.lower_case.v1`: sentences in lower case, as people type them on phones.

    Args:
        level: Share of the sentences changed, 0 to 1.
        keep_original: Give the unchanged sentence as well.
    """
    return _augmenter("lower_case", level, keep_original, _lowered)


def create_drop_diacritics(level: float = 0.3, keep: str = "", keep_original: bool = False) -> Augmenter:
    """Build `distillemb.drop_diacritics.v1`: Latin letters without marks (Yoruba ọ́ to o) and hooks (Hausa ɗ to d).

    Args:
        level: Share of the sentences changed, 0 to 1.
        keep: Combining marks that stay, such as the dot below U+0323.
        keep_original: Give the unchanged sentence as well.
    """
    return _augmenter("drop_diacritics", level, keep_original, partial(_plain_words, keep=frozenset(keep)))


def create_typos(level: float = 0.3, rate: float = 0.1, keep_original: bool = False) -> Augmenter:
    """Build `distillemb.typos.v1`: letters dropped, doubled, swapped with the next, or replaced by one of the sentence.

    Args:
        level: Share of the sentences changed, 0 to 1.
        rate: Chance of an error in each word of four or more characters.
        keep_original: Give the unchanged sentence as well.
    """
    _check_share("typos", "rate", rate)
    return _augmenter("typos", level, keep_original, partial(_mistyped, rate=rate))


def _augmenter(name: str, level: float, keep_original: bool, change: Change) -> Augmenter:
    _check_share(name, "level", level)
    return partial(_augment, level=level, keep_original=keep_original, change=change)


def _check_share(name: str, argument: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise DistillEmbError(f"distillemb.{name}.v1: {argument} is {value}: give a share from 0 to 1.")


def _augment(
    nlp: Language, example: Example, *, level: float, keep_original: bool, change: Change
) -> Iterator[Example]:
    if random.random() >= level:
        yield example
        return
    if keep_original:
        yield example
    words = [token.text for token in example.reference]
    changed = change(words)
    if changed != words or not keep_original:
        yield _with_words(nlp, example, changed)


def _with_words(nlp: Language, example: Example, words: list[str]) -> Example:
    """Return the example with other words and the same annotations, each on its word."""
    before = example.reference
    spaces = None if before.has_unknown_spaces else [bool(token.whitespace_) for token in before]
    reference = Doc(before.vocab, words=words, spaces=spaces)
    if words:
        names: list[int | str] = list(_ANNOTATIONS)
        reference.from_array(names, cast(Ints2d, before.to_array(names)))
    reference.cats = dict(before.cats)
    for name, group in before.spans.items():
        spans = [Span(reference, s.start, s.end, label=s.label, kb_id=s.kb_id, span_id=s.id) for s in group]
        reference.spans[name] = SpanGroup(reference, name=name, attrs=dict(group.attrs), spans=spans)
    # Attributes of tokens and spans are kept under the characters where these begin and end.
    pairs = list(zip(before, reference, strict=True))
    places: dict[Any, int] = {old.idx: new.idx for old, new in pairs}
    ends: dict[Any, int] = {old.idx + len(old): new.idx + len(new) for old, new in pairs}
    for key, value in before.user_data.items():
        if isinstance(key, tuple) and len(key) == 4 and key[0] == "._.":
            key = (*key[:2], places.get(key[2], key[2]), ends.get(key[3], key[3]))  # noqa: PLW2901
        reference.user_data[key] = value
    predicted = Doc(nlp.vocab, words=words, spaces=spaces)
    if [token.text for token in example.predicted] != [token.text for token in before]:
        predicted = nlp.make_doc(predicted.text)  # the pipeline tokenizes by itself: let it do so again
    return Example(predicted, reference)


def _lowered(words: list[str]) -> list[str]:
    return [word.lower() for word in words]


def _plain_words(words: list[str], keep: frozenset[str]) -> list[str]:
    return [_plain(word, keep) or word for word in words]


def _plain(word: str, keep: frozenset[str]) -> str:
    """Drop the marks on Latin letters. Other scripts spell vowels with theirs."""
    kept: list[str] = []
    latin = False
    for code_point in unicodedata.normalize("NFD", word):
        if not unicodedata.combining(code_point):
            latin = unicodedata.name(code_point, "").startswith("LATIN")
        elif latin and code_point not in keep:
            continue
        kept.append(code_point)
    return unicodedata.normalize("NFC", "".join(kept)).translate(_HOOKED)


def _mistyped(words: list[str], rate: float) -> list[str]:
    letters = [c for word in words for c in _CHARACTERS.findall(word) if c[0].isalpha()]
    return [_mistype(word, letters) if random.random() < rate else word for word in words]


def _mistype(word: str, letters: list[str]) -> str:
    characters = _CHARACTERS.findall(word)  # a letter keeps its marks
    if len(characters) < _SHORTEST_TYPO or not all(c[0].isalpha() for c in characters):
        return word
    at = random.randrange(len(characters) - 1)
    here, following = characters[at], characters[at + 1]
    other = random.choice(letters)
    error = random.choice([[following], [here, here, following], [following, here], [other, following]])
    return "".join(characters[:at] + error + characters[at + 2 :])
