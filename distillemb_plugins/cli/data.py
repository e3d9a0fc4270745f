"""`distillemb data`: public raw text and task files, listed and fetched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .guard import interrupt_hint
from .output import JsonFlag, print_json

data_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Public raw text and task files: list them, fetch them."
)

LicenseOption = Annotated[
    list[str] | None,
    typer.Option("--license", help="OPEN, CLAIMED, NC, UNSTATED, RELIG or all; repeatable.", show_default="OPEN"),
]
LanguageOption = Annotated[list[str] | None, typer.Option("--language", help="A language code; repeatable.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="Corpora, such as OPEN.ntrex or ntrex. Default: all.")]


@data_app.command("list")
def list_command(
    names: NamesArgument = None,
    *,
    license: LicenseOption = None,
    language: LanguageOption = None,
    json: JsonFlag = False,
) -> None:
    """List the public corpora: languages, license, and the commit they are read from.

    \b
    Example:
      distillemb data list
      distillemb data list --license all --language swa
    """
    from ..data.public_sources import public_corpora

    found = public_corpora(_classes(license), language or (), names or ())
    if json:
        print_json([{"name": s.name, "languages": list(s.files), "license": s.license, "url": s.url} for s in found])
        return
    width = max(len(source.name) for source in found)
    for source in found:
        where = source.repository and f"{source.repository}@{source.revision[:7]}"
        about = "  ".join((where or "not found", source.license or "no license stated", " ".join(source.files)))
        typer.echo(f"{source.name:{width}}  {about}")


@data_app.command("fetch")
def fetch_command(
    names: NamesArgument = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Data folder to write: corpora/ and tasks/.")],
    license: LicenseOption = None,
    language: LanguageOption = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the downloads. Default: the user's cache.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="A server to ask instead of GitHub, with the same paths.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Download public text, verify it, and make corpora/LANGUAGE/NAME.txt.xz: a sentence or paragraph a line.

    \b
    Example:
      distillemb data fetch -o data
      distillemb data fetch -o data --language swa --language yor
      distillemb data fetch ntrex tico19 -o data

    The dev and test sentences of the tasks are left out of the text. For this the task files are fetched too, into
    tasks/; their licenses are their own (distillemb data list shows those of the text). The same command goes on after a
    cut. What is done already is not done again. corpora/sources.json says what each file was made from; with
    --source data/corpora that comes into a model card.
    """
    from ..data.downloads import Downloads
    from ..data.fetch import fetch

    interrupt_hint("what was downloaded is kept; run the same command again to go on.")
    given: dict[str, Any] = {"folder": cache} if cache else {}
    given |= {"files": mirror.rstrip("/"), "archives": mirror.rstrip("/")} if mirror else {}
    downloads = Downloads(progress=sys.stderr.isatty(), **given)
    made = fetch(out, classes=_classes(license), languages=language or (), names=names or (), downloads=downloads)
    if json:
        print_json(made)
        return
    for key, entry in made.items():
        typer.echo(
            f"{key}: {entry['lines']:,} lines, {entry['words']:,} words; "
            f"{entry['like_task_sentences']:,} like dev or test sentences left out"
        )
    typer.echo(f"Next: distillemb teach {out}/corpora/*/*.txt.xz -o teacher.npz")


def _classes(given: list[str] | None) -> tuple[str, ...]:
    """The license classes that were asked for."""
    from ..data.public_sources import LICENSE_CLASSES
    from ..errors import DistillEmbError

    wanted = [name.upper() for name in given or ["OPEN"]]
    if unknown := set(wanted) - {*LICENSE_CLASSES, "ALL"}:
        known = ", ".join(LICENSE_CLASSES)
        raise DistillEmbError(f"--license {unknown.pop()} is no class of licenses: write one of {known}, or all.")
    return LICENSE_CLASSES if "ALL" in wanted else tuple(wanted)
