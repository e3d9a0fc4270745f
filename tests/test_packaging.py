"""What is distributed: a wheel and an sdist with every file of the package and nothing else, and no pickle anywhere.

`check_installed_wheel.py` runs the tests against the installed wheel with the source tree gone.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import distillemb_plugins
from distillemb_plugins import DistillEmb

PACKAGE = Path(distillemb_plugins.__file__).parent
REPOSITORY = PACKAGE.parent
# What a pickle looks like, alone, inside torch's archives, or inside another file.
PICKLED = re.compile(rb"^\x80[\x02-\x05]|data\.pkl|torch\._utils|_rebuild_tensor|cnumpy|numpy\.core\.multiarray")
SAFE_ARGUMENTS = {("torch", "load"): ("weights_only", True), ("np", "load"): ("allow_pickle", False)}
UNSAFE = {("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("joblib", "load"), ("dill", "load"),
          ("dill", "loads"), ("cloudpickle", "load"), ("cloudpickle", "loads"), ("marshal", "loads"),
          ("torch", "save"), ("pickle", "dump"), ("pickle", "dumps"), ("yaml", "load"), ("shelve", "open")}  # fmt: skip
UNSAFE_NAMES = {"eval", "exec", "__import__"}


def package_files() -> set[str]:
    """Names of the package's files, relative to what holds it."""
    found = (file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(PACKAGE.parent).as_posix() for file in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built without a network from a copy that leaves the repository clean."""
    if not (REPOSITORY / "pyproject.toml").is_file():
        pytest.skip("the package is installed: there is no source tree to build from")
    pytest.importorskip("setuptools", minversion="77")
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "built"))
    ignored = shutil.ignore_patterns("__pycache__", "encoders", "training")
    for name in ("distillemb_plugins", "tests", "recipes", "docs"):
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    for file in REPOSITORY.iterdir():
        if file.is_file():
            shutil.copy(file, source)
    code = f"import setuptools.build_meta as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
        assert names - info == package_files()
        assert {Path(name).name for name in info} == {
            "LICENSE", "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"
        }  # fmt: skip
        unsafe = [name for name in names if PICKLED.search(archive.read(name)) and not name.endswith(".py")]
        assert unsafe == []
    assert wheel.stat().st_size < 12_000_000


def test_the_sdist_holds_the_sources_and_nothing_else(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
    assert all(member.isfile() for member in members)
    names = {member.name.partition("/")[2] for member in members}
    beside = {"LICENSE", "README.md", "MANIFEST.in", "PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py"}
    assert {name for name in names if ".egg-info/" not in name} == package_files() | beside


def calls(tree: ast.AST) -> list[tuple[tuple[str, str], ast.Call]]:
    """Every call as ((what it is called on, name), node); nothing for a plain name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                found.append(((ast.unparse(node.func.value).rpartition(".")[2], node.func.attr), node))
            elif isinstance(node.func, ast.Name):
                found.append((("", node.func.id), node))
    return found


def unsafe_calls(source: str) -> list[str]:
    """Calls that read or write a pickle, or run what they read, as ``line: code``."""
    wrong = []
    for called, node in calls(ast.parse(source)):
        arguments = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        safe = SAFE_ARGUMENTS.get(called)
        if (
            called in UNSAFE
            or (called[0] == "" and called[1] in UNSAFE_NAMES)
            or (safe is not None and arguments.get(safe[0]) is not safe[1])
            or arguments.get("trust_remote_code") is True
        ):
            wrong.append(f"{node.lineno}: {ast.unparse(node)[:80]}")
    return wrong


def test_no_source_reads_a_pickle() -> None:
    found = {file.name: unsafe_calls(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "source",
    [
        "pickle.load(f)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p)",
        "numpy.x.pickle.loads(b)",
        "AutoModel.from_pretrained(p, trust_remote_code=True)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert unsafe_calls(source)
    assert not unsafe_calls("torch.load(p, weights_only=True); np.load(p, allow_pickle=False); json.load(f)")


def test_no_file_of_a_saved_directory_is_a_pickle(tiny_encoder_dirs: dict[str, Path], tmp_path: Path) -> None:
    for kind, path in tiny_encoder_dirs.items():
        DistillEmb.from_pretrained(path).save_pretrained(tmp_path / kind, storage="int8")
    assert_no_pickle(tmp_path)


def test_no_file_of_a_saved_pipeline_is_a_pickle(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    """With a trainable layer of torch, whose weights others keep as pickles."""
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("xx")
    nlp.vocab.vectors = spacy.registry.vectors.get("distillemb.Vectors.v1")(pretrained=str(tiny_encoder_dir))(nlp.vocab)
    embed = {"@architectures": "distillemb.Embed.v1", "width": 8, "pretrained": str(tiny_encoder_dir)}
    encode = {"@architectures": "spacy.MaxoutWindowEncoder.v2", "width": 8, "depth": 1, "window_size": 1, "maxout_pieces": 2}  # fmt: skip  # noqa: E501
    nlp.add_pipe("tok2vec", config={"model": {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode}})
    nlp.initialize(lambda: [spacy.training.Example.from_dict(nlp.make_doc("soma mji"), {})])
    nlp.to_disk(tmp_path / "pipeline")
    assert_no_pickle(tmp_path)


def assert_no_pickle(folder: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".py"]
    assert files
    assert [file.name for file in files if PICKLED.search(file.read_bytes())] == []


def test_every_public_name_is_listed_and_visible_to_type_checkers() -> None:
    import ast

    import distillemb_plugins

    assert set(distillemb_plugins.__all__) == {*distillemb_plugins._EXPORTS, "__version__"}
    assert all(getattr(distillemb_plugins, name) is not None for name in distillemb_plugins.__all__)
    tree = ast.parse(Path(distillemb_plugins.__file__).read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]  # if TYPE_CHECKING
    imported = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(distillemb_plugins._EXPORTS)
