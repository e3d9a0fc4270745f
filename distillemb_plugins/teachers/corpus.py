"""Raw text to what the trainer reads: tokenized shards on disk and a counted vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ..errors import DistillEmbError
from ..runs import damaged, read_json, write_json
from ..text import read_tokens
from .amount import check_amount, count_words, fitted_settings

CORPUS_FILE = "corpus.json"
# gensim's buffers hold 10,000 words.
MAX_LINE_WORDS = 10_000
# A shard is the unit of progress and of a checkpoint. Shards grow with the corpus: even a huge one has few.
FIRST_SHARD_WORDS = 1_000_000
# Distinct words held while counting, about 1.5 GB. Past it the rarest are dropped, as word2vec.c does.
MAX_COUNTED = 10_000_000


@dataclass
class Corpus:
    """A tokenized corpus: its shards (file name and number of words), and its vocabulary, the most frequent word first.

    words: tokens of the text. word_tokens: those of them that are words.
    """

    directory: Path
    shards: list[tuple[str, int]]
    counts: dict[str, int]
    lines: int
    words: int
    word_tokens: int = 0


def make_corpus(
    texts: Sequence[str | Path],
    directory: Path,
    min_count: int | None,
    limit: int | None,
    progress: bool,
    min_words: int = 0,
) -> Corpus:
    """Tokenize texts into a directory, streaming, and count a vocabulary of the `limit` most frequent words.

    Text is brought to NFC, so that the two spellings of a tone-marked letter are counted as one word. Without a
    min_count, one that fits the text is taken. A text of fewer than min_words is refused.
    """
    writer = _ShardWriter(directory)
    for tokens in read_tokens(texts, progress=progress):
        for start in range(0, len(tokens), MAX_LINE_WORDS):
            writer.write(tokens[start : start + MAX_LINE_WORDS])
    writer.close()
    names = ", ".join(str(path) for path in texts)
    if writer.words == 0:
        raise DistillEmbError(f"The corpus ({names}) holds no word: give text files with one sentence a line.")
    words = count_words(writer.counts)
    check_amount(words, min_words, names)
    min_count = fitted_settings(words)["min_count"] if min_count is None else min_count
    ordered = sorted(writer.counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = [(word, count) for word, count in ordered if count >= min_count]
    if not frequent:
        raise DistillEmbError(
            f"No word of the corpus occurs min_count={min_count} times ({ordered[0][0]!r} has the most, "
            f"{ordered[0][1]}): lower min_count, or give more text."
        )
    corpus = Corpus(directory, writer.shards, dict(frequent[:limit]), writer.lines, writer.words, words)
    record = asdict(corpus)
    del record["directory"]
    write_json(directory / CORPUS_FILE, record)  # last: where it stands, the shards are complete
    return corpus


def open_corpus(directory: Path) -> Corpus | None:
    """Open what `make_corpus` completed in a directory; None where it did not."""
    file = directory / CORPUS_FILE
    if not file.is_file():
        return None
    record = read_json(file)
    try:
        shards = [(Path(name).name, int(words)) for name, words in record.pop("shards")]
        corpus = Corpus(directory, shards, **record)
    except (KeyError, ValueError, TypeError) as error:
        raise damaged(file, error) from error
    missing = [name for name, _ in shards if not (directory / name).is_file()]
    if missing:
        raise damaged(file, f"{missing[0]} is missing")
    return corpus


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
