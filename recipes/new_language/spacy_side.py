"""The spaCy pipeline: trained with the configuration that the package ships, scored, packaged as a wheel, reopened."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distillemb_plugins.errors import DistillEmbError, brief
from distillemb_plugins.files import atomic_directory, directory_bytes
from distillemb_plugins.quickstart.tagging import TrainingRows, set_config_paths

# The score that decides, by task.
SCORES = {"ner": "ents_f", "pos": "pos_acc"}
SCORE_NAMES = {"ner": "F1", "pos": "accuracy"}


@dataclass(frozen=True)
class Tagger:
    """A trained pipeline. dev, test: per cent. labels: score of each label on test. size: bytes on disk."""

    path: Path
    dev: float
    test: float
    labels: dict[str, float]
    seconds: float
    size: int
    words_per_second: float


def spacy_code(language: str) -> str:
    """spaCy's own code for the language (ISO 639-1 or 639-3) where it has one, else ``xx``."""
    from spacy.util import get_lang_class

    try:
        return str(get_lang_class(language).lang)
    except ImportError:
        return "xx"


def tagger_config(
    task: str, language: str, data: Path, encoder: Path | None, *, seed: int, steps: int, evaluations: int = 10
) -> Any:
    """The shipped configuration with this run's paths; without an encoder, spaCy's hash embeddings in its place."""
    from distillemb_plugins.spacy_plugin import build_config

    overrides: dict[str, Any] = {
        "paths.train": str(data / "train.txt"),
        "paths.dev": str(data / "dev.txt"),
        "paths.encoder": str(encoder) if encoder else None,
        "system.seed": seed,
        "nlp.lang": spacy_code(language),
        "training.max_steps": steps,
        "training.eval_frequency": max(1, steps // evaluations),
        "training.patience": 0,
        # batches of one size: with spaCy's default, which grows, the time of a run would depend on the corpus
        "training.batcher.size": 300,
    }
    return build_config(task, "trainable" if encoder else "none", overrides)


def train_tagger(config: Any, task: str, data: Path, out: Path, *, name: str, progress: bool) -> Tagger:
    """Train a pipeline, keep its best state by dev in `out`, and score that on dev and test."""
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train

    start = time.perf_counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    resolved = config.interpolate()
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work:
        nlp = init_nlp(resolved)
        total = int(resolved["training"]["max_steps"])
        with tqdm(total=total, desc=name, unit=" steps", disable=not progress) as bar:
            train(nlp, Path(work), stdout=TrainingRows(bar, f"dev {SCORE_NAMES[task]}"), stderr=io.StringIO())
        set_config_paths(Path(work) / "model-best", {"train": "", "dev": "", "encoder": ""})
        with atomic_directory(out, overwrite=True) as target:
            shutil.copytree(Path(work) / "model-best", target, dirs_exist_ok=True)
    seconds = time.perf_counter() - start
    best = spacy.load(out)
    dev, test = (score(best, task, data / f"{split}.txt") for split in ("dev", "test"))
    return Tagger(
        out, dev["score"], test["score"], test["labels"], round(seconds, 1), directory_bytes(out), round(test["speed"])
    )


def score(nlp: Any, task: str, file: Path) -> dict[str, Any]:
    """Score (per cent) over the corpus by spaCy's scorer, by label, and words a second."""
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    found = nlp.evaluate(list(ConllCorpus(file, task=task)(nlp)))
    labels = found["ents_per_type"] if task == "ner" else {}
    return {
        "score": round(100 * float(found[SCORES[task]] or 0), 2),
        "labels": {name: round(100 * values["f"], 2) for name, values in sorted((labels or {}).items())},
        "speed": float(found["speed"]),
    }


def vectors_pipeline(encoder: Path, language: str, out: Path) -> Path:
    """A pipeline that only splits text and gives each word its vector: what there is without tagged sentences."""
    import spacy

    from distillemb_plugins.spacy_plugin.callbacks import set_vectors

    nlp = set_vectors(spacy.blank(spacy_code(language)), str(encoder))
    with atomic_directory(out, overwrite=True) as target:
        nlp.to_disk(target)
    return out


# -- the wheel -------------------------------------------------------------------------------------------------------


def build_wheel(pipeline: Path, out: Path, name: str, meta: dict[str, Any]) -> Path:
    """What ``spacy package --build wheel`` makes of a pipeline, in the folder `out`; returns the wheel.

    spaCy writes the package's source; setuptools' own build hook makes the wheel of it, as pip would, but from what is
    installed: nothing is downloaded. meta: entries of ``meta.json``, such as ``description`` and ``license``.
    Raises `DistillEmbError` when the build fails.
    """
    import srsly
    from spacy.cli.package import package

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "pipeline"
        shutil.copytree(pipeline, source)
        srsly.write_json(source / "meta.json", srsly.read_json(source / "meta.json") | meta)
        package(source, Path(folder), name=name, create_sdist=False, create_wheel=False, silent=True)
        [setup] = Path(folder).glob("*/setup.py")
        code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", code, str(out.resolve())],
            cwd=setup.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DistillEmbError(f"The wheel could not be built: {brief(_last_line(done.stderr))}.")
        [wheel] = out.glob(f"{setup.parent.name.split('-')[0]}-*.whl")
    return wheel


def package_name(language: str, task: str | None) -> str:
    """The name of the pipeline within its package: letters, digits and underscores."""
    return f"{re.sub('[^a-z0-9]+', '_', language.lower()).strip('_')}_{task or 'vectors'}"


def open_wheel(wheel: Path, sentence: str) -> dict[str, Any]:
    """Open the wheel's pipeline in a fresh process by its package's name, and tag a sentence.

    The wheel is unpacked (which is all that installing a wheel of pure Python does) into a folder on that process's
    path. Returns the package's ``name``, and the ``entities``, ``pos`` and ``vector`` norm of the sentence's words.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        [name] = {path.parent.name for path in Path(folder).glob("*/meta.json")}
        return {"name": name} | fresh_process(_OPEN_PIPELINE, folder, name, sentence)


_OPEN_PIPELINE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import spacy
nlp = spacy.load(sys.argv[2])
doc = nlp(sys.argv[3])
print(json.dumps({
    "entities": [[e.text, e.label_] for e in doc.ents],
    "pos": [[t.text, t.pos_] for t in doc if t.pos_],
    "vectors": [round(float(t.vector_norm), 3) for t in doc] if nlp.vocab.vectors_length else [],
    "pipes": nlp.pipe_names,
}))
"""


def fresh_process(code: str, *arguments: str) -> dict[str, Any]:
    """Run code in a new Python process; its last line is JSON. Raises `DistillEmbError` with its last error line."""
    import json

    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistillEmbError(f"What was made does not open in a fresh process: {brief(_last_line(done.stderr))}.")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it said nothing"
