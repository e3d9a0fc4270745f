"""`distillemb neighbors`: the nearest words, of one model or side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import FormatOption, JsonFlag, print_json


def neighbors_command(
    encoder: Annotated[str, typer.Argument(help="Encoder directory, bundled name (afro11), hub id, or a table.")],
    words: Annotated[list[str], typer.Argument(help="Words to look up; any word will do.")],
    *,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            "--vocabulary",
            "-v",
            help="Candidates: a word list, a .vec or another table. Default: the list stored with the "
            "encoder, or the teacher's words.",
        ),
    ] = None,
    teacher: Annotated[Path | None, typer.Option("--teacher", "-t", help="Show this table's neighbors beside.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Neighbors of each word.")] = 10,
    limit: Annotated[int | None, typer.Option(min=1, help="Use the first so many candidates only.")] = None,
    format: FormatOption = None,
    json: JsonFlag = False,
) -> None:
    """Show the nearest neighbors (cosine) of words among a vocabulary.

    \b
    Example:
      distillemb neighbors afro11 mwalimu ትምህርት --vocabulary words.txt
      distillemb neighbors my-encoder london flu --teacher teacher.npz -n 5
    """
    from ..evaluate.models import EmbeddingModel, nearest_words
    from ..evaluate.tables import format_table
    from ..teachers import load_teacher
    from ..text import normalize
    from .models import open_model

    models = [open_model(encoder, format=format)]
    if teacher is not None:
        models.append(EmbeddingModel.from_table(load_teacher(teacher, format=format)))
    candidates = _candidates(encoder, vocabulary, limit, [word for model in models for word in model.words])
    words = [word if word in known else normalize(word) for known in [set(candidates)] for word in words]
    _check_words(words, candidates)
    found = [nearest_words(model, words, candidates, n, progress=True) for model in models]
    if json:
        names = ("encoder", "teacher")
        print_json({word: {name: one[word] for name, one in zip(names, found, strict=False)} for word in words})
        return
    for i, word in enumerate(words):
        lists = [lists[word] for lists in found]
        rows = [[_cell(one, k) for one in lists] for k in range(max(map(len, lists)))] or [["(unknown)"] * len(lists)]
        head = [f"{word}  ({model.name})" if len(found) > 1 else word for model in models]
        typer.echo(("\n" if i else "") + format_table(head, rows, left=len(head)))


def _check_words(words: list[str], candidates: list[str]) -> None:
    """Refuse what is not a word: an encoder would compute a vector of it all the same, which means nothing."""
    from ..errors import DistillEmbError

    for word in words:
        if not word.strip():
            raise DistillEmbError("One of the words is empty: give words to look up.")
        if len(word.split()) > 1 and word not in candidates:
            raise DistillEmbError(f"{word!r} is more than one word: give each by itself, without quotation marks.")


def _cell(neighbors: list[tuple[str, float]], i: int) -> str:
    return f"{neighbors[i][1]:.3f}  {neighbors[i][0]}" if i < len(neighbors) else ""


def _candidates(encoder: str, vocabulary: Path | None, limit: int | None, table_words: list[str]) -> list[str]:
    if vocabulary is not None:
        from .words import read_words

        return read_words(vocabulary, limit)
    if table_words:
        return list(dict.fromkeys(table_words))[:limit]
    from ..errors import DistillEmbError
    from .models import stored_words

    stored = stored_words(encoder, "vocabulary")
    if stored is None:
        raise DistillEmbError(
            f"{encoder} has no word list of its own: add --vocabulary FILE (one word a line, or a .vec table)."
        )
    return stored[:limit]
