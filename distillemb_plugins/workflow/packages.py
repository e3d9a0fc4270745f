"""What is given away: a spaCy wheel, a Hugging Face directory, their cards, and the proof that both open."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import DistillEmb
from ..data.record import stated_corpora
from ..errors import DistillEmbError, brief
from ..facts import FACTS_FILE, HELD_OUT, Corpus
from ..files import atomic_directory, atomic_file
from ..persistence import write_facts
from ..runs import Facts, write_json
from .settings import BUNDLED, SCORE_NAMES, WITHOUT, BuildSettings
from .taggers import spacy_code


def write_encoder_facts(encoder: Path, settings: BuildSettings, facts: Facts) -> None:
    """Complete the facts of the kept encoder, which was distilled before it was known how it would score."""
    kind = facts["encoder"]["kind"]
    corpora, teachers = stated_corpora(settings.sources), ["teacher"]
    if kind == "joint":
        corpora.append(Corpus(f"what {BUNDLED} learned from", "CC BY-SA 4.0", f"the card of {BUNDLED}"))
        teachers.append(BUNDLED)
    known = DistillEmb.from_pretrained(encoder).facts
    scores = {HELD_OUT: known.scores.get(HELD_OUT, {})}
    if "test" in facts:
        title = f"{settings.task.upper()} on test, {SCORE_NAMES[settings.task]} (per cent) of a spaCy tagger"
        scores[title] = {name: facts["test"][of]["score"] for name, of in (("without", WITHOUT), ("with", kind))}
    complete = replace(
        known,
        title=f"Word vectors for {settings.title or settings.language}",
        languages=tuple(settings.language.split(",")),
        license=settings.license,
        corpora=tuple(corpora),
        command=settings.command,
        notes=f"{settings.notes} The teacher was trained on {facts['text']['words']:,} words.".strip(),
        teachers=tuple(teachers),
        scores=scores,
    )
    write_facts(encoder, complete)


def write_tagger_card(folder: Path, encoder: Path, settings: BuildSettings, facts: Facts) -> None:
    """Write facts and card of the Hugging Face tagger: the encoder's, with what it was trained on and its scores."""
    from ..hf import DistillEmbForTokenClassification
    from ..hf.card_distillemb import render_card, saved_facts

    model = DistillEmbForTokenClassification.from_pretrained(str(folder))
    model.encoder_facts = DistillEmb.from_pretrained(encoder).facts.to_dict()
    sizes, task = facts["tagged"]["sentences"], settings.task
    training = (
        f"Fine-tuned on {sizes['train']:,} sentences. {SCORE_NAMES[task]}: {facts['hf']['dev']:.1f} on dev "
        f"({sizes['dev']:,} sentences), {facts['hf']['test']:.1f} on test ({sizes['test']:,} sentences). "
        f"In train there are: {json.dumps(facts['tagged']['labels'], ensure_ascii=False)}."
    )
    known = saved_facts(model)
    titles = {f"{task.upper()} on {part}, {SCORE_NAMES[task]} (per cent)": part for part in ("dev", "test")}
    own = {title: {settings.language: facts["hf"][part]} for title, part in titles.items()}
    known["scores"] = own | known.get("scores", {})
    write_json(folder / FACTS_FILE, known)
    with atomic_file(folder / "README.md", "w") as stream:
        stream.write(render_card(model, folder.resolve().name, known, training, settings.language.split(",")))


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
    """Make what ``spacy package --build wheel`` makes of a pipeline, and return the wheel.

    spaCy writes the source of the package. The build hook of setuptools makes the wheel of it, as pip would, but from
    what is installed: nothing is downloaded.
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
        _run(code, str(out.resolve()), folder=setup.parent, problem="The wheel could not be built")
        [wheel] = out.glob(f"{setup.parent.name.split('-')[0]}-*.whl")
    return wheel


def open_wheel(wheel: Path, sentence: str) -> Facts:
    """Open a wheel's pipeline in a fresh process by its package's name, and tag a sentence.

    The wheel is unpacked into a folder on that process's path. Installing a wheel of pure Python does no more. Returns
    the ``name`` of the package, its ``pipes``, and of the sentence ``entities``, ``pos`` tags and norms of the
    ``vectors``.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        [name] = {path.parent.name for path in Path(folder).glob("*/meta.json")}
        return {"name": name} | fresh_process(_OPEN_PIPELINE, folder, name, sentence)


def open_directory(path: Path, sentence: str, tagger: bool) -> Facts:
    """Open a Hugging Face directory in a fresh process with the Auto classes, and tag (or embed) a sentence."""
    return fresh_process(_TAG if tagger else _EMBED, str(path), sentence)


def open_alone(tagger: Path, sentence: str) -> Facts:
    """Open a Hugging Face tagger by its own code, in a process that does not have this package, and tag a sentence."""
    with tempfile.TemporaryDirectory() as modules:
        return fresh_process(_TAG, str(tagger.resolve()), sentence, modules)


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
import json, os, sys
alone = len(sys.argv) > 3
if alone:
    os.environ["HF_MODULES_CACHE"] = sys.argv[3]
    sys.modules["distillemb_plugins"] = None  # imports of it fail
else:
    import distillemb_plugins.hf
from transformers import pipeline
tag = pipeline("token-classification", model=sys.argv[1], aggregation_strategy="simple", trust_remote_code=alone)
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


def fresh_process(code: str, *arguments: str) -> Facts:
    """Run code in a new Python process whose last line of output is JSON."""
    output = _run(code, *arguments, problem="What was made does not open in a fresh process")
    found: Facts = json.loads(output.splitlines()[-1])
    return found


def _run(code: str, *arguments: str, problem: str, folder: Path | None = None) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise DistillEmbError(f"{problem}: {brief(lines[-1].rstrip('.'))}.")
    return done.stdout.strip()
