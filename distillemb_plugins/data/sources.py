"""Where task files and raw text lie: in a data folder, in the cache, or on the Hugging Face hub."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DistillEmbError
from ..files import atomic_directory, atomic_file

# Where each task lives on the Hugging Face hub. Loading scripts no longer run there; the Parquet revision is read.
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
    """Find the files of a tagging task: in the data folder, in its archive, in the cache, else on the hub.

    Args:
        data: The folder that holds ``tasks/`` (unpacked, or the archives, which are unpacked once into the cache).
        task: Such as ``ner/masakhaner1``.
        language: Such as ``swa``.

    Returns:
        The files of ``train``, ``dev`` and ``test``.

    Raises:
        DistillEmbError: They are in none of these places.
    """
    kind, _, name = task.partition("/")
    for folder in _places(data, kind):
        files = {split: folder / name / language / f"{split}.txt" for split in HUB_SPLITS}
        if all(file.is_file() for file in files.values()):
            return files
    return _from_hub(task, language)


def task_file(data: Path, kind: str, name: str) -> Path | None:
    """Find a file or folder of the tasks of a kind, in the data folder, its archive or the cache.

    Args:
        data: The folder that holds ``tasks/``.
        kind: ``ner``, ``pos`` or ``cls``.
        name: The path below the folder of that kind, such as ``tir/news.csv``.

    Returns:
        The path, or None where there is none.
    """
    return next((place / name for place in _places(data, kind) if (place / name).exists()), None)


def _places(data: Path, kind: str) -> Iterator[Path]:
    """Folders of the tasks of a kind. The archive is unpacked only when nothing was found before."""
    yield data / "tasks" / kind
    yield data / kind
    yield _unpacked(data, kind) / kind


def _unpacked(data: Path, kind: str) -> Path:
    """The cache folder of an archive of tasks, unpacked there once if `data` has it."""
    archive = data / "tasks" / f"tasks-{kind}.tar.xz"
    target = cache_folder() / f"tasks-{kind}"
    if archive.is_file() and not target.is_dir():
        try:
            with atomic_directory(target) as work, tarfile.open(archive) as tar:
                tar.extractall(work, filter="data")
        except DistillEmbError:
            if not target.is_dir():  # otherwise another process unpacked it meanwhile
                raise
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
                    between = "\t" if " " in token else " "
                    stream.write(f"{token}{between}{names[tag] if names else tag}\n")
                stream.write("\n")
    return files


def hub_dataset(name: str, task: str, language: str, wanted: str) -> Any:
    """Load the splits of a data set from the hub.

    Args:
        name: Of the data set there.
        task: How the user calls it.
        language: The configuration to load.
        wanted: The files that the user may give under ``--data`` instead.

    Raises:
        DistillEmbError: It cannot be loaded: offline, renamed, refused.
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


def corpus_files(data: Path, languages: Iterable[str], classes: Sequence[str] = ()) -> list[Path]:
    """Find the raw text of languages, ``corpora/LANGUAGE/CLASS.SOURCE.txt.xz``.

    Args:
        data: The folder that holds ``corpora/``.
        languages: Such as ``swa``.
        classes: License classes; all unless named.

    Raises:
        DistillEmbError: A language has no text.
    """
    files: list[Path] = []
    for language in languages:
        found = sorted((data / "corpora" / language).glob("*.txt*"))
        kept = [file for file in found if not classes or file.name.split(".")[0] in classes]
        if not kept:
            raise DistillEmbError(f"There is no raw text in {data / 'corpora' / language}: give --data DIR.")
        files += kept
    return files
