"""`distillemb evaluate`: students beside their teacher, as a table, JSON, or report.html."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import FormatOption, JsonFlag, command_line, print_json

if TYPE_CHECKING:
    from ..evaluate.evaluation import Tasks
    from ..evaluate.models import EmbeddingModel
    from ..teachers import Teacher

# The map of the report shows so many words of so many letters, without the most frequent ones, which are particles.
_MAP_WORDS, _MAP_LETTERS, _MAP_SKIP = 90, 3, 150


class Case(Enum):
    """What to do with capitals."""

    auto = "auto"
    lower = "lower"
    keep = "keep"


def evaluate_command(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Encoder directories, bundled names, hub ids, or tables. May be left out with --teacher."),
    ] = None,
    *,
    teacher: Annotated[Path | None, typer.Option("--teacher", "-t", help="The teacher's table.")] = None,
    fallback_table: Annotated[
        Path | None,
        typer.Option(help="A second table of the teacher, asked for words that the first lacks; only for scoring it."),
    ] = None,
    teacher_extra: Annotated[Path | None, typer.Option(hidden=True)] = None,  # the old name of --fallback-table
    similarity: Annotated[
        list[Path] | None,
        typer.Option("--similarity", "-s", help="Folder of pair files (word1 word2 score), or one file; repeatable."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option(help="Only these similarity sets (RG-65, 'EN-WS*'); repeatable.")
    ] = None,
    every_pair: Annotated[
        bool,
        typer.Option(
            "--every-pair/--known-pairs",
            help="Count a pair with an unknown word with similarity 0, or leave it out for all.",
        ),
    ] = True,
    analogies: Annotated[Path | None, typer.Option("--analogies", "-a", help="Analogies in gensim's format.")] = None,
    neighbors: Annotated[
        list[str] | None,
        typer.Option("--neighbors", "-w", help="Show this word's neighbors side by side; repeatable."),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            "--vocabulary",
            "-v",
            help="Candidates of analogies and neighbors: a word list or a table. Default: the teacher's words.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Use only the first so many words of the teacher or vocabulary as candidates."),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Words that the students were not trained on. Default: those stored with the encoder."),
    ] = None,
    case: Annotated[
        Case, typer.Option(help="Lower-case words: where a model knows no capitals (auto), always, never.")
    ] = Case.auto,
    format: FormatOption = None,
    report: Annotated[
        Path | None, typer.Option("--report", "-r", help="Write a self-contained HTML report here.")
    ] = None,
    map_words: Annotated[Path | None, typer.Option(help="Words for the report's map. Default: frequent ones.")] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Earlier output of --json, to stand in the report's plot; repeatable."),
    ] = None,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Measure words a second on one thread.")] = True,
    json: JsonFlag = False,
) -> None:
    """Score encoders (or tables) beside their teacher.

    Word similarity (Spearman, and what share of the teacher's mean is kept), analogies, nearest neighbors,
    retrieval of held-out words, size and speed. What has no option is left out.

    \b
    Example:
      distillemb evaluate my-encoder --teacher teacher.npz --similarity pairs/
      distillemb evaluate small large -t teacher.npz -s pairs/ -a analogies.txt -w london -r report.html
      distillemb evaluate --teacher teacher.npz --similarity pairs/ --json > teacher.json
    """
    from ..errors import DistillEmbError, require
    from ..evaluate.evaluation import evaluate
    from .words import read_words

    if not models and teacher is None:
        raise DistillEmbError("There is nothing to evaluate: name an encoder, or a table with --teacher.")
    if report is not None:
        require("matplotlib", "report")  # before minutes of work
    others = [_earlier(path) for path in compare or ()]
    lowercase = {Case.auto: None, Case.lower: True, Case.keep: False}[case]
    table, teacher_model = _teacher(teacher, fallback_table or teacher_extra, lowercase, format)
    students = _students(models or [], lowercase, format)
    tasks = _tasks(
        [word for student in students for word in student.words] if table is None else table.words,
        similarity=similarity or [],
        sets=sets or [],
        analogies=analogies,
        neighbors=neighbors or [],
        vocabulary=vocabulary,
        limit=limit,
    )
    tasks = replace(
        tasks,
        every_pair=every_pair,
        held_out=_held_out(students, models or [], read_words(held_out) if held_out else None),
        speed=speed,
        map_words=_map_words(map_words, tasks.vocabulary) if report else (),
    )
    result = evaluate(
        students,
        teacher_model,
        tasks,
        teacher_table=table.head(limit) if table and limit else table,
        progress=sys.stderr.isatty(),
    )
    if report is not None:
        from ..evaluate.report import write_report

        write_report(report, result, others=others, command=command_line())
    if json:
        print_json(result.to_dict())
        return
    from ..evaluate.tables import format_evaluation

    typer.echo(format_evaluation(result))
    if report is not None:
        typer.echo(f"\nReport: {report}")


def _teacher(
    path: Path | None, fallback: Path | None, lowercase: bool | None, format: str | None
) -> tuple[Teacher | None, EmbeddingModel | None]:
    from ..errors import DistillEmbError
    from ..evaluate.models import EmbeddingModel
    from ..teachers import load_teacher

    if path is None:
        if fallback is not None:
            raise DistillEmbError("--fallback-table completes a teacher: add --teacher TABLE.")
        return None, None
    table = load_teacher(path, format=format)
    other = load_teacher(fallback, format=format) if fallback else None
    return table, EmbeddingModel.from_table(table, other, lowercase)


def _students(names: list[str], lowercase: bool | None, format: str | None) -> list[EmbeddingModel]:
    """The students, under names that differ."""
    from .models import open_model

    students = [open_model(name, lowercase, format) for name in names]
    short = [student.name for student in students]
    return [
        replace(student, name=name) if short.count(student.name) > 1 else student
        for student, name in zip(students, names, strict=True)
    ]


def _tasks(
    table_words: Sequence[str],
    *,
    similarity: list[Path],
    sets: list[str],
    analogies: Path | None,
    neighbors: list[str],
    vocabulary: Path | None,
    limit: int | None,
) -> Tasks:
    from ..errors import DistillEmbError
    from ..evaluate.analogies import read_analogies
    from ..evaluate.evaluation import Tasks
    from ..evaluate.similarity import read_pair_sets
    from .words import read_words

    words = read_words(vocabulary, limit) if vocabulary else list(dict.fromkeys(table_words))[:limit]
    if not words and (analogies or neighbors):
        raise DistillEmbError(
            "Analogies and neighbors are sought among a vocabulary: add --vocabulary FILE or --teacher TABLE."
        )
    return Tasks(
        similarity=[one for path in similarity for one in read_pair_sets(path, sets)],
        analogies=read_analogies(analogies) if analogies else {},
        neighbors=list(dict.fromkeys(neighbors)),
        vocabulary=words,
    )


def _held_out(students: list[EmbeddingModel], models: list[str], given: list[str] | None) -> dict[str, list[str]]:
    """The held-out words of each student by its name: the given ones, or those stored with the encoder."""
    from .models import stored_words

    lists = {
        student.name: given or stored_words(model, "held_out") for student, model in zip(students, models, strict=True)
    }
    return {name: words for name, words in lists.items() if words}


def _map_words(path: Path | None, vocabulary: Sequence[str]) -> list[str]:
    """Words for the map: given ones, or frequent ones of some length."""
    from ..characters import is_mark
    from .words import read_words

    if path is not None:
        return read_words(path)
    distinct: dict[str, str] = {}
    for word in vocabulary[_MAP_SKIP:]:
        if len(word) >= _MAP_LETTERS and all(letter.isalpha() or is_mark(letter) for letter in word):
            distinct.setdefault(word.lower(), word)
        if len(distinct) == _MAP_WORDS:
            break
    return list(distinct.values())


def _earlier(path: Path) -> dict[str, Any]:
    from ..errors import DistillEmbError

    try:
        values = jsonlib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DistillEmbError(f"{path} is not JSON ({error}): give what distillemb evaluate --json wrote.") from error
    if not isinstance(values, dict) or not isinstance(values.get("students"), list):
        raise DistillEmbError(f"{path} is not an evaluation: give what distillemb evaluate --json wrote.")
    return values
