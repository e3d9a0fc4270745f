"""Look at the taggers that were trained: tables, a report, and the release of the best one.

python recipes/tagging/taggers.py write       # the tables of all results found, into the README
python recipes/tagging/taggers.py report      # report.html: scores by type, confusions, frequent errors, curve
python recipes/tagging/taggers.py release     # the best tagger of all languages, ready to be given away
python recipes/tagging/taggers.py apart       # scores without what is near the added sentences, into the README
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import apart_from, named_tags
from distillemb_plugins.data.pos import LANGUAGES, TREEBANKS
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate import entity_scores
from distillemb_plugins.evaluate.tagging_errors import error_report
from distillemb_plugins.files import atomic_directory, directory_bytes
from distillemb_plugins.finetune import predict
from distillemb_plugins.hf import DistillEmbForTokenClassification, DistillEmbTokenizer
from distillemb_plugins.hf.card_distillemb import CARD_FILE, FACTS_FILE, render_card, saved_facts
from distillemb_plugins.runs import write_json
from distillemb_plugins.workflow import packages
from recipes import results as shared
from recipes.results import Cell, Languages, Row, Rows, mean_spread, megabytes, pick, score, table
from recipes.tables import differences_plot, pos_blocks, tried_table
from recipes.tagging import train
from recipes.tagging.train import ALL_AT_ONCE, HERE, NER, POS, SETTINGS, WORK, load_task, tagger_name

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
RELEASE: dict[str, Any] = SETTINGS["release"]


@app.command()
def write(
    ner: Annotated[Path, typer.Option(help="Scores of the NER taggers.")] = HERE / "results-ner.jsonl",
    pos: Annotated[Path, typer.Option(help="Scores of the POS taggers.")] = HERE / "results-pos.jsonl",
    tried: Annotated[Path, typer.Option(help="What `study` found.")] = HERE / "tried-pos.jsonl",
    readme: shared.Readme = HERE / "README.md",
) -> None:
    """Write the tables of all results found into the README, beside the published ones."""
    rows, studied = (
        [row | {"task": "pos", "language": row["trained_on"], "seconds": row["cpu_seconds"]} for row in found]
        for found in (shared.read_results(pos), [row | {"seed": 0} for row in shared.read_results(tried)])
    )
    pairs = [(name, "random") for name in POS["systems"] if name != "random"]
    shared.write_text(readme.with_name("pos-differences.svg"), differences_plot(rows, pairs))
    groups = [(name, pick(rows, system=name, language=LANGUAGES)) for name in POS["systems"]]
    blocks = {
        "ner": ner_table(shared.read_results(ner)),
        **pos_blocks(rows, groups, list(POS["systems"]), pairs, (*LANGUAGES, *TREEBANKS)),
        "pos-tried": tried_table(studied, "dev", seconds=True),
    }
    shared.write_blocks(readme, blocks)


def ner_table(rows: Rows) -> str:
    """Test F1 of each mode and encoder, and what others report."""
    languages, modes = NER["languages"], list(NER["modes"])
    kinds = sorted({(row["mode"], row["init_from"]) for row in rows}, key=lambda kind: (modes.index(kind[0]), kind[1]))
    columns: dict[str, Cell] = {language: score("test_f1", language=language) for language in languages}
    columns["mean"] = lambda own: mean_spread(shared.seed_means(own, "test_f1", languages), 2)
    columns["dev mean"] = lambda own: mean_spread(shared.seed_means(own, "dev_f1", languages), 2)
    for name, key in {"seen": "test_f1_seen", "never seen": "test_f1_unseen"}.items():
        columns[name] = lambda own, key=key: mean_spread(shared.seed_means(own, key, languages))  # type: ignore[misc]
    columns |= {"seeds": shared.seeds, "on disk": lambda own: megabytes(max(row["bytes"] for row in own))}
    columns["minutes"] = shared.minutes
    published = [
        [f"*{name}*", *(f"{one:.1f}" for one in scores), f"{statistics.fmean(scores):.2f}", *[""] * 6]
        for name, scores in SETTINGS["published"].items()
    ]
    groups = [(f"{mode}, {init}", pick(rows, mode=mode, init_from=init)) for mode, init in kinds]
    return table("test F1", groups, columns, *published)


def open_tagger(path: Path) -> tuple[Any, Any]:
    """A tagger and its tokenizer. Raises `DistillEmbError` when it was not trained."""
    if not path.is_dir():
        raise DistillEmbError(f"{path} is not there: train it first with `python recipes/tagging/train.py ner`.")
    return DistillEmbForTokenClassification.from_pretrained(path).eval(), DistillEmbTokenizer.from_pretrained(path)


@app.command()
def apart(
    data: shared.Data = shared.DEFAULT_DATA,
    language: Languages = NER["languages"],
    work: shared.Work = WORK,
    readme: shared.Readme = HERE / "README.md",
) -> None:
    """Score joint and refined taggers on the test sentences that have nothing of the added ones; into the README."""
    tasks = {name: load_task(data, name) for name in language}
    extended = train.extend_tasks(data, tasks)
    kept = {}
    for name, task in tasks.items():
        added = extended[name]["train"]
        added = added.select(list(range(len(task["train"]), len(added))))
        kept[name] = apart_from(task["test"], added)
    means = []
    for mode in ("joint", "refined"):
        tagger = open_tagger(work / tagger_name(mode, "ppmi_svd", 0))
        scores = (entity_scores(named_tags(part), predict(*tagger, part))["f1"] for part in kept.values())
        means.append(f"{mode} {statistics.fmean(scores):.2f}")
    counts = [sum(map(len, each)) for each in (kept.values(), (task["test"] for task in tasks.values()))]
    text = (
        f"On the {counts[0]:,} of {counts[1]:,} test sentences that have no run of six words in common with the added "
        f"sentences of their language, the mean F1 is: {', '.join(means)} (init_from ppmi_svd, seed 0)."
    )
    shared.write_blocks(readme, {"ner-apart": text})


@app.command()
def report(
    data: shared.Data = shared.DEFAULT_DATA,
    language: Languages = NER["languages"],
    tagger: Annotated[Path, typer.Option(help="A tagger's directory.")] = WORK / "hf-refined-ppmi_svd-0",
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file to write.")] = HERE / "report.html",
) -> None:
    """Write report.html: scores by type, confusions, the most frequent errors, the learning curve."""
    model, tokenizer = open_tagger(tagger)
    sentences = {}
    for name in language:
        part = load_task(data, name)["dev"]
        sentences[name] = (part["tokens"], named_tags(part), predict(model, tokenizer, part))
    file = tagger / "history.json"
    history = json.loads(file.read_text("utf-8")) if file.is_file() else []
    typer.echo(error_report("Named entities: scores and errors", sentences, history, "dev").write(out))


@app.command()
def release(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write into.")] = WORK / "release",
    work: shared.Work = WORK,
    results: Annotated[Path, typer.Option(help="Scores of the taggers.")] = HERE / "results-ner.jsonl",
) -> None:
    """Make the tagger of all languages that is best on dev ready to be given away.

    Writes its Hugging Face directory, with its own code, and a card with the license and the scores of each language.
    It is opened in a fresh process where there is no distillemb_plugins, and tags a sentence.
    """
    rows = [row for row in shared.read_results(results) if row["mode"] in ALL_AT_ONCE]
    totals: Counter[tuple[str, str, int]] = Counter()
    for row in rows:
        totals[row["mode"], row["init_from"], row["seed"]] += row["dev_f1"]
    if not totals:
        raise DistillEmbError(f"{results} holds no joint tagger: run `train.py ner --mode joint` first.")
    (mode, init_from, seed), _ = totals.most_common(1)[0]
    tagger, folder = work / tagger_name(mode, init_from, seed), out / RELEASE["name"]
    typer.echo(f"{tagger.name}, the best on dev", err=True)
    save_release(tagger, pick(rows, mode=mode, init_from=init_from, seed=seed), folder)
    entities = packages.open_alone(folder, RELEASE["example"])["entities"]
    found = ", ".join(" ".join(pair) for pair in entities) or "nothing"
    typer.echo(f"{folder}: {megabytes(directory_bytes(folder))}; in {RELEASE['example']!r} it finds {found}")


def save_release(tagger: Path, rows: list[Row], out: Path) -> None:
    """Write the tagger with its scores in the card."""
    model, tokenizer = open_tagger(tagger)
    known, about = saved_facts(model), RELEASE["joint" if rows[0]["mode"] in ("joint", "tenth") else "extended"]
    titles = {f"MasakhaNER 1.0, F1 on {split} over the corpus, per cent": f"{split}_f1" for split in ("dev", "test")}
    own = {title: {row["language"]: row[name] for row in rows} for title, name in titles.items()}
    known["scores"] = own | known.get("scores", {})
    known["limits"] = f"{RELEASE['limits']} {known.get('limits', '')}".strip()
    metadata = {"license": RELEASE["license"], "datasets": about["datasets"]}
    card = render_card(model, out.name, known, about["training"], [row["language"] for row in rows], metadata)
    with atomic_directory(out, overwrite=True) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / FACTS_FILE, known)
        shared.write_text(folder / CARD_FILE, card)


if __name__ == "__main__":
    shared.run_app(app)
