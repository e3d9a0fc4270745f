"""A corpus as one long array of word numbers, built once and mapped from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from ..errors import DistillEmbError
from ..files import atomic_file, iter_lines
from ..text import tokenize

_LINES_AT_ONCE = 2048


def corpus_tokens(
    paths: Sequence[str | Path],
    numbers: dict[str, int],
    cache: str | Path,
    lowercase: bool = False,
    progress: bool = False,
) -> NDArray[np.int32]:
    """The known words of a corpus as numbers, int32 ``[tokens]``, mapped from a file in the directory `cache`.

    numbers: word to number; other tokens are left out (as in DistillEmb's code). The file is made at the first call
    and found again as long as the corpus files and the words are the same. Memory does not grow with the corpus.
    Raises `DistillEmbError` for a file that is missing or not UTF-8, and for a corpus without a known word.
    """
    file = Path(cache) / f"tokens-{_fingerprint(paths, numbers, lowercase)}.int32"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as stream:
            for block in _blocks(paths, numbers, lowercase, progress):
                stream.write(block.tobytes())
    if file.stat().st_size == 0:
        names = ", ".join(str(path) for path in paths)
        raise DistillEmbError(f"The corpus {names} holds none of the teachers' words: give text of their language.")
    return np.memmap(file, dtype=np.int32, mode="r")


def _blocks(
    paths: Sequence[str | Path], numbers: dict[str, int], lowercase: bool, progress: bool
) -> Iterator[NDArray[np.int32]]:
    lines = tqdm(iter_lines(paths), desc="corpus", unit=" lines", disable=not progress, leave=False)
    for text in _joined(lines):
        tokens = tokenize(text.lower() if lowercase else text)
        found = (numbers.get(token, -1) for token in tokens)
        block = np.fromiter(found, dtype=np.int32, count=len(tokens))
        yield block[block >= 0]


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Many lines as one text: fewer, larger calls."""
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == _LINES_AT_ONCE:
            yield "\n".join(held)
            held.clear()
    yield "\n".join(held)


def _fingerprint(paths: Sequence[str | Path], numbers: dict[str, int], lowercase: bool) -> str:
    digest = hashlib.sha256(str(lowercase).encode())
    for path in map(Path, paths):
        if not path.is_file():
            raise DistillEmbError(f"There is no corpus file {path}: check the path.")
        status = path.stat()
        digest.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    for word, number in numbers.items():
        digest.update(f"{word}\0{number}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
