"""The quickstart: a first look at the bundled encoder, then the whole way on the embedded sample."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..encoder import DistillEmb
from ..errors import DistillEmbError
from ..files import atomic_directory, directory_bytes, iter_lines
from ..persistence import find_word_list, resolve
from ..runs import Facts, write_json
from ..sample import LANGUAGES, RAW_LINES, write_sample
from .settings import BUNDLED, SYSTEMS, BuildSettings, FirstLook, LookedUp, require_extras

MARK = "distillemb quickstart"
CONFIGS = {"scratch.cfg": None, "encoder.cfg": BUNDLED}
# The settings of the build, and words to look up (word, language, meaning): known ones, and some in no text that the
# encoder or its teacher was made from. In short sentences the neighbors say most, hence the teacher's narrow window;
# words seen once have no reliable context. A frozen encoder does better with a few hundred tagged sentences.
_GIVEN = json.loads((Path(__file__).parent / "quickstart.json").read_text("utf-8"))
SETTINGS, SEEN, UNSEEN = _GIVEN["build"], _GIVEN["seen"], _GIVEN["unseen"]
_NEIGHBORS = 6
_TRIED = 40  # neighbors of which those that differ in capitals alone are left out


def first_look() -> FirstLook:
    """Open the bundled encoder and look words up among the frequent words that are stored with it."""
    encoder = DistillEmb.from_pretrained(BUNDLED)
    vocabulary = find_word_list(BUNDLED, "vocabulary")
    candidates = [word for word in iter_lines([vocabulary] if vocabulary else []) if word]
    words, unseen = (
        [LookedUp(word, where, what, _nearest(encoder, word, candidates)) for word, where, what in some]
        for some in (SEEN, UNSEEN)
    )
    return FirstLook(words, unseen, len(candidates), encoder.dim, directory_bytes(resolve(BUNDLED)))


def _nearest(encoder: DistillEmb, word: str, candidates: Sequence[str]) -> list[tuple[str, float]]:
    """The nearest words, capitals aside: `Arusha` beside `arusha` says nothing."""
    kept = {word.casefold(): (word, 1.0)}
    for neighbor, score in encoder.most_similar(word, candidates, n=_TRIED):
        kept.setdefault(neighbor.casefold(), (neighbor, round(score, 3)))
    return list(kept.values())[1 : _NEIGHBORS + 1]


def look_text(look: FirstLook) -> str:
    """The look as lines for a terminal."""
    known, unseen = (
        [f"  {one.word} ({one.language}, {one.meaning}): {', '.join(word for word, _ in one.near[:4])}" for one in some]
        for some in (look.words, look.unseen)
    )
    title = f"{BUNDLED}: eleven African languages in {look.size / 1e6:.1f} MB, vectors of {look.dim} dimensions"
    nearest = f"Nearest of {look.candidates:,} words:"
    return "\n".join([title, "", nearest, *known, "", "Words that it never saw:", *unseen, ""])


@dataclass(frozen=True)
class QuickstartSizes:
    """How much of everything. The defaults are the quickstart, smaller ones serve tests."""

    raw_lines: int = RAW_LINES  # of each language
    sentences: float = 1.0  # share of the tagged ones
    teacher_epochs: int = 15
    distill_epochs: int = 20
    tagger_steps: int = 200


def run_quickstart(
    out: str | Path,
    *,
    seed: int = 0,
    progress: bool = True,
    overwrite: bool = False,
    sizes: QuickstartSizes | None = None,
    say: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Look at the bundled encoder, go the whole way on the embedded sample, and leave everything in `out`.

    `out` then holds ``sample/``, ``teacher.bin``, ``encoder/``, ``ner_scratch/``, ``ner_afro11/``, ``ner_distilled/``,
    two training configurations, ``metrics.json`` and ``report.html``. A previous quickstart there is replaced, once the
    new one is complete.

    Args:
        out: The folder to fill.
        seed: Seed of the training. The sample is always the same.
        progress: Show the steps and progress bars.
        overwrite: Replace whatever stands at `out`.
        sizes: How much of everything.
        say: Is given the findings in words, each as soon as it is there.

    Returns:
        What ``metrics.json`` holds: F1 from 0 to 1, sizes in bytes, times in seconds.

    Raises:
        DistillEmbError: `out` holds something else and `overwrite` is false, or it is the directory one stands in.
        MissingExtraError: spaCy, torch, accelerate or gensim is not installed.
    """
    start = time.monotonic()
    out, sizes, say = Path(out), sizes or QuickstartSizes(), say or (lambda text: None)
    check_target(out, overwrite)
    look = first_look()
    say(look_text(look))
    seconds = {"look": round(time.monotonic() - start, 1)}
    require_extras(quickstart_settings(out, sizes))
    with atomic_directory(out, overwrite=True) as folder:
        write_sample(folder / "sample", lines=sizes.raw_lines, scale=sizes.sentences)
        from .steps import Build  # heavy

        with _one_torch_thread():
            facts = Build(quickstart_settings(folder, sizes, seed, progress), say).go()
        facts["asked"]["out"] = out.as_posix()
        _arrange(folder, out)
        metrics = _metrics(folder, facts, look, seconds)
        metrics["seconds"] = round(time.monotonic() - start, 1)
        write_json(folder / "metrics.json", metrics)
        from .report import render_quickstart

        (folder / "report.html").write_text(render_quickstart(metrics, look, facts), encoding="utf-8")
    return metrics


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Small batches gain nothing from a second thread, and its waiting is processor time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def quickstart_settings(folder: Path, sizes: QuickstartSizes, seed: int = 0, progress: bool = False) -> BuildSettings:
    """The build of the quickstart: no packages, the encoder of the package first, all taggers scored on test."""
    given = SETTINGS | {
        "texts": (folder / "sample" / "raw",),
        "conll": folder / "sample" / "ner" / "all",
        "teacher": SETTINGS["teacher"] | {"epochs": sizes.teacher_epochs},
        "student": SETTINGS["student"] | {"epochs": sizes.distill_epochs},
    }
    return BuildSettings(
        **given, out=folder, seed=seed, steps=sizes.tagger_steps, progress=progress, quiet=not progress
    )


def config_text(encoder: str | None) -> str:
    """The training configuration of a tagger, complete and ready for ``spacy train``."""
    from .taggers import tagger_config

    options = {
        "steps": QuickstartSizes.tagger_steps,
        "evaluations": SETTINGS["evaluations"],
        "overrides": SETTINGS["tagger"],
    }
    config = tagger_config("ner", "xx", None, encoder, **options)
    name = "encoder.cfg" if encoder else "scratch.cfg"
    lines = ["# A named-entity tagger without pretrained vectors: spaCy's own hash embeddings."]
    if encoder:
        lines = [
            "# A named-entity tagger whose word vectors come from an encoder: the bundled afro11, or your own",
            "# (--paths.encoder my-encoder). With thousands of tagged sentences, try freeze = false.",
        ]
    lines += [f"#   python -m spacy train {name} --paths.train train.conll --paths.dev dev.conll --output out"]
    return "\n".join([*lines, "", config.to_str(interpolate=False), ""])


def _arrange(folder: Path, out: Path) -> None:
    """Give what was built the names of the quickstart. out: where the folder will lie in the end."""
    from .taggers import set_config_paths

    (folder / "work" / "teacher.bin").rename(folder / "teacher.bin")
    encoders = {"afro11": BUNDLED, "distilled": f"{out.as_posix()}/encoder"}
    paths = {part: f"{out.as_posix()}/sample/ner/all/{part}.conll" for part in ("train", "dev")}
    for name, kind in SYSTEMS.items():
        pipeline = (folder / "work" / f"tagger-{kind}").rename(folder / f"ner_{name}")
        set_config_paths(pipeline, paths | ({"encoder": encoders[name]} if name in encoders else {}))
    for file, encoder in CONFIGS.items():
        (folder / file).write_text(config_text(encoder), encoding="utf-8")
    for left in ("work", "conll"):
        shutil.rmtree(folder / left)


def _metrics(folder: Path, facts: Facts, look: FirstLook, seconds: dict[str, float]) -> dict[str, Any]:
    from .taggers import score_tagger

    def score(name: str, language: str) -> float:
        file = folder / "sample" / "ner" / language / "test.conll"
        return _share(score_tagger(folder / f"ner_{name}", "ner", file)["score"])

    test = {name: facts["test"][kind] for name, kind in SYSTEMS.items()}
    return {
        "ner": {name: _share(scores["score"]) for name, scores in test.items()},
        "encoder_bytes": directory_bytes(folder / "encoder"),
        "teacher_bytes": (folder / "teacher.bin").stat().st_size,
        "seconds": 0.0,
        "bundled_bytes": look.size,
        "ner_by_type": {
            name: {label: _share(score) for label, score in scores["labels"].items()} for name, scores in test.items()
        },
        "ner_by_language": {name: {language: score(name, language) for language in LANGUAGES} for name in SYSTEMS},
        "words_per_second": {name: round(scores["speed"], 1) for name, scores in test.items()},
        "pipeline_bytes": {name: directory_bytes(folder / f"ner_{name}") for name in SYSTEMS},
        "seconds_by_step": seconds | facts["seconds"],
        "seed": facts["asked"]["seed"],
        "synthetic_sample": True,
        "made_by": MARK,
    }


def _share(percent: float) -> float:
    return round(percent / 100, 4)


def check_target(out: Path, overwrite: bool) -> None:
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
    return isinstance(metrics, dict) and metrics.get("made_by") == MARK
