"""The quickstart's steps, one after the other, and the directory they leave."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError, require
from ..facts import Corpus, EncoderFacts
from ..files import atomic_directory, directory_bytes
from ..sample import RAW_LINES, SampleFiles, write_sample
from .look import BUNDLED, Look, first_look, look_text
from .tagging import ARMS, CONFIGS, Scores, config_text, score_tagger, set_config_paths, train_tagger

_MARK = "distillemb quickstart"
_STEPS = 8
Say = Callable[[str], object]

# A narrow window: in short sentences the neighbours say most. Words seen once have no reliable context.
TEACHER: dict[str, Any] = {
    "algorithm": "fasttext",
    "dim": 100,
    "window": 2,
    "min_count": 2,
    "skipgram": True,
    "min_n": 3,
    "max_n": 5,
    "buckets": 50_000,
    "sample": 1e-3,
}
# A small student for a small vocabulary.
STUDENT: dict[str, Any] = {
    "encoder_args": {"buckets": 6000},
    "batch_size": 256,
    "storage": "float16",
}


@dataclass(frozen=True)
class Steps:
    """How much of everything; the defaults are the quickstart, smaller ones serve tests.

    raw_lines: a language. sentences: share of the tagged sentences. tagger_steps: None takes the configuration's.
    """

    raw_lines: int = RAW_LINES
    sentences: float = 1.0
    teacher_epochs: int = 15
    distill_epochs: int = 20
    tagger_steps: int | None = None


@dataclass
class _Run:
    """What the steps hand to each other. work: the directory being filled, renamed to `out` at the end."""

    work: Path
    out: Path
    seed: int
    progress: bool
    steps: Steps
    seconds: dict[str, float] = field(default_factory=dict)
    say: Say = print

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Say what begins and take its time."""
        if self.progress:
            print(f"[{len(self.seconds) + 1}/{_STEPS}] {what}", file=sys.stderr, flush=True)
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)


def run_quickstart(
    out: str | Path,
    *,
    seed: int = 0,
    progress: bool = True,
    overwrite: bool = False,
    steps: Steps | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Look at the bundled encoder, go the whole way on the synthetic sample, and leave everything in `out`.

    First the bundled encoder's nearest neighbours. Then, on the sample: a spaCy tagger without an encoder and one
    with the bundled one; a teacher and an encoder from the raw text alone, and a tagger with that; scores on the test
    part, report. `out` then holds ``sample/``, ``teacher.bin``, ``encoder/``, ``ner_scratch/``, ``ner_afro11/``,
    ``ner_distilled/``, the two training configurations, ``metrics.json`` and ``report.html``. A previous quickstart
    there is replaced, once the new one is complete. seed: of the training; the sample is always the same. say: is
    given the findings in words, each as soon as it is there.
    Returns what ``metrics.json`` holds; F1 from 0 to 1, sizes in bytes, time in seconds.
    Raises `DistillEmbError` when `out` holds something else and `overwrite` is false, or is the directory one stands
    in; `MissingExtraError` when spaCy, torch, accelerate or gensim is not installed.
    """
    start = time.monotonic()
    out = Path(out)
    _check_target(out, overwrite)
    look, seconds = _look(say or (lambda text: None))
    for module in ("spacy", "torch", "accelerate", "gensim"):
        require(module, "spacy,train")  # now, and not after a minute's work
    with atomic_directory(out, overwrite=True) as work:
        run = _Run(work, out, seed, progress, steps or Steps(), {"look": seconds}, say or (lambda text: None))
        return _go(run, look, start)


def _look(say: Say) -> tuple[Look, float]:
    """The first look, before anything heavy is imported, and its seconds."""
    start = time.monotonic()
    look = first_look()
    say(look_text(look))
    return look, round(time.monotonic() - start, 1)


def _go(run: _Run, look: Look, start: float) -> dict[str, Any]:
    with run.step("sample", "writing the synthetic sample: raw text and tagged sentences, Swahili and Amharic"):
        sample = write_sample(run.work / "sample", lines=run.steps.raw_lines, scale=run.steps.sentences)
    pipelines: dict[str, Path] = {}
    scores: dict[tuple[str, str], Scores] = {}
    for arm in ARMS[:2]:
        _try_arm(run, arm, sample, pipelines, scores, BUNDLED)
    with run.step("teach", "teaching: a fastText table from the raw text"):
        teacher = _teach(run, sample)
    with run.step("distill", "distilling the table into a character encoder of your own"):
        encoder = _distill(run, sample, teacher)
    _try_arm(run, ARMS[2], sample, pipelines, scores, encoder)
    with run.step("report", "writing the report"):
        from .showing import gather

        shown = gather(encoder, pipelines, sample)
    metrics = _metrics(run, scores, teacher, encoder, look)
    metrics["seconds"] = round(time.monotonic() - start, 1)
    _write(run, metrics, look, shown)
    return metrics


_WITH = {"scratch": "without an encoder", "afro11": f"with {BUNDLED}", "distilled": "with the encoder just distilled"}


def _try_arm(
    run: _Run,
    arm: str,
    sample: SampleFiles,
    pipelines: dict[str, Path],
    scores: dict[tuple[str, str], Scores],
    encoder: str | Path,
) -> None:
    """Train an arm, and score it on the test part: by language, "all" for both together."""
    import spacy

    with run.step(f"train_{arm}", f"training a spaCy tagger {_WITH[arm]}"):
        pipelines[arm] = _train(run, arm, sample, encoder)
        nlp = spacy.load(pipelines[arm])
        for (language, part), path in sample.parts.items():
            if part == "test":
                scores[arm, language] = score_tagger(nlp, path)
    run.say(f"NER F1 {_WITH[arm]}: {100 * scores[arm, 'all'].f1:.1f}")


def _teach(run: _Run, sample: SampleFiles) -> Path:
    from ..teachers import train_teacher

    texts = list(sample.raw.values())
    return train_teacher(
        texts,
        run.work / "teacher.bin",
        epochs=run.steps.teacher_epochs,
        seed=run.seed,
        threads=1,  # the same seed, the same teacher
        overwrite=True,
        progress=run.progress,
        **TEACHER,
    )


def _distill(run: _Run, sample: SampleFiles, teacher: Path) -> Path:
    import torch

    from ..distill import DistillSettings, distill
    from ..teachers import load_teacher

    settings = DistillSettings(epochs=run.steps.distill_epochs, seed=run.seed, **STUDENT)
    corpus = list(sample.raw.values())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices this small gain nothing by more, and lose much on a busy machine
    try:
        return distill(
            [load_teacher(teacher)], run.work / "encoder", settings, corpus, progress=run.progress, facts=_facts()
        )
    finally:
        torch.set_num_threads(threads)


def _facts() -> EncoderFacts:
    return EncoderFacts(
        title="The quickstart's encoder",
        languages=("sw", "am"),
        license="mit",
        corpora=(Corpus("the synthetic sample of distillemb-plugins", "MIT"),),
        command="distillemb quickstart",
        notes="Trained on a small synthetic sample, to show the way: not for use on real text.",
    )


def _train(run: _Run, arm: str, sample: SampleFiles, encoder: str | Path) -> Path:
    paths: dict[str, str | Path] = {part: sample.parts["all", part] for part in ("train", "dev")}
    if arm != "scratch":
        paths["encoder"] = encoder
    pipeline = run.work / f"ner_{arm}"
    train_tagger(arm, pipeline, paths=paths, max_steps=run.steps.tagger_steps, seed=run.seed, progress=run.progress)
    set_config_paths(pipeline, {name: _final(run, path) for name, path in paths.items()})
    return pipeline


def _final(run: _Run, path: str | Path) -> str:
    """Where a file of the working directory will lie in the end; a name stays."""
    return (run.out / path.relative_to(run.work)).as_posix() if isinstance(path, Path) else path


def _metrics(
    run: _Run, scores: dict[tuple[str, str], Scores], teacher: Path, encoder: Path, look: Look
) -> dict[str, Any]:
    return {
        "ner": {arm: scores[arm, "all"].f1 for arm in ARMS},
        "encoder_bytes": directory_bytes(encoder),
        "teacher_bytes": directory_bytes(teacher),
        "seconds": 0.0,
        "bundled_bytes": look.size,
        "ner_by_type": {arm: scores[arm, "all"].per_type for arm in ARMS},
        "ner_by_language": {
            arm: {lang: s.f1 for (a, lang), s in scores.items() if a == arm and lang != "all"} for arm in ARMS
        },
        "words_per_second": {arm: scores[arm, "all"].words_per_second for arm in ARMS},
        "pipeline_bytes": {arm: directory_bytes(run.work / f"ner_{arm}") for arm in ARMS},
        "seconds_by_step": run.seconds,
        "seed": run.seed,
        "synthetic_sample": True,
        "made_by": _MARK,
    }


def _write(run: _Run, metrics: dict[str, Any], look: Look, shown: Any) -> None:
    from .report import render

    for name, arm in zip(CONFIGS, ARMS, strict=False):
        (run.work / name).write_text(config_text(arm), encoding="utf-8")
    (run.work / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (run.work / "report.html").write_text(
        render(metrics, look, shown, run.out.as_posix(), _commands(run.steps)), encoding="utf-8"
    )


def _commands(steps: Steps) -> str:
    """The shell commands that do to another text what this run did to the sample."""
    teach = TEACHER | {"epochs": steps.teacher_epochs}
    words = [f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in teach.items()]
    student = STUDENT | {"epochs": steps.distill_epochs}
    sizes = json.dumps(student.pop("encoder_args"))
    options = [f"--{name.replace('_', '-')} {value}" for name, value in student.items()]
    lines = ["distillemb teach my-text.txt --out teacher.npz", " ".join(words[:5]), " ".join(words[5:])]
    more = ["distillemb distill teacher.npz --out encoder", " ".join(options), f"--set 'encoder_args={sizes}'"]
    return "\n".join(" \\\n    ".join(command) for command in (lines, more))


def _check_target(out: Path, overwrite: bool) -> None:
    """Refuse a target whose content is not ours to replace."""
    if out.exists() and not out.is_dir():
        raise DistillEmbError(f"{out} is a file: give --out the name of a directory.")
    if out.is_dir() and Path.cwd().resolve().is_relative_to(out.resolve()):
        raise DistillEmbError(f"{out} is or holds the directory you are in: give --out another name.")
    if out.is_dir() and any(out.iterdir()) and not overwrite and not _is_quickstart(out):
        raise DistillEmbError(
            f"{out} is not empty and is no previous quickstart: give --out another name, or --overwrite to replace it."
        )


def _is_quickstart(path: Path) -> bool:
    try:
        metrics = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(metrics, dict) and metrics.get("made_by") == _MARK
