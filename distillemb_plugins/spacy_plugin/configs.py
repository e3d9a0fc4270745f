"""Complete spaCy training configurations, one for each task and embedding.

Each is ``configs/base.cfg`` with overlays that hold what differs: those of the task, then that of the embedding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import spacy
from spacy.util import CONFIG_SECTION_ORDER
from thinc.api import Config

from ..errors import DistillEmbError, brief
from .rates import GRAD_FACTORS

# The overlays of each task; the header of the rendered file is that of the last one.
TASKS = {"ner": ["ner"], "pos": ["pos"], "ner-pos": ["ner", "pos", "ner-pos"], "textcat": ["textcat"]}
EMBEDDINGS = ("none", "static", "trainable", "context")
_ENCODE = "components.tok2vec.model.encode."  # the CNN over the embedded words
_NAMES = {f"{task}-{embedding}": (task, embedding) for task in TASKS for embedding in EMBEDDINGS}
_LANGUAGES = '# lang is "xx" for languages that spaCy has no code for; am, lg, ti, tn and yo have theirs.'
_SOURCE = "# Embedding: that of the trained pipeline, which learns on (--paths.source takes a directory or a package)."
_NEW_LABELS = "distillemb.learn_new_labels.v1"
_FOLDER = Path(__file__).parent / "configs"


def build_config(
    task: str, embedding: str = "trainable", overrides: Mapping[str, Any] | None = None, source: str | None = None
) -> Config:
    """Build a complete configuration for ``spacy train``.

    Args:
        task: ``"ner"``, ``"pos"`` (tagger and morphologizer), ``"ner-pos"`` (both on one tok2vec) or ``"textcat"``.
        embedding: ``"none"`` (spaCy's hash embeddings alone), ``"static"`` (beside them, vectors computed by the
            encoder), ``"trainable"`` (beside them, the encoder, fine-tuned with the pipeline) or ``"context"`` (the
            same with its pretrained context layers).
        overrides: Values that differ, with keys as on spaCy's command line: ``{"training.max_steps": 400}``. A value
            may be a whole block. It replaces a block of another registered function and is merged into any other.
            Components that ``nlp.pipeline`` does not name are left out.
        source: A trained pipeline (directory or package) whose components learn on; the embedding is theirs. Types of
            entities, tags and features that it does not know are learned too.

    Returns:
        The configuration, its variables not filled in (``interpolate()`` does that).

    Raises:
        DistillEmbError: There is no such task, embedding or section, or `source` is not a pipeline with the task's
            components.

    Examples:
        >>> config = build_config("ner", "trainable", {"paths.train": "train.txt", "training.max_steps": 400})
        >>> config["components"]["tok2vec"]["model"]["embed"]["@architectures"]
        'distillemb.Embed.v1'
    """
    _check("task", task, TASKS)
    _check("embedding", embedding, EMBEDDINGS)
    config = Config(section_order=CONFIG_SECTION_ORDER)
    for name in ("base", *TASKS[task], *([] if source else [embedding])):
        _lay_over(config, Config().from_str(_text(name), interpolate=False))
    tok2vec = config["components"]["tok2vec"]["model"]
    if embedding in ("trainable", "context"):
        tok2vec.get("embed", tok2vec)["grad_factor"] = GRAD_FACTORS[task]
    for key, value in deepcopy(dict(overrides or {})).items():
        *sections, last = key.split(".")
        _check("section", key.partition(".")[0], CONFIG_SECTION_ORDER)
        for section in reversed([*sections, last]):
            value = {section: value}  # noqa: PLW2901
        _lay_over(config, value)
    if embedding == "context":  # one function makes words in context, its CNN included
        tok2vec.update(tok2vec.pop("encode", {}))
        text = config.to_str(interpolate=False).replace(_ENCODE, _ENCODE.removesuffix("encode."))
        config = Config(section_order=CONFIG_SECTION_ORDER).from_str(text, interpolate=False)
    for unused in config["components"].keys() - set(config["nlp"]["pipeline"]):
        del config["components"][unused]
    if source:
        _learn_on(config, source)
    config.is_interpolated = False
    return config


def _lay_over(config: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    """Merge nested values in place. A block of another registered function replaces the one that stands there."""
    for key, value in overlay.items():
        there = config.get(key)
        if isinstance(value, dict) and isinstance(there, dict) and _function(value) in (None, _function(there)):
            _lay_over(there, value)
        else:
            config[key] = value


def _learn_on(config: Config, source: str) -> None:
    """Take all components from a trained pipeline, and static vectors, if any, from the encoder of its training."""
    try:
        trained = spacy.load(source)
    except (OSError, ValueError) as error:  # a damaged one raises the latter
        why = f"give the directory or the package of one ({brief(error)})."
        raise DistillEmbError(f"{source} is no pipeline: {why}") from error
    if missing := [name for name in config["nlp"]["pipeline"] if name not in trained.pipe_names]:
        has = ", ".join(trained.pipe_names)
        raise DistillEmbError(f"{source} has no component {', '.join(missing)}, it has {has}: choose another task.")
    vectors = trained.config["nlp"]["vectors"]
    if "pretrained" in vectors:  # which takes no variables
        encoder = trained.config["paths"].get("encoder")
        config["nlp"]["vectors"] = {**vectors, "pretrained": vectors["pretrained"] or encoder}
    config["initialize"]["before_init"] = config["initialize"]["before_init"] or {"@callbacks": _NEW_LABELS}
    config["paths"]["source"] = source
    config["components"] = {name: {"source": "${paths.source}"} for name in config["components"]}


def _function(block: Mapping[str, Any]) -> tuple[str, Any] | None:
    return next(((key, value) for key, value in block.items() if key.startswith("@")), None)


def _check(what: str, name: str, known: Any) -> None:
    if name not in known:
        raise DistillEmbError(f"There is no {what} {name!r}: choose one of {', '.join(known)}.")


def _header(name: str) -> str:
    return _text(name).partition("\n\n")[0].strip()


def _text(name: str) -> str:
    return (_FOLDER / f"{name}.cfg").read_text(encoding="utf-8")


def config_text(
    task: str, embedding: str = "trainable", overrides: Mapping[str, Any] | None = None, source: str | None = None
) -> str:
    """Render what `build_config` gives as a file, with comments that say how to use it."""
    config = build_config(task, embedding, overrides, source)
    about = [_header(TASKS[task][-1]), _SOURCE if source else _header(embedding)]
    return "\n".join([*about, _LANGUAGES, "", config.to_str(interpolate=False), ""])


def config_paths() -> dict[str, Path]:
    """Return the complete configurations as files, by name: ``ner-none``, ``ner-static``, ``ner-trainable``, ...

    The files lie in a temporary folder that lives as long as this process: copy the one that you want.
    """
    return {name: config_path(name) for name in _NAMES}


@cache
def config_path(name: str) -> Path:
    """Return one complete configuration as a file. It lives as long as this process: copy it.

    Raises:
        DistillEmbError: There is no configuration of that name.
    """
    _check("configuration", name, _NAMES)
    path = Path(_temporary_folder().name) / f"{name}.cfg"
    path.write_text(config_text(*_NAMES[name]), encoding="utf-8")
    return path


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="distillemb-configs-")
