"""Dev and test sentences of the tasks in raw text: a model that has read them makes its scores look better.

One rule finds them. A line and a sentence are compared by their letters and digits, in lower case and in NFC, so that
spaces, punctuation and the way of cutting words do not matter. A line is like a sentence when

* it holds the first 40 letters of the sentence, anywhere,
* or it holds a whole sentence of 16 to 39 letters, anywhere,
* or it has the letters of a shorter sentence and no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..files import iter_lines
from ..text import normalize
from .columns import blocks
from .sources import task_file

SHORT, LONG = 16, 40  # letters
_TWEETS = "cls/afrisenti"
TASKS = ("ner/masakhaner1", "ner/masakhaner2", "pos/masakhapos", "ner/say-amh-conll", _TWEETS)
"""The tasks whose dev and test sentences raw text must not hold."""
_NO_LETTERS = re.compile(r"[\W_]+")


def letters_and_digits(text: str) -> str:
    """The letters and digits of a text, in lower case and in NFC, without anything between them."""
    return _NO_LETTERS.sub("", normalize(text).casefold())


class TaskSentences:
    """The dev and test sentences that raw text must not hold. Their words may be joined by spaces."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self._short: set[str] = set()
        self._long: dict[str, set[str]] = {}  # by their first 16 letters
        for sentence in sentences:
            key = letters_and_digits(sentence)[:LONG]
            if len(key) >= SHORT:
                self._long.setdefault(key[:SHORT], set()).add(key)
            elif key:
                self._short.add(key)

    def __len__(self) -> int:
        """How many different sentences there are, by their first 40 letters."""
        return len(self._short) + sum(map(len, self._long.values()))

    def is_like(self, line: str) -> bool:
        """Tell whether a line is or holds one of the sentences, by the rule at the top of this module."""
        key, long = letters_and_digits(line), self._long
        if len(key) < SHORT:
            return key in self._short
        starts = (at for at in range(len(key) - SHORT + 1) if key[at : at + SHORT] in long)
        return any(key.startswith(one, at) for at in starts for one in long[key[at : at + SHORT]])


def task_sentences(data: Path) -> TaskSentences:
    """Read the dev and test sentences of MasakhaNER 1.0 and 2.0, MasakhaPOS, SAY and AfriSenti in all languages.

    data: the folder that holds ``tasks/``, unpacked or as archives. Tasks that are not there are left out.
    """
    return TaskSentences(_sentences(data))


def _sentences(data: Path) -> Iterator[str]:
    for task in TASKS:
        folder = task_file(data, *task.split("/"))
        for split in ("dev", "test"):
            if folder is None:
                break
            if task == _TWEETS:
                for file in sorted(folder.rglob(f"{split}.tsv")):
                    rows = [line.split("\t") for line in iter_lines([file])]
                    tweet = rows[0].index("tweet") if rows and "tweet" in rows[0] else -1
                    yield from (row[tweet] for row in rows[1:] if len(row) > tweet >= 0)
            else:
                for file in sorted(folder.rglob(f"{split}.txt")):
                    yield from _joined_words(file)


def _joined_words(file: Path) -> Iterator[str]:
    """Sentences of a file of one word a line, with blank lines between: the first column of each."""
    for block in blocks(file):
        yield " ".join(line.split()[0] for _, line in block if line.strip())
