"""`distillemb tag`: text tagged from the shell, in constant memory and in the order in which it came."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, TypeVar

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    from ..files import ArrivingLines
    from ..tagging import TaggedText, Tagger


T = TypeVar("T")


class TextFormat(StrEnum):
    """What is read."""

    text = "text"
    conll = "conll"


class TagFormat(StrEnum):
    """What is written."""

    plain = "plain"
    jsonl = "jsonl"
    conll = "conll"


def tag_command(
    tagger: Annotated[
        str, Argument(help="Tagger: a Hugging Face or spaCy directory, an installed spaCy package, or a hub id.")
    ],
    file: Annotated[Path, Argument(help="Text, plain or compressed; - reads standard input.")] = Path("-"),
    *,
    format: Annotated[
        TextFormat,
        Option(
            "--format",
            help="text: a sentence or paragraph a line. conll: words already cut, one a line in the first column "
            "(CoNLL-U: in its own), and an empty line after each sentence.",
        ),
    ] = TextFormat.text,
    to: Annotated[
        TagFormat,
        Option(
            "--to",
            help="plain: the text with its entities in brackets. jsonl: JSON lines with the place of each entity in "
            "characters. conll: a word and its tag a line.",
        ),
    ] = TagFormat.plain,
    out: Annotated[Path | None, Option("--out", "-o", help="File to write. Default: standard output.")] = None,
    batch_size: Annotated[int, Option(min=1, help="Sentences tagged together.")] = 512,
) -> None:
    """Tag names or parts of speech in text with a saved tagger.

    Every line of text gives one line (or one sentence of CoNLL), in the same order; memory does not grow with the
    text. What comes through a pipe is tagged as soon as it has come.

    \b
    Example:
      distillemb tag out/hf text.txt -o tagged.txt
      xzcat text.txt.xz | distillemb tag my-ner/model-best --to jsonl
      distillemb tag out/hf words.conll --format conll --to conll -o tagged.conll
    """
    from tqdm import tqdm

    from ..files import ArrivingLines, text_lines
    from ..tagging import open_tagger
    from ..tagging.records import WRITERS

    model = open_tagger(tagger)
    arriving = ArrivingLines(sys.stdin.buffer) if str(file) == "-" else None
    lines = text_lines(arriving or file)
    count = 0
    with tqdm(desc="tag", unit=" sentences", delay=1, disable=None) as bar, _output(out) as stream:
        for tagged in _tagged(model, lines, format, batch_size, arriving):
            stream.writelines(WRITERS[to.value](one) for one in tagged)
            stream.flush()
            count += len(tagged)
            bar.update(len(tagged))
    if out is not None:
        typer.echo(f"{out}: {count:,} sentences.", err=True)


def _tagged(
    model: Tagger, lines: Iterable[tuple[int, str]], format: TextFormat, size: int, arriving: ArrivingLines | None
) -> Iterator[list[TaggedText]]:
    """Tag in batches; a batch ends early where more would have to be waited for."""
    if format is TextFormat.conll:
        from ..data.columns import blocks_of
        from ..data.conllu import block_words

        words = (block_words(block) for block in blocks_of(lines))
        yield from map(model.tag_words, _batches(words, size, arriving))
    else:
        yield from map(model.tag_texts, _batches((line for _, line in lines), size, arriving))


def _batches(items: Iterable[T], size: int, arriving: ArrivingLines | None) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size or (arriving is not None and arriving.dry):
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    from ..files import atomic_file

    with atomic_file(out, "w") as stream:
        yield stream
