"""Raw text as numbers of words, made once into a work directory and mapped from disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..characters import CharTable
from ..errors import DistillEmbError
from ..files import atomic_file
from ..runs import read_json, write_json
from ..text import read_tokens

CORPUS_FILE = "corpus.json"
MAX_DISTINCT = 5_000_000  # words; later ones are read as one unknown word, so that memory has a bound
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Corpus:
    """A text as word numbers.

    words: the distinct words, the most frequent first, and their counts int64. tokens: int32, the lines one after the
    other, mapped from disk. starts: int64, and lengths: int32, of each line. language: int16, the number of each line's
    language. rows: int32 ``[distinct, max_chars]``, character ids of each word.
    """

    words: list[str]
    counts: NDArray[np.int64]
    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    language: NDArray[np.int16]
    languages: list[str]
    rows: NDArray[np.int32]


def texts_by_language(texts: Sequence[str | Path]) -> dict[str, list[Path]]:
    """Group text files by their folder's name, which stands for the language, as in ``corpora/swa/news.txt.xz``.

    Folders are taken with all files in them. ``NAME=FILE`` names the language itself.
    """
    groups: dict[str, list[Path]] = {}
    for text in texts:
        name, given, rest = str(text).partition("=")
        path = Path(rest) if given and not Path(text).exists() else Path(text)
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if not file.is_file():
                raise DistillEmbError(f"There is no text file {file}: check the path.")
            language = name if path != Path(text) else file.resolve().parent.name
            groups.setdefault(language, []).append(file)
    if not groups:
        raise DistillEmbError("No text was given to pretrain on: give at least one file.")
    return dict(sorted(groups.items()))


def open_corpus(
    texts: Mapping[str, Sequence[Path]], characters: CharTable, work: Path, longest: int, progress: bool = False
) -> Corpus:
    """Read the texts of each language into `work`, or open what an interrupted run completed there.

    Lines of more than `longest` words are cut into several.
    """
    if not (work / CORPUS_FILE).is_file():
        _build(texts, characters, work, longest, progress)
    record = read_json(work / CORPUS_FILE)
    with (work / "words.json").open(encoding="utf-8") as stream:
        words = json.load(stream)
    lengths = np.load(work / "lengths.npy", allow_pickle=False)
    return Corpus(
        words=words,
        counts=np.load(work / "counts.npy", allow_pickle=False),
        tokens=np.asarray(np.memmap(work / "tokens.int32", dtype=np.int32, mode="r")),
        starts=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)[:-1]]),
        lengths=lengths,
        language=np.load(work / "language.npy", allow_pickle=False),
        languages=list(record["languages"]),
        rows=np.asarray(np.load(work / "rows.npy", mmap_mode="r", allow_pickle=False)),
    )


def _build(
    texts: Mapping[str, Sequence[Path]], characters: CharTable, work: Path, longest: int, progress: bool
) -> None:
    numbers: dict[str, int] = {}
    lengths: list[int] = []
    language: list[int] = []
    with atomic_file(work / "tokens.first") as stream:
        for number, files in enumerate(texts.values()):
            for line in _lines(files, longest, progress):
                _write(stream, line, numbers)
                lengths.append(len(line))
                language.append(number)
    if not lengths:
        names = ", ".join(str(file) for files in texts.values() for file in files)
        raise DistillEmbError(f"The text ({names}) holds no word: give text files with one sentence a line.")
    first = np.memmap(work / "tokens.first", dtype=np.int32, mode="r")
    counts = _counts(first, len(numbers) + 1)
    # The unknown word (number 0 while reading) comes last, whatever its count: it is never predicted.
    order = np.concatenate([1 + np.argsort(-counts[1:], kind="stable"), [0]])
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    with atomic_file(work / "tokens.int32") as stream:
        for start in range(0, len(first), _BLOCK):
            stream.write(place[first[start : start + _BLOCK]].tobytes())
    del first
    (work / "tokens.first").unlink()
    listed = list(numbers)
    words = [listed[number - 1] for number in order[:-1].tolist()] + ["\ufffd"]
    rows = np.concatenate([characters.encode(words[at : at + _BLOCK]) for at in range(0, len(words), _BLOCK)])
    _save(work, "rows", rows.astype(np.int32))
    _save(work, "counts", counts[order])
    _save(work, "lengths", np.array(lengths, dtype=np.int32))
    _save(work, "language", np.array(language, dtype=np.int16))
    with atomic_file(work / "words.json", "w") as stream:
        json.dump(words, stream, ensure_ascii=False)
    write_json(work / CORPUS_FILE, {"languages": list(texts)})  # last: where it stands, the rest is complete


def _lines(files: Sequence[Path], longest: int, progress: bool) -> Iterator[list[str]]:
    for tokens in read_tokens(files, progress=progress):
        for start in range(0, len(tokens), longest):
            yield tokens[start : start + longest]


def _write(stream: IO[bytes], line: list[str], numbers: dict[str, int]) -> None:
    if len(numbers) < MAX_DISTINCT:
        found = [numbers.setdefault(word, len(numbers) + 1) for word in line]
    else:
        found = [numbers.get(word, 0) for word in line]
    stream.write(np.array(found, dtype=np.int32).tobytes())


def _counts(tokens: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(tokens), _BLOCK):
        counts += np.bincount(tokens[start : start + _BLOCK], minlength=size)
    return counts


def _save(work: Path, name: str, array: NDArray[np.generic]) -> None:
    with atomic_file(work / f"{name}.npy") as stream:
        np.save(stream, array)
