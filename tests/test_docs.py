"""What the documentation shows works: its Python runs, its commands run, its config blocks fit, its site builds."""

from __future__ import annotations

import argparse
import ast
import doctest
import importlib.util
import inspect
import logging
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy.training.loop  # noqa: F401 - it keeps the standard output of its import, and a runner closes its own
from typer.testing import CliRunner

from distillemb_plugins.cli import app
from distillemb_plugins.cli.guard import VERB_EXTRAS
from distillemb_plugins.teachers import Teacher, save_teacher
from recipes.results import read_results

from .recipes.projects import read_project
from .reliability import figures

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("how-to/*.md")), *sorted(DOCS.glob("reference/*.md"))]
README = ROOT / "README.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OTHERS = {"flair", "ray", "sentence_transformers"}  # libraries that the tests do not install
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# The extras of our own modules that need some.
MODULES = {"hf": "hf", "spacy_plugin": "spacy", "distill": "train", "pretrain": "train", "finetune": "train"}
# What makes a command of the documentation small enough for a test.
_TEACH = "--dim 24 --buckets 1000 --min-count 2 --epochs 1 --threads 1 --min-words 0"
SMALL = {
    "teach": _TEACH.split(),
    "distill": ["--epochs", "1", "--set", "device=cpu", "--overwrite"],
    "pretrain": ["--size", "16", "--words", "500", "--set", "device=cpu", "--overwrite"],
    "evaluate": ["--no-speed"],
}
TINY_SPACY = ["--training.max_steps", "1", "--training.eval_frequency", "1"]
SENTENCES = "Juma B-PER\nanaishi O\nNairobi B-LOC\n. O\n\nwatoto O\nwanasoma O\nvitabu O\n. O\n\n"


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page in their order: language and text."""
    return [(found[1], found[2]) for found in _BLOCK.finditer(page.read_text("utf-8"))]


def commands(text: str) -> list[list[str]]:
    """The commands of a shell block, as words."""
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]


def tool(name: str) -> Any:
    """A module of docs/tools."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder_dir: Path, tiny_teacher: Teacher
) -> Iterator[Path]:
    """A folder with what the pages suppose: text, tagged sentences, a table, an encoder, a word list."""
    words = [*tiny_teacher.words[:60], "watoto", "kitabu"]
    (tmp_path / "corpus.txt").write_text("\n".join(" ".join(words[i % 50 :]) for i in range(60)), "utf-8")
    (tmp_path / "text.txt").write_text("Juma anaishi Nairobi.\n", "utf-8")
    (tmp_path / "words.txt").write_text("\n".join(words), "utf-8")
    for name in ("train.txt", "dev.txt"):
        (tmp_path / name).write_text(SENTENCES * 2, "utf-8")
    save_teacher(tiny_teacher, tmp_path / "teacher.npz")
    shutil.copytree(tiny_encoder_dir, tmp_path / "my-encoder")
    # The encoder's graph takes seconds to trace, and has a test of its own.
    monkeypatch.setattr("distillemb_plugins.tagging.export.encoder_graph", lambda encoder, config: b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    level = logging.root.level
    yield tmp_path
    logging.root.setLevel(level)


# -- how each command is tried -------------------------------------------------------------------------------


def run_distillemb(words: list[str]) -> None:
    if words[1] in ("build", "data", "push"):  # minutes, and a network: tests of their own run them
        tool("hooks").verbs()[words[1]].make_context(words[1], words[2:])
        return
    extra = SMALL.get(words[1], [])
    if words[1] == "distill" and any("encoder_args" in word for word in words):
        extra = [*extra, "--limit", "100"]
    if words[1] == "pretrain" and "afro11-context" in words:  # it has sizes of its own
        extra = ["--words", "50"]
    result = CliRunner().invoke(app, [*words[1:], *extra])
    assert result.exit_code == 0, f"{words}: {result.stderr}"


def run_python(words: list[str]) -> None:
    from spacy.cli._util import app as spacy_app

    if words[2] == "tests.reliability.campaign":  # half an hour: the tests beside it hold a small part
        assert set(words[3:]) <= {*figures.TABLES, "-n", "5", "--write"}
        return
    assert words[1:3] == ["-m", "spacy"], words
    arguments = words[3:]
    if arguments[0] == "project":  # hours: tests of the recipes run them small
        assert arguments[1] == "run" and arguments[2] in read_project(ROOT / arguments[3])["workflows"], words
        return
    if arguments[0] == "package":  # minutes of pip: the spaCy tests do it
        arguments = [*arguments[: arguments.index("--force")], "--build", "none", "--force"]
        Path("packages").mkdir()
    result = CliRunner().invoke(spacy_app, arguments + (TINY_SPACY if arguments[0] == "train" else []))
    assert result.exit_code == 0, f"{words}: {result.output[-2000:]} {result.exception!r}"


def check_pip(words: list[str]) -> None:
    assert words[1] == "install" and any(re.match(r"distillemb-plugins|\.\[", word) for word in words), words
    assert set(asked_extras(words)) <= set(PROJECT["optional-dependencies"]), words


def check_torchrun(words: list[str]) -> None:
    from torch.distributed.run import get_args_parser

    check_launched(get_args_parser().parse_args(words[1:]))


def check_accelerate(words: list[str]) -> None:
    from accelerate.commands.launch import launch_command_parser

    assert words[1] == "launch"
    check_launched(launch_command_parser().parse_args(words[2:]))


def check_launched(parsed: argparse.Namespace) -> None:
    """What the launcher starts is a module of ours with arguments that it takes."""
    assert parsed.module and importlib.util.find_spec(parsed.training_script)
    command = tool("hooks").verbs()[parsed.training_script_args[0]]
    command.make_context("distill", list(parsed.training_script_args[1:]))


def check_make(words: list[str]) -> None:
    """The target exists. The quickstart has tests of its own: its pipeline stands for the one trained before."""
    assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text("utf-8")
    if words[1] == "quickstart":
        shutil.copytree("my-ner/model-best", "quickstart/ner_afro11")


RUNNERS: dict[str, Callable[[list[str]], None]] = {
    "distillemb": run_distillemb,
    ".venv/bin/distillemb": run_distillemb,
    "python": run_python,
    "pip": check_pip,
    "make": check_make,
    "torchrun": check_torchrun,
    "accelerate": check_accelerate,
}


def lacks(code: str) -> bool:
    """Whether a block uses another library that is not installed, or not with this version of transformers."""
    for name in OTHERS & set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)):
        try:
            importlib.import_module(name)
        except ImportError:
            return True
    return False


WITH_BLOCKS = pytest.mark.parametrize("page", [README, *(p for p in PAGES if blocks(p))], ids=lambda page: page.stem)


@WITH_BLOCKS
def test_a_page_works_from_top_to_bottom(page: Path, folder: Path) -> None:
    """Python blocks share one namespace and commands one folder, in the order of the page."""
    if page.stem in ("own-language", "many-gpus"):
        shutil.rmtree("my-encoder")  # it is made there
    names: dict[str, Any] = {"__name__": "docs"}
    for number, (language, text) in enumerate(blocks(page), start=1):
        if language == "python" and not lacks(text):
            exec(compile(text, f"{page.name}, block {number}", "exec"), names)
        elif language == "python":
            compile(text, f"{page.name}, block {number}", "exec")
        elif language == "sh":
            for words in commands(text):
                RUNNERS[words[0]](words)
        elif language == "ini":
            check_config(text)
        else:
            assert language in ("text", "pycon"), f"{page.name}, block {number}: nobody tries {language}"


def asked_extras(words: list[str]) -> list[str]:
    """The extras of ours that a pip command installs."""
    return [extra for word in words for found in re.findall(r"^\S*\[([\w,]+)\]$", word) for extra in found.split(",")]


def brought(names: list[str]) -> set[str]:
    """Extras and libraries, with all that our extras among them bring."""
    found = set(names)
    for requirement in (one for name in names for one in PROJECT["optional-dependencies"].get(name, ())):
        found |= brought(asked_extras([requirement])) | set(re.findall(r"^[\w-]+", requirement))
    return found


def needed(language: str, text: str) -> set[str]:
    """The extras and libraries without which a block does not run."""
    if language == "python":
        modules = [node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        modules += [n.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for n in node.names]
        ours = {MODULES.get(name.split(".")[1], "") for name in modules if name.startswith("distillemb_plugins.")}
        others = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"distillemb_plugins"}
        return ours | {name.replace("_", "-") for name in others}
    found: set[str] = set()
    for words in commands(text) if language == "sh" else ():
        if words[:3] == ["python", "-m", "spacy"]:
            found.add("recipes" if words[3] == "project" else "spacy")
        elif words[0] in ("torchrun", "accelerate"):  # they launch a verb of ours
            found |= {"accelerate", *VERB_EXTRAS[words[words.index("distillemb_plugins.cli") + 1]].split(",")}
        elif words[0] == "distillemb" and (words[1] != "evaluate" or "--report" in words):
            found |= set(VERB_EXTRAS.get(words[1], "").split(","))
    return found


@WITH_BLOCKS
def test_a_page_installs_what_its_blocks_need(page: Path) -> None:
    """Before a block that needs an extra or another library, the page shows the command that installs it."""
    there = {"", "numpy", "safetensors"}
    for number, (language, text) in enumerate(blocks(page), start=1):
        for words in commands(text) if language == "sh" else ():
            if words[0] == "pip":
                there |= brought([*asked_extras(words), *words[2:]])
        assert not needed(language, text) - there, f"{page.name}, block {number}"


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_all_code_is_fenced(page: Path) -> None:
    """An indented block would be shown, and tried by nobody."""
    text = _BLOCK.sub("", page.read_text("utf-8"))
    assert not re.findall(r"^\n(?: {4}|\t)\S.*$", text, re.MULTILINE)


def check_config(text: str) -> None:
    """It parses, its names are registered, and every value of it is an argument of theirs."""
    import spacy
    from confection import Config

    def visit(block: dict[str, Any]) -> None:
        for key, value in block.items():
            if isinstance(value, dict):
                visit(value)
            if key.startswith("@"):
                made_by = getattr(spacy.registry, key[1:]).get(value)
                unknown = set(block) - {key} - set(inspect.signature(made_by).parameters)
                unknown -= {name for name in unknown if isinstance(block[name], dict) and name == "augmenter"}
                assert not unknown, f"{value} knows no {unknown}"

    sections = re.findall(r"^\[(.+)\]$", text, re.MULTILINE)
    parents = {".".join(s.split(".")[:n]) for s in sections for n in range(1, s.count(".") + 1)} - set(sections)
    config = Config().from_str("".join(f"[{parent}]\n" for parent in sorted(parents)) + text, interpolate=False)
    assert sections
    visit(config)


# -- generated parts -----------------------------------------------------------------------------------------


def test_the_command_line_page_has_every_verb_and_option() -> None:
    hooks = tool("hooks")
    page = hooks.on_page_markdown((DOCS / "cli.md").read_text("utf-8"))
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    assert list(sections) == list(hooks.verbs())
    for verb, text in sections.items():
        assert f"[`{verb}`](#{verb})" in page
        shown = CliRunner().invoke(app, [verb, "--help"], terminal_width=300).stdout
        options = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", shown.split("Options:")[1])) - {"--help"}
        assert options and options <= set(re.findall(r"--[a-z][\w-]*", text)), verb
        assert f"distillemb {verb}" in text.split("```text")[1]


def test_presets_results_and_card_come_from_their_sources() -> None:
    from distillemb_plugins.distill import PRESETS, DistillSettings

    hooks = tool("hooks")
    table = hooks.presets().splitlines()
    assert table[0].count("|") == len(PRESETS) + 3
    assert {row.split("`")[1] for row in table[2:]} == set(DistillSettings().to_dict()) - {"preset"}
    assert "afrisenti" in hooks.card_section("Corpora")
    marks = [found for page in PAGES for found in re.findall(r"<!-- results: (.+) -->", page.read_text("utf-8"))]
    assert marks and all(hooks.results(mark) for mark in marks)
    with pytest.raises(ValueError, match="no block 'nothing'"):
        hooks.results("embeddings/nothing")
    head, _, teacher, *_ = hooks.results("distill/table-a: mean, on disk").splitlines()
    assert head == "|  | mean | on disk |" and re.fullmatch(r"\| teacher \| \*\*[.\d]+\*\* \| \d+ MB \|", teacher)
    assert "github.com/<wbr>" in hooks.card_section("Corpora"), "addresses may break in a narrow table"


def test_the_figures_on_reliability_are_what_the_campaign_kept(tmp_path: Path) -> None:
    """`python -m tests.reliability.campaign --write` keeps and writes them anew; no fault may stand there."""
    kept = read_results(figures.KEPT)
    assert {row["part"] for row in kept} <= set(figures.TABLES) and figures.tables([])["kills"] == figures.NOTHING
    assert not [row for row in kept if row.get("fault") or row.get("faults") or row.get("wrong")]
    page = figures.PAGE.read_text("utf-8")
    for name, table in figures.tables(kept).items():
        assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in page
    shutil.copy(figures.KEPT, tmp_path)
    shutil.copy(figures.PAGE, tmp_path)
    figures.keep("strings", [{"strings": 7, "wrong": 2}], tmp_path / figures.KEPT.name, tmp_path / figures.PAGE.name)
    assert "| random words | 7 | 2 |" in (tmp_path / figures.PAGE.name).read_text("utf-8")
    rest = [row for row in read_results(tmp_path / figures.KEPT.name) if row["part"] != "strings"]
    assert rest == [row for row in kept if row["part"] != "strings"]


def test_the_release_notes_are_the_page() -> None:
    page = tool("hooks").on_page_markdown((DOCS / "changelog.md").read_text("utf-8"))
    sections = re.findall(r"^## .*$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections and re.findall(r"^## .*$", page, re.MULTILINE) == sections and "<!--" not in page
    assert not [link for link in re.findall(r"\]\(([^)#]+)", page) if not (DOCS / link).is_file()]


# -- messages ------------------------------------------------------------------------------------------------


def messages(page: Path) -> list[str]:
    """What the first columns of a page's tables quote."""
    return re.findall(r"^\| `(.+?)` \|", page.read_text("utf-8"), re.MULTILINE)


def texts(folder: Path) -> Iterator[str]:
    """Every string of the sources, blanks as single ones; a zero byte stands for each value that is filled in."""
    for file in folder.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                yield " ".join("".join(map(str, parts)).split())
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield " ".join(node.value.split())


def test_every_message_of_the_troubleshooting_page_is_in_the_sources() -> None:
    """Its parts between "…" stand in one string, in their order, and a value stands where the page has "…"."""
    quoted = messages(DOCS / "troubleshooting.md")
    assert len(quoted) >= 50 and len(set(quoted)) == len(quoted)
    sources = list(texts(ROOT / "distillemb_plugins"))
    patterns = {text: r".*?\0.*?".join(re.escape(part.strip()) for part in text.split("…")) for text in quoted}
    missing = [text for text, pattern in patterns.items() if not any(re.search(pattern, one) for one in sources)]
    assert not missing


def test_the_examples_of_the_reference_are_right() -> None:
    files = [f for f in sorted((ROOT / "distillemb_plugins").rglob("*.py")) if ">>>" in f.read_text("utf-8")]
    modules = [importlib.import_module(".".join(f.relative_to(ROOT).with_suffix("").parts)) for f in files]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) >= 15 and not any(result.failed for result in results)


# -- the site ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    for module in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(module)
    out = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_page_is_built_and_nothing_comes_from_elsewhere(site: Path) -> None:
    for page in PAGES:
        html = site / page.relative_to(DOCS).with_suffix(".html")
        text = html.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"?([^\" >]+)", text)
        assert loaded and not [address for address in loaded if address.startswith(("http:", "https:", "//"))], page
        assert "<!-- options" not in text and "<!-- results" not in text
    assert not (site / "tools").exists()


def test_the_reference_names_what_is_public(site: Path) -> None:
    from distillemb_plugins import distill, evaluate, hf, teachers

    pages = {"distill": distill, "hf": hf, "teachers": teachers, "evaluate": evaluate}
    for name, module in pages.items():
        text = (site / "reference" / f"{name}.html").read_text("utf-8")
        documented = set(re.findall(r'id="distillemb_plugins\.[\w.]*?(\w+)"', text))
        left_out = {n for n in module.__all__ if inspect.isfunction(getattr(module, n))} - documented
        assert left_out <= {"nearest", "build_tokenizer"} - documented, f"{name}: {left_out}"
