"""A packaged pipeline in a fresh virtual environment, from its wheel and ours alone; ``make check-installed`` runs it:

    python tests/spacy_plugin/check_fresh_venv.py [PIPELINE_DIR]

PIPELINE_DIR is a trained pipeline with a distillemb encoder; by default one with vectors and a trainable layer of
`afro11`, made for this. Third-party packages are borrowed from the environment
that runs this, so nothing is downloaded; setuptools has to be installed there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import spacy
from spacy.cli.package import package

CHECK = """
import distillemb_plugins, spacy, sys
assert distillemb_plugins.__file__.startswith(sys.prefix), distillemb_plugins.__file__
nlp = spacy.load(sys.argv[1])
docs = list(nlp.pipe(["Rafiki yangu anaishi Mombasa."] * 8, n_process=2))
print(sys.argv[1], nlp.pipe_names, docs[0].vector.shape, docs[0].ents)
"""


def main(pipeline: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        pipeline = pipeline or make_pipeline(root / "pipeline")
        ours = root / "ours"  # built from a copy, which leaves the repository clean
        ignored = shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "tests", "recipes")
        shutil.copytree(Path(__file__).parents[2], ours, ignore=ignored)
        package(pipeline, root, name="fresh", version="1.0", create_sdist=False, create_wheel=False, silent=True)
        (source,) = root.glob("*_fresh-1.0")
        pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(root / "w")]
        for project in (source, ours):
            subprocess.run([*pip, str(project)], check=True)
        venv.create(root / "venv", with_pip=True)
        python = root / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        query = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True).stdout.strip()
        wheels = [str(wheel) for wheel in (root / "w").glob("*.whl")]
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *wheels], check=True)
        borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
        Path(site, "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
        module = f"{spacy.util.load_meta(source / 'meta.json')['lang']}_fresh"
        subprocess.run([python, "-c", CHECK, module], check=True, cwd=root)


def make_pipeline(path: Path) -> Path:
    """A pipeline with both ways into spaCy, not trained."""
    from distillemb_plugins.spacy_plugin import set_vectors

    nlp = set_vectors(spacy.blank("xx"), "afro11")
    model = {"@architectures": "distillemb.Tok2Vec.v1", "width": 16, "depth": 1, "pretrained": "afro11"}
    nlp.add_pipe("tok2vec", config={"model": model})
    nlp.initialize()
    nlp.to_disk(path)
    return path


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
