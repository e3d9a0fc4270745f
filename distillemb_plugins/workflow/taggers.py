"""Taggers: spaCy pipelines configured from what the package ships, and the Hugging Face token classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..data.conll import Sentence
from ..files import atomic_directory, directory_bytes
from ..runs import Facts, work_path

if TYPE_CHECKING:
    from confection import Config

SCORES = {"ner": "ents_f", "pos": "pos_acc"}  # the score that decides
_EMBED = "components.tok2vec.model.embed."
# Heads, and what differs from `FineTuneArguments`: as chosen on dev for a tagger a language (recipes/tagging).
HEADS: dict[str, dict[str, Any]] = {
    "ner": {"head": "bilstm-crf", "shape_features": True, "head_activation": "relu", "head_dropout": 0.3},
    "pos": {"head": "bilstm", "shape_features": True, "head_hidden_size": 96},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "ner": {},
    "pos": {"learning_rate": 0.005, "encoder_learning_rate": 0.001, "average": 0.98},
}


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

    data: the folder of ``train.txt`` and ``dev.txt``, or None to leave the paths open. evaluations: how often dev is
    scored. overrides: other values by dotted names.
    """
    from ..spacy_plugin.configs import build_config

    values: dict[str, Any] = {
        "paths.train": str(data / "train.txt") if data else None,
        "paths.dev": str(data / "dev.txt") if data else None,
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
        values = {key: value for key, value in values.items() if not key.startswith(_EMBED)}
    else:
        values["paths.encoder"] = str(encoder)
    return build_config(task, "trainable" if encoder else "none", values)


def train_tagger(config: Config, out: Path, *, name: str = "", progress: bool = False) -> float:
    """Train a pipeline, keep its best state by dev without the paths of the config, and return processor seconds."""
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


def score_tagger(pipeline: Path, task: str, file: Path) -> Facts:
    """Score a pipeline on a CoNLL file by spaCy: ``score``, ``labels`` (per cent), ``speed`` (words a second)."""
    import spacy

    from ..spacy_plugin.readers import ConllCorpus

    nlp = spacy.load(pipeline)
    found = nlp.evaluate(list(ConllCorpus(file, task=task)(nlp)))
    labels = (found["ents_per_type"] or {}) if task == "ner" else {}
    return {
        "score": round(100 * float(found[SCORES[task]] or 0), 2),
        "labels": {name: round(100 * values["f"], 2) for name, values in sorted(labels.items())},
        "speed": float(found["speed"]),
    }


def tag_examples(
    sentences: Sequence[Sentence], taggers: Mapping[str, Path], task: str, number: int, longest: int
) -> list[Facts]:
    """Tag some sentences of at most `longest` words, drawn evenly from those that have something to find.

    Returns for each its ``words``, the ``gold`` tags, and the tags of each tagger under its name.
    """
    import spacy
    from spacy.tokens import Doc

    fit = [s for s in sentences if len(s) <= longest and (task == "pos" or any(tag != "O" for tag in s.tags))]
    chosen = [fit[int((place + 0.5) * len(fit) / number)] for place in range(number)] if len(fit) > number else fit
    found: list[Facts] = [{"words": s.words, "gold": s.tags} for s in chosen]
    for name, path in taggers.items():
        nlp = spacy.load(path)
        docs = nlp.pipe(Doc(nlp.vocab, words=s.words) for s in chosen)
        for one, doc in zip(found, docs, strict=True):
            iob = (f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc)
            one[name] = list(iob) if task == "ner" else [t.pos_ for t in doc]
    return found


def train_classifier(encoder: Path, task: str, data: Path, out: Path, *, epochs: int = 20, seed: int = 0) -> Facts:
    """Fine-tune an encoder with a token-classification head, and save it with its tokenizer. A stopped run goes on.

    Returns the scores on ``dev`` and ``test`` (F1 or accuracy, per cent), the ``seconds`` and the ``bytes``.
    """
    from ..data.tagged import labels_of, named_tags, tagged_dataset
    from ..evaluate.tagging import accuracy, entity_scores
    from ..finetune import FineTuneArguments, build_model, fine_tune, predict

    dataset = tagged_dataset({split: data / f"{split}.txt" for split in ("train", "dev", "test")}, task)
    model, tokenizer = build_model(encoder, labels_of(dataset["train"]), seed=seed, **HEADS[task])
    options: dict[str, Any] = {"num_train_epochs": epochs, "per_device_train_batch_size": 16, "seed": seed}
    arguments = FineTuneArguments(str(work_path(out)), save_strategy="epoch", **options, **ARGUMENTS[task])
    result = fine_tune(model, tokenizer, dataset, arguments)
    gold, found = named_tags(dataset["test"]), predict(result.model, tokenizer, dataset["test"])
    test = entity_scores(gold, found)["f1"] if task == "ner" else accuracy(gold, found)
    with atomic_directory(out, overwrite=True) as target:
        result.model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return {
        "dev": round(result.dev["f1" if task == "ner" else "accuracy"], 2),
        "test": round(test, 2),
        "seconds": round(result.seconds, 1),
        "bytes": directory_bytes(out),
    }
