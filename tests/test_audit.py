"""The audit of dependencies: a found vulnerability fails, a machine without network goes on."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"


@pytest.fixture
def audit() -> Any:
    if not SCRIPT.is_file():
        pytest.skip("only in the repository")
    spec = importlib.util.spec_from_file_location("ci_audit", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}]}


def test_a_vulnerability_fails(audit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.judge(report(CLEAN, BAD, UNKNOWN), "") == 1
    assert capsys.readouterr().out == "Audit: jinja2 2.10 has PYSEC-2019-217; mended in 2.10.1.\n"


def test_none_known(audit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.judge(report(CLEAN, UNKNOWN), "") == 0
    assert "no known vulnerability in 1 of 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("printed", "errors", "reason"),
    [
        ("", "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org')", "cannot be reached"),
        ("", "requests.exceptions.ProxyError: Max retries exceeded with url: /pypi", "cannot be reached"),
        (report(UNKNOWN, UNKNOWN), "", "knows none of the 2 packages"),
    ],
)
def test_nobody_to_ask(audit: Any, printed: str, errors: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.judge(printed, errors) == 0
    out = capsys.readouterr().out
    assert out.startswith("Audit skipped: ") and reason in out and out.count("\n") == 1


def test_a_failure_of_its_own_is_no_pass(audit: Any) -> None:
    assert audit.judge("", "ERROR:pip_audit._cli: invalid requirements input") == 1


def test_without_pip_audit(audit: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit.importlib.util, "find_spec", lambda name: None)
    assert audit.main() == 0
    assert capsys.readouterr().out == "Audit skipped: pip-audit is not installed and could not be fetched.\n"


def test_what_is_asked_about(audit: Any) -> None:
    pins = audit.installed()
    assert any(pin.startswith("numpy==") for pin in pins)
    assert not any("+" in pin or pin.startswith("distillemb-plugins") for pin in pins)
