"""Public sources to a data folder: ``corpora/LANGUAGE/CLASS.NAME.txt.xz`` and ``tasks/TASK/LANGUAGE/``."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm.auto import tqdm

from ..errors import DistillEmbError
from ..files import atomic_file, iter_lines, locked
from .cleaning import Lines
from .contamination import TASKS, TaskSentences, task_sentences
from .downloads import Downloads, UnavailableError, checksum_of
from .extract import extract
from .public_sources import Source, by_language, public_corpora, public_tasks
from .record import Entry, read_record, write_record

_PRESET = 2  # of xz: four times as fast as the usual 6, and a third larger
_RULES = 1  # counted up whenever the same sources give other lines


class IncompleteError(DistillEmbError):
    """Some files could not be had. All others were written.

    Attributes:
        made: The record of the texts that are there, as `fetch` returns it.
        missing: Why each of the others is missing, by its place below the data folder.
    """

    def __init__(self, made: dict[str, Entry], missing: dict[str, str]) -> None:
        place, why = next(iter(missing.items()))
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        unchecked = any(one.startswith("tasks/") for one in missing)
        tasks = " Texts were not compared with the task files among them." if unchecked else ""
        super().__init__(
            f"{place}{more} is missing: {why} All else was written.{tasks} Run the same command again later, or take "
            "what is missing from another server (--mirror URL): texts that depend on it are then made anew."
        )
        self.made, self.missing = made, missing


def fetch(
    out: str | Path,
    *,
    classes: Collection[str] = ("OPEN",),
    languages: Collection[str] = (),
    names: Collection[str] = (),
    downloads: Downloads | None = None,
) -> dict[str, Entry]:
    """Make raw text from public sources, without the dev and test sentences of the tasks, and put the tasks beside it.

    Files that were made before from the same sources stay as they are. A line is kept in the first file of its language
    that has it, so files depend on those before them. A file that is gone from its source, or is another one than
    listed, does not stop the others.

    Args:
        out: The data folder to write.
        classes: License classes of the corpora.
        languages: Such as ``swa``; all when empty.
        names: Of corpora; all when empty.
        downloads: Where files come from.

    Returns:
        The record: what each text was made from, by ``LANGUAGE/NAME``.

    Raises:
        IncompleteError: Files are not there or are not those that are listed. The others were written.
        DistillEmbError: A file cannot be downloaded, or stands there already and was made by someone else.
    """
    downloads, out = downloads or Downloads(), Path(out)
    corpora = [source for source in public_corpora(classes, languages, names) if source.repository]
    record, language, before = read_record(out), "", ""
    made: dict[str, Entry] = {}
    missing: dict[str, str] = {}
    with locked(out / "corpora"), locked(downloads.folder, wait=True):
        checked = _fetch_tasks(out, {*classes}, downloads, missing)
        sentences = task_sentences(out)
        for current, name, sources in tqdm([*by_language(corpora)], desc="corpora", disable=not downloads.progress):
            if current != language:
                language, before, lines = current, _digest(checked), Lines()
            key, file = f"{language}/{name}", out / "corpora" / language / f"{name}.txt.xz"
            before = _digest(before, [_listed(source, language) for source in sources])
            if record.get(key, {}).get("digest") == before and file.is_file():
                for line in iter_lines([file]):
                    lines.add(line)
            elif file.exists() and key not in record:
                raise DistillEmbError(f"{file} was not made here: choose another folder, or move it away.")
            else:
                write_record(out, record | {key: {}})  # if this stops half-way, the file is known as ours
                try:
                    made_of = _make(file, language, sources, lines, sentences, downloads)
                except UnavailableError as error:
                    write_record(out, record)  # as before: what is there stays
                    missing[file.relative_to(out).as_posix()] = str(error)
                    before = _digest(before, "missing")  # with it, the files after it will be others
                    continue
                record[key] = {**made_of, "digest": before}
                write_record(out, record)
            made[key] = record[key]
    if missing:
        raise IncompleteError(made, missing)
    return made


def _fetch_tasks(out: Path, classes: Collection[str], downloads: Downloads, missing: dict[str, str]) -> list[str]:
    """Put the tasks that text is checked against into ``out/tasks``, and those of the classes.

    What cannot be had is entered into `missing`. Returns the checksums of what text is checked against.
    """
    checksums: list[str] = []
    for task in public_tasks():
        checked = task.name.partition("/{")[0] in TASKS
        for language, files in task.files.items() if checked or task.license_class in classes else ():
            for path, checksum in files.items():
                place = out / "tasks" / task.name.format(language=language) / PurePosixPath(path).name
                if not (place.is_file() and checksum_of(place.read_bytes(), checksum) == checksum):
                    try:
                        data = downloads.read_file(task.repository, task.revision, path, checksum)
                    except UnavailableError as error:
                        missing[place.relative_to(out).as_posix()] = str(error)
                        continue
                    with atomic_file(place) as stream:
                        stream.write(data)
                checksums += [checksum] if checked else ()
    return checksums


def _make(
    file: Path, language: str, sources: Sequence[Source], lines: Lines, sentences: TaskSentences, downloads: Downloads
) -> Entry:
    """Write the text of a file, and return what is recorded of it."""
    entry: Entry = {"license": sources[0].license, "sources": [*dict.fromkeys(source.url for source in sources)]}
    counts = {"lines": 0, "words": 0, "like_task_sentences": 0}
    with atomic_file(file) as stream, lzma.open(stream, "wb", preset=_PRESET) as packed:
        for source in sources:
            without = _texts(source, source.without, downloads)
            for line in lines.clean(_texts(source, source.files[language], downloads), source.cleaning, without):
                if sentences.is_like(line):
                    counts["like_task_sentences"] += 1
                    continue
                packed.write(f"{line}\n".encode())
                counts["lines"] += 1
                counts["words"] += len(line.split())
    return entry | counts


def _texts(source: Source, files: Mapping[str, str], downloads: Downloads) -> Iterator[str]:
    """The raw lines of files of a source."""
    names: set[str] = set()
    for path, checksum in files.items():
        found = _read(source, path, checksum, downloads)
        for place, data in found.items():
            if not source.unique_names or PurePosixPath(place).name not in names:
                yield from extract(place, data, source.format, **source.options)
        names |= {PurePosixPath(place).name for place in found}


def _read(source: Source, path: str, checksum: str, downloads: Downloads) -> dict[str, bytes]:
    if source.archive:
        return downloads.read_archive(source.repository, source.revision, path, checksum)
    return {path: downloads.read_file(source.repository, source.revision, path, checksum)}


def _listed(source: Source, language: str) -> Any:
    """All of a source's entry that decides which lines come out."""
    return asdict(source) | {"files": source.files[language], "note": "", "license": "", "stated": ""}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([_RULES, *parts], sort_keys=True).encode()).hexdigest()
