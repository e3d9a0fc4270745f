"""One spaCy tagger: an arm, a training set and a seed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillemb_plugins.data.conll import Sentence
from distillemb_plugins.data.pos import LANGUAGES, pos_files, pos_words
from recipes import spacy_arms
from recipes.pos.scoring import scores
from recipes.spacy_arms import (
    TABLE_ARMS,
    arm_config,
    embedding_bytes,
    table_path,
    train_pipeline,
    word_tables,
)

if TYPE_CHECKING:
    from spacy.language import Language

CONFIG = Path(__file__).resolve().parent / "configs" / "tagger.cfg"
# The encoder learns at the pipeline's own rate here, chosen on dev (`pos.py choose`); in NER at a tenth of it.
FINETUNE = {**spacy_arms.FINETUNE, "grad_factor": 1.0}
EVALUATIONS = 4  # of dev in a run; the best of them is kept


def task_name(trained_on: str) -> str:
    """What a set's tables are called."""
    return f"pos-{trained_on}"


def make_tables(
    data: Path,
    sets: Sequence[str],
    work: Path,
    arms: Sequence[str] = TABLE_ARMS,
    languages: Sequence[str] = LANGUAGES,
) -> None:
    """Write the tables of the sets that have none yet, all at once: each arm's model is read one time."""
    missing = [n for n in sets if not all(table_path(arm, task_name(n), work).is_dir() for arm in arms)]
    if missing:
        word_tables({task_name(name): pos_words(data, name, languages) for name in missing}, arms, work)


def run(
    data: Path,
    trained_on: str,
    arm: str,
    seed: int,
    work: Path,
    steps: int,
    *,
    languages: Sequence[str] = LANGUAGES,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train one pipeline, keep the best by dev accuracy and score it: one row of the results.

    steps: updates of about 500 words. overrides: nested, over the config.
    """
    files = pos_files(data, trained_on, languages)
    if arm in TABLE_ARMS:
        make_tables(data, [trained_on], work, [arm], languages)
    config = arm_config(CONFIG, arm, task_name(trained_on), work, overrides, FINETUNE).merge(
        {
            "paths": {"train": str(files["train"]), "dev": str(files["dev"])},
            "system": {"seed": seed},
            "training": {"max_steps": steps, "eval_frequency": max(1, steps // EVALUATIONS)},
        }
    )
    start = time.process_time()
    trained = train_pipeline(config)
    cpu = time.process_time() - start
    row = {"side": "spacy", "trained_on": trained_on, "arm": arm, "seed": seed, "steps": steps}
    row |= {"seconds": round(trained.seconds, 1), "cpu_seconds": round(cpu, 1)}
    row |= scores(lambda given: tag(trained.nlp, given), data, trained_on, files)
    if arm in ("finetuned", "finetuned-svd"):
        row["grad_factor"] = config["components"]["tok2vec"]["model"]["embed"]["grad_factor"]
    return row | {"embedding_bytes": embedding_bytes(arm, work), "model_bytes": trained.bytes}


def tag(nlp: Language, given: list[Sentence]) -> list[list[str]]:
    """The tags that a pipeline gives to words as they are cut in the data."""
    from spacy.tokens import Doc

    docs = (Doc(nlp.vocab, words=sentence.words, spaces=sentence.spaces) for sentence in given)
    return [[token.tag_ for token in doc] for doc in nlp.pipe(docs)]
