"""`distillemb tag`: text tagged from the shell, in constant memory and in the order in which it came."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from typer import Argument, Option

from .processes import in_order

if TYPE_CHECKING:
    from ..files import ArrivingLines

_LARGE = 4 << 20  # bytes of a file from which on starting processes pays
T = TypeVar("T")
TextFormat = Literal["text", "conll"]  # what is read
TagFormat = Literal["plain", "jsonl", "conll"]  # what is written


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
    ] = "text",
    to: Annotated[
        TagFormat,
        Option(
            "--to",
            help="plain: the text with its entities in brackets. jsonl: JSON lines with the place of each entity in "
            "characters. conll: a word and its tag a line.",
        ),
    ] = "plain",
    out: Annotated[Path | None, Option("--out", "-o", help="File to write. Default: standard output.")] = None,
    batch_size: Annotated[int, Option(min=1, help="Sentences tagged together.")] = 512,
    processes: Annotated[
        int,
        Option(min=0, help=f"Processes; 0 takes all cores for a file of {_LARGE >> 20} MB or more. They read ahead."),
    ] = 0,
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
    from ..inference.threads import usable_cores

    arriving = ArrivingLines(sys.stdin.buffer) if str(file) == "-" else None
    sentences = _sentences(text_lines(arriving or file), format)
    batches = _batches(sentences, batch_size, arriving)
    if not processes:
        large = arriving is None and file.is_file() and file.stat().st_size >= _LARGE
        processes = usable_cores() if large else 1
    if processes > 1:
        _tagging(tagger, format, to)  # what is wrong with it is told here
    count = 0
    with tqdm(desc="tag", unit=" sentences", delay=1, disable=None) as bar, _output(out) as stream:
        for batch, text in in_order(_tagging, (tagger, format, to), batches, processes):
            stream.write(text)
            stream.flush()
            count += len(batch)
            bar.update(len(batch))
    if out is not None:
        typer.echo(f"{out}: {count:,} sentences.", err=True)


def _tagging(name: str, format: TextFormat, to: TagFormat) -> Callable[[Any], str]:
    """Open a tagger; the function makes of a batch what is written."""
    from ..tagging import open_tagger
    from ..tagging.records import WRITERS

    tagger, write = open_tagger(name), WRITERS[to]
    tag: Any = tagger.tag_words if format == "conll" else tagger.tag_texts
    return lambda batch: "".join(map(write, tag(batch)))


def _sentences(lines: Iterable[tuple[int, str]], format: TextFormat) -> Iterator[str | list[str]]:
    """The texts, or the words of each sentence."""
    if format == "text":
        yield from (line for _, line in lines)
        return
    from ..data.columns import blocks_of
    from ..data.conllu import block_words

    yield from map(block_words, blocks_of(lines))


def _batches(items: Iterable[T], size: int, arriving: ArrivingLines | None) -> Iterator[list[T]]:
    """Make batches. One ends early where more would have to be waited for."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size or (arriving is not None and arriving.dry):
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _output(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    from ..files import atomic_file

    with atomic_file(out, "w") as stream:
        yield stream
