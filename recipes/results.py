"""What recipes share: keeping results as JSON lines, running only what is missing, and tables in READMEs."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file, locked

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = ROOT.parent / "shared" / "data"
Row = dict[str, Any]


def read_results(path: Path) -> list[Row]:
    """The rows of a results file (JSON lines); none when the file does not exist."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def add_result(path: Path, row: Row, key: Sequence[str]) -> None:
    """Put a row into a results file, in place of the one with the same `key` values. Safe beside other processes."""
    with locked(path.parent, wait=True):
        rows = [other for other in read_results(path) if any(other.get(k) != row.get(k) for k in key)]
        rows.append(row)
        rows.sort(key=lambda r: [str(r.get(k)) for k in key])
        with atomic_file(path, "w") as stream:
            stream.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)


def missing_runs(path: Path, runs: Iterable[Row], key: Sequence[str]) -> Iterator[Row]:
    """Yield the runs that have no row yet. The file is read again before each, so several processes can share work."""
    for run in runs:
        if all(any(row.get(k) != run[k] for k in key) for row in read_results(path)):
            yield run


def run_missing(path: Path, runs: Iterable[Row], key: Sequence[str], do: Callable[[Row], Mapping[str, Any]]) -> None:
    """Do the runs that have no row yet, and keep each result at once, so that an interrupted command goes on.

    Args:
        path: The results file.
        runs: What tells one run from another, by the names of `key`.
        key: The names.
        do: Makes the rest of a row from a run.
    """
    for run in missing_runs(path, runs, key):
        add_result(path, {**run, **do(run)}, key)


def pick(rows: Iterable[Row], **values: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in values.items())]


def whole_seeds(rows: Iterable[Row], column: str, wanted: Iterable[str]) -> list[Row]:
    """The rows whose `column` is `wanted`, of those seeds that have all of them: means over different sets mislead."""
    names = set(wanted)
    kept = [row for row in rows if row[column] in names]
    found: dict[int, set[str]] = {}
    for row in kept:
        found.setdefault(row["seed"], set()).add(row[column])
    return [row for row in kept if found[row["seed"]] == names]


def mean_spread(values: Sequence[float], digits: int = 1) -> str:
    """``mean ± standard deviation`` (sample) of some figures; the mean alone when there is one."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def megabytes(size: float, nothing: str = "0 MB") -> str:
    """A size in MB of a million bytes; `nothing` for a size of 0."""
    if not size:
        return nothing
    return f"{size / 1e6:.2f} MB" if size < 10e6 else f"{size / 1e6:.0f} MB"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. The first column is text, the others are figures."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def read_block(readme: Path, name: str) -> str:
    """What stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    found = re.search(f"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", readme.read_text("utf-8"), re.DOTALL)
    return found.group(1) if found else ""


def replace_block(readme: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in a README.

    Raises:
        DistillEmbError: The two lines are not there.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = readme.read_text("utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(old):
        raise DistillEmbError(f"{readme} has no block {begin} ... {end}: add the two lines where the table belongs.")
    with atomic_file(readme, "w") as stream:
        stream.write(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", old))


def run_app(app: Callable[[], object]) -> None:
    """Run a script's commands. Bad input ends in one sentence."""
    try:
        app()
    except DistillEmbError as error:
        sys.exit(f"error: {error}")
