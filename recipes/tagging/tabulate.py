"""Write the tables of all results found into the README.

python recipes/tagging/tabulate.py write
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data.pos import JOINT, LANGUAGES, TRANSFER_TESTS, TREEBANKS
from recipes.results import (
    markdown_table,
    mean_spread,
    megabytes,
    pick,
    read_results,
    replace_block,
    run_app,
    whole_seeds,
)
from recipes.tagging.train import HERE, NER, POS, SETTINGS

# The languages of the encoders' raw text.
TAUGHT = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "tir", "wol", "yor")
OWN = "MasakhaPOS "  # the tests of the languages themselves
ENCODER_SYSTEMS = [name for name in POS["systems"] if name != "random"]
Row = dict[str, Any]
Rows = Sequence[Row]
app = typer.Typer(help=__doc__, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Tables of the taggers."""


@app.command()
def write(
    ner: Annotated[Path, typer.Option(help="Scores of the NER taggers.")] = HERE / "results-ner.jsonl",
    pos: Annotated[Path, typer.Option(help="Scores of the POS taggers.")] = HERE / "results-pos.jsonl",
    tried: Annotated[Path, typer.Option(help="What `study` found.")] = HERE / "tried-pos.jsonl",
    readme: Path = HERE / "README.md",
) -> None:
    """Write the tables of all results found into the README, beside the published ones."""
    rows = read_results(pos)
    blocks = {
        "ner": ner_table(read_results(ner)),
        "pos-systems": table_of_systems(rows),
        "pos-differences": differences(rows),
        "pos-languages": table_of_languages(rows),
        "pos-unseen": table_of_languages(rows, "unseen"),
        "pos-joint": joint_gain(rows),
        "pos-transfer": table_of_transfer(rows),
        "pos-tried": table_of_settings(read_results(tried)),
    }
    for name, text in blocks.items():
        replace_block(readme, name, text)


def ner_table(rows: Rows) -> str:
    """Test F1 of each mode and encoder, and what others report."""
    modes = list(NER["modes"])
    kinds = sorted({(row["mode"], row["init_from"]) for row in rows}, key=lambda kind: (modes.index(kind[0]), kind[1]))
    header = ["test F1", *NER["languages"], "mean", "dev mean", "seeds", "on disk", "minutes"]
    lines = [
        _ner_line(f"{mode}, {init}", [r for r in rows if (r["mode"], r["init_from"]) == (mode, init)])
        for mode, init in kinds
    ]
    for name, scores in SETTINGS["published"].items():
        lines.append([f"*{name}*", *(f"{s:.1f}" for s in scores), f"{statistics.fmean(scores):.2f}", "", "", "", ""])
    return markdown_table(header, lines)


def _ner_line(name: str, rows: Rows) -> list[str]:
    found = {language: [r["test_f1"] for r in rows if r["language"] == language] for language in NER["languages"]}
    whole = whole_seeds(rows, "language", NER["languages"])
    return [
        name,
        *(mean_spread(scores) if scores else "" for scores in found.values()),
        *(_ner_mean(whole, f"{split}_f1") for split in ("test", "dev")),
        str(len({row["seed"] for row in rows})),
        megabytes(max(row["bytes"] for row in rows)),
        mean_spread([row["seconds"] / 60 for row in rows]),
    ]


def _ner_mean(rows: Rows, name: str) -> str:
    """Mean over the languages for each seed, then mean ± standard deviation over the seeds."""
    means = []
    for seed in sorted({row["seed"] for row in rows}):
        values = [row[name] for row in rows if row["seed"] == seed]
        means.append(sum(values) / len(values))
    return mean_spread(means, 2) if means else ""


def _over_seeds(rows: Rows, value: Callable[[Row], float | None]) -> str:
    """Mean over the languages for each seed, then mean ± standard deviation over the seeds."""
    means = []
    for seed in sorted({row["seed"] for row in rows}):
        values = [v for row in rows if row["seed"] == seed and (v := value(row)) is not None]
        means += [statistics.fmean(values)] if values else []
    return mean_spread(means, 2) if means else ""


def _systems(rows: Rows) -> list[str]:
    return [name for name in POS["systems"] if any(row["system"] == name for row in rows)]


def _own(rows: Rows, system: str) -> Rows:
    """The rows of taggers of one language."""
    return [row for row in rows if row["system"] == system and row["trained_on"] in LANGUAGES]


def table_of_systems(rows: Rows) -> str:
    """Per system, means over the languages: accuracy on all, taught and other languages, on seen and unseen words."""
    header = ["system", "test", "of the taught", "of the others", "seen words", "unseen words"]
    header += ["seeds", "embedding", "model", "CPU seconds a run", "words/s"]
    lines = []
    for system in POS["systems"]:
        found = _own(rows, system)
        found = whole_seeds(found, "trained_on", (row["trained_on"] for row in found))
        if found:
            parts = [found] + [[r for r in found if (r["trained_on"] in TAUGHT) == taught] for taught in (True, False)]
            means = [_over_seeds(part, lambda row: row["test"]["accuracy"]) for part in parts]
            means.append(_over_seeds(found, lambda row: row["test"]["seen"]))
            means.append(_over_seeds(found, lambda row: row["test"]["unseen"]))
            lines.append([system, *means, str(len({row["seed"] for row in found})), *_cost(found)])
    return markdown_table(header, lines)


def _cost(found: Rows) -> list[str]:
    return [
        megabytes(found[0]["embedding_bytes"]),
        megabytes(statistics.fmean(row["model_bytes"] for row in found)),
        f"{statistics.fmean(row['cpu_seconds'] for row in found):.1f}",
        f"{statistics.median(row['words_per_second'] for row in found):,.0f}",
    ]


def table_of_languages(rows: Rows, value: str = "accuracy") -> str:
    """Per language, each system's test accuracy (or that on ``"unseen"`` words, with their share)."""
    systems = [system for system in _systems(rows) if _own(rows, system)]
    share = ["unseen, % of words"] if value == "unseen" else []
    lines = []
    for language in (*LANGUAGES, *TREEBANKS):
        found = [row for row in rows if row["trained_on"] == language]
        if found:
            shares = [f"{found[0]['test']['unseen_share']:.0f}"] if share else []
            lines.append([starred(language), *shares, *(_cell(found, one, ("test", value)) for one in systems)])
    return markdown_table(["trained on", *share, *systems], lines)


def starred(language: str) -> str:
    """A language's code, with a star where the encoder's text does not hold it."""
    return language if language in TAUGHT or language not in LANGUAGES else f"{language} *"


def _cell(found: Rows, system: str, path: tuple[str, ...]) -> str:
    values = []
    for row in found:
        if row["system"] == system:
            value: Any = row
            for name in path:
                value = value[name]
            values += [] if value is None else [value]
    return mean_spread(values) if values else ""


def table_of_transfer(rows: Rows) -> str:
    """Per test of transfer and set, each system's accuracy, and the share of words that the training text lacks.

    The joint tagger on MasakhaPOS is no transfer: `joint_gain` has it.
    """
    systems, lines = _systems(rows), []
    for test in TRANSFER_TESTS:
        for name in test.trained_on:
            if name == JOINT and test.name.startswith(OWN):
                continue
            found = [row for row in rows if row["trained_on"] == name and test.name in row["transfer"]]
            if found:
                share = f"{found[0]['transfer'][test.name]['unseen_share']:.0f}"
                cells = [_cell(found, system, ("transfer", test.name, "accuracy")) for system in systems]
                lines.append([test.name, name, share, *cells])
    return markdown_table(["test", "trained on", "unseen, % of words", *systems], lines)


def differences(rows: Rows) -> str:
    """Where the encoders lose against random weights, language by language, means of the seeds that both have."""
    header = ["encoder against", "mean difference", "taught", "others", "on unseen words", "behind in"]
    lines = []
    for ours in ENCODER_SYSTEMS:
        gaps = {name: gap for name in LANGUAGES if (gap := _gap(rows, name, ours, "accuracy")) is not None}
        unseen = [gap for name in LANGUAGES if (gap := _gap(rows, name, ours, "unseen")) is not None]
        if gaps:
            parts = [[g for n, g in gaps.items() if (n in TAUGHT) == taught] for taught in (True, False)]
            lost = sorted((gap, name) for name, gap in gaps.items() if gap < 0)
            listed = ": " + ", ".join(f"{name} {gap:+.1f}" for gap, name in lost) if lost else ""
            means = [f"{statistics.fmean(p):+.2f}" if p else "" for p in (list(gaps.values()), *parts, unseen)]
            lines.append([f"{ours} - random", *means, f"{len(lost)} of {len(gaps)}{listed}"])
    return markdown_table(header, lines)


def _gap(rows: Rows, language: str, ours: str, value: str) -> float | None:
    found: dict[str, dict[int, float]] = {ours: {}, "random": {}}
    for row in rows:
        if row["trained_on"] == language and row["system"] in found and row["test"][value] is not None:
            found[row["system"]][row["seed"]] = row["test"][value]
    both = found[ours].keys() & found["random"].keys()
    return statistics.fmean(found[ours][seed] - found["random"][seed] for seed in both) if both else None


def joint_gain(rows: Rows) -> str:
    """Accuracy per language of one joint tagger beside the languages' own taggers, and the means."""
    joint = {name: pick(rows, system=name, trained_on=JOINT) for name in _systems(rows)}
    columns: dict[str, dict[str, list[float]]] = {}
    for system in (system for system, found in joint.items() if found):
        own, all_at_once = columns.setdefault(f"{system}, own", {}), columns.setdefault(f"{system}, {JOINT}", {})
        for row in _own(rows, system):
            own.setdefault(row["trained_on"], []).append(row["test"]["accuracy"])
        for row in joint[system]:
            for name in (name for name in row["transfer"] if name.startswith(OWN)):
                all_at_once.setdefault(name.removeprefix(OWN), []).append(row["transfer"][name]["accuracy"])
    lines = [
        [starred(language), *(mean_spread(found[language]) if language in found else "" for found in columns.values())]
        for language in LANGUAGES
    ]
    means = [statistics.fmean(map(statistics.fmean, found.values())) if found else None for found in columns.values()]
    lines.append(["**mean**", *("" if mean is None else f"**{mean:.1f}**" for mean in means)])
    return markdown_table(["language", *columns], lines)


def table_of_settings(rows: Rows) -> str:
    """The settings that were tried, by dev accuracy alone."""
    keys = ("trained_on", "system")
    lines = [
        [", ".join(row[k] for k in keys), row["setting"], f"{row['dev']:.1f}", f"{row['cpu_seconds']:.1f}"]
        for row in sorted(rows, key=lambda r: [r[k] for k in (*keys, "setting")], reverse=True)
    ]
    return markdown_table(["trained on, system", "setting", "dev accuracy", "CPU seconds"], lines)


if __name__ == "__main__":
    run_app(app)
