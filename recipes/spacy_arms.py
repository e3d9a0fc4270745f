"""spaCy pipelines that differ in the embedding alone: the arms, what they read, and one training run.

A recipe gives a config whose ``tok2vec`` component embeds words with ``spacy.MultiHashEmbed.v2``; that is the arm
`hash`. Every other arm adds one thing beside the same hashed attributes:

    static       fastText's vectors, those of unseen words from its n-grams
    floret       the vectors of a floret table of 50,000 rows, trained on the same text
    compressed   fastText's vectors after compress-fasttext (frequency pruning, product quantisation), n-grams kept
    random       an encoder of the same architecture with random weights, trained with the pipeline
    frozen       the distilled encoder's vectors
    finetuned    the distilled encoder, trained with the pipeline

Three more stand on another teacher, counted from the same text in place of fastText (PPMI over positional contexts,
SVD; see `distillemb_plugins.teachers.ppmi_svd`):

    static-svd     the counted table itself
    frozen-svd     the vectors of an encoder that is distilled from it
    finetuned-svd  that encoder, trained with the pipeline

Everything is built once into a working folder: `teach`, `count`, `train_floret`, `compress`, `distill_encoder`,
`random_encoder`, and `word_tables` for the words of a task. What is there is not built again.
"""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from distillemb_plugins.errors import DistillEmbError, require
from distillemb_plugins.files import atomic_directory, atomic_file, iter_lines
from distillemb_plugins.spacy_plugin.training import numpy_matmul as numpy_products
from distillemb_plugins.spacy_plugin.training import train_pipeline
from recipes.common import DEFAULT_DATA, ROOT, corpus_files

if TYPE_CHECKING:
    from confection import Config

__all__ = ["numpy_products", "train_pipeline"]
ARMS = (
    *("hash", "static", "floret", "compressed", "random", "frozen", "finetuned"),
    *("static-svd", "frozen-svd", "finetuned-svd"),
)
TABLE_ARMS = ("static", "floret", "compressed", "static-svd")
# Which encoder an arm reads; each has a directory of its own.
ENCODER_OF = {
    "random": "random",
    "frozen": "fasttext",
    "finetuned": "fasttext",
    "frozen-svd": "svd",
    "finetuned-svd": "svd",
}
ENCODERS = {"fasttext": "afro11-encoder", "random": "afro11-random", "svd": "afro11-svd-encoder"}
LANGUAGES = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "tir", "wol", "yor")
WORK = ROOT / "recipes" / "ner" / "training"
DIM, SVD_DIM = 300, 200
FLORET_ROWS = 50_000
FLORET_SEED = 2166136261  # of floret's hashes; spaCy's own default is another one
EPOCHS = 3  # over the raw text, for fastText and floret alike
# compress-fasttext at about the encoder's bytes: three dimensions a code, and more n-grams than words.
KEPT_WORDS, KEPT_NGRAMS, CODES = 40_000, 60_000, 100
# 400,000 words of eleven languages: twice the default student's n-gram rows, and a memory of the most frequent words.
ENCODER: dict[str, Any] = {
    "max_seconds": 600,
    "held_out": 2000,
    "sampling": "log",
    "encoder_args": {"buckets": 27_000, "ngram_dim": 72, "hidden": 768},
    "memory_words": 100_000,
}
# How the encoder learns in a pipeline; chosen for NER on dev (recipes/embeddings/README.md), other tasks override it.
FINETUNE: dict[str, Any] = {"grad_factor": 0.1, "dropout": 0.0}
FINETUNE_SVD: dict[str, Any] = {**FINETUNE, "grad_factor": 0.3}

Floats = NDArray[np.float32]
Lookup = Callable[[Sequence[str]], tuple[Floats, NDArray[np.bool_]]]


def teacher_path(work: Path = WORK) -> Path:
    """fastText's ``.bin``, n-grams included: the teacher of the encoder and the table of the arm `static`."""
    return work / "afro11-fasttext.bin"


def counted_path(work: Path = WORK) -> Path:
    """The counted table of all languages: the other teacher, and the table of the arm `static-svd`."""
    return work / "afro11-svd.npz"


def floret_path(work: Path = WORK) -> Path:
    """A spaCy pipeline without components that holds the floret table."""
    return work / "afro11-floret"


def compressed_path(work: Path = WORK) -> Path:
    """The compressed fastText model, in compress-fasttext's own format."""
    return work / "afro11-compressed.bin"


def encoder_path(work: Path = WORK, kind: str = "fasttext") -> Path:
    """The directory of an encoder: distilled from ``"fasttext"`` or from the counted table (``"svd"``), or with
    weights drawn at ``"random"``.
    """
    return work / ENCODERS[kind]


def table_path(arm: str, name: str, work: Path = WORK) -> Path:
    """A spaCy pipeline without components that holds an arm's vectors of the words of the task `name`."""
    return work / "tables" / f"{name}-{arm}"


# What the arms read


def teach(
    data: Path = DEFAULT_DATA, work: Path = WORK, *, languages: Sequence[str] = LANGUAGES, **settings: Any
) -> Path:
    """Train fastText on all raw text of the languages: CBOW, 300 dimensions, n-grams of 4 and 5 characters."""
    from distillemb_plugins.teachers import train_teacher

    out = teacher_path(work)
    if not out.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        given = {"epochs": EPOCHS, "buckets": 200_000, "threads": 1, "resume": True} | settings
        train_teacher(corpus_files(data, sorted(languages)), out, "fasttext", **given)
    return out


def count(
    data: Path = DEFAULT_DATA, work: Path = WORK, *, languages: Sequence[str] = LANGUAGES, **settings: Any
) -> Path:
    """Count the neighbours of each language's words, reduce them to 200 dimensions, and merge the languages' tables.

    settings: what differs, arguments of `train_teacher`.
    """
    from distillemb_plugins.teachers import load_teacher, merge_languages, save_teacher, train_teacher

    out = counted_path(work)
    if not out.is_file():
        parts = [out.with_suffix("") / f"{language}.npz" for language in sorted(languages)]
        for language, part in zip(sorted(languages), parts, strict=True):
            if not part.is_file():
                part.parent.mkdir(parents=True, exist_ok=True)
                train_teacher(
                    corpus_files(data, [language]), part, "ppmi-svd", resume=True, **{"dim": SVD_DIM} | settings
                )
        teachers = sorted(map(load_teacher, parts), key=len, reverse=True)  # the others are rotated onto the largest
        save_teacher(merge_languages(teachers, out.stem), out)
    return out


def train_floret(
    data: Path = DEFAULT_DATA, work: Path = WORK, *, languages: Sequence[str] = LANGUAGES, **settings: Any
) -> Path:
    """Train a floret table of 50,000 rows on the same text with the same settings as `teach`.

    Source: floret (Explosion 2021): words and n-grams share the rows, two for each. settings: what differs.
    """
    floret = require("floret", "recipes")
    out = floret_path(work)
    if out.is_dir():
        return out
    given: dict[str, Any] = {"dim": DIM, "minn": 4, "maxn": 5, "minCount": 5, "epoch": EPOCHS, "bucket": FLORET_ROWS}
    # Its default of 12 threads: with fewer than ten, the library leaves part of the rows at zero before training.
    given |= {"hashCount": 2, "ws": 5, "neg": 5, "lr": 0.05, "t": 1e-4, "thread": 12, "verbose": 1} | settings
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        text = Path(folder) / "text.txt"
        write_tokens(corpus_files(data, sorted(languages)), text)
        model = floret.train_unsupervised(str(text), model="cbow", mode="floret", **given)
    rows = model.get_input_matrix()[-given["bucket"] :]  # before them stand rows of words, which this mode never uses
    _save_vectors(out, np.array(rows, dtype=np.float32), given)
    return out


def write_tokens(texts: Sequence[Path], out: Path) -> None:
    """One line of words parted by spaces for each line of the texts: cut as for a teacher."""
    from distillemb_plugins.text import tokenize

    with atomic_file(out, "w") as stream:
        stream.writelines(
            " ".join(tokenize(unicodedata.normalize("NFC", line).replace("\0", " "))) + "\n"
            for line in iter_lines(texts)
        )


def _save_vectors(out: Path, rows: Floats, settings: Mapping[str, Any]) -> None:
    import spacy
    from spacy.vectors import Vectors

    nlp = spacy.blank("xx")
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings,
        data=rows,
        mode="floret",
        minn=settings["minn"],
        maxn=settings["maxn"],
        hash_count=settings["hashCount"],
        hash_seed=FLORET_SEED,
        name="floret",
    )
    with atomic_directory(out) as folder:
        nlp.to_disk(folder)


def compress(
    work: Path = WORK, *, words: int = KEPT_WORDS, ngrams: int = KEPT_NGRAMS, codes: int = CODES, **settings: Any
) -> Path:
    """Compress the teacher: its most frequent words and n-grams, product-quantised to `codes` bytes each.

    Source: compress-fasttext, ``prune_ft_freq`` (Dale 2021).
    """
    library = require("compress_fasttext", "recipes")
    gensim = require("gensim.models.fasttext", "train")
    out = compressed_path(work)
    if not out.is_file():
        model = gensim.load_facebook_vectors(str(teacher_path(work)))
        small = library.prune_ft_freq(
            model, pq=True, qdim=codes, new_vocab_size=words, new_ngrams_size=ngrams, **settings
        )
        with tempfile.TemporaryDirectory(dir=work) as folder:
            small.save(str(Path(folder) / "small.bin"))
            (Path(folder) / "small.bin").rename(out)
    return out


def distill_encoder(work: Path = WORK, kind: str = "fasttext", *, limit: int | None = None, **settings: Any) -> Path:
    """Distil a teacher's words (the `limit` most frequent, else all) into one encoder for all the languages.

    kind: ``"fasttext"`` or ``"svd"``. settings: what differs from `ENCODER`, see `DistillSettings`.
    """
    from distillemb_plugins.distill import DistillSettings, distill
    from distillemb_plugins.teachers import load_teacher

    out = encoder_path(work, kind)
    if not out.is_dir():
        teacher = load_teacher(counted_path(work) if kind == "svd" else teacher_path(work), limit=limit)
        distill([teacher], out, DistillSettings(**ENCODER | settings), resume=True)
    return out


def random_encoder(work: Path = WORK, seed: int = 0) -> Path:
    """The encoder's twin: the same architecture and characters, weights drawn anew, no memory of words."""
    import torch

    from distillemb_plugins.hf.configuration_distillemb import DistillEmbConfig
    from distillemb_plugins.hf.encoders_distillemb import build_encoder
    from distillemb_plugins.persistence import read_encoder, write_encoder

    out = encoder_path(work, "random")
    if not out.is_dir():
        files = read_encoder(encoder_path(work))
        config = {name: files.config[name] for name in ("encoder_type", "encoder_args", "dim")}
        torch.manual_seed(seed)
        module = build_encoder(
            DistillEmbConfig(**config, vocab_size=len(files.characters), max_chars=files.characters.max_chars)
        )
        tensors = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        write_encoder(out, config, tensors, files.characters)
    return out


def word_tables(words: Mapping[str, Collection[str]], arms: Sequence[str] = TABLE_ARMS, work: Path = WORK) -> None:
    """Write for each task (``{name: its words}``) the vectors that the table arms have of its words.

    Words that the task does not hold are left out: they change nothing, and every checkpoint copies the table. Give
    the words of all splits; vectors of unseen words are computed as the arm's own library does.
    """
    for arm in arms:
        wanted = {name: chosen for name, chosen in words.items() if not table_path(arm, name, work).is_dir()}
        if wanted:
            lookup = _LOOKUPS[arm](work)
            for name, chosen in wanted.items():
                write_table(table_path(arm, name, work), arm, sorted(chosen), lookup)


def write_table(out: Path, arm: str, words: Sequence[str], lookup: Lookup) -> None:
    """Write the vectors of words as a spaCy pipeline without components."""
    import spacy
    from spacy.vectors import Vectors

    rows, found = lookup(words)
    nlp = spacy.blank("xx")
    keys = [nlp.vocab.strings.add(word) for word, has in zip(words, found, strict=True) if has]
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=rows[found], keys=keys, name=arm)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(out) as folder:
        nlp.to_disk(folder)


def _static_lookup(work: Path) -> Lookup:
    from distillemb_plugins.teachers import load_teacher

    return load_teacher(teacher_path(work)).lookup


def _counted_lookup(work: Path) -> Lookup:
    """The table's row of a word, else that of its lower-case form: there are no n-grams."""
    from distillemb_plugins.teachers import load_teacher

    table = load_teacher(counted_path(work))

    def lookup(words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        return table.lookup([word if word in table else word.lower() for word in words])

    return lookup


def _floret_lookup(work: Path) -> Lookup:
    import spacy

    vectors = spacy.load(floret_path(work)).vocab.vectors

    def lookup(words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        return np.asarray(vectors.get_batch(list(words)), dtype=np.float32), np.ones(len(words), dtype=bool)

    return lookup


def _compressed_lookup(work: Path) -> Lookup:
    library = require("compress_fasttext", "recipes")
    model = library.models.CompressedFastTextKeyedVectors.load(str(compressed_path(work)))

    def lookup(words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        rows = np.array([model[word] for word in words], dtype=np.float32)
        return rows, np.ones(len(words), dtype=bool)

    return lookup


_LOOKUPS: dict[str, Callable[[Path], Lookup]] = {
    "static": _static_lookup,
    "floret": _floret_lookup,
    "compressed": _compressed_lookup,
    "static-svd": _counted_lookup,
}
_TABLES: dict[str, Callable[[Path], Path]] = {
    "static": teacher_path,
    "floret": floret_path,
    "compressed": compressed_path,
    "static-svd": counted_path,
}


def embedding_bytes(arm: str, work: Path = WORK) -> int:
    """Bytes of what a user of an arm loads beside the pipeline's own weights: the whole model, not a task's table."""
    if arm in TABLE_ARMS:
        path = _TABLES[arm](work)
        return (path / "vocab" / "vectors" if arm == "floret" else path).stat().st_size
    if arm in ENCODER_OF:
        return (encoder_path(work, ENCODER_OF[arm]) / "model.safetensors").stat().st_size
    return 0


# Arms as configs


def check_arms(arms: Sequence[str], known: Sequence[str] = ARMS) -> None:
    """Raises `DistillEmbError` for an arm that does not exist."""
    for arm in arms:
        if arm not in known:
            raise DistillEmbError(f"There is no arm {arm}: choose from {', '.join(known)}.")


def arm_overrides(
    arm: str,
    name: str,
    work: Path = WORK,
    *,
    attrs: Sequence[str],
    rows: Sequence[int],
    width: int,
    finetune: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What an arm changes in a config: the embed layer, and for vectors the block that loads them.

    name: the task, as given to `word_tables`. attrs, rows, width: those of the base config's MultiHashEmbed.
    finetune: how the encoder of the arms `finetuned` and `finetuned-svd` learns; None: as NER's dev sets chose.
    """
    check_arms([arm])
    if arm == "hash":
        return {}
    beside = {"components": {"tok2vec": {"model": {"embed": {"include_static_vectors": True}}}}}
    if arm in TABLE_ARMS:
        return beside | {"initialize": {"vectors": str(table_path(arm, name, work))}}
    encoder = str(encoder_path(work, ENCODER_OF[arm]))
    if arm in ("frozen", "frozen-svd"):
        callback = {"@callbacks": "distillemb.set_vectors.v1", "pretrained": encoder}
        return beside | {"initialize": {"before_init": callback}}
    embed = {"@architectures": "distillemb.Embed.v1", "width": width, "pretrained": encoder}
    embed |= {"attrs": list(attrs), "rows": list(rows)}
    if arm != "random":
        chosen = FINETUNE_SVD if arm == "finetuned-svd" else FINETUNE
        embed |= chosen if finetune is None else finetune
    return {"components": {"tok2vec": {"model": {"embed": embed}}}}


def arm_config(
    base: Path,
    arm: str,
    name: str,
    work: Path = WORK,
    overrides: Mapping[str, Any] | None = None,
    finetune: Mapping[str, Any] | None = None,
) -> Config:
    """The config file `base` (the arm `hash`) turned into an arm, with the recipe's own overrides (nested).

    finetune: see `arm_overrides`.
    """
    from spacy.util import load_config

    config = load_config(base, interpolate=False)
    embed = config["components"]["tok2vec"]["model"]["embed"]
    config = config.merge(
        arm_overrides(
            arm, name, work, attrs=embed["attrs"], rows=embed["rows"], width=embed["width"], finetune=finetune
        )
    )
    return config.merge(dict(overrides or {}))


def embed_of(**settings: Any) -> dict[str, Any]:
    """Settings of the embed layer, as overrides of a config."""
    return {"components": {"tok2vec": {"model": {"embed": settings}}}}
