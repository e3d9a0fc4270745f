"""What the command line refuses before any loading: values that cannot be, options that would do nothing, and libraries
that are not installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from distillemb_plugins.cli import app
from distillemb_plugins.cli.guard import VERB_EXTRAS
from distillemb_plugins.runs import work_path
from distillemb_plugins.teachers import Teacher, save_teacher

ROOT = Path(__file__).resolve().parents[1]
# Runs the command line where only the core is installed: other libraries cannot be imported.
CORE_ONLY = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
from distillemb_plugins.cli import main
main()
"""
OPTIONAL = ["torch", "transformers", "accelerate", "gensim", "sklearn", "scipy", "spacy", "thinc", "datasets"]
OPTIONAL += ["matplotlib", "huggingface_hub"]


def run_without(libraries: list[str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = CORE_ONLY.format(blocked=libraries)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path, tiny_teacher: Teacher, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_teacher(tiny_teacher, tmp_path / "t.npz")
    (tmp_path / "text.txt").write_text("watoto wanasoma kitabu\n" * 5, "utf-8")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x", "utf-8")
    for name in ("begun", "begun.npz"):
        work = work_path(tmp_path / name)
        work.mkdir()
        (work / "settings.json").write_text("{}", "utf-8")
        (work / "checkpoint.safetensors").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("distill t.npz -o there", "already exists: choose another name, or say --overwrite"),
        ("distill t.npz -o begun", "holds an interrupted run: say --resume .* or --overwrite"),
        ("distill t.npz -o out --epochs 0", "epochs is 0"),
        ("distill t.npz -o out --corpus text.txt", "--corpus does nothing here"),
        ("distill t.npz -o out --preset distillemb", "there is no corpus to take windows from"),
        ("distill t.npz -o out --preset distillemb --corpus no.txt", "There is no file no.txt"),
        ("pretrain text.txt -e afro11 -o there", "already exists"),
        ("pretrain text.txt -e afro11 -o begun", "holds an interrupted run: say --resume"),
        ("pretrain text.txt -e afro11 -o out --heads 3", "heads"),
        ("pretrain no.txt -e afro11 -o out", "There is no text file no.txt"),
        ("build no-folder --language luo -o out", "There is no no-folder"),
        ("build text.txt --language luo -o out --conll no-folder", "There is no no-folder"),
        ("build text.txt --language luo -o there", "holds something else than a build"),
        ("build text.txt --language luo -o out --task pos", "--task does nothing here .there are no tagged"),
        ("evaluate t.npz --compare old.json", "--compare does nothing here .it is for the report: add --report FILE"),
        ("evaluate t.npz --sets RG-65", "add --similarity"),
        ("evaluate t.npz --similarity no-folder", "no-folder"),
        ("teach text.txt -o begun.npz", "holds an interrupted run: say --resume .* or --overwrite"),
        ("teach text.txt -o t.npz", "already exists: choose another name, or say --overwrite"),
        ("teach text.txt -o out.npz -a ppmi-svd --epochs 20", "--epochs does nothing here .ppmi-svd does not read it"),
        ("teach text.txt -o out.npz -a word2vec --min-n 2", "--min-n does nothing here"),
        ("teach text.txt -o out.vec --storage int8", "--storage does nothing for out.vec"),
        ("config ner --embedding none --encoder afro11", "--encoder does nothing here"),
        ("config ner --source out --embedding static", "--embedding does nothing here .out has its own"),
    ],
)
def test_it_is_refused_before_any_loading(
    arguments: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("loaded")

    # Imported before: a module that is first imported below would keep the stub.
    import distillemb_plugins.distill.targets
    import distillemb_plugins.encoder
    import distillemb_plugins.teachers.io.reading
    import distillemb_plugins.teachers.training
    import distillemb_plugins.workflow.steps

    for module in (distillemb_plugins.teachers.io.reading, distillemb_plugins.distill.targets):
        monkeypatch.setattr(module, "load_teacher", load)
    monkeypatch.setattr(distillemb_plugins.teachers.training, "make_corpus", load)
    monkeypatch.setattr(distillemb_plugins.encoder.DistillEmb, "from_pretrained", load)
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2 and re.search(said, done.stderr), done.stderr + done.stdout
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", VERB_EXTRAS)
def test_a_missing_library_ends_in_one_sentence_with_the_extras_of_the_verb(verb: str, folder: Path) -> None:
    arguments = {
        "quickstart": ["-o", "out"],
        "build": ["text.txt", "--language", "luo", "-o", "out", "--min-words", "1"],
        "teach": ["text.txt", "-o", "out.npz"],
        "distill": ["t.npz", "-o", "out"],
        "pretrain": ["text.txt", "-e", "afro11", "-o", "out"],
        "evaluate": ["t.npz", "--report", "r.html"],
        "config": ["ner"],
        "push": ["there", "user/name"],
        "export": ["afro11", "-o", "out"],
    }[verb]
    done = run_without(OPTIONAL, folder, verb, *arguments)
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert re.search(rf"distillemb: \w+ is needed for `distillemb {verb}` and is not installed", line), done.stderr
    assert line.endswith(f'pip install "distillemb-plugins[{VERB_EXTRAS[verb]}]"'), line
    assert "Traceback" not in done.stderr


def test_what_a_verb_reads_besides_adds_its_extra(folder: Path) -> None:
    (folder / "pipeline" / "vocab").mkdir(parents=True)
    for name in ("meta.json", "vocab/vectors", "vocab/key2row"):
        (folder / "pipeline" / name).write_text("{}", "utf-8")
    line = run_without(["spacy"], folder, "distill", "pipeline", "-o", "out").stderr.strip()
    assert line.endswith('pip install "distillemb-plugins[train,spacy]"'), line


@pytest.mark.parametrize("arguments", ["distill t.npz -o there", "pretrain text.txt -e afro11 -o there"])
def test_bad_values_are_told_before_torch_is_imported(arguments: str, folder: Path) -> None:
    done = run_without(["torch"], folder, *arguments.split())
    assert "already exists" in done.stderr


def test_verbs_without_extras_run_on_the_core(folder: Path) -> None:
    others = set(get_command(app).commands) - set(VERB_EXTRAS)  # type: ignore[attr-defined]
    assert others == {"info", "neighbors", "vectors", "tag", "data"}  # tag: as the tagger is
    assert run_without(OPTIONAL, folder, "info", "afro11").returncode == 0
    assert run_without(OPTIONAL, folder, "neighbors", "afro11", "mwalimu", "-n", "2").returncode == 0
    (folder / "words.txt").write_text("watoto\n", "utf-8")
    assert run_without(OPTIONAL, folder, "vectors", "afro11", "words.txt", "-o", "w.vec").returncode == 0
    assert run_without(OPTIONAL, folder, "evaluate", "t.npz", "--no-speed").returncode == 0


def test_extras_of_verbs_exist_and_stand_in_the_documentation() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for verb, names in VERB_EXTRAS.items():
        assert set(names.split(",")) <= set(extras)
        shown = ", ".join(f"`{name}`" for name in names.split(","))
        row = re.search(rf"^\| \[`{verb}`\].*\| (.*) \|$", page, re.MULTILINE)
        assert row and row[1].startswith(shown), verb
