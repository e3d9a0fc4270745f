"""spaCy taggers: configured from what the package ships, trained, scored, and shown at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..data.conll import Sentence

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language

SCORES = {"ner": "ents_f", "pos": "pos_acc"}  # the score that decides
_EMBED = "components.tok2vec.model.embed."


def spacy_code(language: str) -> str:
    """spaCy's own code for the language (ISO 639-1 or 639-3) where it has one, else ``xx``, also for several."""
    from spacy.util import get_lang_class

    try:
        return str(get_lang_class(language).lang)
    except ImportError:
        return "xx"


def tagger_config(
    task: str,
    language: str,
    data: Path | None,
    encoder: Path | str | None,
    *,
    seed: int = 0,
    steps: int = 1000,
    evaluations: int = 10,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The shipped config with this run's paths. Without an encoder, spaCy's hash embeddings take its place.

    Args:
        task: ``"ner"`` or ``"pos"``.
        language: The language's code.
        data: The folder of ``train.txt`` and ``dev.txt``, or None to leave the paths open.
        encoder: An encoder's name or directory.
        seed: Seed of the training.
        steps: Updates.
        evaluations: How often dev is scored.
        overrides: Other values by dotted names.
    """
    from ..spacy_plugin.configs import build_config

    values: dict[str, Any] = {
        "paths.train": str(data / "train.txt") if data else None,
        "paths.dev": str(data / "dev.txt") if data else None,
        "paths.encoder": str(encoder) if encoder else None,
        "system.seed": seed,
        "nlp.lang": spacy_code(language),
        "training.max_steps": steps,
        "training.eval_frequency": max(1, steps // evaluations),
        "training.patience": 0,
        # Batches of one size: with spaCy's default, which grows, the time of a run would depend on the corpus.
        "training.batcher.size": 300,
        **(overrides or {}),
    }
    if encoder is None:
        values = {key: value for key, value in values.items() if not key.startswith((_EMBED, "paths.encoder"))}
    return build_config(task, "trainable" if encoder else "none", values)


def train_tagger(config: Config, out: Path, *, name: str = "", progress: bool = False) -> float:
    """Train a pipeline, and keep its best state by dev.

    Args:
        config: The config. Its paths are left out of what is saved.
        out: The directory of the pipeline.
        name: What the progress bar says.
        progress: Show a progress bar.

    Returns:
        The processor seconds that it took.
    """
    from ..spacy_plugin.training import train_pipeline

    out.parent.mkdir(parents=True, exist_ok=True)
    steps = int(config["training"]["max_steps"])
    with tqdm(total=steps, desc=name, unit=" steps", disable=not progress) as bar:
        trained = train_pipeline(config, out, bar=bar)
    set_config_paths(out, {"train": "", "dev": "", "encoder": ""})
    return round(trained.seconds, 1)


def set_config_paths(pipeline: Path, paths: Mapping[str, str]) -> None:
    """Replace values of ``[paths]`` in a saved pipeline's ``config.cfg``: those of the training may be gone."""
    from thinc.api import Config

    config = Config().from_disk(pipeline / "config.cfg", interpolate=False)
    config["paths"].update(paths)
    config.to_disk(pipeline / "config.cfg", interpolate=False)


def score_tagger(pipeline: Language | Path, task: str, file: Path) -> dict[str, Any]:
    """Score a pipeline on a CoNLL file with spaCy's scorer.

    Args:
        pipeline: The pipeline or its directory.
        task: ``"ner"`` or ``"pos"``.
        file: The tagged sentences.

    Returns:
        ``score`` (per cent, over the corpus), ``labels`` (the score of each label) and ``speed`` (words a second).
    """
    import spacy

    from ..spacy_plugin.readers import ConllCorpus

    nlp = spacy.load(pipeline) if isinstance(pipeline, Path) else pipeline
    found = nlp.evaluate(list(ConllCorpus(file, task=task)(nlp)))
    labels = found["ents_per_type"] if task == "ner" else {}
    return {
        "score": round(100 * float(found[SCORES[task]] or 0), 2),
        "labels": {name: round(100 * values["f"], 2) for name, values in sorted((labels or {}).items())},
        "speed": float(found["speed"]),
    }


def tag_examples(
    sentences: Sequence[Sentence], taggers: Mapping[str, Path], task: str, number: int, longest: int
) -> list[dict[str, Any]]:
    """Tag some sentences with each tagger. They are drawn evenly from those that have something to find.

    Args:
        sentences: Annotated sentences.
        taggers: Directories of pipelines by name.
        task: ``"ner"`` or ``"pos"``.
        number: How many sentences are drawn.
        longest: The most words of a sentence.

    Returns:
        For each sentence its ``words``, the ``gold`` tags, and the tags of each tagger under its name.
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
