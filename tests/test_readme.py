"""The README's blocks do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONFIG = re.findall(r"```ini\n(.*?)```", README, re.DOTALL)


def test_there_are_blocks() -> None:
    assert len(PYTHON) >= 2 and len(CONFIG) >= 2


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(code: str, tmp_path: Path) -> None:
    """Each as a program of its own, elsewhere than in the repository."""
    checks = {
        "vectors = encoder": "assert vectors.shape == (4, 300) and vectors.dtype.name == 'float32'",
        "logits = model": "assert logits.shape == (1, 4, 9)",
    }
    check = next(text for mark, text in checks.items() if mark in code)
    command = [sys.executable, "-c", code + check]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", CONFIG, ids=range(len(CONFIG)))
def test_config_blocks_train_two_steps(block: str, tmp_path: Path) -> None:
    """Laid over a pipeline that ships, each trains and loads again."""
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train
    from thinc.api import Config

    from distillemb_plugins.spacy_plugin import config_path

    conll = tmp_path / "train.txt"
    conll.write_text("Juma B-PER\nanaishi O\nNairobi B-LOC\n\n" * 4, "utf-8")
    base = config_path("ner-trainable").read_text("utf-8")
    for section in re.findall(r"^\[(.*?)\]", block, re.MULTILINE):  # the block takes the place of its like
        base = re.sub(rf"\[{re.escape(section)}\]\n.*?(?=\n\[|\Z)", "", base, flags=re.DOTALL)
    if "[initialize]" not in base:
        base += "\n[initialize]\n"
    config = Config().from_str(base + "\n" + block, interpolate=False)
    paths = {"train": str(conll), "dev": str(conll)}
    config = config.merge({"paths": paths, "training": {"max_steps": 2, "eval_frequency": 1}})
    train(init_nlp(config.interpolate()), tmp_path, use_gpu=-1)
    doc = spacy.load(tmp_path / "model-best")("Juma anaishi Nairobi")
    assert len(doc) == 3


def test_commands_and_files_exist() -> None:
    from typer.main import get_command

    from distillemb_plugins.cli import app

    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"^    distillemb (\w+)", README, re.MULTILINE)) <= verbs
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    targets = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in targets
