"""Example sentences: as annotated, and as each tagger tags them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.data.conll import Sentence
from distillemb_plugins.evaluate.tagging import entities


def tag_examples(
    sentences: Sequence[Sentence], taggers: Mapping[str, Path], task: str, number: int, longest: int
) -> list[dict[str, Any]]:
    """`number` sentences of at most `longest` words, evenly from those that have something to find.

    Each is ``{"words", "gold", name of tagger: tags}``; tags are IOB2 or parts of speech, one a word.
    """
    import spacy
    from spacy.tokens import Doc

    fit = [s for s in sentences if len(s) <= longest and (task == "pos" or any(tag != "O" for tag in s.tags))]
    chosen = [fit[int((place + 0.5) * len(fit) / number)] for place in range(number)] if len(fit) > number else fit
    found: list[dict[str, Any]] = [{"words": s.words, "gold": s.tags} for s in chosen]
    for name, path in taggers.items():
        nlp = spacy.load(path)
        docs = nlp.pipe(Doc(nlp.vocab, words=s.words) for s in chosen)
        for one, doc in zip(found, docs, strict=True):
            one[name] = [_iob(token) for token in doc] if task == "ner" else [token.pos_ for token in doc]
    return found


def _iob(token: Any) -> str:
    return f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O"


def right(gold: Sequence[str], tags: Sequence[str], task: str) -> bool:
    """Whether a sentence is tagged as it is annotated."""
    return entities(gold) == entities(tags) if task == "ner" else list(gold) == list(tags)
