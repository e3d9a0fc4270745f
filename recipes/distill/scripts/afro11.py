"""The encoders that ship: eleven African languages, from text that may be redistributed, and from nothing else.

python scripts/afro11.py text       # the text marked OPEN, without lines that are like dev or test sentences
python scripts/afro11.py teach      # PPMI-SVD of each language, merged into one table; and fastText
python scripts/afro11.py distill    # the encoder, into encoders/afro11
python scripts/afro11.py context    # context layers over it, into encoders/afro11-context; minutes of a GPU
python scripts/afro11.py bundle     # copy both into the package
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are not an installed package

from distillemb_plugins.data.contamination import task_sentences
from distillemb_plugins.data.public_sources import by_language, public_corpora
from distillemb_plugins.data.record import read_record
from distillemb_plugins.data.sources import corpus_files
from distillemb_plugins.distill import DistillSettings
from distillemb_plugins.distill import distill as run_distillation
from distillemb_plugins.distill.targets import Targets
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.facts import Corpus, EncoderFacts
from distillemb_plugins.files import atomic_directory, directory_bytes, iter_lines
from distillemb_plugins.locations import bundled
from distillemb_plugins.persistence import read_encoder, write_facts
from distillemb_plugins.pretrain import PretrainSettings, pretrain
from distillemb_plugins.runs import read_json, write_json
from distillemb_plugins.teachers import load_teacher, train_by_language, train_teacher
from recipes.results import DEFAULT_DATA, ROOT, Data, Work, fill, markdown_table, run_app

HERE = Path(__file__).resolve().parents[1]
COUNTED, FASTTEXT = "counted.npz", "fasttext.npz"
TEXT, COUNTS = "text", "text.json"
KNOWN: dict[str, Any] = yaml.safe_load((HERE / "afro11.yml").read_text("utf-8"))
LANGUAGES = tuple(KNOWN["languages"])
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


def corpora(data: Path) -> list[Corpus]:
    """The texts with their licenses, as the card lists them. Refuses a file that no public source is known of."""
    sources = {(lang, name): found for lang, name, found in by_language(public_corpora(("OPEN",), LANGUAGES))}
    languages: dict[str, list[str]] = {}
    for file in corpus_files(data, LANGUAGES, ("OPEN",)):
        name = file.name.partition(".txt")[0]
        if (file.parent.name, name) not in sources:
            raise DistillEmbError(f"{file} is not in the list of public sources (distillemb data list): leave it out.")
        languages.setdefault(name, []).append(file.parent.name)
    rows = []
    for name, those in sorted(languages.items()):
        found = [source for language in those for source in sources[language, name]]
        urls = " ".join(dict.fromkeys(source.url for source in found))
        rows.append(Corpus(name.removeprefix("OPEN."), found[0].license, f"{', '.join(those)}: {urls}"))
    return rows


@app.command()
def text(data: Data = DEFAULT_DATA, work: Work = HERE / "encoders") -> None:
    """Copy the text marked OPEN without lines that are like a dev or test sentence of the tasks, and count.

    Those that `distillemb data fetch` left out already are counted too.
    """
    corpora(data)
    known, record, counts = task_sentences(data), read_record(data), {}
    with atomic_directory(work / TEXT, overwrite=True) as folder:
        for file in corpus_files(data, LANGUAGES, ("OPEN",)):
            name = f"{file.parent.name}/{file.name.removesuffix('.xz')}"
            lines = list(iter_lines([file]))
            kept = [line for line in lines if not known.is_like(line)]
            (folder / "corpora" / file.parent.name).mkdir(parents=True, exist_ok=True)
            (folder / "corpora" / name).write_text("".join(f"{line}\n" for line in kept), "utf-8")
            words = sum(len(line.split()) for line in kept)
            before = record.get(name.removesuffix(".txt"), {}).get("like_task_sentences", 0)
            counts[name] = {"lines": len(kept), "words": words, "dropped": before + len(lines) - len(kept)}
        write_json(folder / COUNTS, counts)


@app.command()
def teach(work: Work = HERE / "encoders", dim: int = 200, buckets: int = 200_000) -> None:
    """Make two teachers of the words seen 3 times or more: counted (PPMI-SVD, the languages merged), and fastText."""
    texts = {language: corpus_files(work / TEXT, [language]) for language in sorted(LANGUAGES)}
    train_by_language(texts, work / COUNTED, "ppmi-svd", dim=dim, min_count=3, threads=1)
    if not (work / FASTTEXT).is_file():
        texts_of_all = corpus_files(work / TEXT, LANGUAGES)
        given = {**KNOWN["fasttext"], "dim": dim, "buckets": buckets}
        train_teacher(texts_of_all, work / FASTTEXT, "fasttext", threads=1, resume=True, **given)


def facts_of(work: Path, notes: Sequence[str] = (KNOWN["notes"],)) -> EncoderFacts:
    """What both cards say; notes: paragraphs before the table of the languages."""
    counts = read_json(work / TEXT / COUNTS)
    words = Counter[str]()
    for name, count in counts.items():
        words[name.split("/")[0]] += count["words"]
    dropped = sum(count["dropped"] for count in counts.values())
    table = markdown_table(["language", "words"], [[name, f"{number:,}"] for name, number in sorted(words.items())])
    return EncoderFacts(
        **KNOWN["facts"],
        languages=tuple(KNOWN["languages"].values()),
        corpora=tuple(corpora(work / TEXT)),
        notes="\n\n".join([*notes, table]),
        limits=fill(KNOWN["limits"], words=words, dropped=dropped),
    )


@app.command()
def distill(
    work: Work = HERE / "encoders",
    given: Annotated[str, typer.Option("--settings", help="Other fields of `DistillSettings`, as JSON.")] = "{}",
    seed: int = 0,
) -> None:
    """Distill afro11 from both teachers side by side."""
    chosen = KNOWN["distillation"] | json.loads(given)
    teachers = [load_teacher(work / name) for name in (COUNTED, FASTTEXT)]
    settings = DistillSettings(**chosen, combine="svd", dim=teachers[0].dim, seed=seed)
    lists = partial(Targets.word_lists, vocabulary=0)
    run_distillation(teachers, work / "afro11", settings, facts=facts_of(work), resume=True, extra=lists)


@app.command()
def context(
    work: Work = HERE / "encoders",
    given: Annotated[str, typer.Option("--settings", help="Other fields of `PretrainSettings`, as JSON.")] = "{}",
) -> None:
    """Pretrain context layers over afro11 on the same text. The encoder learns along."""
    chosen = KNOWN["pretraining"] | json.loads(given)
    settings = PretrainSettings(**chosen)
    notes = KNOWN["context_notes"].format(**chosen | {"words": chosen["words"] / 1e6})
    facts = replace(facts_of(work, [KNOWN["notes"], notes]), **KNOWN["context_facts"])
    folders = [work / TEXT / "corpora" / language for language in sorted(LANGUAGES)]
    pretrain(folders, work / "afro11", work / "afro11-context", settings, facts=facts, resume=True)


@app.command()
def bundle(
    work: Work = HERE / "encoders",
    target: Annotated[Path, typer.Option(help="Where to.")] = ROOT / "distillemb_plugins" / "bundled",
    words: int = 10_500,
) -> None:
    """Copy them into the package, with a list of frequent words for `distillemb neighbors`."""
    for name in ("afro11", "afro11-context"):
        if (work / name).is_dir():
            _bundle(work / name, target / name, load_teacher(work / COUNTED, limit=words).words)
            typer.echo(f"{target / name}: {directory_bytes(target / name):,} bytes")


def _bundle(source: Path, target: Path, words: list[str]) -> None:
    with atomic_directory(target, overwrite=True) as folder:
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(source / name, folder / name)
        letters = [word for word in words if any(c.isalpha() for c in word)]
        packed = gzip.compress(("\n".join(letters) + "\n").encode(), mtime=0)
        (folder / "vocabulary.txt.gz").write_bytes(packed)
        for module in bundled(target.name).glob("*.py"):  # the package's own code, for `auto_map`
            shutil.copyfile(module, folder / module.name)
        facts = replace(read_encoder(source).facts, word_lists={"vocabulary": "vocabulary.txt.gz"})
        write_facts(folder, facts, target.name)


if __name__ == "__main__":
    run_app(app)
