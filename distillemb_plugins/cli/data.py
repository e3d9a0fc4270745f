"""`distillemb data`: public raw text and task files, listed and fetched."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .guard import interrupt_hint
from .output import JsonFlag, print_json


def data_command(
    action: Annotated[Literal["list", "fetch"], typer.Argument(help="What to do.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Corpora, such as ntrex or OPEN.ntrex. Default: all.")
    ] = None,
    *,
    license: Annotated[
        list[str] | None,
        typer.Option(help="OPEN, CLAIMED, NC, UNSTATED, RELIG or all; repeatable. Default: OPEN.", show_default=False),
    ] = None,
    language: Annotated[list[str] | None, typer.Option(help="A language code, such as swa; repeatable.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Data folder to write.")] = Path("data"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the downloads. Default: the user's cache.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="A server to ask instead of GitHub's, with the same paths.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """List public raw text, or fetch it: a sentence or paragraph a line, in corpora/LANGUAGE/NAME.txt.xz.

    \b
    Example:
      distillemb data list --license all --language swa
      distillemb data fetch -o data
      distillemb data fetch ntrex tico19 --language swa --language yor

    What is downloaded is verified. Lines that are like dev or test sentences of the tasks are left out. For this the
    task files are fetched too, into tasks/; they have licenses of their own. After a cut, the same command goes on. A
    file that is gone from its source does not stop the others; at the end it is said what is missing.
    sources.json says what each text was made from; `--source data/corpora` brings that into a model card.
    """
    classes = _classes(license)
    if action == "list":
        _list(classes, language or (), names or (), json)
        return

    from ..data.downloads import Downloads
    from ..data.fetch import IncompleteError, fetch

    interrupt_hint("what was downloaded is kept; run the same command again to go on.")
    given: dict[str, Any] = {"folder": cache} if cache else {}
    given |= {"files": mirror.rstrip("/"), "archives": mirror.rstrip("/")} if mirror else {}
    downloads = Downloads(progress=sys.stderr.isatty(), **given)
    incomplete = None
    try:
        made = fetch(out, classes=classes, languages=language or (), names=names or (), downloads=downloads)
    except IncompleteError as error:
        made, incomplete = error.made, error
    _tell(made, json)
    if incomplete:
        for place, why in incomplete.missing.items():
            typer.echo(f"missing: {out / place}: {why}", err=True)
        raise incomplete
    if not json:
        typer.echo(f"Next: distillemb teach {out}/corpora/*/*.txt.xz -o teacher.npz")


def _tell(made: Mapping[str, Any], json: bool) -> None:
    if json:
        print_json(made)
        return
    for key, entry in made.items():
        left_out = f"{entry['like_task_sentences']:,} lines like dev or test sentences left out"
        typer.echo(f"{key}: {entry['lines']:,} lines, {entry['words']:,} words; {left_out}")


def _list(classes: Sequence[str], languages: Sequence[str], names: Sequence[str], json: bool) -> None:
    from ..data.public_sources import public_corpora

    found = public_corpora(classes, languages, names)
    if json:
        print_json([{"name": s.name, "languages": list(s.files), "license": s.license, "url": s.url} for s in found])
        return
    width = max(len(source.name) for source in found)
    for source in found:
        where = source.repository and f"{source.repository}@{source.revision[:7]}"
        about = (where or "not found", source.license or "no license stated", " ".join(source.files))
        typer.echo(f"{source.name:{width}}  {'; '.join(about)}")


def _classes(given: list[str] | None) -> tuple[str, ...]:
    from ..data.public_sources import LICENSE_CLASSES
    from ..errors import DistillEmbError

    wanted = [name.upper() for name in given or ["OPEN"]]
    if unknown := set(wanted) - {*LICENSE_CLASSES, "ALL"}:
        known = ", ".join(LICENSE_CLASSES)
        raise DistillEmbError(f"--license {unknown.pop()} is no class of licenses: write one of {known}, or all.")
    return LICENSE_CLASSES if "ALL" in wanted else tuple(wanted)
