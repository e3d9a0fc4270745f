"""The encoder that ships: eleven African languages, from text that may be redistributed, and from nothing else.

python scripts/afro11.py teach      # a fastText teacher on the text marked OPEN; 15 minutes on one core
python scripts/afro11.py distill    # the encoder, into encoders/afro11
python scripts/afro11.py bundle     # copy it into the package
"""

from __future__ import annotations

import gzip
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are not an installed package

from distillemb_plugins.data.sources import corpus_files
from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.distill import distill as run_distillation
from distillemb_plugins.distill.targets import Targets
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.facts import Corpus, EncoderFacts
from distillemb_plugins.files import atomic_directory, directory_bytes
from distillemb_plugins.persistence import read_encoder, write_facts
from distillemb_plugins.teachers import load_teacher, train_teacher
from recipes.results import DEFAULT_DATA, ROOT, Data, Work, run_app

HERE = Path(__file__).resolve().parents[1]
TEACHER = "afro11-open.bin"
LANGUAGES = ("amh", "tir", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor")
CODES = ("am", "ti", "ha", "ig", "rw", "lg", "luo", "pcm", "sw", "wo", "yo")
LICENCES = {
    "afrisenti-tweets": ("AfriSenti tweets", "CC BY 4.0"),
    "amwiki2015": ("Amharic Wikipedia, 2015", "CC BY-SA 3.0"),
    "asp": ("African Storybook stories under CC BY", "CC BY 4.0"),
    "enh-corpus": ("Ethiopian news headlines and articles (enh-corpus)", "CC0"),
    "geezorg-parallel": ("geezorg parallel text", "CC BY-SA 4.0"),
    "geezorg-say": ("geezorg SAY", "CC BY-SA 4.0"),
    "geezorg-wic": ("Walta Information Center corpus (geezorg)", "CC BY-SA 4.0"),
    "globalvoices": ("Global Voices", "CC BY 3.0"),
    "makerere-data4good": ("Makerere Data4Good", "CC0"),
    "nollysenti": ("NollySenti", "CC BY 4.0"),
    "pogayo-luo": ("Luo news by Pogayo", "CC BY 4.0"),
    "tico19": ("TICO-19", "CC0"),
    "travis-volunteers": ("Travis Foundation Tigrinya volunteers", "CC BY-SA"),
    "ud-hausa": ("Universal Dependencies Hausa", "CC BY-SA 4.0"),
    "ud-naija": ("Universal Dependencies Naija-NSC", "CC BY-SA 4.0"),
    "ud-wolof": ("Universal Dependencies Wolof-WTB", "CC BY-SA 4.0"),
    "wowiki": ("Wolof Wikipedia", "CC BY-SA 3.0"),
    "yowiki": ("Yoruba Wikipedia", "CC BY-SA 3.0"),
}
NOTES = """One encoder for Amharic, Tigrinya, Hausa, Igbo, Kinyarwanda, Luganda, Luo, Nigerian Pidgin, Swahili, Wolof
and Yoruba. Beside the network it keeps what the network misses of 70,000 frequent words, 16 bytes each."""
LIMITS = """The text is small and uneven: 4.4 of 7 million words are Amharic, Luo has 30,000. The languages share one
space but were not aligned: a word is near words of its own language. What the vectors know of a word never seen comes
from its spelling alone. News, encyclopaedia, health leaflets, children's stories and tweets are what they were
trained on; biases of such text are in them. The scores are on words held out of training."""
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


def corpora(data: Path) -> list[Corpus]:
    """The texts with their licences, as the card lists them. Refuses a file whose licence is not in the list."""
    languages: dict[str, list[str]] = {}
    for file in corpus_files(data, LANGUAGES, ("OPEN",)):
        source = file.name.split(".")[1]
        if source not in LICENCES:
            raise DistillEmbError(f"{file} has no licence in LICENCES: add it, or leave the file out.")
        languages.setdefault(source, []).append(file.parent.name)
    return [Corpus(LICENCES[s][0], LICENCES[s][1], ", ".join(names)) for s, names in sorted(languages.items())]


@app.command()
def teach(data: Data = DEFAULT_DATA, work: Work = HERE / "encoders", dim: int = 300, buckets: int = 200_000) -> None:
    """Train the teacher: fastText skip-gram, n-grams of 3 to 5 characters, 5 epochs, words seen 3 times or more."""
    corpora(data)
    work.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"skipgram": True, "epochs": 5, "min_count": 3, "min_n": 3, "max_n": 5, "threads": 1}
    texts = corpus_files(data, LANGUAGES, ("OPEN",))
    train_teacher(texts, work / TEACHER, "fasttext", dim=dim, buckets=buckets, resume=True, overwrite=True, **settings)


@app.command()
def distill(
    data: Data = DEFAULT_DATA,
    work: Work = HERE / "encoders",
    epochs: int = 30,
    codebook_words: int = 70_000,
    min_char_count: Annotated[
        int, typer.Option(help="Rarer characters stay unknown, so that the encoder learns what an unknown one is.")
    ] = 20,
    seed: int = 0,
) -> None:
    """Distill it: the default student in int8, with a residual codebook of 70,000 words."""
    facts = EncoderFacts(
        title="afro11: word vectors for eleven African languages",
        languages=CODES,
        license="cc-by-sa-4.0",
        corpora=tuple(corpora(data)),
        command="python recipes/distill/scripts/afro11.py teach\npython recipes/distill/scripts/afro11.py distill",
        notes=NOTES,
        limits=LIMITS,
    )
    counts: dict[str, Any] = {"codebook_words": codebook_words, "min_char_count": min_char_count}
    settings = DistillSettings(storage="int8", epochs=epochs, validate_every=5, seed=seed, **counts)
    teacher = load_teacher(work / TEACHER, limit=120_000)
    held_out = partial(Targets.word_lists, vocabulary=0)
    run_distillation([teacher], work / "afro11", settings, facts=facts, resume=True, extra=held_out)


@app.command()
def bundle(
    work: Work = HERE / "encoders",
    target: Annotated[Path, typer.Option(help="Where to.")] = ROOT / "distillemb_plugins" / "bundled" / "afro11",
    words: int = 20_000,
) -> None:
    """Copy the encoder into the package, with a list of frequent words for `distillemb neighbors`."""
    source = work / "afro11"
    teacher = load_teacher(work / TEACHER, limit=words)
    with atomic_directory(target, overwrite=True) as folder:
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(source / name, folder / name)
        letters = [word for word in teacher.words if any(c.isalpha() for c in word)]
        packed = gzip.compress(("\n".join(letters) + "\n").encode(), mtime=0)
        (folder / "vocabulary.txt.gz").write_bytes(packed)
        facts = replace(read_encoder(source).facts, word_lists={"vocabulary": "vocabulary.txt.gz"})
        write_facts(folder, facts, target.name)
    typer.echo(f"{target}: {directory_bytes(target):,} bytes")


if __name__ == "__main__":
    run_app(app)
