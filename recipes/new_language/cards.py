"""The model cards of a run: what the encoder and the tagger were made from, and how they score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillemb_plugins import DistillEmb
from distillemb_plugins.facts import HELD_OUT, Corpus
from distillemb_plugins.files import atomic_file
from distillemb_plugins.persistence import write_facts

from .encoders import BUNDLED
from .spacy_side import SCORE_NAMES

if TYPE_CHECKING:
    from .run import Options

Facts = Mapping[str, Any]


def write_encoder_facts(options: Options, facts: Facts, encoder: Path) -> None:
    """Complete the facts of the chosen encoder, which was distilled before it was known how it would score."""
    corpora = [Corpus.parse(source) for source in options.sources]
    if facts["start"] == "joint":
        corpora.append(Corpus(f"what {BUNDLED} learnt from", "CC BY-SA 4.0", f"the card of {BUNDLED}"))
    known = DistillEmb.from_pretrained(encoder).facts
    complete = replace(
        known,
        title=f"Word vectors for {options.title or options.language}",
        languages=(options.language,),
        license=options.licence,
        corpora=tuple(corpora),
        command=options.command,
        notes=f"The teacher was trained on {facts['text']['words']:,} words.",
        teachers=("teacher", BUNDLED) if facts["start"] == "joint" else ("teacher",),
        scores={HELD_OUT: known.scores.get(HELD_OUT, {}), **_scores(facts, options.task)},
    )
    write_facts(encoder, complete)


def _scores(facts: Facts, task: str) -> dict[str, dict[str, float]]:
    if "test" not in facts:
        return {}
    title = f"{task.upper()} on test, {SCORE_NAMES[task]} (per cent) of a spaCy tagger"
    return {title: {name: facts["test"][name]["score"] for name in ("without", "with")}}


def write_tagger_card(folder: Path, encoder: Path, facts: Facts, task: str) -> None:
    """The card of the Hugging Face tagger: the encoder's, with what the tagger was trained on and how it scores."""
    from distillemb_plugins.hf import DistillEmbForTokenClassification
    from distillemb_plugins.hf.card_distillemb import render_card, saved_facts

    model = DistillEmbForTokenClassification.from_pretrained(str(folder))
    sizes = facts["tagged"]["sentences"]
    labels = json.dumps(facts["tagged"]["labels"], ensure_ascii=False)
    training = (
        f"Fine-tuned on {sizes['train']:,} sentences. {SCORE_NAMES[task]}: {facts['hf']['dev']:.1f} on dev "
        f"({sizes['dev']:,} sentences), {facts['hf']['test']:.1f} on test ({sizes['test']:,} sentences). "
        f"In train there are: {labels}."
    )
    model.encoder_facts = DistillEmb.from_pretrained(encoder).facts.to_dict()
    with atomic_file(folder / "README.md", "w") as stream:
        stream.write(render_card(model, folder.resolve().name, saved_facts(model), training))
