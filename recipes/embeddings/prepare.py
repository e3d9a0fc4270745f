"""Make what the systems read, in the working folder; what is there is not made again.

python recipes/embeddings/prepare.py all
python recipes/embeddings/prepare.py tables pos --language swa     # one step

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins import DistillEmb
from distillemb_plugins.data.sources import corpus_files
from distillemb_plugins.errors import require
from distillemb_plugins.files import atomic_directory, atomic_file, iter_lines
from distillemb_plugins.persistence import read_encoder
from distillemb_plugins.text import normalize, tokenize
from recipes.embeddings import systems as names
from recipes.embeddings.systems import ENCODER, FASTTEXT, PPMI_SVD, SYSTEMS, TABLES, WORK, source, table_path
from recipes.embeddings.tasks import TASKS, TEXT_TASKS, Languages
from recipes.results import DEFAULT_DATA, RAW_TEXT, Data, Work, check_choice, run_app

DIM, PPMI_SVD_DIM = 300, 200
FLORET_ROWS = 50_000
FLORET_SEED = 2166136261  # of floret's hashes; spaCy's own default is another one
EPOCHS = 3  # over the raw text, for fastText and floret alike
# compress-fasttext at about the encoder's bytes: three dimensions a code, and more n-grams than words.
KEPT_WORDS, KEPT_NGRAMS, CODES = 40_000, 60_000, 100
# 400,000 words of eleven languages: twice the default student's n-gram rows, and a codebook of the most frequent words.
DISTILLATION: dict[str, Any] = {
    "max_seconds": 600,
    "held_out": 2000,
    "sampling": "log",
    "encoder_args": {"buckets": 27_000, "ngram_dim": 72, "hidden": 768},
    "codebook_words": 100_000,
}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def train_fasttext(data: Path, work: Path, languages: Sequence[str] = RAW_TEXT, **settings: Any) -> Path:
    """Train fastText on all raw text of the languages: CBOW, 300 dimensions, n-grams of 4 and 5 characters."""
    from distillemb_plugins.teachers import train_teacher

    out = work / FASTTEXT
    if not out.is_file():
        work.mkdir(parents=True, exist_ok=True)
        given: dict[str, Any] = {"skipgram": False, "min_count": 5, "epochs": EPOCHS, "min_n": 4, "buckets": 200_000}
        given |= {"threads": 1, "resume": True} | settings
        train_teacher(corpus_files(data, sorted(languages)), out, "fasttext", **given)
    return out


def count_ppmi_svd(data: Path, work: Path, languages: Sequence[str] = RAW_TEXT, **settings: Any) -> Path:
    """Count the neighbors of each language's words, reduce them to 200 dimensions, and merge the tables."""
    from distillemb_plugins.teachers import train_by_language

    if (work / PPMI_SVD).is_file():
        return work / PPMI_SVD
    texts = {language: corpus_files(data, [language]) for language in sorted(languages)}
    return train_by_language(texts, work / PPMI_SVD, "ppmi-svd", **{"dim": PPMI_SVD_DIM, "min_count": 5} | settings)


def train_floret(data: Path, work: Path, languages: Sequence[str] = RAW_TEXT, **settings: Any) -> Path:
    """Train a floret table (Explosion 2021) on the same text with the same settings as fastText."""
    floret = require("floret", "recipes")
    out = work / names.FLORET
    if out.is_dir():
        return out
    given: dict[str, Any] = {"dim": DIM, "minn": 4, "maxn": 5, "minCount": 5, "epoch": EPOCHS, "bucket": FLORET_ROWS}
    # Its default of 12 threads: with fewer than ten, the library leaves part of the rows at zero before training.
    given |= {"hashCount": 2, "ws": 5, "neg": 5, "lr": 0.05, "t": 1e-4, "thread": 12, "verbose": 1} | settings
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        text = Path(folder) / "text.txt"
        with atomic_file(text, "w") as stream:  # cut into words as for a teacher
            lines = iter_lines(corpus_files(data, sorted(languages)))
            stream.writelines(" ".join(tokenize(normalize(line).replace("\0", " "))) + "\n" for line in lines)
        model = floret.train_unsupervised(str(text), model="cbow", mode="floret", **given)
    rows = model.get_input_matrix()[-given["bucket"] :]  # before them stand rows of words, which this mode never uses
    floret_keys = {"minn": given["minn"], "maxn": given["maxn"], "hash_count": given["hashCount"]}
    _save_vectors(out, np.array(rows, np.float32), mode="floret", hash_seed=FLORET_SEED, name="floret", **floret_keys)
    return out


def compress(work: Path, words: int = KEPT_WORDS, ngrams: int = KEPT_NGRAMS, codes: int = CODES, **more: Any) -> Path:
    """Compress fastText by compress-fasttext's ``prune_ft_freq`` (Dale 2021): product quantization, n-grams kept."""
    library = require("compress_fasttext", "recipes")
    gensim = require("gensim.models.fasttext", "train")
    out = work / names.COMPRESSED
    if not out.is_file():
        model = gensim.load_facebook_vectors(str(work / FASTTEXT))
        sizes = {"qdim": codes, "new_vocab_size": words, "new_ngrams_size": ngrams}
        small = library.prune_ft_freq(model, pq=True, **sizes, **more)
        with tempfile.TemporaryDirectory(dir=work) as folder:
            small.save(str(Path(folder) / "small.bin"))
            (Path(folder) / "small.bin").rename(out)
    return out


def distill_encoder(work: Path, teacher: str, name: str, limit: int | None = None, **settings: Any) -> Path:
    """Distill a teacher's words (the `limit` most frequent, else all) into one encoder of all languages."""
    from distillemb_plugins.distill import DistillSettings, distill
    from distillemb_plugins.teachers import load_teacher

    out = work / name
    if not out.is_dir():
        taught = load_teacher(work / teacher, limit=limit)
        distill([taught], out, DistillSettings(**DISTILLATION | settings), resume=True)
    return out


def random_encoder(work: Path, seed: int = 0) -> Path:
    """The encoder's twin: the same architecture and characters, weights drawn anew, no codebook of words."""
    from distillemb_plugins import finetune

    out = work / names.RANDOM
    if not out.is_dir():
        DistillEmb(finetune.random_encoder(read_encoder(work / ENCODER), seed)).save_pretrained(out)
    return out


def write_tables(task: str, words: Mapping[str, set[str]], systems: Sequence[str], work: Path) -> None:
    """Write the vectors that systems have of a task's words, by language, as spaCy pipelines without components.

    Words that the task does not hold are left out: they change nothing, and every checkpoint copies the table. The
    words are those of all splits; vectors of unseen words are computed as the system's own library does.
    """
    for system in systems:
        paths = {language: table_path(system, task, language, work) for language in words}
        missing = [language for language, path in paths.items() if not path.is_dir()]
        opened = SYSTEMS[system].lookup
        if missing and opened is not None:
            lookup = opened(source(system, work))  # each model is read once
            for language in missing:
                wanted = sorted(words[language])
                rows, found = lookup(wanted)
                known = [word for word, has in zip(wanted, found, strict=True) if has]
                _save_vectors(paths[language], rows[found], known, name=system)


def _save_vectors(out: Path, rows: Any, keys: Sequence[str] = (), **settings: Any) -> None:
    import spacy
    from spacy.vectors import Vectors

    nlp = spacy.blank("xx")
    if keys:
        settings["keys"] = [nlp.vocab.strings.add(key) for key in keys]
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=rows, **settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(out) as folder:
        nlp.to_disk(folder)


def encoders(work: Path) -> None:
    """Distill both teachers, and draw the random encoder."""
    distill_encoder(work, FASTTEXT, ENCODER)
    distill_encoder(work, PPMI_SVD, names.PPMI_SVD_ENCODER)
    random_encoder(work)


def tables(tasks: Sequence[str], languages: Sequence[str], systems: Sequence[str], data: Path, work: Path) -> None:
    """Write the tables of the tasks' words; of all tasks, of all their languages and systems unless some are named."""
    check_choice("system", systems, TABLES, "The table model has")
    for task in tasks or TASKS:
        used = systems or (["static"] if task in TEXT_TASKS else TABLES)
        named = [language for language in TASKS[task].languages if not languages or language in languages]
        missing = [one for one in named if not all(table_path(s, task, one, work).is_dir() for s in used)]
        write_tables(task, {language: TASKS[task].words(data, language) for language in missing}, used, work)


@app.command(help=__doc__)
def prepare(
    step: Annotated[str, typer.Argument(help="One of the steps above, or all.")],
    task: Annotated[list[str] | None, typer.Argument(help="Of the tables: which tasks; all if not given.")] = None,
    language: Languages = [],
    system: Annotated[list[str], typer.Option(help="Of the tables: which systems; those that the task uses.")] = [],
    data: Data = DEFAULT_DATA,
    work: Work = WORK,
) -> None:
    """Make what the systems read."""
    steps = {
        "fasttext": lambda: train_fasttext(data, work),
        "ppmi_svd": lambda: count_ppmi_svd(data, work),
        "floret": lambda: train_floret(data, work),
        "compressed": lambda: compress(work),
        "encoders": lambda: encoders(work),
        "tables": lambda: tables(task or [], language, system, data, work),
    }
    check_choice("step", [step], [*steps, "all"])
    for one in steps if step == "all" else [step]:
        steps[one]()


if __name__ == "__main__":
    run_app(app)
