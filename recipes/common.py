"""What the recipes share: finding the data, keeping results, and writing tables into READMEs."""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_directory, atomic_file, locked

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = ROOT.parent / "shared" / "data"
# Where each task lives on the Hugging Face hub; loading scripts are gone, the Parquet revision is not.
HUB_TASKS = {
    "ner/masakhaner1": "masakhaner",
    "ner/masakhaner2": "masakhane/masakhaner2",
    "pos/masakhapos": "masakhane/masakhapos",
}
HUB_TAGS = ("ner_tags", "upos")  # what the column of tags is called there
HUB_REVISION = "refs/convert/parquet"
HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def cache_folder() -> Path:
    """Where unpacked and downloaded task files are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "distillemb"


def task_files(data: Path, task: str, language: str) -> dict[str, Path]:
    """The files ``train``, ``dev`` and ``test`` of a tagging task, such as ``ner/masakhaner1`` in ``swa``.

    Looks in ``data/tasks`` (unpacked, or the archive, which is unpacked once into the cache), else on the hub.
    Raises `DistillEmbError` when they are in neither place.
    """
    kind = task.split("/", maxsplit=1)[0]
    for folder in (data / "tasks" / task, data / task, unpacked_tasks(data, kind) / task):
        files = {split: folder / language / f"{split}.txt" for split in HUB_SPLITS}
        if all(file.is_file() for file in files.values()):
            return files
    return _from_hub(task, language)


def unpacked_tasks(data: Path, kind: str) -> Path:
    """The cache folder of an archive of tasks (``ner``, ``pos``, ``cls``), unpacked there once if `data` has it."""
    archive = data / "tasks" / f"tasks-{kind}.tar.xz"
    target = cache_folder() / f"tasks-{kind}"
    if archive.is_file() and not target.is_dir():
        with atomic_directory(target) as work, tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")
    return target


def _from_hub(task: str, language: str) -> dict[str, Path]:
    folder = cache_folder() / task / language
    files = {split: folder / f"{split}.txt" for split in HUB_SPLITS}
    if all(file.is_file() for file in files.values()):
        return files
    loaded = hub_dataset(HUB_TASKS[task], task, language, f"tasks/{task}/{language}/train.txt, dev.txt and test.txt")
    for split, file in files.items():
        part = loaded[HUB_SPLITS[split]]
        column = next(name for name in HUB_TAGS if name in part.features)
        names = getattr(part.features[column].feature, "names", None)  # None: the tags are strings
        with atomic_file(file, "w") as stream:
            for row in part:
                for token, tag in zip(row["tokens"], row[column], strict=True):
                    stream.write(f"{token} {names[tag] if names else tag}\n")
                stream.write("\n")
    return files


def hub_dataset(name: str, task: str, language: str, wanted: str) -> Any:
    """The splits of the data set `name` in `language` on the hub. wanted: the files under ``--data`` to have instead.

    Raises `DistillEmbError` when it is not to be had: offline, renamed, refused.
    """
    try:
        from datasets import load_dataset

        return load_dataset(name, language, revision=HUB_REVISION)
    except Exception as error:
        raise not_under_data(task, language, wanted, error) from error


def not_under_data(task: str, language: str, wanted: str, error: Exception | None = None) -> DistillEmbError:
    """What to say when a task is not found: what failed (`error`, of the hub) and the files that are `wanted`."""
    reason = f" and could not be fetched from the hub ({type(error).__name__})" if error else ""
    return DistillEmbError(f"{task} in {language} is not under --data{reason}: give --data DIR with {wanted}.")


def whole_seeds(rows: Iterable[dict[str, Any]], column: str, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The rows whose `column` is `wanted`, of those seeds that have all of them: means over different sets mislead."""
    names = set(wanted)
    kept = [row for row in rows if row[column] in names]
    found: dict[int, set[str]] = {}
    for row in kept:
        found.setdefault(row["seed"], set()).add(row[column])
    return [row for row in kept if found[row["seed"]] == names]


def corpus_files(data: Path, languages: Iterable[str], classes: Sequence[str] = ()) -> list[Path]:
    """The raw text of the languages, ``corpora/LANG/CLASS.SOURCE.txt.xz``; all licence classes unless named.

    Raises `DistillEmbError` when a language has none.
    """
    files: list[Path] = []
    for language in languages:
        found = sorted((data / "corpora" / language).glob("*.txt*"))
        kept = [file for file in found if not classes or file.name.split(".")[0] in classes]
        if not kept:
            raise DistillEmbError(f"There is no raw text in {data / 'corpora' / language}: give --data DIR.")
        files += kept
    return files


def read_results(path: Path) -> list[dict[str, Any]]:
    """The rows of a results file (JSON lines); none when it does not exist."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def add_result(path: Path, row: dict[str, Any], key: Sequence[str]) -> None:
    """Put a row into a results file, replacing the one with the same `key` values; safe beside other processes."""
    with locked(path.parent, wait=True):
        rows = [other for other in read_results(path) if any(other.get(k) != row.get(k) for k in key)]
        rows.append(row)
        rows.sort(key=lambda r: [str(r.get(k)) for k in key])
        with atomic_file(path, "w") as stream:
            stream.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)


def mean_spread(values: Sequence[float], digits: int = 1) -> str:
    """``mean ± standard deviation`` (sample) of some figures; the mean alone when there is one."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def replace_block(readme: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in a README.

    Raises `DistillEmbError` when the marks are not there.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = readme.read_text("utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(old):
        raise DistillEmbError(f"{readme} has no block {begin} ... {end}: add the two lines where the table belongs.")
    with atomic_file(readme, "w") as stream:
        stream.write(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", old))


def run_app(app: Callable[[], object]) -> None:
    """Run a script's commands; bad input ends in one sentence."""
    try:
        app()
    except DistillEmbError as error:
        sys.exit(f"error: {error}")


def megabytes(size: float) -> str:
    """A size in MB of a million bytes."""
    return f"{size / 1e6:.2f} MB" if size < 10e6 else f"{size / 1e6:.0f} MB"
