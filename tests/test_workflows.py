"""The workflows of the repository run what `.ci/run` and the Makefile run, with pinned actions and versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
CI_RUN = ROOT / ".ci" / "run"
yaml = pytest.importorskip("yaml")  # huggingface_hub needs it
pytestmark = pytest.mark.skipif(not CI_RUN.is_file(), reason="only in the repository")


def read(name: str) -> dict[str, Any]:
    """A workflow. YAML 1.1 takes the key ``on`` for true."""
    values: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text("utf-8"))
    return {"on" if key is True else key: value for key, value in values.items()}


NAMES = sorted(file.name for file in WORKFLOWS.glob("*.yml"))
JOBS = [(name, job) for name in NAMES for job in read(name)["jobs"]]


def steps(name: str, job: str) -> list[dict[str, Any]]:
    return list(read(name)["jobs"][job]["steps"])


def commands(name: str, job: str) -> list[str]:
    return [line.strip() for step in steps(name, job) for line in step.get("run", "").splitlines()]


def recipes() -> dict[str, list[str]]:
    """The commands of each target of the Makefile, with plain names for what lies in the environment."""
    text = (ROOT / "Makefile").read_text("utf-8")
    variables = dict(re.findall(r"^(\w+) [:?]?= ?(.*)$", text, re.MULTILINE))
    found: dict[str, list[str]] = {}
    target = ""
    for line in text.splitlines():
        if match := re.match(r"([\w$()/.-]+):(?!=)", line):
            target = match[1]
        elif line.startswith("\t"):
            command = line.replace("$(INSTALL)", variables["INSTALL"]).replace("$(BIN)/", "").replace("$(PIP_ARGS)", "")
            found.setdefault(target, []).append(" ".join(command.strip().lstrip("@").split()))
    return found


def targets(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if line.startswith("make ")]


def test_ci_runs_what_is_run_here() -> None:
    here = targets(CI_RUN.read_text("utf-8").splitlines())
    assert {*targets(commands("ci.yml", "checks")), "test"} == set(here) and here[-1] == "test"
    install, test = commands("ci.yml", "tests")
    assert [test] == recipes()["test"]
    made = recipes()["$(VENV)/.installed-dev"][0].replace(" --quiet --disable-pip-version-check", "")
    assert install == made


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_every_make_target_exists(name: str, job: str) -> None:
    known = recipes()
    assert [target for target in targets(commands(name, job)) if target not in known] == []
    for target, lines in known.items():
        for script in re.findall(r"\S+\.py\b", " ".join(lines)):
            assert (ROOT / script).is_file(), f"{target}: {script}"


def test_the_matrix_is_what_is_promised() -> None:
    matrix = read("ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    promised = [text.rpartition(" ")[2] for text in project["classifiers"] if "Python :: 3." in text]
    assert matrix["python"] == promised
    assert project["requires-python"] == f">={promised[0]}"


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_actions_are_pinned_and_rights_are_few(name: str, job: str) -> None:
    text = (WORKFLOWS / name).read_text("utf-8")
    used = [step["uses"] for step in steps(name, job) if "uses" in step]
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.search(rf"{re.escape(action)} # v\d+\.\d+\.\d+$", text, re.MULTILINE), f"{action}: its version"
    assert read(name)["permissions"] == {"contents": "read"}
    assert read(name)["jobs"][job]["timeout-minutes"] <= 60
    rights = read(name)["jobs"][job].get("permissions", {})
    assert rights == ({"id-token": "write"} if job == "publish" else {})
    for step in steps(name, job):
        assert step.keys() & {"uses", "run"} and not re.search(
            r"\$\{\{.*(github\.event|head_ref)", str(step.get("run"))
        )
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"] == {"persist-credentials": False}


def test_one_action_has_one_version() -> None:
    used = {step["uses"] for name, job in JOBS for step in steps(name, job) if "uses" in step}
    assert len(used) == len({action.partition("@")[0] for action in used})


def test_a_release_is_built_from_a_tag_and_published_without_a_password() -> None:
    release = read("release.yml")
    assert release["on"] == {"push": {"tags": ["v*"]}}
    build, publish = release["jobs"]["build"], release["jobs"]["publish"]
    assert publish["needs"] == "build" and publish["environment"]["name"] == "pypi"
    assert publish["steps"][-1].keys() == {"uses"} and "pypa/gh-action-pypi-publish@" in publish["steps"][-1]["uses"]
    assert targets(commands("release.yml", "build")) == ["check-installed", "dist"]
    up, down = build["steps"][-1]["with"], publish["steps"][0]["with"]
    assert up["path"] == down["path"] == "dist/" and up["name"] == down["name"]
    assert "secrets." not in (WORKFLOWS / "release.yml").read_text("utf-8")


def test_pre_commit_has_the_linter_of_the_constraints() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [ruff] = [one for one in config["repos"] if one["repo"].endswith("/ruff-pre-commit")]
    pinned = re.search(r"^ruff==(.+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert pinned and ruff["rev"] == f"v{pinned[1]}"
    assert [hook["id"] for hook in ruff["hooks"]] == ["ruff-check", "ruff-format"]


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda file: file.stem
)
def test_issue_forms_are_forms(form: Path) -> None:
    values = yaml.safe_load(form.read_text("utf-8"))
    if form.stem == "config":
        assert set(values) <= {"blank_issues_enabled", "contact_links"}
        return
    assert values["name"] and values["description"] and values["body"]
    for field in values["body"]:
        assert field["type"] in ("markdown", "input", "textarea", "dropdown", "checkboxes")
        assert field["attributes"].get("label") and re.fullmatch(r"[a-z_]+", field["id"])
    verbs = set(re.findall(r"distillemb (\w+)", str(values)))
    assert verbs <= {"info", "neighbors", "build"}
