"""Known vulnerabilities of what is installed, by pip-audit: fails for one that is found.

python .ci/audit.py   # exit code 0: none known, or nobody could be asked; 1: found, or pip-audit itself failed
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

OWN = "distillemb-plugins"
# How pip-audit ends when there is no network, in the words of requests and of itself.
UNREACHABLE = re.compile(r"Connection(Error|Refused)|ProxyError|SSLError|Timeout|Max retries exceeded|resolve host")


def main() -> int:
    if importlib.util.find_spec("pip_audit") is None:
        return _skip("pip-audit is not installed and could not be fetched")
    pins = installed()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "installed.txt"
        file.write_text("\n".join(pins) + "\n", "utf-8")
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(file), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return judge(done.stdout, done.stderr)


def installed() -> list[str]:
    """``name==version`` of every installed package but our own; ``+cpu`` and the like are unknown to any database."""
    found = {one.metadata["Name"]: one.version.partition("+")[0] for one in metadata.distributions()}
    return sorted(f"{name}=={version}" for name, version in found.items() if name and name != OWN)


def judge(report: str, errors: str) -> int:
    """The exit code of what pip-audit printed, after saying it. report: its JSON, or nothing."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        if UNREACHABLE.search(errors):
            return _skip("the database cannot be reached")
        print(f"Audit: pip-audit failed.\n{errors.strip()[-1000:]}")
        return 1
    asked = [one for one in packages if "vulns" in one]
    if not asked:
        return _skip(f"the database knows none of the {len(packages)} packages (is this a mirror?)")
    found = [(one, vulnerability) for one in asked for vulnerability in one["vulns"]]
    for one, vulnerability in found:
        mend = ", ".join(vulnerability.get("fix_versions", [])) or "no release yet"
        print(f"Audit: {one['name']} {one['version']} has {vulnerability['id']}; mended in {mend}.")
    if not found:
        print(f"Audit: no known vulnerability in {len(asked)} of {len(packages)} packages that the database knows.")
    return 1 if found else 0


def _skip(reason: str) -> int:
    print(f"Audit skipped: {reason}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
