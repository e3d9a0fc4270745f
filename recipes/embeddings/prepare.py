"""Make what the systems read, in the working folder; what is there is not made again.

python recipes/embeddings/prepare.py all
python recipes/embeddings/prepare.py floret     # one step

fasttext     fastText on the raw text of eleven languages: a teacher, and the table of the system `static`
ppmi_svd     PPMI-SVD of each language's text, merged: the other teacher, and the table of `static-ppmi_svd`
floret       a floret table of 50,000 rows, trained on the same text
compressed   fastText after compress-fasttext, at about the encoders' bytes
encoders     an encoder distilled from each teacher, and one with random weights
tables       what the systems with tables have of the words of a task
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import srsly
import typer
from spacy.vectors import Vectors

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins import DistillEmb, finetune
from distillemb_plugins.data import corpus_files
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.errors import require
from distillemb_plugins.files import atomic_directory
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.teachers import load_teacher, train_by_language, train_teacher
from distillemb_plugins.text import read_tokens
from recipes.embeddings import grid
from recipes.embeddings.grid import ENCODER, FASTTEXT, PPMI_SVD, TABLES, TASKS, Task, source, table_path
from recipes.results import DEFAULT_DATA, RAW_TEXT, Data, Row, Work, check_choice, run_app

FLORET_SEED = 2166136261  # of floret's hashes; spaCy's own default is another one
MADE: dict[str, Row] = srsly.read_yaml(grid.HERE / "prepare.yml")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def train_fasttext(data: Path, work: Path, languages: Sequence[str] = RAW_TEXT, **settings: Any) -> None:
    """Train fastText on all raw text of the languages: CBOW, 300 dimensions, n-grams of 4 and 5 characters."""
    files = corpus_files(data, sorted(languages))
    train_teacher(files, work / FASTTEXT, "fasttext", resume=True, **MADE["fasttext"] | settings)


def count_ppmi_svd(data: Path, work: Path, languages: Sequence[str] = RAW_TEXT, **settings: Any) -> None:
    """Count the neighbors of each language's words, reduce them to 200 dimensions, and merge the tables."""
    texts = {language: corpus_files(data, [language]) for language in sorted(languages)}
    train_by_language(texts, work / PPMI_SVD, "ppmi-svd", **MADE["ppmi_svd"] | settings)


def train_floret(data: Path, work: Path, languages: Sequence[str] = RAW_TEXT, **settings: Any) -> None:
    """Train a floret table (Explosion 2021) on the same text with the same settings as fastText."""
    floret = require("floret", "recipes")
    given = MADE["floret"] | settings
    with tempfile.TemporaryDirectory(dir=work) as folder:
        text = Path(folder) / "text.txt"
        with text.open("w", encoding="utf-8") as stream:  # cut into words as for a teacher
            stream.writelines(f"{' '.join(tokens)}\n" for tokens in read_tokens(corpus_files(data, sorted(languages))))
        model = floret.train_unsupervised(str(text), model="cbow", mode="floret", **given)
    rows = model.get_input_matrix()[-given["bucket"] :]  # before them stand rows of words, which this mode never uses
    keys = {"minn": given["minn"], "maxn": given["maxn"], "hash_count": given["hashCount"], "hash_seed": FLORET_SEED}
    _save_vectors(work / grid.FLORET, np.array(rows, np.float32), mode="floret", name="floret", **keys)


def compress(work: Path, **settings: Any) -> None:
    """Compress fastText by compress-fasttext's ``prune_ft_freq`` (Dale 2021): product quantization, n-grams kept."""
    library, gensim = require("compress_fasttext", "recipes"), require("gensim.models.fasttext", "train")
    model = gensim.load_facebook_vectors(str(work / FASTTEXT))
    small = library.prune_ft_freq(model, pq=True, **MADE["compressed"] | settings)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        small.save(str(Path(folder) / "small.bin"))
        (Path(folder) / "small.bin").rename(work / grid.COMPRESSED)


def distill_encoder(work: Path, teacher: str, name: str, limit: int | None = None, **settings: Any) -> None:
    """Distill a teacher's words (the `limit` most frequent, else all) into one encoder of all languages."""
    taught = load_teacher(work / teacher, limit=limit)
    distill([taught], work / name, DistillSettings(**MADE["encoders"] | settings), resume=True)


def random_encoder(work: Path, seed: int = 0) -> None:
    """The encoder's twin: the same architecture and characters, weights drawn anew, no codebook of words."""
    DistillEmb(finetune.random_encoder(read_encoder(work / ENCODER), seed)).save_pretrained(work / grid.RANDOM)


def write_tables(
    tasks: Iterable[Task], data: Path, work: Path, languages: Sequence[str] = (), systems: Sequence[str] = ()
) -> None:
    """Write the vectors that systems have of tasks' words, by language, as spaCy pipelines without components.

    Words that the task does not hold are left out: they change nothing, and every checkpoint copies the table. The
    words are those of all splits; vectors of unseen words are computed as the system's own library does.
    """
    for task in tasks:
        for system in systems or [one for one in TABLES if any(one in names for names in task.models.values())]:
            outs = {one: table_path(system, task.name, one, work) for one in languages or task.languages}
            if missing := {language: out for language, out in outs.items() if not out.is_dir()}:
                table = grid.OPENERS[system](source(system, work))  # each is read once
                for language, out in missing.items():
                    known = table.with_words(sorted(task.words(data, language)))
                    _save_vectors(out, known.vectors, known.words, name=system)


def _save_vectors(out: Path, rows: Any, keys: Sequence[str] = (), **settings: Any) -> None:
    nlp = spacy.blank("xx")
    if keys:
        settings["keys"] = [nlp.vocab.strings.add(key) for key in keys]
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=rows, **settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(out) as folder:
        nlp.to_disk(folder)


@app.command(help=__doc__)
def prepare(
    step: Annotated[str, typer.Argument(help="One of the steps above, or all.")],
    data: Data = DEFAULT_DATA,
    work: Work = grid.WORK,
) -> None:
    made: dict[tuple[str, str], Callable[[], object]] = {  # by step: what is made, unless it is there, and how
        ("fasttext", FASTTEXT): lambda: train_fasttext(data, work),
        ("ppmi_svd", PPMI_SVD): lambda: count_ppmi_svd(data, work),
        ("floret", grid.FLORET): lambda: train_floret(data, work),
        ("compressed", grid.COMPRESSED): lambda: compress(work),
        ("encoders", ENCODER): lambda: distill_encoder(work, FASTTEXT, ENCODER),
        ("encoders", grid.PPMI_SVD_ENCODER): lambda: distill_encoder(work, PPMI_SVD, grid.PPMI_SVD_ENCODER),
        ("encoders", grid.RANDOM): lambda: random_encoder(work),
        ("tables", ""): lambda: write_tables(TASKS.values(), data, work),
    }
    check_choice("step", [step], [*dict.fromkeys(name for name, _ in made), "all"])
    work.mkdir(parents=True, exist_ok=True)
    for (name, out), make in made.items():
        if step in (name, "all") and not (out and (work / out).exists()):
            make()


if __name__ == "__main__":
    run_app(app)
