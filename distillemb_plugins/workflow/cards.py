"""The facts and cards of a build: what encoder and tagger were made from, and how they score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import DistillEmb
from ..facts import HELD_OUT, Corpus
from ..files import atomic_file
from ..persistence import write_facts
from .settings import BUNDLED, SCORE_NAMES, BuildSettings

Facts = Mapping[str, Any]


def write_encoder_facts(encoder: Path, settings: BuildSettings, facts: Facts) -> None:
    """Complete the facts of the kept encoder, which was distilled before it was known how it would score."""
    joint = facts["encoder"]["kind"] == "joint"
    corpora = [Corpus.parse(source) for source in settings.sources]
    if joint:
        corpora.append(Corpus(f"what {BUNDLED} learned from", "CC BY-SA 4.0", f"the card of {BUNDLED}"))
    known = DistillEmb.from_pretrained(encoder).facts
    scores = {HELD_OUT: known.scores.get(HELD_OUT, {})}
    if "test" in facts:
        title = f"{settings.task.upper()} on test, {SCORE_NAMES[settings.task]} (per cent) of a spaCy tagger"
        kinds = {"without": "without", "with": facts["encoder"]["kind"]}
        scores[title] = {name: facts["test"][kind]["score"] for name, kind in kinds.items()}
    complete = replace(
        known,
        title=f"Word vectors for {settings.name}",
        languages=tuple(settings.language.split(",")),
        license=settings.license,
        corpora=tuple(corpora),
        command=settings.command,
        notes=f"{settings.notes} The teacher was trained on {facts['text']['words']:,} words.".strip(),
        teachers=("teacher", BUNDLED) if joint else ("teacher",),
        scores=scores,
    )
    write_facts(encoder, complete)


def write_tagger_card(folder: Path, encoder: Path, facts: Facts, task: str) -> None:
    """Write the card of the Hugging Face tagger: the encoder's, with what the tagger was trained on and its scores."""
    from ..hf import DistillEmbForTokenClassification
    from ..hf.card_distillemb import render_card, saved_facts

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
