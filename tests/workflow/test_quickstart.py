"""The quickstart, run small: what it leaves, what it refuses, and a report that needs nothing from outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from distillemb_plugins.encoder import DistillEmb
from distillemb_plugins.errors import DistillEmbError, MissingExtraError
from distillemb_plugins.files import directory_bytes, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.sample import LANGUAGES, raw_lines
from distillemb_plugins.text import tokenize
from distillemb_plugins.workflow import QuickstartSizes, quickstart, report, run_quickstart, taggers
from distillemb_plugins.workflow.quickstart import SETTINGS, SYSTEMS, check_target, config_text

TINY = QuickstartSizes(raw_lines=250, sentences=0.06, teacher_epochs=1, distill_epochs=1, tagger_steps=10)


SAID: list[str] = []


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("parent") / "quickstart"
    SAID.clear()
    return out, run_quickstart(out, progress=False, sizes=TINY, say=SAID.append)


def test_metrics(result: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = result
    written = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert written == metrics
    assert list(written)[:4] == ["ner", "encoder_bytes", "teacher_bytes", "seconds"]
    assert list(written["ner"]) == ["scratch", "afro11", "distilled"] == list(SYSTEMS)
    assert all(0 <= f1 <= 1 for f1 in written["ner"].values())
    assert written["encoder_bytes"] == directory_bytes(out / "encoder") > 0
    assert written["teacher_bytes"] == (out / "teacher.bin").stat().st_size > 0
    assert written["seconds"] > 0
    assert written["synthetic_sample"] is True


def test_nothing_temporary_is_left(result: tuple[Path, dict[str, Any]]) -> None:
    out, _ = result
    assert [path.name for path in out.parent.iterdir()] == ["quickstart"]
    assert {path.name for path in out.iterdir()} == {
        "sample", "teacher.bin", "encoder", "ner_scratch", "ner_afro11", "ner_distilled", "scratch.cfg",
        "encoder.cfg", "metrics.json", "report.html",
    }  # fmt: skip
    for config in out.glob("ner_*/config.cfg"):
        text = config.read_text(encoding="utf-8")
        assert ".tmp-" not in text
        assert f'{out.as_posix()}/sample/ner/all/train.conll"' in text
    assert 'encoder = "afro11"' in (out / "ner_afro11" / "config.cfg").read_text(encoding="utf-8")
    assert f'encoder = "{out.as_posix()}/encoder"' in (out / "ner_distilled" / "config.cfg").read_text(encoding="utf-8")


def test_findings_are_said_in_their_order(result: tuple[Path, dict[str, Any]]) -> None:
    assert SAID[0].startswith("afro11: eleven African languages") and "hawataambukizwa" in SAID[0]
    assert [text.partition(":")[0] for text in SAID[1:]] == [
        "F1 on dev without an encoder", "F1 on dev with afro11", "F1 on dev with your own encoder",
    ]  # fmt: skip


def test_the_first_look_comes_before_anything_heavy() -> None:
    code = (
        "import sys; from distillemb_plugins.workflow import quickstart as q; q.look_text(q.first_look());"
        "assert not {'torch', 'spacy', 'transformers', 'gensim'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_look_finds_what_it_says() -> None:
    """Words are known or unseen as the report says, and the neighbours that make the point are there."""
    found = quickstart.first_look()
    known = set(iter_lines([resolve("afro11") / "vocabulary.txt.gz"]))
    assert all(one.word in known for one in found.words)
    assert not any(one.word in known for one in found.unseen)
    near = {one.word: [word for word, _ in one.near] for one in (*found.words, *found.unseen)}
    assert all(len(words) == 6 for words in near.values())
    assert {"ማክሰኞ", "ሐሙስ", "ቅዳሜ"} <= set(near["ሰኞ"])  # days of the week
    assert near["wanafunnzi"][0] == "wanafunzi"
    assert {"ፕሬዝዳንቱ", "ፕሬዚዳንቱ"} <= set(near["ፕሬዝደንቱ"])
    assert not {word.casefold() for word in near["omwana"]} & {"omwana"}


def test_pipelines_load_without_the_encoder_directory(result: tuple[Path, dict[str, Any]]) -> None:
    import spacy

    out, _ = result
    (out / "encoder").rename(out / "elsewhere")
    try:
        for name in SYSTEMS:
            doc = spacy.load(out / f"ner_{name}")("Asha alisafiri Mwanza Jumatatu.")
            assert len(doc) == 5
    finally:
        (out / "elsewhere").rename(out / "encoder")


def test_the_encoder_opens_and_says_what_it_was_trained_on(result: tuple[Path, dict[str, Any]]) -> None:
    out, _ = result
    assert DistillEmb.from_pretrained(out / "encoder").encode(["habari", "ሰላም"]).shape == (2, 100)
    assert "synthetic sample" in (out / "encoder" / "README.md").read_text(encoding="utf-8")


class _Page(HTMLParser):
    """Collects open tags, attributes that fetch something, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br", "img", "input", "hr"):
            self.open.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report(result: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = result
    html = (out / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(html)
    assert page.open == []
    assert page.fetched == []
    assert not re.search(r"https?://|url\(|@import|<script", html)
    assert "width=device-width" in html
    assert "uses a synthetic sample" in page.text
    assert "$" not in page.text
    for name in SYSTEMS:
        assert f"{100 * metrics['ner'][name]:.1f}" in page.text
    words = [*SETTINGS["words"], *(word for entry in (*quickstart.SEEN, *quickstart.UNSEEN) for word in entry)]
    for word in (*words, "PER", "distillemb teach", f'spacy.load("{out.as_posix()}/ner_afro11")'):
        assert word in page.text
    assert page.text.index("wanafunnzi") < page.text.index("F1 with afro11") < page.text.index("your own sentence")
    for word in re.findall(r"see <i>(\w+)</i>|and <i>(\w+)</i>", html):
        assert "".join(word) in words, "what the page points at is shown"
    assert "never read" in page.text and "scratch.cfg too" in page.text, "where afro11 loses, and how to tell"
    assert "mark" in html and "entities" in html  # displaCy's


def test_the_commands_of_the_report_are_known_to_the_shell_command() -> None:
    from typer.testing import CliRunner

    from distillemb_plugins.cli import app

    student = SETTINGS["student"] | {"hard_negatives": "window"}
    built = {"teacher": {"settings": SETTINGS["teacher"]}, "encoders": {"own": {"settings": student}}}
    commands = report.commands(built).replace("\\\n", "").splitlines()
    assert "--corpus my-text.txt" in commands[1], "what the window is read from"
    assert [command.split()[1] for command in commands] == ["teach", "distill"]
    for command in commands:
        shown = CliRunner().invoke(app, [command.split()[1], "--help"]).output
        for option in re.findall(r"--[a-z-]+", command):
            assert option in shown


def test_a_missing_extra_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(MissingExtraError, match=re.escape('pip install "distillemb-plugins[spacy,train]"')):
        run_quickstart(tmp_path / "quickstart", progress=False, sizes=TINY)
    assert not list(tmp_path.iterdir())


def test_a_previous_quickstart_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    check_target(out, overwrite=False)  # empty
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(DistillEmbError, match="no previous quickstart"):
        run_quickstart(out, progress=False, sizes=TINY)
    (out / "metrics.json").write_text('{"ner": {}}')  # somebody else's metrics
    with pytest.raises(DistillEmbError, match="no previous quickstart"):
        run_quickstart(out, progress=False, sizes=TINY)
    assert (out / "thesis.txt").read_text() == "years of work"
    check_target(out, overwrite=True)
    (out / "metrics.json").write_text('{"made_by": "distillemb quickstart"}')
    check_target(out, overwrite=False)


def test_never_the_directory_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for out in (".", "..", tmp_path):
        with pytest.raises(DistillEmbError, match="directory you are in"):
            run_quickstart(out, progress=False, overwrite=True, sizes=TINY)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "quickstart").write_text("")
    with pytest.raises(DistillEmbError, match="is a file"):
        run_quickstart(tmp_path / "quickstart", progress=False, overwrite=True, sizes=TINY)


def test_a_failed_run_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "quickstart"
    out.mkdir()
    (out / "metrics.json").write_text('{"made_by": "distillemb quickstart"}')

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(taggers, "train_tagger", fail)
    with pytest.raises(RuntimeError, match="no room"):
        run_quickstart(out, progress=False, sizes=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart"]
    assert [path.name for path in out.iterdir()] == ["metrics.json"]


def test_the_configurations_differ_in_one_block_only() -> None:
    from thinc.api import Config

    scratch, with_encoder = (Config().from_str(config_text(name), interpolate=False) for name in (None, "afro11"))
    for config in (scratch, with_encoder):
        del config["components"]["tok2vec"]["model"]["embed"]
    assert with_encoder["paths"].pop("encoder") == "afro11"
    assert scratch == with_encoder


def test_the_report_s_words_stand_in_the_sample() -> None:
    raw = Counter(word for language in LANGUAGES for line in raw_lines(language) for word in tokenize(line))
    assert all(raw[word] >= 3 for word in SETTINGS["words"])
