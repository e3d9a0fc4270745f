"""What the defaults of `distillemb build` rest on: encoders made in several ways from Luo text, by NER on MasakhaNER.

python recipes/new_language/compare.py run --seed 0 --seed 1 --seed 2   # what has not been run yet
python recipes/new_language/compare.py record training/luo               # the figures of a whole build
python recipes/new_language/compare.py table                             # both into README.md
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are no installed package

from distillemb_plugins import DistillEmb
from distillemb_plugins.data.overlap import sentence_key
from distillemb_plugins.data.sources import corpus_files, task_files
from distillemb_plugins.facts import HELD_OUT
from distillemb_plugins.files import atomic_file, encoder_bytes, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.runs import read_json, write_json
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from distillemb_plugins.workflow.build import RESULTS
from distillemb_plugins.workflow.encoders import distill_encoder, teach
from distillemb_plugins.workflow.inputs import prepare_tagged, prepare_text, read_splits
from distillemb_plugins.workflow.settings import BUNDLED, WITHOUT
from distillemb_plugins.workflow.taggers import score_tagger, tagger_config, train_tagger
from recipes import results as shared
from recipes.results import DEFAULT_DATA, Data, Results, Row, check_choice, markdown_table, megabytes, pick, score

HERE = Path(__file__).resolve().parent
LANGUAGE, TASK = "luo", "ner/masakhaner1"
KEY = ("system", "seed", "steps")
FULL_RATE = {"components.tok2vec.model.embed.grad_factor": 1.0}  # of the encoders, as all rows were measured
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class System:
    """One way to an encoder.

    Attributes:
        title: What the table says.
        kind: Which encoder is made, see `distill_encoder`. Empty for none.
        teacher: What differs from the settings of a build in the teacher.
        student: What differs in the distillation.
        words: How much of the text is used, 0 for all.
    """

    title: str
    kind: str = "own"
    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    words: int = 0

    @property
    def teacher_name(self) -> str:
        """Systems of the same text and teacher settings share a teacher."""
        return "-".join([str(self.words), *(f"{name}-{value}" for name, value in sorted(self.teacher.items()))])


SYSTEMS = {
    WITHOUT: System("no encoder", ""),
    BUNDLED: System(f"{BUNDLED} as it is", BUNDLED),
    "own": System("Luo text alone"),
    "joint": System(f"Luo text and {BUNDLED}, averaged", "joint"),
    "joint-svd": System(f"Luo text and {BUNDLED}, SVD", "joint", student={"combine": "svd", "dim": 300}),
    "ppmi-svd": System("Luo text alone, counted (ppmi-svd)", teacher={"algorithm": "ppmi-svd", "dim": 200}),
    "cbow": System("Luo text alone, CBOW, 20 passes", teacher={"skipgram": False, "epochs": 20}),
    "min-count-5": System("Luo text alone, words seen 5 times", teacher={"min_count": 5}),
    "no-memory": System("Luo text alone, no memory of words", student={"codebook_words": 0}),
    "text-100k": System("100,000 words of it alone", words=100_000),
    "text-20k": System("20,000 words of it alone", words=20_000),
}
BLOCKS = {
    "choice": (WITHOUT, BUNDLED, "own", "joint", "joint-svd", "ppmi-svd", "cbow", "min-count-5", "no-memory"),
    "amount": (WITHOUT, "text-20k", "text-100k", "own"),
}


@app.command()
def run(
    data: Data = DEFAULT_DATA,
    system: Annotated[list[str], typer.Option(help="Which systems; all when not given.")] = list(SYSTEMS),
    seed: Annotated[list[int], typer.Option(help="Seeds of the tagger; repeat for several.")] = [0, 1, 2],
    steps: Annotated[int, typer.Option(help="Updates of each tagger.")] = 1000,
    work: Annotated[Path, typer.Option(help="Where everything that is made is kept.")] = HERE / "training",
    results: Results = HERE / "results.jsonl",
) -> None:
    """Make each system's encoder once, and train and score a tagger on it with every seed."""
    check_choice("system", system, SYSTEMS)
    runs = [dict(zip(KEY, (name, one_seed, steps), strict=True)) for one_seed in seed for name in system]
    shared.run_missing(results, runs, KEY, lambda row: measure(**row, data=data, work=work))


def measure(system: str, seed: int, steps: int, data: Path, work: Path) -> dict[str, Any]:
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
    if not words:
        return whole
    if not part.is_file():
        lines = list(iter_lines([whole]))
        random.Random(0).shuffle(lines)
        with atomic_file(part, "w") as stream:
            for line in lines:
                if words <= 0:
                    break
                stream.write(line + "\n")
                words -= len(tokenize(line))
    return part


def _encoder(name: str, data: Path, work: Path) -> tuple[Path | None, dict[str, Any]]:
    """The encoder of a system and what it cost. It is made once."""
    system = SYSTEMS[name]
    if system.kind in ("", BUNDLED):
        return (resolve(BUNDLED) if system.kind else None), {}
    out, cost = work / f"encoder-{name}", work / f"encoder-{name}.json"
    if not cost.is_file():
        table = work / f"teacher-{system.teacher_name}.npz"
        start = time.perf_counter()
        if not table.is_file():
            text = _text(data, work, system.words)
            teach(text, table, sum(len(tokenize(line)) for line in iter_lines([text])), system.teacher)
        taught = time.perf_counter()
        teacher = load_teacher(table)
        distill_encoder(system.kind, teacher, out, system.student)
        seconds = {"teach_seconds": round(taught - start, 1), "distil_seconds": round(time.perf_counter() - taught, 1)}
        held_out = DistillEmb.from_pretrained(out).facts.scores[HELD_OUT]
        write_json(cost, seconds | {"vocabulary": len(teacher), "held_out": held_out})
    return out, read_json(cost)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Output folder of a build.")],
    out: Annotated[Path, typer.Option(help="Where the figures are kept.")] = HERE / "luo.json",
) -> None:
    """Keep the figures of a whole build, for the table."""
    facts = read_json(folder / RESULTS)
    names = ("text", "tagged", "teacher", "chosen", "encoder", "wheel", "hf", "test", "taggers", "seconds")
    kept = {name: facts[name] for name in names}
    for name in ("files", "letters", "examples"):
        kept["text"].pop(name, None)
        kept["tagged"].pop(name, None)
    write_json(out, kept)


@app.command()
def table(
    results: Results = HERE / "results.jsonl",
    recorded: Annotated[Path, typer.Option(help="The figures of a whole build.")] = HERE / "luo.json",
    readme: Path = HERE / "README.md",
) -> None:
    """Write the tables of what has been run into the README."""
    rows = shared.read_results(results)
    columns = {"dev F1": score("dev"), "test F1": score("test"), "seeds": shared.seeds}
    columns |= {"size": lambda own: megabytes(own[0]["bytes"], ""), "seconds": lambda own: _made_in(own, rows)}
    groups = {name: (system.title, pick(rows, system=name)) for name, system in SYSTEMS.items()}
    blocks = {
        block: shared.table("encoder", [groups[name] for name in names], columns) for block, names in BLOCKS.items()
    }
    if recorded.is_file():
        blocks["luo"] = markdown_table(["Luo", ""], _build_rows(read_json(recorded)))
    shared.write_blocks(readme, blocks)


def _made_in(own: list[Row], rows: list[Row]) -> str:
    """A cell: seconds of the encoder. Its teacher is made by the first system that needs it, and counts for all."""
    made = own[0].get("distil_seconds", 0)
    if made:
        name = SYSTEMS[own[0]["system"]].teacher_name
        same = [row for row in rows if "teach_seconds" in row and SYSTEMS[row["system"]].teacher_name == name]
        made += max(row["teach_seconds"] for row in same)
    return f"{made:.0f}" if made else ""


def _build_rows(facts: dict[str, Any]) -> list[list[str]]:
    """The figures of the whole build."""
    chosen, text, test = facts["chosen"], facts["text"], facts["test"]
    dev = {name: f"{tagger['dev']:.1f}" for name, tagger in facts["taggers"].items()}
    sizes = [megabytes(facts[name]["bytes"]) for name in ("encoder", "wheel", "hf")]
    return [
        ["words of text, lines left out", f"{text['words']:,}, {text['duplicates'] + text['tagged']:,}"],
        ["tagged sentences: train, dev, test", ", ".join(f"{n:,}" for n in facts["tagged"]["sentences"].values())],
        ["dev F1 without an encoder", dev.pop(WITHOUT)],
        *([f"dev F1 with {name}", score] for name, score in dev.items()),
        ["test F1 without an encoder", f"{test[WITHOUT]['score']:.1f}"],
        [f"test F1 with the encoder chosen on dev ({chosen})", f"{test[chosen]['score']:.1f}"],
        ["test F1 of the Hugging Face model", f"{facts['hf']['test']:.1f}"],
        ["encoder, spaCy wheel, Hugging Face directory", ", ".join(sizes)],
        ["minutes, all steps", f"{sum(facts['seconds'].values()) / 60:.1f}"],
    ]


if __name__ == "__main__":
    shared.run_app(app)
