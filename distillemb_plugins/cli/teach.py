"""`distillemb teach`: train a teacher table from raw text."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DistillEmbError
from ..teachers.amount import MIN_WORDS
from ..teachers.settings import Algorithm, unread_settings
from .guard import interrupt_hint
from .output import JsonFlag, StorageName, print_json, refuse_unread

_FITTED = "Default: fitted to the text."


def teach_command(
    context: typer.Context,
    texts: Annotated[list[Path], typer.Argument(help="Raw text files, plain or .gz/.xz/.bz2, of any size.")],
    *,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Table to write: .npz, .safetensors or .vec; .bin keeps fastText's n-grams."),
    ],
    algorithm: Annotated[Algorithm, typer.Option("--algorithm", "-a", help="What to train.")] = "fasttext",
    dim: Annotated[int, typer.Option(help="Width of a vector.")] = 300,
    window: Annotated[
        int | None, typer.Option(help="Words of context on each side; default 5, for ppmi-svd 2.", show_default=False)
    ] = None,
    negative: Annotated[int, typer.Option(help="Negative samples.")] = 5,
    min_count: Annotated[int | None, typer.Option(help=f"Leave out words that occur less often. {_FITTED}")] = None,
    epochs: Annotated[int | None, typer.Option(help=f"Passes over the text. {_FITTED}")] = None,
    skipgram: Annotated[
        bool | None,
        typer.Option("--skipgram/--cbow", help=f"Skip-gram: about four times slower, often better. {_FITTED}"),
    ] = None,
    min_n: Annotated[int | None, typer.Option(help=f"Shortest character n-gram (fasttext). {_FITTED}")] = None,
    max_n: Annotated[int, typer.Option(help="Longest character n-gram (fasttext).")] = 5,
    buckets: Annotated[
        int | None, typer.Option(help=f"Rows that the n-grams are hashed into (fasttext). {_FITTED}")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Learning rate at the start.")] = 0.05,
    sample: Annotated[float, typer.Option(help="Threshold above which frequent words are thinned out.")] = 1e-4,
    limit: Annotated[int | None, typer.Option(help="Keep the most frequent so many words.")] = None,
    contexts: Annotated[int, typer.Option(help="Most frequent words told apart as neighbors (ppmi-svd).")] = 5000,
    storage: Annotated[StorageName, typer.Option(help="Numbers of an .npz or .safetensors table.")] = "float32",
    min_words: Annotated[int, typer.Option(help="Refuse a text of fewer words.")] = MIN_WORDS,
    threads: Annotated[int | None, typer.Option(help="Threads; all when not given.")] = None,
    seed: Annotated[int, typer.Option(help="With one thread, the same seed gives the same table.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from an interrupted run's checkpoint.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what stands at --out, and forget an interrupted run.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Train a fastText, word2vec or PPMI-SVD table on raw text. Files are streamed.

    Sizes and passes are fitted to the number of words where they are not given: with little text more passes,
    skip-gram, and rarer words kept. Very little text is refused.

    \b
    Example:
      distillemb teach corpus.txt.xz more/*.txt -o teacher.npz
      distillemb teach corpus.txt --algorithm word2vec --epochs 10 -o teacher-w2v.npz
      distillemb teach corpus.txt --algorithm ppmi-svd -o teacher-svd.npz
    """
    from ..teachers import load_teacher, train_teacher

    refuse_unread(context, unread_settings(algorithm), f"{algorithm} does not read it")
    if storage != "float32" and out.suffix.lower() not in (".npz", ".safetensors"):
        raise DistillEmbError(f"--storage does nothing for {out.name}: write .npz or .safetensors, or leave it out.")
    interrupt_hint(f"the work so far is kept in {out}.work; run the same command with --resume to go on.")
    start = time.monotonic()
    given = {name: value for name, value in context.params.items() if name not in ("texts", "out", "algorithm", "json")}
    say = None if json else typer.echo
    train_teacher(texts, out, algorithm, **given, progress=sys.stderr.isatty(), say=say)
    seconds = time.monotonic() - start
    table = load_teacher(out)
    size = out.stat().st_size
    if json:
        print_json({"out": out, "words": len(table), "dim": table.dim, "bytes": size, "seconds": round(seconds, 2)})
    else:
        typer.echo(f"{out}: {len(table):,} words, {table.dim} dimensions, in {seconds:.0f} s.")
        typer.echo(f"Next: distillemb distill {out} -o my-encoder")
