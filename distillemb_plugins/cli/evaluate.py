"""`distillemb evaluate`: students beside their teacher, as a table, JSON, or report.html."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from .completion import encoders
from .output import FormatOption, JsonFlag, LimitOption, VocabularyOption, command_line, print_json, refuse_unread

if TYPE_CHECKING:
    from ..evaluate.models import EmbeddingModel

# The map of the report shows so many words of so many letters, without the most frequent ones, which are particles.
_MAP_WORDS, _MAP_LETTERS, _MAP_SKIP = 90, 3, 150


def evaluate_command(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        Argument(
            help="Encoder directories, bundled names, hub ids, or tables. May be left out with --teacher.",
            autocompletion=encoders,
        ),
    ] = None,
    *,
    teacher: Annotated[Path | None, Option("--teacher", "-t", help="The teacher's table.")] = None,
    fallback_table: Annotated[
        Path | None, Option(help="A second table, asked for words that the teacher's lacks; only for scoring it.")
    ] = None,
    similarity: Annotated[
        list[Path] | None, Option("--similarity", "-s", help="Pair files (word1 word2 score) or folders; repeatable.")
    ] = None,
    sets: Annotated[list[str] | None, Option(help="Only these similarity sets (RG-65, 'EN-WS*'); repeatable.")] = None,
    every_pair: Annotated[
        bool, Option("--every-pair/--known-pairs", help="A pair with an unknown word counts as 0, or not at all.")
    ] = True,
    analogies: Annotated[Path | None, Option("--analogies", "-a", help="Analogies in gensim's format.")] = None,
    neighbors: Annotated[
        list[str] | None, Option("--neighbors", "-w", help="Show this word's neighbors side by side; repeatable.")
    ] = None,
    vocabulary: VocabularyOption = None,
    limit: LimitOption = None,
    held_out: Annotated[
        Path | None, Option(help="Words that no student was trained on. Default: those stored with the encoder.")
    ] = None,
    case: Annotated[
        Literal["auto", "lower", "keep"],
        Option(help="Lower-case words: where a model knows no capitals (auto), always, never."),
    ] = "auto",
    format: FormatOption = None,
    report: Annotated[Path | None, Option("--report", "-r", help="Write a self-contained HTML report here.")] = None,
    map_words: Annotated[Path | None, Option(help="Words for the report's map. Default: frequent ones.")] = None,
    compare: Annotated[
        list[Path] | None, Option(help="Earlier output of --json, to stand in the report's plot; repeatable.")
    ] = None,
    speed: Annotated[bool, Option("--speed/--no-speed", help="Measure words a second on one thread.")] = True,
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
    from ..evaluate.analogies import read_analogies
    from ..evaluate.evaluation import Tasks, evaluate
    from ..evaluate.models import EmbeddingModel
    from ..evaluate.report import write_report
    from ..evaluate.similarity import read_pair_sets
    from ..evaluate.tables import format_evaluation
    from ..teachers import load_teacher
    from .words import read_words, stored_words

    if not models and teacher is None:
        raise DistillEmbError("There is nothing to evaluate: name an encoder, or a table with --teacher.")
    if fallback_table is not None and teacher is None:
        raise DistillEmbError("--fallback-table completes a teacher: add --teacher TABLE.")
    # What can be wrong is told before tables are read.
    if report is None:
        refuse_unread(context, ("compare", "map_words"), "it is for the report: add --report FILE")
    else:
        require("matplotlib", "report")
        require("sklearn", "report")
    if sets and not similarity:
        raise DistillEmbError("--sets chooses among similarity sets: add --similarity FILE or a folder of them.")
    others = [_earlier(path) for path in compare or ()]
    pair_sets = [one for path in similarity or () for one in read_pair_sets(path, sets or ())]
    asked = read_analogies(analogies) if analogies else {}
    given = read_words(held_out) if held_out else None
    lowercase = {"auto": None, "lower": True, "keep": False}[case]
    table = load_teacher(teacher, format=format) if teacher else None
    more = load_teacher(fallback_table, format=format) if fallback_table else None
    teacher_model = None if table is None else EmbeddingModel.from_table(table, more, lowercase)
    students = _students(models or [], lowercase, format)
    frequent = [word for student in students for word in student.words] if table is None else table.words
    words = read_words(vocabulary, limit) if vocabulary else list(dict.fromkeys(frequent))[:limit]
    if not words and (analogies or neighbors):
        raise DistillEmbError(
            "Analogies and neighbors are sought among a vocabulary: add --vocabulary FILE or --teacher TABLE."
        )
    unseen = {
        one.name: given or stored_words(name, "held_out") for one, name in zip(students, models or (), strict=True)
    }
    tasks = Tasks(
        similarity=pair_sets,
        every_pair=every_pair,
        analogies=asked,
        neighbors=list(dict.fromkeys(neighbors or ())),
        vocabulary=words,
        held_out={name: some for name, some in unseen.items() if some},
        map_words=(read_words(map_words) if map_words else _map_words(words)) if report else (),
        speed=speed,
    )
    result = evaluate(
        students,
        teacher_model,
        tasks,
        teacher_table=table.head(limit) if table and limit else table,
        progress=sys.stderr.isatty(),
    )
    if report is not None:
        write_report(report, result, others=others, command=command_line())
    if json:
        print_json(result.to_dict())
    else:
        typer.echo(format_evaluation(result) + (f"\n\nReport: {report}" if report else ""))


def _students(names: list[str], lowercase: bool | None, format: str | None) -> list[EmbeddingModel]:
    """The students, under names that differ."""
    from .words import open_model

    students = [open_model(name, lowercase, format) for name in names]
    short = [student.name for student in students]
    return [
        replace(student, name=name) if short.count(student.name) > 1 else student
        for student, name in zip(students, names, strict=True)
    ]


def _map_words(vocabulary: Sequence[str]) -> list[str]:
    """Frequent words of some length."""
    from ..characters import is_mark

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
