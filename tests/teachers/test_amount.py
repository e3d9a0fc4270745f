"""How much text there is decides the settings, and what is too little is refused: alike for `teach` and `build`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distillemb_plugins import DistillEmbError
from distillemb_plugins.cli import app
from distillemb_plugins.runs import work_path
from distillemb_plugins.teachers import load_teacher, train_teacher, training
from distillemb_plugins.teachers.amount import MIN_WORDS, expectation, fitted_settings
from distillemb_plugins.teachers.settings import TeacherSettings
from distillemb_plugins.workflow.inputs import prepare_text

pytest.importorskip("gensim")

QUICK = {"dim": 8, "threads": 1, "progress": False}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """2,000 words, each line another one; punctuation and numbers do not count."""
    lines = [f"watoto wanasoma kitabu {'abcdefghij'[n % 10]}{'klmnopqrst'[n // 50]} . {n}" for n in range(500)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path / "corpus.txt"


def test_teach_and_build_refuse_too_little_text_alike(text: Path, tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError) as build_says:
        prepare_text([text], tmp_path / "text.txt", min_words=MIN_WORDS)
    done = CliRunner().invoke(app, ["teach", str(text), "-o", str(tmp_path / "t.npz")])
    assert done.exit_code == 2 and done.stderr.strip() == f"distillemb: {build_says.value}"
    assert "holds 2,000 words, and at least 20,000 are needed" in done.stderr and "--min-words" in done.stderr
    assert not work_path(tmp_path / "t.npz").exists()


def test_the_advice_works_and_says_what_to_expect(text: Path, tmp_path: Path) -> None:
    command = ["teach", str(text), "-o", str(tmp_path / "t.npz"), "--min-words", "0", "--dim", "8", "--threads", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.stderr
    fitted = "skipgram true, min_count 2, epochs 10, min_n 3, buckets 50000"
    assert done.stdout.startswith(f"2,000 words: {expectation(2000)}. Fitted to it: ")
    assert all(part in done.stdout for part in fitted.split(", "))


def test_settings_are_fitted_where_they_are_not_given(text: Path, tmp_path: Path) -> None:
    said: list[str] = []
    given = fitted_settings(2000) | QUICK
    whole = train_teacher([text], tmp_path / "whole.npz", **given, say=said.append)
    assert said == [f"2,000 words: {expectation(2000)}."]
    fitted = train_teacher([text], tmp_path / "fitted.npz", epochs=10, **QUICK, say=said.append)  # type: ignore[arg-type]
    assert "epochs" not in said[1] and "min_count 2" in said[1]
    assert (load_teacher(whole).vectors == load_teacher(fitted).vectors).all()
    counted = train_teacher([text], tmp_path / "counted.npz", "ppmi-svd", **QUICK, say=said.append)  # type: ignore[arg-type]
    assert said[2].endswith("Fitted to it: min_count 2.") and "kitabu" in load_teacher(counted)


def test_little_text_is_read_more_often_and_plenty_less() -> None:
    little, fair, plenty = (fitted_settings(words) for words in (400_000, 5_000_000, 50_000_000))
    assert little["epochs"] > fair["epochs"] and little["buckets"] < fair["buckets"] < plenty["buckets"]
    assert little["skipgram"] and not plenty["skipgram"]
    one = TeacherSettings("fasttext", 8, 5, 5, None, 7, None, None, 2, None, 0.05, 1e-4, 0, None, 5000)
    assert (one.fitted(1000).epochs, one.fitted(1000).min_n, one.fitted(1000).min_count) == (7, 2, 2)


def test_an_interrupted_run_goes_on_with_what_it_had(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose settings were all given, as earlier versions wrote them."""
    old = {"skipgram": False, "min_count": 5, "epochs": 2, "min_n": 4, "buckets": 500}
    whole = load_teacher(train_teacher([text], tmp_path / "whole.npz", **QUICK, **old))  # type: ignore[arg-type]

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(training, "_write", stop)
        with pytest.raises(StoppedError):
            train_teacher([text], tmp_path / "t.npz", **QUICK, **old)  # type: ignore[arg-type]
    assert json.loads((work_path(tmp_path / "t.npz") / "settings.json").read_text("utf-8"))["epochs"] == 2
    again = load_teacher(train_teacher([text], tmp_path / "t.npz", resume=True, **QUICK))  # type: ignore[arg-type]
    assert again.words == whole.words and (again.vectors == whole.vectors).all()
