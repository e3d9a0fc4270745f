"""NER in spaCy, one pipeline a language, with arms that differ in the embedding alone (see recipes/spacy_arms.py).

    python scripts/ner_spacy.py all

Every step is skipped when its result is there, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_directory
from recipes import spacy_arms
from recipes.common import (
    DEFAULT_DATA,
    add_result,
    read_results,
    replace_block,
    run_app,
    task_files,
)
from recipes.ner.scripts.seen import seen_scores
from recipes.ner.scripts.spacy_tables import (
    ARMS,
    LOW_DATA_ARMS,
    SHARES,
    TAGGER_ARMS,
    arm_table,
    draw_low_data,
    language_table,
    low_data_table,
    target,
    tried_table,
)
from recipes.spacy_arms import TABLE_ARMS, embed_of

HERE = Path(__file__).resolve().parents[1]
BASE = HERE / "configs" / "ner.cfg"
RESULTS = HERE / "results.jsonl"
TRIED = HERE / "tried.jsonl"
TASK = "ner/masakhaner1"
LANGUAGES = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor")
STEPS = 800
KEY = ("language", "arm", "seed", "share", "steps")
TUNED_ON = ("amh", "luo", "swa", "yor")
TUNE_KEY = ("variant", "language", "seed")
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")]
Languages = Annotated[list[str], typer.Option("--language", help="MasakhaNER language; repeat for several.")]
Arms = Annotated[list[str], typer.Option("--arm", help="Which arms; repeat for several.")]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seeds; repeat for several.")]
Work = Annotated[Path, typer.Option(help="Where teacher, tables and encoders are kept.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]


@app.command()
def teach(data: Data = DEFAULT_DATA, work: Work = spacy_arms.WORK) -> None:
    """Train fastText on the raw text of eleven languages: the encoder's teacher, and the static arm's table."""
    spacy_arms.teach(data, work)


@app.command()
def count(data: Data = DEFAULT_DATA, work: Work = spacy_arms.WORK) -> None:
    """Count the neighbours of the words of the same text: the other teacher, and the static-svd arm's table."""
    spacy_arms.count(data, work)


@app.command()
def floret(data: Data = DEFAULT_DATA, work: Work = spacy_arms.WORK) -> None:
    """Train the floret table on the same text."""
    spacy_arms.train_floret(data, work)


@app.command()
def compress(work: Work = spacy_arms.WORK) -> None:
    """Compress fastText's table to about the encoder's bytes."""
    spacy_arms.compress(work)


@app.command()
def distill(work: Work = spacy_arms.WORK) -> None:
    """Distil fastText into one encoder for all the languages, the counted table into another, and make a random one."""
    spacy_arms.distill_encoder(work)
    spacy_arms.random_encoder(work)
    spacy_arms.distill_encoder(work, "svd")


@app.command()
def tables(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    arm: Arms = list(TABLE_ARMS),  # noqa: B006
    work: Work = spacy_arms.WORK,
) -> None:
    """Write what the table arms have of each language's words."""
    spacy_arms.word_tables({task_name(one): task_words(data, one) for one in language}, arm, work)


def task_name(language: str) -> str:
    return f"ner-{language}"


def task_words(data: Path, language: str) -> set[str]:
    """All words of the task's files, so that the table arms have their own vector for unseen ones."""
    words = set()
    for file in task_files(data, TASK, language).values():
        words |= {line.split()[0] for line in file.read_text("utf-8-sig").splitlines() if line.strip()}
    return words


@app.command()
def train(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    arm: Arms = list(spacy_arms.ARMS),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    share: Annotated[list[int], typer.Option(help="Per cent of the training sentences.")] = [100],  # noqa: B006
    work: Work = spacy_arms.WORK,
    steps: Annotated[int, typer.Option(help="Updates of about 250 words each, with all sentences.")] = STEPS,
    results: Results = RESULTS,
) -> None:
    """Train every arm on every language with every seed, and score dev and test."""
    spacy_arms.check_arms(arm, ARMS)
    done = {tuple(row[k] for k in KEY) for row in read_results(results)}
    for one_seed in seed:
        for one_language in language:
            for one_share in share:
                for one_arm in arm:
                    run = (one_language, one_arm, one_seed, one_share, steps_for(steps, one_share))
                    if run not in done:
                        add_result(results, run_arm(data, work, dict(zip(KEY, run, strict=True))), KEY)


def steps_for(steps: int, share: int) -> int:
    """Fewer updates for fewer sentences, by the square root: a tenth of them is still seen three times as often."""
    return max(1, round(steps * (share / 100) ** 0.5))


def run_arm(data: Path, work: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Train one pipeline, keep the best by dev F1, and score it: one row of the results."""
    language, arm, seed, share, steps = (run[name] for name in KEY)
    files = task_files(data, TASK, language)
    sentences = kept_sentences(files["train"], share)
    overrides = run_settings(files, seed, steps)
    if share < 100:  # a prefix of one shuffle, the same for every arm and every seed
        overrides["corpora"] = {"train": {"shuffle": True, "limit": sentences}}
    if arm in TAGGER_ARMS:  # they differ from `finetuned` in where the encoder comes from
        overrides |= embed_of(pretrained=str(tagger_encoder(work, arm, seed)))
        arm = "finetuned"
    trained = spacy_arms.train_pipeline(spacy_arms.arm_config(BASE, arm, task_name(language), work, overrides))
    row = run | {"sentences": sentences, "seconds": round(trained.seconds, 1)}
    for split in ("dev", "test"):
        row |= {f"{split}_{name}": value for name, value in score(trained.nlp, files, split, row).items()}
    return row | {"embedding_bytes": spacy_arms.embedding_bytes(arm, work), "pipeline_bytes": trained.bytes}


def tagger_encoder(work: Path, mode: str, seed: int) -> Path:
    """The encoder of a tagger of all languages of ner_hf.py with this seed, as a directory of its own.

    Raises `DistillEmbError` when that tagger is not there.
    """
    out, tagger = work / f"{mode}-encoder-{seed}", work / f"hf-{mode}-encoder-{seed}"
    if not out.is_dir():
        if not tagger.is_dir():
            raise DistillEmbError(
                f"{tagger} is not there: run `python scripts/ner_hf.py train --mode {mode} --seed {seed}` first."
            )
        save_encoder_of(tagger, out)
    return out


def save_encoder_of(tagger: Path, out: Path) -> None:
    """Write the encoder below a tagger's head as a directory that every face of the package opens."""
    from transformers import AutoTokenizer

    from distillemb_plugins.hf import DistillEmbForTokenClassification

    with atomic_directory(out) as folder:
        DistillEmbForTokenClassification.from_pretrained(tagger).distillemb.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tagger).save_pretrained(folder)


def run_settings(files: dict[str, Path], seed: int, steps: int) -> dict[str, Any]:
    """What a run sets in the config; five times it is scored on dev."""
    return {
        "paths": {"train": str(files["train"]), "dev": str(files["dev"])},
        "system": {"seed": seed},
        "training": {"max_steps": steps, "eval_frequency": max(1, steps // 5)},
    }


def kept_sentences(file: Path, share: int) -> int:
    """How many sentences of a file a share (per cent) of them is, at least one."""
    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    return max(1, round(share / 100 * sum(1 for _ in ConllCorpus(file).sentences())))


def score(nlp: Any, files: dict[str, Path], split: str, run: dict[str, Any]) -> dict[str, Any]:
    """Corpus-level scores (per cent) of a split, of entities seen in training or not, and words a CPU second."""
    from spacy.scorer import Scorer

    from distillemb_plugins.spacy_plugin.readers import ConllCorpus

    share = run["share"]
    examples = list(ConllCorpus(files[split])(nlp))
    with spacy_arms.numpy_products():
        start = time.process_time()
        for example, doc in zip(examples, nlp.pipe([e.predicted for e in examples], batch_size=256), strict=True):
            example.predicted = doc
        seconds = time.process_time() - start
    scores = Scorer(nlp).score(examples)
    known = ConllCorpus(files["train"], shuffle=share < 100, limit=run["sentences"] if share < 100 else 0)
    gold, found = ([e.reference for e in examples], [e.predicted for e in examples])
    seen = seen_scores(
        [(s.words, s.tags) for s in known.sentences()], map(words_of, gold), map(tags_of, gold), map(tags_of, found)
    )
    return {
        "f1": round(100 * scores["ents_f"], 2),
        "precision": round(100 * scores["ents_p"], 2),
        "recall": round(100 * scores["ents_r"], 2),
        **{name: round(value, 2) for name, value in seen.items()},
        "per_type": {kind: round(100 * s["f"], 2) for kind, s in sorted(scores["ents_per_type"].items())},
        "words_per_second": round(sum(map(len, gold)) / max(seconds, 1e-9)),
    }


def words_of(doc: Any) -> list[str]:
    return [token.text for token in doc]


def tags_of(doc: Any) -> list[str]:
    """IOB2 tags of a document's entities."""
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]


# What was tried on dev


def batches_of(words: int, steps: int) -> dict[str, Any]:
    return {"training": {"max_steps": steps, "eval_frequency": steps // 5, "batcher": {"size": words}}}


_SHAPES: dict[str, Any] = {"attrs": ["PREFIX", "SUFFIX", "SHAPE"], "rows": [1000, 2500, 2500]}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "static": ("static", {}),
    "static, 400 updates of 500 words": ("static", batches_of(500, 400)),
    "static, without NORM": ("static", embed_of(**_SHAPES)),
    "frozen": ("frozen", {}),
    "finetuned": ("finetuned", embed_of(grad_factor=1.0)),
    "finetuned, 0.3 of the learning rate": ("finetuned", embed_of(grad_factor=0.3)),
    "finetuned, 0.1 of the learning rate": ("finetuned", embed_of(grad_factor=0.1)),
    "finetuned, without NORM": ("finetuned", embed_of(grad_factor=1.0, **_SHAPES)),
    "finetuned, 20 % dropout on the vectors": ("finetuned", embed_of(grad_factor=1.0, dropout=0.2)),
    "finetuned, no n-grams dropped": ("finetuned", embed_of(grad_factor=1.0) | {"ngram_dropout": 0.0}),
    "finetuned, 40 % of the n-grams dropped": ("finetuned", embed_of(grad_factor=1.0) | {"ngram_dropout": 0.4}),
    "static-svd": ("static-svd", {}),
    "frozen-svd": ("frozen-svd", {}),
    "finetuned-svd": ("finetuned-svd", embed_of(grad_factor=1.0)),
    "finetuned-svd, 0.3 of the learning rate": ("finetuned-svd", embed_of(grad_factor=0.3)),
    "finetuned-svd, 0.1 of the learning rate": ("finetuned-svd", embed_of(grad_factor=0.1)),
}


@app.command()
def tune(
    data: Data = DEFAULT_DATA,
    language: Languages = list(TUNED_ON),  # noqa: B006
    variant: Annotated[list[str], typer.Option(help="Which; repeat for several.")] = list(VARIANTS),  # noqa: B006
    seed: Seeds = [0],  # noqa: B006
    work: Work = spacy_arms.WORK,
    steps: Annotated[int, typer.Option(help="Updates of about 250 words each.")] = STEPS,
    results: Results = TRIED,
) -> None:
    """Try other settings on dev alone."""
    done = {tuple(row[k] for k in TUNE_KEY) for row in read_results(results)}
    for name in variant:
        for one_language in language:
            for one_seed in seed:
                if (name, one_language, one_seed) not in done:
                    run = {"variant": name, "language": one_language, "seed": one_seed}
                    add_result(results, try_variant(data, work, run, steps), TUNE_KEY)


def try_variant(data: Path, work: Path, run: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train one variant and score it on dev: one row."""
    if run["variant"] not in VARIANTS:
        raise DistillEmbError(f"There is no variant {run['variant']}: choose from {'; '.join(VARIANTS)}.")
    arm, changes = VARIANTS[run["variant"]]
    files = task_files(data, TASK, run["language"])
    config = spacy_arms.arm_config(BASE, arm, task_name(run["language"]), work, run_settings(files, run["seed"], steps))
    config = config.merge({name: value for name, value in changes.items() if name != "ngram_dropout"})
    if "ngram_dropout" in changes:
        encoder = with_ngram_dropout(spacy_arms.encoder_path(work), changes["ngram_dropout"])
        config = config.merge(embed_of(pretrained=str(encoder)))
    trained = spacy_arms.train_pipeline(config)
    scores = score(trained.nlp, files, "dev", {"share": 100})
    return run | {"seconds": round(trained.seconds, 1)} | {f"dev_{name}": value for name, value in scores.items()}


def with_ngram_dropout(encoder: Path, rate: float) -> Path:
    """A copy of an encoder that leaves out another share of the n-grams while it learns."""
    from distillemb_plugins.persistence import read_encoder, write_encoder

    out = encoder.with_name(f"{encoder.name}-dropout-{rate}")
    if not out.is_dir():
        files = read_encoder(encoder)
        config = {**files.config, "encoder_args": {**files.config["encoder_args"], "ngram_dropout": rate}}
        write_encoder(out, config, files.tensors, files.characters, storage=config["storage"])
    return out


# Tables


@app.command()
def table(results: Results = RESULTS, tried: Results = TRIED, readme: Path = HERE / "README.md") -> None:
    """Write the tables of all results found into the README."""
    rows = read_results(results)
    full = [row for row in rows if row["share"] == 100]
    replace_block(readme, "table", language_table(full))
    replace_block(readme, "arms", arm_table(full))
    replace_block(readme, "target", target(full))
    replace_block(readme, "low-data", low_data_table(rows))
    replace_block(readme, "tried", tried_table(read_results(tried), list(VARIANTS)))


@app.command()
def plot(results: Results = RESULTS, out: Path = HERE / "low-data.svg") -> None:
    """Draw the scores with a part of the training sentences."""
    draw_low_data(read_results(results), out)


@app.command()
def low_data(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    work: Work = spacy_arms.WORK,
    steps: Annotated[int, typer.Option(help="Updates with all sentences.")] = STEPS,
    results: Results = RESULTS,
) -> None:
    """Train five arms with a part of the sentences."""
    train(data, language, list(LOW_DATA_ARMS), seed, list(SHARES), work, steps, results)


@app.command(name="all")
def everything(
    data: Data = DEFAULT_DATA,
    language: Languages = list(LANGUAGES),  # noqa: B006
    seed: Seeds = [0, 1, 2],  # noqa: B006
    work: Work = spacy_arms.WORK,
) -> None:
    """All of it, in order."""
    teach(data, work)
    count(data, work)
    floret(data, work)
    distill(work)
    compress(work)
    tables(data, language, list(TABLE_ARMS), work)
    train(data, language, list(spacy_arms.ARMS), seed, [100], work)
    low_data(data, language, seed, work)
    table()
    plot()


if __name__ == "__main__":
    run_app(app)
