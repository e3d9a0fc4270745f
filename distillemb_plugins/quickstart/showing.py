"""What the report shows of the sample: its text, neighbours by its own encoder, and sentences with their entities."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..encoder import DistillEmb
from ..files import iter_lines
from ..sample import LANGUAGES, SampleFiles
from ..text import tokenize
from .look import Near, nearest
from .tagging import ARMS

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

WORDS = ("alisema", "mkulima", "Jumatatu", "ተናገረ", "ነጋዴ", "በጎንደር")

_MIN_COUNT = 3  # rarer candidates are mostly capitalised or inflected doubles
COMPARED = ARMS[:2]  # side by side in sentences: without an encoder, and with the bundled one
# How many sentences of each kind: (without right, with right) -> number.
_WANTED = {(False, True): 4, (True, False): 2, (False, False): 2, (True, True): 2}

Neighbours = dict[str, Near]


@dataclass(frozen=True)
class Tagged:
    """One sentence with the entities of one annotator: ``(start, end, label)`` in characters."""

    text: str
    entities: list[tuple[int, int, str]]


@dataclass(frozen=True)
class Comparison:
    """A test sentence as annotated, and as each pipeline tags it. right: by pipeline, all entities right."""

    gold: Tagged
    predicted: dict[str, Tagged]
    right: dict[str, bool]


@dataclass(frozen=True)
class Shown:
    """Everything the report prints besides the metrics. raw_words: number of words of the raw text."""

    raw_lines: int
    raw_words: int
    vocabulary: int
    sentences: dict[str, int]
    raw_examples: list[str]
    dim: int
    parameters: int
    neighbours: Neighbours
    comparisons: list[Comparison]
    unseen_entities: float


def gather(encoder: Path, pipelines: dict[str, Path], sample: SampleFiles) -> Shown:
    """Collect what the report shows. encoder: its directory; pipelines: arm -> directory."""
    loaded = DistillEmb.from_pretrained(encoder)
    texts = {language: list(iter_lines([path])) for language, path in sample.raw.items()}
    counts = Counter(word for lines in texts.values() for line in lines for word in tokenize(line))
    candidates = [word for word, count in counts.most_common() if count >= _MIN_COUNT and word.isalpha()]
    parts = {part: _references(sample.parts["all", part]) for part in ("train", "dev", "test")}
    return Shown(
        raw_lines=sum(map(len, texts.values())),
        raw_words=counts.total(),
        vocabulary=len(counts),
        sentences={part: len(docs) for part, docs in parts.items()},
        raw_examples=[texts[language][place] for language in LANGUAGES for place in range(2)],
        dim=loaded.dim,
        parameters=loaded.num_parameters,
        neighbours={word: nearest(loaded, word, candidates) for word in WORDS},
        comparisons=_comparisons(parts["test"], pipelines),
        unseen_entities=_unseen_entities(parts["train"], parts["test"]),
    )


def _references(conll: Path) -> list[Doc]:
    import spacy

    from ..spacy_plugin.readers import create_conll_corpus

    return [example.reference for example in create_conll_corpus(conll)(spacy.blank("xx"))]


def _unseen_entities(train: list[Doc], test: list[Doc]) -> float:
    """Share of the test part's entities that do not stand in the training part."""
    known = {span.text for doc in train for span in doc.ents}
    spans = [span.text for doc in test for span in doc.ents]
    return sum(text not in known for text in spans) / max(len(spans), 1)


def _comparisons(references: list[Doc], pipelines: dict[str, Path]) -> list[Comparison]:
    """Test sentences of every kind, also those that the encoder gets wrong, as far as there are any."""
    import spacy
    from spacy.tokens import Doc

    found: dict[tuple[bool, ...], list[Comparison]] = {}
    predictions = []
    for arm in COMPARED:
        nlp = spacy.load(pipelines[arm])
        docs = (Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc]) for doc in references)
        predictions.append(list(nlp.pipe(docs)))
    for gold, *tagged in zip(references, *predictions, strict=True):
        comparison = _compare(gold, dict(zip(COMPARED, tagged, strict=True)))
        found.setdefault(tuple(comparison.right.values()), []).append(comparison)
    return [one for kind, number in _WANTED.items() for one in _spread(found.get(kind, []), number)]


def _spread(items: list[Comparison], number: int) -> list[Comparison]:
    """At most `number` items, from the whole length of the list: it begins with one language and ends with another."""
    step = len(items) / number
    return [items[int((place + 0.5) * step)] for place in range(number)] if len(items) > number else items


def _compare(gold: Doc, docs: dict[str, Doc]) -> Comparison:
    wanted = {_span(span) for span in gold.ents}
    return Comparison(
        _tagged(gold),
        {arm: _tagged(doc) for arm, doc in docs.items()},
        {arm: {_span(span) for span in doc.ents} == wanted for arm, doc in docs.items()},
    )


def _tagged(doc: Doc) -> Tagged:
    return Tagged(doc.text, [_span(span) for span in doc.ents])


def _span(span: Span) -> tuple[int, int, str]:
    return span.start_char, span.end_char, span.label_
