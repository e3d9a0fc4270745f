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
TAGGING = [code for code in PYTHON if "spacy.load" in code]  # supposes what the quickstart made
ALONE = [code for code in PYTHON if code not in TAGGING]
CONFIG = re.findall(r"```ini\n(.*?)```", README, re.DOTALL)


def test_there_are_blocks() -> None:
    assert len(PYTHON) >= 2 and len(CONFIG) >= 2


@pytest.mark.parametrize("code", ALONE, ids=range(len(ALONE)))
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

    from distillemb_plugins.spacy_plugin import build_config

    conll = tmp_path / "train.txt"
    conll.write_text("Juma B-PER\nanaishi O\nNairobi B-LOC\n\n" * 4, "utf-8")
    sections = re.findall(r"^\[(.*?)\]", block, re.MULTILINE)
    parents = {".".join(name.split(".")[:n]) for name in sections for n in range(1, name.count(".") + 1)}
    parsed = Config().from_str("".join(f"[{name}]\n" for name in sorted(parents)) + block, interpolate=False)
    config = build_config("ner", overrides=parsed)
    paths = {"train": str(conll), "dev": str(conll)}
    config = config.merge({"paths": paths, "training": {"max_steps": 2, "eval_frequency": 1}})
    train(init_nlp(config.interpolate()), tmp_path, use_gpu=-1)
    doc = spacy.load(tmp_path / "model-best")("Juma anaishi Nairobi")
    assert len(doc) == 3


def test_a_tagger_from_own_sentences_and_the_lines_that_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command after the quickstart, then the block that tags a sentence, with what the command made."""
    from spacy.cli._util import app
    from typer.testing import CliRunner

    from distillemb_plugins.workflow.quickstart import config_text

    command = re.findall(r"^    \.venv/bin/python -m spacy (.*)$", README, re.MULTILINE)
    assert len(command) == len(TAGGING) == 1
    monkeypatch.chdir(tmp_path)
    Path("quickstart").mkdir()
    Path("quickstart/encoder.cfg").write_text(config_text("afro11"), "utf-8")
    for name in ("train.txt", "dev.txt"):
        Path(name).write_text("Asha B-PER\nalisafiri O\nMwanza B-LOC\nJumatatu B-DATE\n. O\n\n" * 8, "utf-8")
    short = ["--training.max_steps", "40", "--training.eval_frequency", "20"]
    result = CliRunner().invoke(app, command[0].split() + short)
    assert result.exit_code == 0, f"{result.output[-2000:]} {result.exception!r}"
    Path("my-ner/model-best").rename("quickstart/ner_afro11")
    exec(TAGGING[0], {})
    assert "('Mwanza', 'LOC')" in capsys.readouterr().out


def test_configs_that_it_writes_train_and_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder_dir: Path
) -> None:
    """In the order of the page, from two files of tagged sentences and an encoder."""
    import shutil

    from spacy.cli._util import app as spacy_app
    from typer.testing import CliRunner

    from distillemb_plugins.cli import app

    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_encoder_dir, "my-encoder")
    for name in ("train.txt", "dev.txt"):
        Path(name).write_text("Asha B-PER\nalisafiri O\nMwanza B-LOC\nJumatatu B-DATE\n. O\n\n" * 4, "utf-8")
    lines = re.findall(r"^    (distillemb config|python -m spacy train) (.*)$", README, re.MULTILINE)
    assert len(lines) == 4
    for kind, rest in lines:
        short = ["--training.max_steps", "1", "--training.eval_frequency", "1"]
        train = kind.endswith("train")
        done = CliRunner().invoke(
            spacy_app if train else app, [kind.split()[-1], *rest.split(), *(short if train else [])]
        )
        assert done.exit_code == 0, f"{kind} {rest}: {done.output[-2000:]} {done.exception!r}"
        if train:
            assert (Path(re.findall(r"--output (\S+)", rest)[0]) / "model-best" / "meta.json").is_file()


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
