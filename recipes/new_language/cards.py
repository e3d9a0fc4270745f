"""The model cards of a run: what the encoder and the tagger were made from, and how they score."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillemb_plugins import DistillEmb
from distillemb_plugins.card import CardInfo, Corpus, render_card
from distillemb_plugins.evaluate.card_facts import distill_settings
from distillemb_plugins.files import atomic_file

from .encoders import BUNDLED, held_out_scores
from .spacy_side import SCORE_NAMES

if TYPE_CHECKING:
    from .run import Options

Facts = Mapping[str, Any]


def encoder_card(options: Options, facts: Facts, encoder: Path) -> str:
    """The card of the chosen encoder, which was distilled before it was known how it would score."""
    corpora = [Corpus(*[part.strip() for part in source.split("|", 2)]) for source in options.sources]
    if facts["start"] == "joint":
        corpora.append(Corpus(f"what {BUNDLED} learnt from", "CC BY-SA 4.0", f"the card of {BUNDLED}"))
    files = DistillEmb.from_pretrained(encoder)
    settings = distill_settings(files.files.card)
    info = CardInfo(
        title=f"Word vectors for {options.title or options.language}",
        languages=(options.language,),
        licence=options.licence,
        corpora=tuple(corpora),
        command=options.command,
        notes=f"The teacher was trained on {facts['text']['words']:,} words.",
        extra_scores=_scores(facts, options.task),
    )
    return render_card(
        info,
        name=encoder.name,
        config=files.config,
        parameters=files.num_parameters,
        teachers=("teacher", BUNDLED) if facts["start"] == "joint" else ("teacher",),
        settings=settings.to_dict() if settings else None,
        scores=held_out_scores(encoder),
    )


def _scores(facts: Facts, task: str) -> dict[str, dict[str, float]]:
    if "test" not in facts:
        return {}
    title = f"{task.upper()} on test, {SCORE_NAMES[task]} (per cent) of a spaCy tagger"
    return {title: {name: facts["test"][name]["score"] for name in ("without", "with")}}


def write_tagger_card(folder: Path, encoder: Path, facts: Facts, task: str) -> None:
    """The card of the Hugging Face tagger: the encoder's, with what the tagger was trained on and how it scores."""
    from distillemb_plugins.hf import DistillEmbForTokenClassification
    from distillemb_plugins.hf.card_distillemb import render_card as render

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
