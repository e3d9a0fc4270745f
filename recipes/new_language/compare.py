"""What the defaults of this recipe rest on: encoders made in several ways from Luo text, by NER on MasakhaNER.

python recipes/new_language/compare.py run --seed 0 --seed 1 --seed 2   # what has not been run yet
python recipes/new_language/compare.py record training/luo               # the figures of a whole run
python recipes/new_language/compare.py table                             # both into README.md
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are no installed package

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_file, encoder_bytes, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize
from recipes.common import (
    DEFAULT_DATA,
    add_result,
    corpus_files,
    markdown_table,
    mean_spread,
    megabytes,
    read_results,
    replace_block,
    run_app,
    task_files,
)
from recipes.new_language.encoders import BUNDLED, Effort, distil, held_out_scores, teach
from recipes.new_language.raw_text import prepare_text, sentence_key
from recipes.new_language.run import RESULTS
from recipes.new_language.spacy_side import tagger_config, train_tagger
from recipes.new_language.tagged import prepare_tagged, read

HERE = Path(__file__).resolve().parent
LANGUAGE, TASK = "luo", "ner/masakhaner1"
KEY = ("arm", "seed", "steps")
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Arm:
    """One way to an encoder. start: "" for none. effort: what differs from the recipe's settings. words: how much of
    the text is used, 0 for all.
    """

    what: str
    start: str = "own"
    effort: Effort = field(default_factory=Effort)
    words: int = 0


ARMS = {
    "without": Arm("no encoder", ""),
    BUNDLED: Arm(f"{BUNDLED} as it is", BUNDLED),
    "own": Arm("Luo text alone"),
    "joint": Arm(f"Luo text and {BUNDLED}, averaged", "joint"),
    "joint-svd": Arm(f"Luo text and {BUNDLED}, SVD", "joint", Effort(student={"combine": "svd", "dim": 300})),
    "ppmi-svd": Arm("Luo text alone, counted (ppmi-svd)", effort=Effort({"algorithm": "ppmi-svd", "dim": 200})),
    "cbow": Arm("Luo text alone, CBOW, 20 passes", effort=Effort({"skipgram": False, "epochs": 20})),
    "min-count-5": Arm("Luo text alone, words seen 5 times", effort=Effort({"min_count": 5})),
    "no-memory": Arm("Luo text alone, no memory of words", effort=Effort(student={"memory_words": 0})),
    "text-100k": Arm("100,000 words of it alone", words=100_000),
    "text-20k": Arm("20,000 words of it alone", words=20_000),
}
CHOICE = ("without", BUNDLED, "own", "joint", "joint-svd", "ppmi-svd", "cbow", "min-count-5", "no-memory")
AMOUNT = ("without", "text-20k", "text-100k", "own")

Data = Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")]
Work = Annotated[Path, typer.Option(help="Where text, teachers, encoders and pipelines are kept.")]
Results = Annotated[Path, typer.Option(help="Where the scores are kept (JSON lines).")]


@app.command()
def run(
    data: Data = DEFAULT_DATA,
    arm: Annotated[list[str], typer.Option(help="Which arms; all when not given.")] = list(ARMS),  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Seeds of the tagger; repeat for several.")] = [0, 1, 2],  # noqa: B006
    steps: Annotated[int, typer.Option(help="Updates of each tagger.")] = 1000,
    work: Work = HERE / "training",
    results: Results = HERE / "results.jsonl",
) -> None:
    """Make each arm's encoder once, and train and score a tagger on it with every seed."""
    unknown = sorted(set(arm) - set(ARMS))
    if unknown:
        raise DistillEmbError(f"There is no arm {unknown[0]}: choose from {', '.join(ARMS)}.")
    done = {tuple(row[k] for k in KEY) for row in read_results(results)}
    for one_seed in seed:
        for name in arm:
            if (name, one_seed, steps) not in done:
                add_result(results, run_arm(name, ARMS[name], one_seed, steps, data, work), KEY)


def run_arm(name: str, arm: Arm, seed: int, steps: int, data: Path, work: Path) -> dict[str, Any]:
    """One row of the results: dev and test F1 of the tagger, and what its encoder cost."""
    conll = _tagged(data, work)
    encoder, cost = _encoder(name, arm, data, work)
    config = tagger_config("ner", LANGUAGE, conll, encoder, seed=seed, steps=steps)
    tagger = train_tagger(config, "ner", conll, work / f"tagger-{name}-{seed}", name=name, progress=False)
    test = _test(tagger.path, conll)
    return {
        "arm": name,
        "seed": seed,
        "steps": steps,
        "dev": tagger.dev,
        "test": test,
        "seconds": tagger.seconds,
        "bytes": encoder_bytes(encoder) if encoder else 0,
        **cost,
    }


def _test(pipeline: Path, conll: Path) -> float:
    import spacy

    from recipes.new_language.spacy_side import score

    return float(score(spacy.load(pipeline), "ner", conll / "test.txt")["score"])


def _tagged(data: Path, work: Path) -> Path:
    """The tagged sentences, as the recipe prepares them."""
    out = work / "conll"
    if not (out / "test.txt").is_file():  # written last
        prepare_tagged(task_files(data, TASK, LANGUAGE)["train"].parent, out, "ner")
    return out


def _text(data: Path, work: Path, words: int) -> Path:
    """The text without dev and test sentences; all of it, or lines drawn at random until there are `words`."""
    whole, part = work / "text.txt", work / f"text-{words}.txt"
    if not whole.is_file():
        held = {sentence_key(s.words) for split in ("dev", "test") for s in read(_tagged(data, work), "ner")[split]}
        prepare_text(corpus_files(data, [LANGUAGE]), whole, held, least_words=0)
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


def _encoder(name: str, arm: Arm, data: Path, work: Path) -> tuple[Path | None, dict[str, Any]]:
    """The encoder of an arm and what it cost; made once."""
    if arm.start in ("", BUNDLED):
        return (resolve(BUNDLED) if arm.start else None), {}
    out, cost = work / f"encoder-{name}", work / f"encoder-{name}.json"
    if not cost.is_file():
        teacher_file = work / f"teacher-{_slug(arm)}.npz"
        begin = time.perf_counter()
        if not teacher_file.is_file():
            text = _text(data, work, arm.words)
            words = sum(len(tokenize(line)) for line in iter_lines([text]))
            teach(text, teacher_file, words, arm.effort, seed=0, threads=1, progress=False)
        taught = time.perf_counter()
        teacher = load_teacher(teacher_file)
        distil(arm.start, teacher, out, arm.effort, seed=0, progress=False)
        facts = {
            "teach_seconds": round(taught - begin, 1),
            "distil_seconds": round(time.perf_counter() - taught, 1),
            "vocabulary": len(teacher),
            "held_out": held_out_scores(out),
        }
        with atomic_file(cost, "w") as stream:
            json.dump(facts, stream)
    return out, json.loads(cost.read_text("utf-8"))


def _slug(arm: Arm) -> str:
    """Arms of the same text and teacher settings share a teacher."""
    return "-".join([str(arm.words), *(f"{k}-{v}" for k, v in sorted(arm.effort.teacher.items()))])


def _shares_teacher(row: dict[str, Any], arm: str) -> bool:
    return "teach_seconds" in row and _slug(ARMS[row["arm"]]) == _slug(ARMS[arm])


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Output folder of a run of new_language.py.")],
    out: Annotated[Path, typer.Option(help="Where the figures are kept.")] = HERE / "luo.json",
) -> None:
    """Keep the figures of a whole run, for the table."""
    facts = json.loads((folder / RESULTS).read_text("utf-8"))
    kept = {
        name: facts[name]
        for name in ("text", "tagged", "teacher", "start", "encoder", "wheel", "hf", "test", "seconds")
    }
    kept["taggers"] = {
        start: {k: one[k] for k in ("dev", "size", "seconds")} for start, one in facts["taggers"].items()
    }
    for name in ("files", "letters", "examples"):
        kept["text"].pop(name, None)
        kept["tagged"].pop(name, None)
    kept["hf"].pop("path", None)
    with atomic_file(out, "w") as stream:
        json.dump(kept, stream, ensure_ascii=False, indent=1)


@app.command()
def table(
    results: Results = HERE / "results.jsonl",
    recorded: Annotated[Path, typer.Option(help="The figures of a whole run.")] = HERE / "luo.json",
    readme: Path = HERE / "README.md",
) -> None:
    """Write the tables of what has been run into the README."""
    rows = read_results(results)
    head = ["encoder", "dev F1", "test F1", "seeds", "size", "seconds"]
    for block, arms in (("choice", CHOICE), ("amount", AMOUNT)):
        lines = [_line(arm, rows) for arm in arms]
        if any(lines):
            replace_block(readme, block, markdown_table(head, [line for line in lines if line]))
    if recorded.is_file():
        replace_block(readme, "luo", _run_table(json.loads(recorded.read_text("utf-8"))))


def _line(arm: str, every: list[dict[str, Any]]) -> list[str]:
    rows = [row for row in every if row["arm"] == arm]
    if not rows:
        return []
    made = rows[0].get("distil_seconds", 0)
    if made:  # the teacher is made by the first arm that needs it, and costs the others as much
        made += max(row["teach_seconds"] for row in every if _shares_teacher(row, arm))
    return [
        ARMS[arm].what,
        mean_spread([row["dev"] for row in rows]),
        mean_spread([row["test"] for row in rows]),
        str(len(rows)),
        megabytes(rows[0]["bytes"]) if rows[0]["bytes"] else "",
        f"{made:.0f}" if made else "",
    ]


def _run_table(facts: dict[str, Any]) -> str:
    """The figures of the whole run."""
    start, seconds = facts["start"], facts["seconds"]
    rows = [
        [
            "words of text, lines left out",
            f"{facts['text']['words']:,}, {facts['text']['duplicates'] + facts['text']['tagged']:,}",
        ],
        ["tagged sentences: train, dev, test", ", ".join(f"{n:,}" for n in facts["tagged"]["sentences"].values())],
        ["dev F1 without an encoder", f"{facts['taggers']['without']['dev']:.1f}"],
        *(
            [f"dev F1 with {one}", f"{facts['taggers'][one]['dev']:.1f}"]
            for one in facts["taggers"]
            if one != "without"
        ),
        ["test F1 without an encoder", f"{facts['test']['without']['score']:.1f}"],
        [f"test F1 with the encoder chosen on dev ({start})", f"{facts['test']['with']['score']:.1f}"],
        ["test F1 of the Hugging Face model", f"{facts['hf']['test']:.1f}"],
        [
            "encoder, spaCy wheel, Hugging Face directory",
            ", ".join(megabytes(facts[k]["bytes"]) for k in ("encoder", "wheel", "hf")),
        ],
        ["minutes, all steps", f"{sum(seconds.values()) / 60:.1f}"],
    ]
    return markdown_table(["Luo", ""], rows)


if __name__ == "__main__":
    run_app(app)
