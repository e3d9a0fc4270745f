"""What is given away: a spaCy wheel and a Hugging Face directory, and the proof that both open."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError, brief
from ..files import atomic_directory
from .spacy_tagger import spacy_code


def vectors_pipeline(encoder: Path, language: str, out: Path) -> Path:
    """Write a pipeline that only splits text and gives each word its vector: all there is without tagged sentences."""
    import spacy

    from ..spacy_plugin.callbacks import set_vectors

    nlp = set_vectors(spacy.blank(spacy_code(language)), str(encoder))
    with atomic_directory(out, overwrite=True) as target:
        nlp.to_disk(target)
    return out


def package_name(language: str, task: str | None) -> str:
    """The name of a pipeline within its package: letters, digits and underscores."""
    return f"{re.sub('[^a-z0-9]+', '_', language.lower()).strip('_')}_{task or 'vectors'}"


def build_wheel(pipeline: Path, out: Path, name: str, meta: Mapping[str, Any]) -> Path:
    """Make what ``spacy package --build wheel`` makes of a pipeline.

    spaCy writes the source of the package. The build hook of setuptools makes the wheel of it, as pip would, but from
    what is installed: nothing is downloaded.

    Args:
        pipeline: The pipeline's directory.
        out: The folder of the wheel.
        name: The name of the pipeline, from `package_name`.
        meta: Entries of ``meta.json``, such as ``description`` and ``license``.

    Returns:
        The wheel.

    Raises:
        DistillEmbError: The build fails.
    """
    import srsly
    from spacy.cli.package import package

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "pipeline"
        shutil.copytree(pipeline, source)
        srsly.write_json(source / "meta.json", srsly.read_json(source / "meta.json") | dict(meta))
        package(source, Path(folder), name=name, create_sdist=False, create_wheel=False, silent=True)
        [setup] = Path(folder).glob("*/setup.py")
        code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
        command = [sys.executable, "-c", code, str(out.resolve())]
        done = subprocess.run(command, cwd=setup.parent, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DistillEmbError(f"The wheel could not be built: {brief(_last_line(done.stderr))}.")
        [wheel] = out.glob(f"{setup.parent.name.split('-')[0]}-*.whl")
    return wheel


def open_wheel(wheel: Path, sentence: str) -> dict[str, Any]:
    """Open a wheel's pipeline in a fresh process by its package's name, and tag a sentence.

    The wheel is unpacked into a folder on that process's path. Installing a wheel of pure Python does no more.

    Returns:
        The ``name`` of the package, its ``pipes``, and of the sentence the ``entities``, the ``pos`` tags and the
        norms of the ``vectors``.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        [name] = {path.parent.name for path in Path(folder).glob("*/meta.json")}
        return {"name": name} | fresh_process(_OPEN_PIPELINE, folder, name, sentence)


def open_directory(path: Path, sentence: str, tagger: bool) -> dict[str, Any]:
    """Open a Hugging Face directory in a fresh process with the Auto classes, and tag (or embed) a sentence."""
    return fresh_process(_TAG if tagger else _EMBED, str(path), sentence)


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
_TAG = """
import json, sys
import distillemb_plugins.hf
from transformers import pipeline
tag = pipeline("token-classification", model=sys.argv[1], aggregation_strategy="simple")
print(json.dumps({"entities": [[e["word"], e["entity_group"]] for e in tag(sys.argv[2])]}))
"""
_EMBED = """
import json, sys
import distillemb_plugins.hf
from transformers import AutoModel, AutoTokenizer
model, tokenizer = AutoModel.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
vectors = model(**tokenizer(sys.argv[2], return_tensors="pt")).last_hidden_state[0]
print(json.dumps({"entities": [], "shape": list(vectors.shape)}))
"""


def fresh_process(code: str, *arguments: str) -> dict[str, Any]:
    """Run code in a new Python process whose last line of output is JSON.

    Raises:
        DistillEmbError: The code fails. The message holds the last line of its error.
    """
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistillEmbError(f"What was made does not open in a fresh process: {brief(_last_line(done.stderr))}.")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it said nothing"
