"""What the defaults of `distillemb build` rest on: encoders made in several ways from Luo text, by NER on MasakhaNER.

python recipes/new_language/compare.py run --seed 0 --seed 1 --seed 2   # what has not been run yet
python recipes/new_language/compare.py record training/luo               # the figures of a whole build
python recipes/new_language/compare.py table                             # both into README.md
"""

from __future__ import annotations

import random
import sys
import time
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import typer
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are no installed package

from distillemb_plugins.data import corpus_files, sentence_key, task_files
from distillemb_plugins.files import atomic_file, encoder_bytes, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.runs import read_json, write_json
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from distillemb_plugins.workflow.build import RESULTS
from distillemb_plugins.workflow.encoders import distill_encoder, teach
from distillemb_plugins.workflow.inputs import prepare_tagged, prepare_text, read_splits
from distillemb_plugins.workflow.settings import BUNDLED
from distillemb_plugins.workflow.taggers import score_tagger, tagger_config, train_tagger
from recipes import results as shared
from recipes.results import DEFAULT_DATA, Data, Results, Row, Seeds, check_choice, megabytes, pick, score

HERE = Path(__file__).resolve().parent
LANGUAGE, TASK = "luo", "ner/masakhaner1"
KEY = ("system", "seed", "steps")
KNOWN = yaml.safe_load((HERE / "systems.yml").read_text("utf-8"))
SYSTEMS: dict[str, Row] = KNOWN["systems"]
FULL_RATE = {"components.tok2vec.model.embed.grad_factor": 1.0}  # of the encoders, as all rows were measured
WORK, RECORDED = HERE / "training", HERE / "luo.json"
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def run(
    data: Data = DEFAULT_DATA,
    system: Annotated[list[str], typer.Option(help="Which systems; all when not given.")] = list(SYSTEMS),
    seed: Seeds = [0, 1, 2],
    steps: Annotated[int, typer.Option(help="Updates of each tagger.")] = 1000,
    work: shared.Work = WORK,
    results: Results = HERE / "results.jsonl",
) -> None:
    """Make each system's encoder once, and train and score a tagger on it with every seed."""
    check_choice("system", system, SYSTEMS)
    runs = [dict(zip(KEY, (name, one_seed, steps), strict=True)) for one_seed in seed for name in system]
    shared.run_missing(results, runs, KEY, lambda row: measure(**row, data=data, work=work))


def measure(system: str, seed: int, steps: int, data: Path, work: Path) -> Row:
    """Dev and test F1 of a tagger, and what its encoder cost."""
    conll = _tagged(data, work)
    encoder, cost = _encoder(system, data, work)
    config = tagger_config("ner", LANGUAGE, conll, encoder, seed=seed, steps=steps, overrides=FULL_RATE)
    pipeline = work / f"tagger-{system}-{seed}"
    seconds = train_tagger(config, pipeline)
    dev, test = (score_tagger(pipeline, "ner", conll / f"{split}.txt")["score"] for split in ("dev", "test"))
    return {"dev": dev, "test": test, "seconds": seconds, "bytes": encoder_bytes(encoder) if encoder else 0, **cost}


def _tagged(data: Path, work: Path) -> Path:
    """The tagged sentences, as a build prepares them."""
    out = work / "conll"
    if not (out / "test.txt").is_file():  # written last
        prepare_tagged(task_files(data, TASK, LANGUAGE)["train"].parent, out, "ner")
    return out


def _text(data: Path, work: Path, words: int) -> Path:
    """The text without dev and test sentences: all of it, or lines drawn at random until there are enough words."""
    whole, part = work / "text.txt", work / f"text-{words}.txt"
    if not whole.is_file():
        splits = read_splits(_tagged(data, work), "ner")
        held = {sentence_key(s.words) for split in ("dev", "test") for s in splits[split]}
        prepare_text(corpus_files(data, [LANGUAGE]), whole, held, min_words=0)
    if words and not part.is_file():
        lines = list(iter_lines([whole]))
        random.Random(0).shuffle(lines)
        before = accumulate((len(tokenize(line)) for line in lines), initial=0)
        with atomic_file(part, "w") as stream:
            stream.writelines(f"{line}\n" for line, number in zip(lines, before, strict=False) if number < words)
    return part if words else whole


def _teacher(system: Row, work: Path) -> Path:
    """Where the teacher of a system is: systems of the same text and settings share one."""
    settings = (f"{name}-{value}" for name, value in sorted(system.get("teacher", {}).items()))
    return work / f"teacher-{'-'.join([str(system.get('words', 0)), *settings])}.npz"


def _encoder(name: str, data: Path, work: Path) -> tuple[Path | None, Row]:
    """The encoder of a system and what it cost. It is made once."""
    system = SYSTEMS[name]
    kind, table = system.get("kind", "own"), _teacher(system, work)
    if kind in (None, BUNDLED):
        return (resolve(BUNDLED) if kind else None), {}
    out, cost = work / f"encoder-{name}", work / f"encoder-{name}.json"
    if not cost.is_file():
        start = time.perf_counter()
        if not table.is_file():
            teach(_text(data, work, system.get("words", 0)), table, system.get("teacher", {}))
        taught, teacher = time.perf_counter(), load_teacher(table)
        distill_encoder(kind, teacher, out, system.get("student", {}))
        seconds = {"teach_seconds": round(taught - start, 1), "distil_seconds": round(time.perf_counter() - taught, 1)}
        write_json(cost, seconds)
    return out, read_json(cost)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Output folder of a build.")],
    out: Annotated[Path, typer.Option(help="Where the figures are kept.")] = RECORDED,
) -> None:
    """Keep the figures of a whole build, for the table."""
    facts = read_json(folder / RESULTS)
    kept = {name: facts[name] for name in KNOWN["recorded"]}
    for name in ("text", "tagged"):
        kept[name] = {key: value for key, value in kept[name].items() if key not in KNOWN["not_recorded"]}
    write_json(out, kept)


@app.command()
def table(
    results: Results = HERE / "results.jsonl",
    recorded: Annotated[Path, typer.Option(help="The figures of a whole build.")] = RECORDED,
    readme: shared.Readme = HERE / "README.md",
) -> None:
    """Write the tables of what has been run into the README."""
    rows = shared.read_results(results)
    columns = {"dev F1": score("dev"), "test F1": score("test"), "seeds": shared.seeds}
    columns |= {"size": lambda own: megabytes(own[0]["bytes"], ""), "seconds": lambda own: _made_in(own, rows)}
    groups = {name: (system["title"], pick(rows, system=name)) for name, system in SYSTEMS.items()}
    blocks = {
        block: shared.table("encoder", [groups[name] for name in names], columns)
        for block, names in KNOWN["tables"].items()
    }
    if recorded.is_file():
        blocks["luo"] = shared.fill((HERE / "luo.md").read_text("utf-8"), **read_json(recorded))
    shared.write_blocks(readme, blocks)


def _made_in(own: list[Row], rows: list[Row]) -> str:
    """A cell: seconds of the encoder. Its teacher is made by the first system that needs it, and counts for all."""
    made = own[0].get("distil_seconds", 0)
    if made:
        mine = _teacher(SYSTEMS[own[0]["system"]], WORK)
        same = [row for row in rows if "teach_seconds" in row and _teacher(SYSTEMS[row["system"]], WORK) == mine]
        made += max(row["teach_seconds"] for row in same)
    return f"{made:.0f}" if made else ""


if __name__ == "__main__":
    shared.run_app(app)
