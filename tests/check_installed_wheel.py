"""The tests against the installed wheel of the sdist, with the source tree gone; ``make check-installed`` runs some:

    python tests/check_installed_wheel.py [PYTEST ARGUMENTS]   # without arguments all of them

The sdist is built without a network from a copy, the wheel from the unpacked sdist. It is installed alone into a new
virtual environment; third-party packages are borrowed from the environment that runs this. Only the tests are copied
beside it: those of the repository itself (README, documentation, workflows, recipes, builds) are left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
OF_THE_REPOSITORY = ("recipes", "test_readme.py", "test_docs.py", "test_workflows.py", "check_*.py", "__pycache__")
CHECK = "import sys, distillemb_plugins as d; assert d.__file__.startswith(sys.prefix), d.__file__; print(d.__file__)"


def main(arguments: list[str]) -> int:
    """Build, install, test; returns pytest's exit code."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        python = install(build(root), root)
        work = root / "work"
        ignored = shutil.ignore_patterns(*OF_THE_REPOSITORY)
        shutil.copytree(REPOSITORY / "tests", work / "tests", ignore=ignored)
        (work / "pytest.ini").write_text("[pytest]\ntestpaths = tests\naddopts = -q -p no:cacheprovider\n")
        subprocess.run([python, "-c", CHECK], check=True, cwd=work)
        return subprocess.run([python, "-m", "pytest", *arguments], check=False, cwd=work).returncode


def build(root: Path) -> Path:
    """The wheel of the sdist of a copy; copy and sdist are removed again."""
    source = root / "source"
    source.mkdir()
    shutil.copytree(REPOSITORY / "distillemb_plugins", source / "distillemb_plugins")
    for file in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / file, source)
    _run_hook("build_sdist", source, root)
    shutil.rmtree(source)
    (sdist,) = root.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    sdist.unlink()
    (unpacked,) = source.iterdir()
    _run_hook("build_wheel", unpacked, root)
    shutil.rmtree(source)
    (wheel,) = root.glob("*.whl")
    return wheel


def _run_hook(hook: str, source: Path, out: Path) -> None:
    """What ``python -m build`` runs, with the setuptools that is installed."""
    code = f"import setuptools.build_meta as b; b.{hook}({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=source, stdout=subprocess.DEVNULL)


def install(wheel: Path, root: Path) -> Path:
    """A new environment with the wheel alone, and everything else from the one that runs this; its Python."""
    venv.create(root / "venv", with_pip=True)
    python = root / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
    Path(site, "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return python


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
