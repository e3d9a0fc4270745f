"""What recipes share: keeping results as JSON lines, running only what is missing, and tables in READMEs."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file, locked

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = ROOT.parent / "shared" / "data"
# The languages of the raw text that the teachers of afro11 learned from.
RAW_TEXT = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "tir", "wol", "yor")
Row = dict[str, Any]
Rows = list[Row]
Groups = Iterable[tuple[str, Rows]]  # rows by what a table calls them
Cell = Callable[[list[Row]], str]  # of a table: what it says of the rows of a group
# Options that scripts have in common.
Data = Annotated[Path, typer.Option(help="Folder with corpora/, teachers/ and tasks/.")]
Work = Annotated[Path, typer.Option(help="Where teachers, encoders and tables are kept.")]
Results = Annotated[Path, typer.Option(help="The results (JSON lines).")]
Languages = Annotated[list[str], typer.Option("--language", help="Languages; repeat for several.")]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seeds; repeat for several.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training sentences; 0: as the recipe chose.")]
Readme = Annotated[Path, typer.Option(help="Where the tables go; plots go beside it.")]


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


def run_missing(path: Path, runs: Iterable[Row], key: Sequence[str], do: Callable[[Row], Mapping[str, Any]]) -> None:
    """Do the runs that have no row yet: what is to be known of a run, by the names of `key`, and `do` adds the rest.

    Each result is kept at once, and the file is read again before each run: an interrupted command goes on, and
    several processes can share the work.
    """
    for run in runs:
        if not pick(read_results(path), **{name: run[name] for name in key}):
            add_result(path, {**run, **do(run)}, key)


def last_validation(encoder: Path, log: str = "distill_log.jsonl") -> Row:
    """What the log of a training said when held-out words were scored last; empty when they never were."""
    lines = read_results(encoder / log)
    return next((line for line in reversed(lines) if "validation" in line), {})


def check_choice(kind: str, given: Iterable[str], known: Iterable[str], where: str = "There is") -> None:
    """Raises `DistillEmbError` for a name that is not known."""
    for name in given:
        if name not in known:
            raise DistillEmbError(f"{where} no {kind} {name}: choose from {', '.join(known)}.")


def needed(path: Path, command: str) -> Path:
    """A path that a command of a recipe makes. Raises `DistillEmbError` when it is not there."""
    if not path.exists():
        raise DistillEmbError(f"{path} is not there: run `python recipes/{command}` first.")
    return path


def pick(rows: Iterable[Row], **values: Any) -> list[Row]:
    """The rows that have these values, or one of them where several are given in a tuple."""
    wanted = {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    return [row for row in rows if all(row.get(name) in some for name, some in wanted.items())]


def whole_seeds(rows: Iterable[Row], column: str, wanted: Iterable[str]) -> list[Row]:
    """The rows whose `column` is `wanted`, of those seeds that have all of them: means over different sets mislead."""
    names = tuple(wanted)
    kept = pick(rows, **{column: names})
    found = {row["seed"]: {other[column] for other in pick(kept, seed=row["seed"])} for row in kept}
    return [row for row in kept if found[row["seed"]] == set(names)]


def figure(row: Row, name: str) -> Any:
    """A value of a row; "test.accuracy" is nested."""
    return reduce(lambda value, part: value[part], name.split("."), row)


def seed_means(rows: Iterable[Row], name: str, languages: Sequence[str]) -> list[float]:
    """A score's mean over the languages, for each seed that has all of them."""
    found: dict[int, list[float]] = {}
    for row in whole_seeds(rows, "language", languages):
        if figure(row, name) is not None:
            found.setdefault(row["seed"], []).append(figure(row, name))
    return [statistics.fmean(found[seed]) for seed in sorted(found)]


def mean_spread(values: Iterable[float | None], digits: int = 1) -> str:
    """``mean ± standard deviation`` (sample) of some figures; the mean alone when there is one; "" for none."""
    known = [value for value in values if value is not None]
    mean = f"{statistics.fmean(known):.{digits}f}" if known else ""
    return mean if len(known) < 2 else f"{mean} ± {statistics.stdev(known):.{digits}f}"


def megabytes(size: float, nothing: str = "0 MB") -> str:
    """A size in MB of a million bytes; `nothing` for a size of 0."""
    if not size:
        return nothing
    return f"{size / 1e6:.2f} MB" if size < 10e6 else f"{size / 1e6:.0f} MB"


def score(name: str, digits: int = 1, nothing: str = "", **values: Any) -> Cell:
    """A cell: mean and spread of a score over the rows of a group that have these values."""
    return lambda rows: mean_spread((figure(row, name) for row in pick(rows, **values)), digits) or nothing


def fact(name: str, spec: str = "") -> Cell:
    """A cell: what the first row of a group says, a list with commas; "" when it says nothing."""

    def cell(rows: Rows) -> str:
        value = figure(rows[0], name) if name.partition(".")[0] in rows[0] else []
        return ", ".join(value) if isinstance(value, list) else format(value, spec)

    return cell


def average(name: str, spec: str, how: Callable[[list[Any]], float] = statistics.fmean) -> Cell:
    """A cell: the mean of a figure over the rows of a group."""
    return lambda rows: format(how([figure(row, name) for row in rows]), spec)


def minutes(rows: Rows) -> str:
    """A cell: the minutes of a run."""
    return mean_spread(row["seconds"] / 60 for row in rows)


def seeds(rows: Iterable[Row]) -> str:
    """A cell: how many seeds a group has."""
    return str(len({row["seed"] for row in rows}))


def seed_score(name: str, digits: int = 1, only: Sequence[str] = (), but: Sequence[str] = ()) -> Cell:
    """A cell: a score's mean over the languages of a group, and its spread over the seeds."""

    def cell(rows: list[Row]) -> str:
        languages = {row["language"] for row in rows} - set(but)
        return mean_spread(seed_means(rows, name, sorted(languages & set(only) if only else languages)), digits)

    return cell


def table(first: str, groups: Groups, columns: Mapping[str, Cell], *last: Sequence[str]) -> str:
    """A Markdown table with a line for each group of rows that is not empty, and last lines; "" for no groups."""
    lines = [[label, *(cell(rows) for cell in columns.values())] for label, rows in groups if rows]
    return markdown_table([first, *columns], [*lines, *filter(None, last)]) if lines else ""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. The first column is text, the others are figures."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def fill(template: str, **values: Any) -> str:
    """Fill in a Jinja template. Its filters are `megabytes`, and `spec`, which is Python's `format`."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"megabytes": megabytes, "spec": format}
    return environment.from_string(template).render(values).strip()


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path, "w") as stream:
        stream.write(text)


def write_blocks(readme: Path, blocks: Mapping[str, str]) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``, for each name that has a text.

    Raises `DistillEmbError` when the two lines are not there.
    """
    page = readme.read_text("utf-8")
    for name, text in blocks.items():
        parts = re.split(f"(?<=<!-- {re.escape(name)} -->\n)(?:.*\n)*?(?=<!-- /{re.escape(name)} -->)", page)
        if text and len(parts) == 1:
            lines = f"<!-- {name} --> ... <!-- /{name} -->"
            raise DistillEmbError(f"{readme} has no block {lines}: add the two lines where the table belongs.")
        page = f"{text}\n".join(parts) if text else page
    write_text(readme, page)


def run_app(app: Callable[[], object]) -> None:
    """Run a script's commands. Bad input ends in one sentence."""
    try:
        app()
    except DistillEmbError as error:
        sys.exit(f"error: {error}")
