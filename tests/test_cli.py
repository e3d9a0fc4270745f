"""The shell command: every verb, its JSON, its exit codes and its one-sentence errors."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import distillemb_plugins.workflow
from distillemb_plugins.cli import app
from distillemb_plugins.cli.words import WordSpool
from distillemb_plugins.distill import trainer
from distillemb_plugins.encoder import DistillEmb
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.facts import EncoderFacts
from distillemb_plugins.teachers import Teacher, load_teacher, save_teacher, training

VERBS = ("quickstart", "build", "data", "teach", "distill", "evaluate", "neighbors", "vectors", "info")


def run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)


def shell(command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    if sys.platform == "win32":
        pytest.skip("needs a POSIX shell")
    script = command.replace("distillemb", f"{sys.executable} -m distillemb_plugins.cli")
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Teacher) -> Path:
    path = tmp_path_factory.mktemp("table") / "teacher.npz"
    save_teacher(tiny_teacher, path)
    return path


@pytest.fixture
def words_file(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("soma\t12\nkitabu\n\nሰላም\nsoma\n", "utf-8")
    return path


# -- help and errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout and f"distillemb {verb}" in result.stdout


def test_help_loads_nothing_heavy_and_has_no_colours() -> None:
    script = (
        "import sys; sys.argv = ['distillemb', '--help']\n"
        "from distillemb_plugins.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in ('numpy', 'torch', 'spacy', 'transformers', 'gensim') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.rstrip().endswith("[]")
    assert "\x1b" not in result.stdout
    assert all(verb in result.stdout for verb in VERBS)


def test_version() -> None:
    assert run("--version").stdout.startswith("distillemb-plugins ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "no-such-encoder"),
        ("evaluate",),
        ("evaluate", "--teacher", "no-such-table.npz"),
        ("neighbors", "no-such-encoder", "word"),
        ("vectors", "no-such-encoder", "words.txt"),
        ("distill", "no-such-table.npz", "-o", "out"),
        ("distill", "t.npz", "-o", "out", "--preset", "no-such-preset"),
        ("distill", "t.npz", "-o", "out", "--loss", "cosine=much"),
        ("distill", "t.npz", "-o", "out", "--set", "no_such_setting=1"),
        ("distill", "t.npz", "-o", "out", "--held-out", "some"),
        ("teach", "no-such-text.txt", "-o", "out.npz"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("distillemb: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("no-such-verb",), ("info",), ("info", "x", "--no-such-option")])
def test_wrong_usage_is_code_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.npz"), 2, "x.npz: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2, "x: Permission denied"),
        (MemoryError(), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "Interrupted: "),
        (DistillEmbError("two\nlines"), 2, "distillemb: two lines\n"),
        (TypeError("a slip"), 1, "TypeError: a slip (unforeseen: run again with --debug"),
    ],
)
def test_every_error_ends_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(DistillEmb, "from_pretrained", fail)
    result = run("info", "x")
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_debug_shows_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("--debug", "info", "nowhere"), ("info", "nowhere", "--debug")):
        assert isinstance(run(*arguments).exception, DistillEmbError)
    monkeypatch.setenv("DISTILLEMB_DEBUG", "1")
    assert isinstance(run("info", "nowhere").exception, DistillEmbError)
    monkeypatch.delenv("DISTILLEMB_DEBUG")
    assert run("info", "nowhere").exit_code == 2


def test_interrupted_training_says_how_to_go_on(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "distill", stop)
    result = run("distill", table, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert "--resume" in result.stderr


def test_read_only_folder(tiny_encoder_dir: Path, words_file: Path, tmp_path: Path) -> None:
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("Windows knows no such folder, and root may write anywhere")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    result = run("vectors", tiny_encoder_dir, words_file, "-o", folder / "x.vec")
    assert result.exit_code == 2
    assert "Permission denied" in result.stderr


def test_closed_pipe_is_no_error(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("\n".join(f"w{i}" for i in range(20_000)))
    result = shell(f"set -o pipefail; distillemb vectors {tiny_encoder_dir} {tmp_path}/many.txt | head -n 1")
    assert (result.stdout, result.stderr, result.returncode) == ("20000 24\n", "", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a signal")
def test_terminate_leaves_nothing_behind(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "distillemb_plugins.cli", "vectors", str(tiny_encoder_dir), "-"]
    (tmp_path / "many.txt").write_text("\n".join(f"w{i}" for i in range(300_000)))
    with (tmp_path / "many.txt").open() as words:
        process = subprocess.Popen([*command, "-o", str(out / "x.vec")], stdin=words, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not list(out.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [path.suffix for path in out.iterdir()] != [".vec"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_full_disk_is_one_sentence(tiny_encoder_dir: Path) -> None:
    result = shell(f"distillemb info {tiny_encoder_dir} > /dev/full")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "No space left" in result.stderr


# -- vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.vec", "out.vec.gz", "out.npz", "out.safetensors"])
def test_vectors_write_a_table_that_teachers_read(
    tiny_encoder_dir: Path, words_file: Path, tmp_path: Path, name: str
) -> None:
    options = ("--batch-size", 2, "--runtime", "auto", "--json")
    result = run("vectors", tiny_encoder_dir, words_file, "-o", tmp_path / name, *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["words"] == 3
    written = load_teacher(tmp_path / name)
    assert written.words == ["soma", "kitabu", "ሰላም"]
    wanted = DistillEmb.from_pretrained(tiny_encoder_dir).encode(written.words)
    np.testing.assert_allclose(written.vectors, wanted, rtol=1e-5, atol=1e-6)


def test_the_format_that_vectors_recommends_is_written(
    tiny_encoder_dir: Path, words_file: Path, tmp_path: Path
) -> None:
    result = run("vectors", tiny_encoder_dir, words_file, "-o", tmp_path / "t.bin")
    assert result.exit_code == 2
    suffixes = re.findall(r"\.\w+(?:\.\w+)?", result.stderr.split("written as")[1].replace("/", " .vec"))
    assert set(suffixes) >= {".npz", ".safetensors", ".vec", ".vec.gz", ".vec.xz", ".vec.bz2"}
    for suffix in suffixes:
        assert run("vectors", tiny_encoder_dir, words_file, "-o", tmp_path / f"t{suffix}").exit_code == 0, suffix
        assert load_teacher(tmp_path / f"t{suffix}").words == ["soma", "kitabu", "ሰላም"]


@pytest.mark.parametrize("name", ["t.vec", "t.vec.gz", "t.npz", "t.safetensors"])
def test_vectors_writes_words_with_a_no_break_space(tiny_encoder_dir: Path, tmp_path: Path, name: str) -> None:
    words = ["Dar\u00a0es\u00a0Salaam", "a\u2003b", "mti"]
    (tmp_path / "words.txt").write_text("\n".join(words), "utf-8")
    assert run("vectors", tiny_encoder_dir, tmp_path / "words.txt", "-o", tmp_path / name).exit_code == 0
    assert load_teacher(tmp_path / name).words == words


def test_the_format_of_a_table_can_be_said(tmp_path: Path) -> None:
    years = tmp_path / "years.vec"
    years.write_text("2019 3\n2020 5\n2021 -7\n")  # no header, though the first line looks like one
    result = run("neighbors", years, "2019", "-n", 1)
    assert result.exit_code == 2
    assert "--format glove" in result.stderr
    assert "2020" in run("neighbors", years, "2019", "-n", 1, "--format", "glove").stdout
    assert "choose one of text" in run("neighbors", years, "2019", "--format", "csv").stderr


def test_vectors_of_running_text_from_standard_input(tiny_encoder_dir: Path) -> None:
    text = "Ọjọ́ dára. Ọjọ́ dára, ọ̀rẹ́\n"
    result = run("vectors", tiny_encoder_dir, "-", "--text", "--min-count", 2, given=text)
    lines = result.stdout.splitlines()
    assert lines[0] == "2 24"
    assert [line.split()[0] for line in lines[1:]] == ["Ọjọ́", "dára"]


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        (b"one\ntwo words\n", (), "line 2 is more than one word"),
        (b"one\n\xff\n", (), "line 2 is not UTF-8"),
        (b"\n", (), "holds no words"),
        (b"one\n", ("-o", "x.bin"), "written as .npz"),
        (b"one\n", ("--json",), "--out"),
    ],
)
def test_vectors_refuse(
    tiny_encoder_dir: Path, tmp_path: Path, content: bytes, options: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "w.txt").write_bytes(content)
    result = run("vectors", tiny_encoder_dir, tmp_path / "w.txt", *options)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_spool_keeps_order_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distillemb_plugins.cli.words._FLUSH", 2)
    with WordSpool() as spool:
        spool.add(["b", "a", "b", "c", "a", "b"])
        assert (spool.count(), spool.count(2)) == (3, 2)
        assert list(spool.batches(2)) == [["b", "a"], ["c"]]
        assert list(spool.batches(5, min_count=3)) == [["b"]]


# -- the other verbs -----------------------------------------------------------------------------------------


def test_neighbors(tiny_encoder_dir: Path, words_file: Path, table: Path, tmp_path: Path) -> None:
    result = run("neighbors", tiny_encoder_dir, "soma", "never-seen", "--vocabulary", words_file, "-n", 2, "--json")
    found = json.loads(result.stdout)
    assert {word for word, _ in found["soma"]["encoder"]} == {"kitabu", "ሰላም"}
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    wanted = encoder.most_similar("never-seen", ["soma", "kitabu", "ሰላም"], n=2)
    assert [word for word, _ in found["never-seen"]["encoder"]] == [word for word, _ in wanted]
    beside = run("neighbors", tiny_encoder_dir, "soma", "--teacher", table)
    assert "(teacher)" in beside.stdout and len(beside.stdout.splitlines()) == 12
    renamed = tmp_path / "table.txt"  # word2vec text under another name
    renamed.write_text("2 3\nmoja 1 0 0\nmbili 0 1 0\n")
    assert run("neighbors", tiny_encoder_dir, "x", "--vocabulary", renamed).stdout.count("m") == 2


@pytest.mark.parametrize(("word", "said"), [("", "is empty"), (" ", "is empty"), ("two words", "more than one word")])
def test_neighbors_refuse_what_is_not_a_word(tiny_encoder_dir: Path, words_file: Path, word: str, said: str) -> None:
    result = run("neighbors", tiny_encoder_dir, word, "--vocabulary", words_file)
    assert (result.exit_code, result.stdout) == (2, "") and said in result.stderr


def test_a_table_may_hold_words_with_spaces(tmp_path: Path) -> None:
    table = save_teacher(Teacher("t", ["New York", "Nairobi"], np.eye(2, dtype=np.float32)), tmp_path / "t.npz")
    assert "Nairobi" in run("neighbors", table, "New York").stdout


def test_neighbors_need_a_vocabulary(tiny_encoder_dir: Path) -> None:
    result = run("neighbors", tiny_encoder_dir, "soma")
    assert result.exit_code == 2
    assert "--vocabulary" in result.stderr


def test_info(tiny_encoder_dir: Path) -> None:
    facts = json.loads(run("info", tiny_encoder_dir, "--json").stdout)
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    assert facts["parameters"] == encoder.num_parameters
    assert (facts["encoder_type"], facts["dim"], facts["storage"]) == ("cnn", 24, "float32")
    shown = run("info", tiny_encoder_dir).stdout
    assert f"{encoder.num_parameters:,}" in shown and shown.count("parameters ") == 1, "one count"
    assert run("info", tiny_encoder_dir, "--card").stdout == "# A tiny encoder for tests\n"


def test_evaluate(tiny_encoder_dir: Path, table: Path, tiny_words: list[str], tmp_path: Path) -> None:
    pairs = [f"{a}\t{b}\t{i % 7}" for i, (a, b) in enumerate(zip(tiny_words[:40], tiny_words[9:], strict=False))]
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "mine.txt").write_text("\n".join(pairs), "utf-8")
    (tmp_path / "analogies.txt").write_text(" ".join(tiny_words[:4]) + "\n", "utf-8")
    (tmp_path / "held.txt").write_text("\n".join(tiny_words[:20]), "utf-8")
    arguments = ("--teacher", table, "--similarity", tmp_path / "pairs", "--analogies", tmp_path / "analogies.txt")
    result = run(
        "evaluate", tiny_encoder_dir, *arguments, "-w", "soma", "--held-out", tmp_path / "held.txt",
        "--report", tmp_path / "report.html", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    student = values["students"][0]
    assert student["similarity"]["sets"][0]["pairs"] == 40
    assert student["held_out"]["words"] == 20
    assert len(student["neighbors"]["soma"]) == 10
    assert values["teacher"]["kind"] == "table"
    assert "Map of words" in (tmp_path / "report.html").read_text("utf-8")
    (tmp_path / "earlier.json").write_text(result.stdout, "utf-8")
    for option in ("--fallback-table", "--teacher-extra"):  # the second is the old name
        assert "add --teacher" in run("evaluate", tiny_encoder_dir, option, table).stderr
    assert "--teacher-extra" not in run("evaluate", "--help").stdout
    alone = run("evaluate", "--teacher", table, "--similarity", tmp_path / "pairs" / "mine.txt", "--no-speed")
    assert "mine" in alone.stdout and alone.exit_code == 0
    assert run("evaluate", table, "--compare", table).exit_code == 2


def test_distill_takes_every_setting_and_keeps_lists(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    own = trainer.distill

    def spy(*arguments: Any, **options: Any) -> Path:
        seen.update(options, settings=arguments[2], teachers=arguments[0])
        return own(*arguments, **options)

    monkeypatch.setattr(trainer, "distill", spy)
    out = tmp_path / "encoder"
    result = run(
        "distill", table, "-o", out, "--loss", "cosine=1", "--loss", "info_nce=0.5", "--epochs", 1, "--batch-size", 32,
        "--held-out", 25, "--set", 'encoder_args={"buckets": 100, "channels": 8}', "--set", "schedule=cosine",
        "--storage", "int8", "--seed", 3, "--limit", 200, "--language", "sw", "--source", "own|CC0|x.org", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    settings = seen["settings"]
    assert settings.losses == {"cosine": 1.0, "info_nce": 0.5}
    assert (settings.schedule, settings.storage, settings.held_out, settings.seed) == ("cosine", "int8", 25, 3)
    assert len(seen["teachers"][0]) == 200
    known: EncoderFacts = seen["facts"]
    assert known.languages == ("sw",) and known.corpora[0].license == "CC0"
    assert str(tmp_path) not in (out / "README.md").read_text("utf-8")
    facts = json.loads(result.stdout)
    assert facts["facts"]["scores"]["On held-out words"].keys() >= {"cosine", "p_at_10"}
    assert len((out / "held_out.txt").read_text("utf-8").splitlines()) == 25
    assert run("neighbors", out, "soma", "-n", 3).stdout.count("\n") == 5  # among the words stored with it
    scored = json.loads(run("evaluate", out, "--teacher", table, "--limit", 200, "--no-speed", "--json").stdout)
    trained = facts["facts"]["scores"]["On held-out words"]["cosine"]
    assert scored["students"][0]["held_out"]["cosine"] == pytest.approx(trained, abs=0.01)  # int8
    assert run("distill", table, "-o", out).exit_code == 2


def test_distill_takes_an_encoder_as_a_teacher_and_old_spellings(
    table: Path, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    options = [
        "-o", tmp_path / "joint", "--combine", "average", "--epochs", 1, "--set", "centre=false",
        "--set", 'encoder_args={"buckets": 100, "channels": 8}', "--memory-words", 270, "--licence", "mit", "--json",
    ]  # fmt: skip
    result = run("distill", table, tiny_encoder_dir, *options)
    assert result.exit_code == 0, result.stderr
    card = json.loads(result.stdout)["facts"]
    assert (card["settings"]["center"], card["settings"]["codebook_words"]) == (False, 270)
    assert "license: mit" in (tmp_path / "joint" / "README.md").read_text("utf-8")
    assert f"`{tiny_encoder_dir.name}`" in (tmp_path / "joint" / "README.md").read_text("utf-8")
    assert "--memory-words" not in run("distill", "--help").stdout
    alone = run("distill", tiny_encoder_dir, "-o", tmp_path / "alone")
    assert alone.exit_code == 2 and "give a table of word vectors beside it" in alone.stderr


def test_a_warning_is_one_sentence(table: Path, tmp_path: Path) -> None:
    short = ["--epochs", 1, "--set", 'encoder_args={"buckets": 100, "channels": 8}']
    lines = run("distill", table, "-o", tmp_path / "few", *short).stderr.splitlines()
    assert lines[0].startswith("distillemb: warning: The training comes to 1 step only") and len(lines) == 1


def test_teach_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_teacher: Teacher) -> None:
    seen: dict[str, Any] = {}

    def fake(texts: list[Path], out: Path, algorithm: str, **options: Any) -> Path:
        seen.update(options, texts=texts, algorithm=algorithm)
        return save_teacher(tiny_teacher, out)

    monkeypatch.setattr(training, "train_teacher", fake)
    out = tmp_path / "t.npz"
    result = run(
        "teach", "a.txt", "b.txt", "-o", out, "-a", "word2vec", "--skipgram", "--dim", 24, "--resume", "--json"
    )
    assert json.loads(result.stdout)["words"] == len(tiny_teacher)
    assert (seen["algorithm"], seen["skipgram"], seen["dim"], seen["resume"]) == ("word2vec", True, 24, True)
    assert [str(text) for text in seen["texts"]] == ["a.txt", "b.txt"]
    assert seen["window"] is None  # the algorithm's own
    run("teach", "a.txt", "-o", out, "-a", "ppmi-svd", "--contexts", 70, "--window", 3)
    assert (seen["algorithm"], seen["contexts"], seen["window"]) == ("ppmi-svd", 70, 3)


def test_quickstart_reports_its_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = {"ner": {"scratch": 0.5, "distilled": 0.75}, "seconds": 1.0}

    def fake(out: Path, say: Any, **_: Any) -> dict[str, Any]:
        if say:
            say("NER F1 with afro11: 75.0")
        return metrics

    monkeypatch.setattr(distillemb_plugins.workflow, "run_quickstart", fake)
    shown = run("quickstart", "--out", tmp_path / "q").stdout
    assert "NER F1 with afro11: 75.0\n" in shown and f"Open {tmp_path / 'q' / 'report.html'}" in shown
    assert json.loads(run("quickstart", "--json").stdout) == metrics


def test_output_is_utf8_in_any_locale(tiny_encoder_dir: Path, words_file: Path) -> None:
    command = f"LC_ALL=C PYTHONIOENCODING=ascii distillemb neighbors {tiny_encoder_dir} soma --vocabulary {words_file}"
    result = shell(command, encoding="utf-8")
    assert "ሰላም" in result.stdout, result.stderr


def test_stream_helper_leaves_utf8_alone() -> None:
    from distillemb_plugins.cli.guard import _utf8

    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    _utf8(stream)
    assert stream.encoding == "utf-8"


# -- completion ----------------------------------------------------------------------------------------------


def completed(*words: str) -> list[str]:
    """What the shell would offer for the last word."""
    asked = {
        "_DISTILLEMB_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["distillemb", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner().invoke(app, [], prog_name="distillemb", env=asked)
    assert result.exit_code == 0, result.output
    return result.stdout.split()


def test_the_shell_completes_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completed("distill", "t.npz", "--preset", "t") == ["tiny-embeddings"]
    assert set(completed("distill", "t.npz", "--preset", "")) == {"default", "distillemb", "tiny-embeddings"}
    assert completed("distill", "t.npz", "--student", "ngram-s") == ["ngram-sam"]
    assert completed("config", "ner-") == ["ner-pos"]
    assert completed("config", "ner", "--embedding", "s") == ["static"]
    from distillemb_plugins.spacy_plugin.configs import EMBEDDINGS, TASKS

    assert set(completed("config", "")) == set(TASKS)
    assert set(completed("config", "ner", "--embedding", "")) == set(EMBEDDINGS)


_TAKES_ENCODER = (
    *((verb,) for verb in ("info", "neighbors", "vectors", "evaluate", "distill", "push")),
    *((verb, "--encoder") for verb in ("config", "pretrain")),
)


@pytest.mark.parametrize("before", _TAKES_ENCODER, ids=lambda before: before[0])
def test_the_shell_completes_encoders_beside_paths(
    before: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("after/one", "after/[two]", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "afar.npz").touch()
    assert "afro11" in completed(*before, "afr") and not set(completed(*before, "afr")) & {"after/", "afar.npz"}
    assert {"afro11", "after/", "afar.npz"} <= set(completed(*before, ""))
    assert ".hidden/" not in completed(*before, "")
    assert completed(*before, "after/") == ["after/[two]/", "after/one/"]
    assert completed(*before, "./after/o") == ["./after/one/"]
    assert completed(*before, "after/[") == ["after/[two]/"]
