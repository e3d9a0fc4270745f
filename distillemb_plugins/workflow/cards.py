"""The model cards of a build: what encoder and tagger were made from, and how they score."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import DistillEmb
from ..card import CardInfo, Corpus, render_card
from ..evaluate.card_facts import distill_settings
from ..files import atomic_file
from .encoders import held_out_scores
from .settings import BUNDLED, SCORE_NAMES, BuildSettings

Facts = Mapping[str, Any]


def write_encoder_card(encoder: Path, settings: BuildSettings, facts: Facts) -> None:
    """Write the card of the kept encoder, which was distilled before it was known how it would score."""
    joint = facts["encoder"]["kind"] == "joint"
    corpora = [Corpus(*[part.strip() for part in source.split("|", 2)]) for source in settings.sources]
    if joint:
        corpora.append(Corpus(f"what {BUNDLED} learned from", "CC BY-SA 4.0", f"the card of {BUNDLED}"))
    model = DistillEmb.from_pretrained(encoder)
    distilled = distill_settings(model.files.card)
    info = CardInfo(
        title=f"Word vectors for {settings.name}",
        languages=tuple(settings.language.split(",")),
        licence=settings.license,
        corpora=tuple(corpora),
        command=settings.command,
        notes=f"{settings.notes} The teacher was trained on {facts['text']['words']:,} words.".strip(),
        extra_scores=_scores(facts, settings.task),
    )
    text = render_card(
        info,
        name=encoder.name,
        config=model.config,
        parameters=model.num_parameters,
        teachers=("teacher", BUNDLED) if joint else ("teacher",),
        settings=distilled.to_dict() if distilled else None,
        scores=held_out_scores(encoder),
    )
    with atomic_file(encoder / "README.md", "w") as stream:
        stream.write(text)


def _scores(facts: Facts, task: str) -> dict[str, dict[str, float]]:
    if "test" not in facts:
        return {}
    title = f"{task.upper()} on test, {SCORE_NAMES[task]} (per cent) of a spaCy tagger"
    kinds = {"without": "without", "with": facts["encoder"]["kind"]}
    return {title: {name: facts["test"][kind]["score"] for name, kind in kinds.items()}}


def write_tagger_card(folder: Path, encoder: Path, facts: Facts, task: str) -> None:
    """Write the card of the Hugging Face tagger: the encoder's, with what the tagger was trained on and its scores."""
    from ..hf import DistillEmbForTokenClassification
    from ..hf.card_distillemb import render_card as render

    model = DistillEmbForTokenClassification.from_pretrained(str(folder))
    text = render(model, folder.resolve().name, (encoder / "README.md").read_text("utf-8"))
    sizes = facts["tagged"]["sentences"]
    training = (
        f"Fine-tuned on {sizes['train']:,} sentences. {SCORE_NAMES[task]}: {facts['hf']['dev']:.1f} on dev "
        f"({sizes['dev']:,} sentences), {facts['hf']['test']:.1f} on test ({sizes['test']:,} sentences)."
    )
    labels = json.dumps(facts["tagged"]["labels"], ensure_ascii=False)
    block = f"## Training\n\n{training} In train there are: {labels}.\n"
    with atomic_file(folder / "README.md", "w") as stream:
        stream.write(re.sub(r"## Training\n\n.*?\n(?=\n## |\Z)", lambda _: block, text, flags=re.DOTALL))
