"""`distillemb neighbors`: the nearest words, of one model or side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .completion import encoders
from .output import FormatOption, JsonFlag, LimitOption, VocabularyOption, print_json


def neighbors_command(
    encoder: Annotated[
        str,
        typer.Argument(help="Encoder directory, bundled name (afro11), hub id, or a table.", autocompletion=encoders),
    ],
    words: Annotated[list[str], typer.Argument(help="Words to look up; any word will do.")],
    *,
    vocabulary: VocabularyOption = None,
    teacher: Annotated[Path | None, typer.Option("--teacher", "-t", help="Show this table's neighbors beside.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Neighbors of each word.")] = 10,
    limit: LimitOption = None,
    format: FormatOption = None,
    json: JsonFlag = False,
) -> None:
    """Show the nearest neighbors (cosine) of words among a vocabulary.

    Without --vocabulary and tables it is the list stored with the encoder.

    \b
    Example:
      distillemb neighbors afro11 mwalimu ትምህርት --vocabulary words.txt
      distillemb neighbors my-encoder london flu --teacher teacher.npz -n 5
    """
    from ..errors import DistillEmbError
    from ..evaluate.models import EmbeddingModel, nearest_words
    from ..evaluate.tables import neighbor_table
    from ..teachers import load_teacher
    from ..text import normalize
    from .words import open_model, read_words, stored_words

    models = [open_model(encoder, format=format)]
    if teacher is not None:
        models.append(EmbeddingModel.from_table(load_teacher(teacher, format=format)))
    if vocabulary is not None:
        candidates = read_words(vocabulary, limit)
    else:
        own = list(dict.fromkeys(word for model in models for word in model.words))
        candidates = own or stored_words(encoder, "vocabulary") or []
    if not candidates:
        raise DistillEmbError(
            f"{encoder} has no word list of its own: add --vocabulary FILE (one word a line, or a .vec table)."
        )
    candidates = candidates[:limit]
    spelled = set(candidates)
    words = [word if word in spelled else normalize(word) for word in words]
    for word in words:  # an encoder would compute a vector of anything, which means nothing
        if not word.strip():
            raise DistillEmbError("One of the words is empty: give words to look up.")
        if len(word.split()) > 1 and word not in spelled:
            raise DistillEmbError(f"{word!r} is more than one word: give each by itself, without quotation marks.")
    found = [nearest_words(model, words, candidates, n, progress=True) for model in models]
    if json:
        names = ("encoder", "teacher")
        print_json({word: {name: one[word] for name, one in zip(names, found, strict=False)} for word in words})
        return
    for i, word in enumerate(words):
        head = [f"{word}  ({model.name})" if len(found) > 1 else word for model in models]
        table = neighbor_table(head, [lists[word] for lists in found], "{1:.3f}  {0}")
        typer.echo(("\n" if i else "") + table)
