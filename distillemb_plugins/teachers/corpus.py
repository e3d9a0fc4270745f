"""Raw text to what the trainer reads: tokenised shards on disk and a counted vocabulary."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tqdm import tqdm

from ..errors import DistillEmbError
from ..files import atomic_file, iter_lines
from ..text import tokenize
from .checkpoint import damaged, read_record

# gensim's buffers hold 10,000 words.
MAX_LINE_WORDS = 10_000
# A shard is the unit of progress and of a checkpoint. Shards grow with the corpus: even a huge one has few.
FIRST_SHARD_WORDS = 1_000_000
# Distinct words held while counting, about 1.5 GB; past it the rarest are dropped, as word2vec.c does.
MAX_COUNTED = 10_000_000


@dataclass
class Corpus:
    """A tokenised corpus. shards: file name and number of words of each. counts: the vocabulary, the most
    frequent first. lines, words: totals of the text.
    """

    directory: Path
    shards: list[tuple[str, int]]
    counts: dict[str, int]
    lines: int
    words: int


def tokenised(
    texts: Sequence[str | Path], directory: Path, min_count: int, limit: int | None, progress: bool
) -> Corpus:
    """Tokenise `texts` into `directory`, streaming; or open what an interrupted run completed there.

    Text is brought to NFC, so that the two spellings of a tone-marked letter are counted as one word.
    Raises `DistillEmbError` when there is no word, or none occurs `min_count` times.
    """
    if (directory / "corpus.json").is_file():
        return _open(directory)
    writer = _ShardWriter(directory)
    for tokens in _sentences(texts, progress):
        writer.write(tokens)
    writer.close()
    if writer.words == 0:
        names = ", ".join(str(path) for path in texts)
        raise DistillEmbError(f"The corpus ({names}) holds no word: give text files with one sentence a line.")
    ordered = sorted(writer.counts.items(), key=lambda item: (-item[1], item[0]))
    counts = {word: count for word, count in ordered if count >= min_count}
    if not counts:
        raise DistillEmbError(
            f"No word of the corpus occurs min_count={min_count} times ({ordered[0][0]!r} has the most, "
            f"{ordered[0][1]}): lower min_count, or give more text."
        )
    counts = dict(list(counts.items())[:limit])
    corpus = Corpus(directory, writer.shards, counts, writer.lines, writer.words)
    _save(corpus)
    return corpus


def _sentences(texts: Iterable[str | Path], progress: bool) -> Iterator[list[str]]:
    with tqdm(desc="reading", unit=" words", unit_scale=True, disable=not progress, mininterval=0.5) as bar:
        for line in iter_lines(texts):
            # A zero byte would end the word early in fastText's dictionary.
            tokens = tokenize(unicodedata.normalize("NFC", line).replace("\0", " "))
            for start in range(0, len(tokens), MAX_LINE_WORDS):
                yield tokens[start : start + MAX_LINE_WORDS]
            bar.update(len(tokens))


class _ShardWriter:
    """Writes lines of space-separated words into shards, counting the words."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.shards: list[tuple[str, int]] = []
        self.counts: Counter[str] = Counter()
        self.lines = self.words = self._in_shard = 0
        self._least = 1
        self._stream: IO[str] | None = None

    def write(self, tokens: list[str]) -> None:
        if self._stream is None:
            name = f"shard-{len(self.shards):05d}.txt"
            self._stream = (self.directory / name).open("w", encoding="utf-8", newline="\n")
            self.shards.append((name, 0))
        self._stream.write(" ".join(tokens) + "\n")
        self.counts.update(tokens)
        if len(self.counts) > MAX_COUNTED:
            self._least += 1
            self.counts = Counter({word: n for word, n in self.counts.items() if n >= self._least})
        self.lines += 1
        self.words += len(tokens)
        self._in_shard += len(tokens)
        if self._in_shard >= max(FIRST_SHARD_WORDS, self.words // 20):
            self.close()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self.shards[-1] = (self.shards[-1][0], self._in_shard)
            self._stream, self._in_shard = None, 0


def _save(corpus: Corpus) -> None:
    """The file corpus.json is written last: where it stands, the shards are complete."""
    record = asdict(corpus)
    del record["directory"]
    with atomic_file(corpus.directory / "corpus.json", "w") as stream:
        json.dump(record, stream, ensure_ascii=False)


def _open(directory: Path) -> Corpus:
    file = directory / "corpus.json"
    record = read_record(file)
    try:
        shards = [(Path(name).name, int(words)) for name, words in record.pop("shards")]
        corpus = Corpus(directory, shards, **record)
    except (KeyError, ValueError, TypeError) as error:
        raise damaged(file, error) from error
    missing = [name for name, _ in shards if not (directory / name).is_file()]
    if missing:
        raise damaged(file, f"{missing[0]} is missing")
    return corpus
