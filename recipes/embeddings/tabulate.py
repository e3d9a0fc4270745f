"""Write the tables and the plot of all results found into the README.

python recipes/embeddings/tabulate.py write     # from the results alone
python recipes/embeddings/tabulate.py data      # what the data sets hold; a few minutes
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the recipes are not installed

from distillemb_plugins.data import pos
from distillemb_plugins.data.conll import Layout, read_sentences
from distillemb_plugins.data.overlap import share_in_text
from distillemb_plugins.data.sources import corpus_files
from distillemb_plugins.data.tagged import check_tagged, tagged_dataset
from distillemb_plugins.evaluate.plots import figure_of, svg_text
from distillemb_plugins.evaluate.tagging import seen_accuracy
from distillemb_plugins.files import atomic_file
from recipes.embeddings.systems import COMMON, DISTILLED, SYSTEMS, TAGGERS
from recipes.embeddings.tasks import RAW_TEXT, SPLITS, TASKS, TEXT_TASKS, class_names, texts_of
from recipes.results import (
    DEFAULT_DATA,
    markdown_table,
    mean_spread,
    megabytes,
    pick,
    read_results,
    replace_block,
    run_app,
    whole_seeds,
)

HERE = Path(__file__).resolve().parent
NAMED_TABLES = ("static", "floret", "compressed")  # in the target
LOW_DATA_SYSTEMS = ("hash", "static", "finetuned", "static-ppmi_svd", "finetuned-ppmi_svd")
SHARES = (10, 25, 50, 100)  # per cent of the training sentences
TREEBANK_TEXT = {"wo_wtb": "wol", "pcm_nsc": "pcm"}  # the language of a treebank
MANY = 0.2  # of a language's test sentences in the raw text: the means without such languages are given as well
OWN = "MasakhaPOS "  # the tests of the languages themselves
Row = dict[str, Any]
Rows = Sequence[Row]
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


def figure(row: Row, name: str) -> Any:
    """A value of a row; "test.accuracy" is nested."""
    value: Any = row
    for part in name.split("."):
        value = value[part]
    return value


def spread(values: Iterable[float | None], digits: int = 1) -> str:
    """Mean and spread, empty for no figures."""
    found = [value for value in values if value is not None]
    return mean_spread(found, digits) if found else ""


def seed_means(rows: Rows, name: str, languages: Sequence[str]) -> list[float]:
    """A score's mean over the languages, for each seed that has all of them."""
    means = []
    for seed in sorted({row["seed"] for row in rows}):
        found = {row["language"]: figure(row, name) for row in pick(rows, seed=seed)}
        values = [found[one] for one in languages if found.get(one) is not None]
        means += [statistics.fmean(values)] if values and set(languages) <= found.keys() else []
    return means


def common_languages(rows: Rows) -> list[str]:
    """The languages that every system has which has any."""
    systems = {row["system"] for row in rows}
    found = [{row["language"] for row in pick(rows, system=system)} for system in systems]
    return sorted(set.intersection(*found)) if found else []


def pairs_of(rows: Rows) -> Iterable[tuple[str, str, list[Row]]]:
    """Model, system and their rows in the order of the task, where there are any."""
    for model, systems in (TASKS[rows[0]["task"]].models if rows else {}).items():
        for system in systems:
            found = pick(rows, model=model, system=system)
            if found:
                yield model, system, found


def systems_table(rows: Rows, scores: dict[str, str], digits: int = 1, parts: dict[str, str] | None = None) -> str:
    """Means over the languages: scores, and what a system loads and costs.

    Args:
        rows: Of one task.
        scores: The names of scores, by column.
        digits: Of the scores.
        parts: Scores of the languages that the raw text has ("taught") and of the "others", by column.
    """
    costs = [name for name in ("model_bytes", "words_per_second") if not rows or name in rows[0]]
    several = len({row["model"] for row in rows}) > 1
    header = ["model, system" if several else "system", "languages", *(scores | (parts or {})), "seeds", "loads"]
    header += ["CPU seconds a run", *({"model_bytes": "model", "words_per_second": "words/s"}[name] for name in costs)]
    lines = []
    for model, system, found in pairs_of(rows):
        languages = common_languages(pick(rows, model=model))
        kept = whole_seeds(found, "language", languages)
        if not kept:
            continue
        halves = {"taught": [one for one in languages if one in RAW_TEXT]}
        halves["others"] = [one for one in languages if one not in RAW_TEXT]
        line = [f"{model}, {system}" if several else system, str(len(languages))]
        line += [spread(seed_means(kept, name, languages), digits) for name in scores.values()]
        line += [spread(seed_means(kept, "test.accuracy", halves[half]), digits) for half in (parts or {}).values()]
        line += [str(len({row["seed"] for row in kept})), megabytes(kept[0]["embedding_bytes"], "none")]
        line.append(f"{statistics.fmean(row['seconds'] for row in kept):.{digits - 1}f}")
        for name in costs:
            values = [row[name] for row in kept]
            line.append(megabytes(statistics.fmean(values)) if name == "model_bytes" else _speed(values))
        lines.append(line)
    return markdown_table(header, lines)


def _speed(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f}"


def languages_table(rows: Rows, name: str, first: str, mean: bool = False, share: str = "") -> str:
    """A score of every language (rows) and system (columns).

    Args:
        rows: Of one task.
        name: The score.
        first: The head of the first column.
        mean: Whether a row of means follows.
        share: A share (per cent) that a language has whatever the system, as a column.
    """
    pairs = list(pairs_of(rows))
    several = len({model for model, _, _ in pairs}) > 1
    order = TASKS[rows[0]["task"]].languages if rows else ()
    languages = [one for one in order if one != pos.JOINT and pick(rows, language=one)]
    lines = []
    for one in languages:
        cells = [spread(figure(row, name) for row in pick(found, language=one)) for _, _, found in pairs]
        lines.append([starred(rows[0]["task"], one), *cells])
        if share:
            lines[-1].insert(1, f"{figure(pick(rows, language=one)[0], share):.0f}")
    if mean:
        means = [spread(seed_means(found, name, languages)) for _, _, found in pairs]
        lines.append(["**mean**", *(f"**{one}**" if one else "" for one in means)])
    names = [f"{model}, {system}" if several else system for model, system, _ in pairs]
    table = [[first, *(["unseen, % of words"] if share else []), *names], *lines]
    if several:  # long names: the systems are the rows
        table = [[column[0], *(cell or "–" for cell in column[1:])] for column in zip(*table, strict=True)]
    return markdown_table(table[0], table[1:])


def starred(task: str, language: str) -> str:
    """A language's code, with a star where the raw text of the teachers does not hold it."""
    unknown = task == "pos" and language in pos.LANGUAGES and language not in RAW_TEXT
    return f"{language} *" if unknown else language


# -- NER


def target(rows: Rows) -> str:
    """The target, and what was reached with each teacher.

    The tables to beat are those that the target names. The PPMI-SVD table is one more: the encoder that is distilled
    from it is compared with it too, so that what the teacher brings is not taken for what the encoder brings.
    """
    languages = sorted({row["language"] for row in rows})
    found = {system: seed_means(pick(rows, system=system), "test_f1", languages) for system in SYSTEMS}
    means = {system: statistics.fmean(values) for system, values in found.items() if values}
    have = [system for system in NAMED_TABLES if system in means]
    if not have or "finetuned" not in means:
        return "Not all systems have been run on all languages."
    best = max(have, key=means.__getitem__)
    said = [
        "Target: the fine-tuned encoder at least 3 points of mean F1 above the best of fastText's, floret's and "
        "compress-fasttext's tables, at no more than a twentieth of fastText's bytes.",
        f"Reached with fastText as the teacher: {_lead(rows, means, 'finetuned', best)}.",
    ]
    if "finetuned-ppmi_svd" in means:
        above = ""
        if "static-ppmi_svd" in means:
            gap = means["finetuned-ppmi_svd"] - means["static-ppmi_svd"]
            above = f" ({gap:+.1f} against that table itself)"
        lead = _lead(rows, means, "finetuned-ppmi_svd", best)
        said.append(f"With the PPMI-SVD table as the teacher: {lead}{above}.")
    said += [
        f"With the encoder of the {one} tagger: {means[one] - means[best]:+.1f}." for one in TAGGERS if one in means
    ]
    return " ".join(said)


def _lead(rows: Rows, means: dict[str, float], system: str, best: str) -> str:
    lead = means[system] - means[best]
    table, own = (pick(rows, system=one)[0]["embedding_bytes"] for one in ("static", system))
    verdict = "met" if lead >= 3 and table / own >= 20 else "missed"
    return f"{lead:+.1f} points against {best}, at 1/{table / own:.0f} of the bytes: **{verdict}**"


def low_data_points(rows: Rows) -> dict[str, dict[int, list[float]]]:
    """Mean test F1 by system and share, one for each seed, over the languages that every share has been run on."""
    found = [row for row in rows if row["system"] in LOW_DATA_SYSTEMS]
    languages = sorted(set.intersection(*({row["language"] for row in pick(found, share=one)} for one in SHARES)))
    points: dict[str, dict[int, list[float]]] = {}
    for system in LOW_DATA_SYSTEMS:
        for share in SHARES:
            means = seed_means(pick(found, system=system, share=share), "test_f1", languages) if languages else []
            if means:
                points.setdefault(system, {})[share] = means
    return points


def low_data_table(rows: Rows) -> str:
    """Mean test F1 with a part of the training sentences."""
    points = low_data_points(rows).items()
    lines = [[system, *(spread(found.get(share, [])) for share in SHARES)] for system, found in points]
    return markdown_table(["mean test F1", *(f"{share} %" for share in SHARES)], lines)


def draw_low_data(rows: Rows, out: Path) -> None:
    """Draw `low_data_points` as an SVG file, the same bytes from the same figures."""
    with figure_of(6, 4) as (drawing, axes):
        for system, found in low_data_points(rows).items():
            means = [statistics.fmean(values) for values in found.values()]
            deviations = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in found.values()]
            axes.errorbar(list(found), means, deviations, marker="o", capsize=3, label=system)
        axes.set_xlabel("training sentences (per cent)")
        axes.set_ylabel("mean test F1")
        axes.set_xticks(SHARES)
        axes.grid(alpha=0.3)
        axes.legend()
        with atomic_file(out, "w") as stream:
            stream.write(svg_text(drawing))


# -- POS


def transfer_table(rows: Rows) -> str:
    """Per test of transfer and set trained on, each system's accuracy; the share of words the training text lacks.

    The joint tagger on MasakhaPOS is not transfer: `joint_table` has it.
    """
    pairs, lines = list(pairs_of(rows)), []
    for test in pos.TRANSFER_TESTS:
        for name in test.trained_on:
            found = [row for row in pick(rows, language=name) if test.name in row["transfer"]]
            if found and not (name == pos.JOINT and test.name.startswith(OWN)):
                cells = [
                    spread(row["transfer"][test.name]["accuracy"] for row in pick(found, system=system))
                    for _, system, _ in pairs
                ]
                lines.append([test.name, name, f"{found[0]['transfer'][test.name]['unseen_share']:.0f}", *cells])
    return markdown_table(["test", "trained on", "unseen, % of words", *(system for _, system, _ in pairs)], lines)


def differences_table(rows: Rows) -> str:
    """Where the encoders win and lose: against each other system, language by language, on the seeds of both."""
    lines = []
    for ours in DISTILLED:
        for other in (system for system in COMMON if system not in DISTILLED):
            gaps = {one: _gap(pick(rows, language=one), ours, other, "accuracy") for one in pos.LANGUAGES}
            known = {one: gap for one, gap in gaps.items() if gap is not None}
            if known:
                unseen = [_gap(pick(rows, language=one), ours, other, "unseen") for one in pos.LANGUAGES]
                taught = [gap for one, gap in known.items() if one in RAW_TEXT]
                others = [gap for one, gap in known.items() if one not in RAW_TEXT]
                lost = sorted((gap, one) for one, gap in known.items() if gap < 0)
                listed = ", ".join(f"{one} {gap:+.1f}" for gap, one in lost)
                behind = f"{len(lost)} of {len(known)}" + (f": {listed}" if lost else "")
                means = map(_mean_gap, (list(known.values()), taught, others, unseen))
                lines.append([f"{ours} - {other}", *means, behind])
    header = ["encoder against", "mean difference", "taught", "others", "on unseen words", "behind in"]
    return markdown_table(header, lines)


def _gap(rows: Rows, ours: str, other: str, name: str) -> float | None:
    one, two = ({row["seed"]: row["test"][name] for row in pick(rows, system=system)} for system in (ours, other))
    both = [seed for seed in one.keys() & two.keys() if one[seed] is not None]
    return statistics.fmean(one[seed] - two[seed] for seed in both) if both else None


def _mean_gap(gaps: Sequence[float | None]) -> str:
    values = [gap for gap in gaps if gap is not None]
    return f"{statistics.fmean(values):+.2f}" if values else ""


def joint_table(rows: Rows) -> str:
    """Accuracy per language of one joint tagger beside the languages' own taggers, and the means."""
    columns: dict[str, dict[str, list[float]]] = {}
    for system in (one for one in COMMON if pick(rows, system=one, language=pos.JOINT)):
        own, joint = columns.setdefault(f"{system}, own", {}), columns.setdefault(f"{system}, joint", {})
        for row in pick(rows, system=system):
            if row["language"] in pos.LANGUAGES:
                own.setdefault(row["language"], []).append(row["test"]["accuracy"])
            for name, scores in row["transfer"].items() if row["language"] == pos.JOINT else ():
                if name.startswith(OWN):
                    joint.setdefault(name.removeprefix(OWN), []).append(scores["accuracy"])
    lines = [
        [starred("pos", one), *(spread(found.get(one, [])) for found in columns.values())] for one in pos.LANGUAGES
    ]
    means = [statistics.fmean(map(statistics.fmean, found.values())) if found else None for found in columns.values()]
    lines.append(["**mean**", *("" if mean is None else f"**{mean:.1f}**" for mean in means)])
    return markdown_table(["language", *columns], lines)


# -- what was tried, and the data


def tried_table(rows: Rows, name: str, seconds: bool = False) -> str:
    """Dev scores of what was tried on dev, by language; with the processor seconds of a run."""
    places = sorted({(row["task"], row["language"]) for row in rows})
    several = len({task for task, _ in places}) > 1
    lines = []
    for system, setting in dict.fromkeys((row["system"], row["setting"]) for row in rows):
        found = pick(rows, system=system, setting=setting)
        line = [f"{system}, {setting}" if setting else system]
        for task, language in places:
            own = pick(found, task=task, language=language)
            cell = spread(figure(row, name) for row in own)
            line.append(f"{cell} ({spread(row['seconds'] for row in own)} s)" if seconds and own else cell)
        means = seed_means(found, name, [language for _, language in places])
        lines.append([*line, *([] if several else [spread(means)])])
    heads = [f"{task} {language}" if several else language for task, language in places]
    return markdown_table(["dev", *heads, *([] if several else ["mean"])], lines)


def in_study_order(rows: Rows) -> list[Row]:
    """The rows in the order of studies.yml."""
    import srsly

    studies = srsly.read_yaml(HERE / "studies.yml")
    order = [(t, one["system"], one.get("setting", "")) for t, planned in studies.items() for one in planned["tries"]]
    return sorted(rows, key=lambda row: order.index((row["task"], row["system"], row["setting"])))


def shares_in_raw_text(data: Path, language: str) -> dict[str, float]:
    """For each split of NER, the share of its sentences that stand in the language's raw text."""
    files = TASKS["ner"].files(data, language)  # type: ignore[union-attr]
    sentences = {split: [s.words for s in read_sentences(files[split], Layout())] for split in SPLITS}
    return share_in_text(sentences, corpus_files(data, [language]))


def raw_text_block(data: Path, languages: Sequence[str], rows: Rows) -> str:
    """The shares of NER sentences in raw text, and the mean test F1 over the languages that have few."""
    shares = {one: shares_in_raw_text(data, one) for one in languages}
    lines = [[one, *(f"{100 * found[split]:.0f} %" for split in SPLITS)] for one, found in shares.items()]
    table = markdown_table(["in the raw text", *SPLITS], lines)
    few = [one for one, found in shares.items() if found["test"] < MANY]
    left_out = ", ".join(one for one in languages if one not in few)
    found = {system: seed_means(own, "test_f1", few) for _, system, own in pairs_of(pick(rows, task="ner", share=100))}
    means = ", ".join(f"{system} {mean_spread(values)}" for system, values in found.items() if values)
    return f"{table}\n\nMean test F1 without {left_out}: {means}." if left_out else table


def pos_data_block(data: Path, sets: Sequence[str]) -> str:
    """Sizes of the POS sets, unseen words, and test sentences that stand elsewhere; prints all blemishes."""
    lines = []
    for name in sets:
        files = pos.pos_files(data, name)
        parts = {split: pos.read_pos(file) for split, file in files.items()}
        gold = parts["test"]
        words, tags = [s.words for s in gold], [s.tags for s in gold]
        unseen = seen_accuracy(pos.words_of(parts["train"]), words, tags, tags)["unseen_share"]
        trained = {tuple(sentence.words) for sentence in parts["train"]}
        sizes = [f"{len(part):,} / {sum(map(len, part)):,}" for part in parts.values()]
        language, raw = TREEBANK_TEXT.get(name, name), ""
        if language in RAW_TEXT and (data / "corpora" / language).is_dir():
            raw = f"{100 * share_in_text({'test': words}, corpus_files(data, [language]))['test']:.0f}"
        lines.append([starred("pos", name), *sizes, f"{unseen:.0f}", str(sum(tuple(w) in trained for w in words)), raw])
        for problem in check_tagged(tagged_dataset(files, "pos"), files):
            typer.echo(f"{name}: {problem}")
    header = ["set", "train, sentences / words", "dev", "test", "unseen, % of test words"]
    header += ["test sentences also in train", "in the raw text, % of test sentences"]
    return markdown_table(header, lines)


def text_data_block(data: Path, places: Iterable[tuple[str, str]]) -> str:
    """What each set of texts holds after the checks, and how many texts they dropped."""
    lines = []
    for task, language in places:
        dataset, notes = texts_of(data, task, language)
        sizes = [str(len(dataset[name])) for name in SPLITS]
        words = [f"{statistics.fmean(len(t.split()) for t in dataset[name]['text']):.0f}" for name in ("train", "test")]
        found = [match for note in notes if (match := re.match(r"(train|dev): (\d+) texts .*dropped", note))]
        dropped = {split: sum(int(match[2]) for match in found if match[1] == split) for split in ("train", "dev")}
        said = ", ".join(f"{count} {split}" for split, count in dropped.items() if count) or "none"
        lines.append([f"{task} {language}", str(len(class_names(dataset["train"]))), *sizes, *words, said])
    header = ["task, language", "classes", *SPLITS, "words a train text", "a test text", "dropped"]
    return markdown_table(header, lines)


# -- commands

Results = Annotated[Path, typer.Option(help="The scores (JSON lines).")]
Readme = Annotated[Path, typer.Option(help="Where the tables go.")]


@app.command()
def write(
    results: Results = HERE / "results.jsonl",
    tried: Annotated[Path, typer.Option(help="What was tried on dev.")] = HERE / "tried.jsonl",
    readme: Readme = HERE / "README.md",
) -> None:
    """Write the tables of all results found, and the plot beside the README."""
    rows, studied = read_results(results), in_study_order(read_results(tried))
    ner, tagged = pick(rows, task="ner"), pick(rows, task="pos")
    if ner:
        full = pick(ner, share=100)
        scores = {"dev F1": "dev_f1", "test F1": "test_f1", "seen": "test_f1_seen", "never seen": "test_f1_unseen"}
        speed = [row | {"words_per_second": row["test_words_per_second"]} for row in full]
        replace_block(readme, "ner-target", target(full))
        replace_block(readme, "ner-languages", languages_table(full, "test_f1", "test F1", mean=True))
        replace_block(readme, "ner-systems", systems_table(speed, scores))
        if {row["share"] for row in ner} >= set(SHARES):
            replace_block(readme, "ner-low-data", low_data_table(ner))
            draw_low_data(ner, readme.with_name("low-data.svg"))
    if tagged:
        own = [row for row in tagged if row["language"] in pos.LANGUAGES]
        scores = {"test": "test.accuracy", "seen words": "test.seen", "unseen words": "test.unseen"}
        parts = {"of the taught": "taught", "of the others": "others"}
        replace_block(readme, "pos-systems", systems_table(own, scores, 2, parts))
        replace_block(readme, "pos-differences", differences_table(tagged))
        replace_block(readme, "pos-languages", languages_table(tagged, "test.accuracy", "trained on"))
        unseen = languages_table(tagged, "test.unseen", "trained on", share="test.unseen_share")
        replace_block(readme, "pos-unseen", unseen)
        replace_block(readme, "pos-joint", joint_table(tagged))
        replace_block(readme, "pos-transfer", transfer_table(tagged))
    scores = {"test weighted F1": "test_f1", "test macro F1": "test_macro_f1", "dev weighted F1": "dev_f1"}
    for task in TEXT_TASKS:
        if found := pick(rows, task=task):
            replace_block(readme, f"{task}-systems", systems_table(found, scores))
            replace_block(readme, f"{task}-languages", languages_table(found, "test_f1", "model, system"))
    for block, tasks, name, seconds in (
        ("ner-tried", ("ner",), "dev_f1", False),
        ("pos-tried", ("pos",), "dev.accuracy", True),
        ("text-tried", TEXT_TASKS, "dev_f1", False),
    ):
        if found := [row for row in studied if row["task"] in tasks]:
            replace_block(readme, block, tried_table(found, name, seconds))


@app.command("data")
def write_data(
    task: Annotated[list[str], typer.Option(help="Which tasks.")] = list(TASKS),
    language: Annotated[list[str], typer.Option(help="Which languages or POS sets; all of the task.")] = [],
    data: Annotated[Path, typer.Option(help="Folder with corpora/ and tasks/.")] = DEFAULT_DATA,
    results: Results = HERE / "results.jsonl",
    readme: Readme = HERE / "README.md",
) -> None:
    """Write what the data sets hold, and how much of them stands in the raw text; print all blemishes."""
    chosen = {name: [one for one in TASKS[name].languages if not language or one in language] for name in task}
    if chosen.get("ner"):
        replace_block(readme, "ner-raw-text", raw_text_block(data, chosen["ner"], read_results(results)))
    if chosen.get("pos"):
        replace_block(readme, "pos-data", pos_data_block(data, [one for one in chosen["pos"] if one != pos.JOINT]))
    places = [(name, one) for name in chosen if name in TEXT_TASKS for one in chosen[name]]
    if places:
        replace_block(readme, "text-data", text_data_block(data, places))


if __name__ == "__main__":
    run_app(app)
