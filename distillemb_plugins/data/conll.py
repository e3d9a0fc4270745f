"""Reading tagged files into plain sentences: columns for NER and POS, and the ten of CoNLL-U.

Only the standard library is used. What `ConllCorpus` turns into spaCy examples is made here.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DistillEmbError
from ..files import is_data
from .columns import Block, Columns, blocks, find_columns
from .conllu import ConlluReader, is_conllu
from .layout import UPOS, Layout, Sentence

__all__ = ["UPOS", "Layout", "Sentence", "conll_files", "read_sentences"]
logger = logging.getLogger("distillemb")


def read_sentences(path: Path, layout: Layout) -> Iterator[Sentence]:
    """Stream the sentences of a file (plain or compressed).

    CoNLL-U is recognized by its ten tab-separated columns. In other files the word and the tag are found out and
    verified for every line before the first sentence comes: word and tag or tag and word, CoNLL-2002, CoNLL-2003,
    GermEval, UNER, MultiCoNER, CoNLL-U Plus. The columns are parted by single tabs or by any number of blanks. Runs of
    blank lines, a byte-order mark, CRLF, comments and ``-DOCSTART-`` are handled. An ``I-`` tag that continues nothing
    becomes ``B-``. Lines with an empty word are skipped with one warning a file.

    Args:
        path: The file.
        layout: What its columns hold, as far as it shall not be found out.

    Yields:
        Each sentence that has a word.

    Raises:
        DistillEmbError: A wrong number of columns, an unknown tag, or doubt about the columns; the file and the line
            or the option are named.
    """
    path = Path(path)
    conllu = is_conllu(path)
    if conllu and layout.task == "pos":
        reader = ConlluReader(path, layout)
        for block in blocks(path):
            if sentence := reader.sentence(block):
                yield sentence
        _tell_empty(path, reader.empty_words)
        if problem := reader.problem():
            warnings.warn(problem, UserWarning, stacklevel=2)
        return
    try:
        columns = find_columns(path, layout)
    except DistillEmbError as error:
        if conllu and layout.tag_column in (None, -1):
            raise DistillEmbError(
                f'{path} is CoNLL-U, which holds no entities: say task = "pos", or give a NER file.'
            ) from error
        raise
    if columns is not None:
        yield from _plain_sentences(path, layout, columns)


def _tell_empty(path: Path, lines: Sequence[int]) -> None:
    if lines:
        some = ", ".join(map(str, lines[:5])) + (", ..." if len(lines) > 5 else "")
        warnings.warn(f"{path}: skipped lines with an empty word: {some}.", UserWarning, stacklevel=3)


def _plain_sentences(path: Path, layout: Layout, columns: Columns) -> Iterator[Sentence]:
    empty: list[int] = []
    for block in blocks(path):
        words: list[str] = []
        tags: list[str] = []
        lines: list[int] = []
        for number, cells in _words_of(path, block, layout, columns):
            if cells[columns.word].strip():
                words.append(cells[columns.word])
                tags.append(cells[columns.tag])
                lines.append(number)
            else:
                empty.append(number)
        if words:
            read = columns.tags.iob2(tags, lines) if columns.tags else tags
            yield Sentence(words, [True] * (len(words) - 1) + [False], read)
    _tell_empty(path, empty)
    if columns.tags and columns.tags.repaired and columns.tags.opened:  # otherwise it is IOB1, in which this is right
        logger.info("%s: %d I- tags without a B- before them read as B-.", path, columns.tags.repaired)


def _words_of(path: Path, block: Block, layout: Layout, columns: Columns) -> Iterator[tuple[int, list[str]]]:
    """The lines of a block that are words, with their columns."""
    begun = False
    for number, line in block:
        if line.startswith("#") and _is_comment(path, number, line, begun, layout, columns):
            continue
        cells = columns.split(line)
        if columns.numbered and not cells[0].isdecimal():  # a range or an empty node
            continue
        begun = True
        yield number, cells


def _is_comment(path: Path, number: int, line: str, begun: bool, layout: Layout, columns: Columns) -> bool:
    """Whether a line that begins with ``#`` is no word. Doubt is an error."""
    cells = columns.split(line)
    if layout.comments is not None or columns.numbered:
        return layout.comments is not False
    fits = len(cells) == columns.count
    tag = cells[columns.tag] if fits else ""
    if fits and columns.is_tag(tag, layout):
        return False
    like_a_word = fits and (not line[1:2].isspace() or tag.isupper() or tag[1:2] == "-")
    if begun or like_a_word:
        raise DistillEmbError(
            f"{path}, line {number} begins with # and is in doubt, a comment or a word with a wrong tag: mend the "
            "line, or say comments = true if all lines that begin with # are comments."
        )
    return True


def conll_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that paths stand for: files as they are, directories searched, ``*`` patterns expanded; sorted.

    Raises:
        DistillEmbError: One of them stands for no file.
    """
    return [file for path in paths for file in _files_of(Path(path))]


_SUFFIXES = (".conll", ".conllu", ".conllup", ".iob", ".iob2", ".bio", ".bioes", ".bilou", ".tsv", ".txt")


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.rglob("*") if is_data(file, _SUFFIXES)]
    else:
        anchor = Path(path.anchor)
        found = [f for f in anchor.glob(str(path.relative_to(anchor))) if f.is_file()] if "*" in str(path) else []
    if not found:
        raise DistillEmbError(
            f"{path} is no file, pattern, or directory with {', '.join(_SUFFIXES)} files: check the path."
        )
    return sorted(found)
