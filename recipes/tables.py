"""Scores of taggers and classifiers of any library as rows of results, and tables of them.

The `language` of a row is the set that it was trained on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from distillemb_plugins.data import Sentence, pos
from distillemb_plugins.evaluate import class_scores, entity_scores, per_type, seen_accuracy, seen_scores
from distillemb_plugins.evaluate.plots import bar_plot
from recipes import results as shared
from recipes.results import (
    RAW_TEXT,
    Cell,
    Groups,
    Row,
    Rows,
    fact,
    mean_spread,
    pick,
    score,
    seed_means,
    seed_score,
    table,
)

OWN = "MasakhaPOS "  # the tests of the languages themselves
Tag = Callable[[Sequence[Sentence]], tuple[Sequence[Sequence[str]], int]]  # the tags of sentences, and words a second


def ner_scores(tag: Tag, train: Iterable[Sentence], splits: Mapping[str, Sequence[Sentence]]) -> Row:
    """Corpus-level scores of each split, of each entity type, and of entities seen in training or not."""
    known, row = [(s.words, s.tags) for s in train], Row()
    for split, gold in splits.items():
        found, speed = tag(gold)
        words, tags = [s.words for s in gold], [s.tags for s in gold]
        scores = entity_scores(tags, found) | seen_scores(known, words, tags, found)
        row |= {f"{split}_{name}": round(value, 2) for name, value in scores.items()}
        row |= {f"{split}_per_type": per_type(tags, found), f"{split}_words_per_second": speed}
    return row


def pos_scores(
    tag: Tag, data: Path, trained_on: str, files: Mapping[str, Path], splits: Sequence[str] = ("dev", "test")
) -> Row:
    """Accuracy on the splits, of words seen in training or not; with test also on the tests of transfer there are."""
    known, row = pos.words_of(pos.read_pos(files["train"])), Row()

    def accuracy(gold: Sequence[Sentence]) -> tuple[dict[str, Any], int]:
        found, speed = tag(gold)
        return seen_accuracy(known, [s.words for s in gold], [s.tags for s in gold], found), speed

    for split in splits:
        row[split], row["words_per_second"] = accuracy(pos.read_pos(files[split]))
    if "test" in splits:
        others = {test: pos.transfer_file(data, test) for test in pos.transfer_tests(trained_on)}
        row["transfer"] = {t.name: accuracy(pos.read_pos(file, t.plain))[0] for t, file in others.items() if file}
    return row


def text_scores(split: str, gold: Sequence[Any], found: Sequence[Any]) -> Row:
    """Weighted F1, macro F1 and accuracy over all texts of a split."""
    return {f"{split}_{name}": round(score, 2) for name, score in class_scores(list(gold), list(found)).items()}


# -- tables


def pos_blocks(
    rows: Rows, groups: Groups, systems: Sequence[str], pairs: Iterable[tuple[str, str]], languages: Sequence[str]
) -> dict[str, str]:
    """The tables of parts of speech, by the name of their block. pairs: encoders, and what they are compared with."""
    scores = {"test": "test.accuracy", "seen words": "test.seen", "unseen words": "test.unseen"}
    own = pick(rows, language=tuple(languages))
    every = (systems, languages)
    return {
        "pos-systems": systems_table(groups, scores, 2, parts=True),
        "pos-differences": differences_table(rows, pairs),
        "pos-languages": languages_table(own, *every, "test.accuracy", "trained on"),
        "pos-unseen": languages_table(own, *every, "test.unseen", "trained on", share="test.unseen_share"),
        "pos-joint": joint_table(rows, systems),
        "pos-transfer": transfer_table(rows, systems),
    }


def common_languages(rows: Rows) -> list[str]:
    """The languages that every system has which has any."""
    found = [{row["language"] for row in pick(rows, system=system)} for system in {row["system"] for row in rows}]
    return sorted(set.intersection(*found)) if found else []


def systems_table(groups: Groups, scores: Mapping[str, str], digits: int = 1, parts: bool = False) -> str:
    """Means of scores over the languages (`parts`: those of the teachers' raw text, and the others), and the costs.

    groups: systems of one model or of several, by their labels. Languages that a system of a model lacks do not count.
    """
    groups = list(groups)
    rows = [row for _, own in groups for row in own]
    whole = [
        (label, shared.whole_seeds(own, "language", common_languages(pick(rows, model=own[0].get("model")))))
        for label, own in groups
        if own
    ]
    columns: dict[str, Cell] = {"languages": lambda own: str(len({row["language"] for row in own}))}
    columns |= {column: seed_score(name, digits) for column, name in scores.items()}
    if parts:
        columns["of the taught"] = seed_score("test.accuracy", digits, only=RAW_TEXT)
        columns["of the others"] = seed_score("test.accuracy", digits, but=RAW_TEXT)
    columns |= {"seeds": shared.seeds, "loads": lambda own: shared.megabytes(own[0]["embedding_bytes"], "none")}
    columns["CPU seconds a run"] = shared.average("seconds", f".{digits - 1}f")
    if rows and "model_bytes" in rows[0]:
        columns["model"] = lambda own: shared.megabytes(statistics.fmean(row["model_bytes"] for row in own))
    if rows and "words_per_second" in rows[0]:
        columns["words/s"] = shared.average("words_per_second", ",.0f", statistics.median)
    return table("model, system" if len({row.get("model") for row in rows}) > 1 else "system", whole, columns)


def starred(language: str) -> str:
    """A language's code, with a star where the raw text of the teachers does not hold it."""
    return f"{language} *" if language in pos.LANGUAGES and language not in RAW_TEXT else language


def languages_table(
    rows: Rows, systems: Iterable[str], languages: Sequence[str], name: str, first: str, *, mean: bool = False,
    share: str = "",
) -> str:  # fmt: skip
    """A score of every language and system; a row of means; a share that a language has."""
    known = [system for system in systems if pick(rows, system=system)]
    columns = {"unseen, % of words": fact(share, ".0f")} if share else {}
    columns |= {system: score(name, system=system) for system in known}
    means = [mean_spread(seed_means(pick(rows, system=system), name, languages)) for system in known]
    last = ["**mean**", *(f"**{one}**" if one else "" for one in means)] if mean else []
    return table(first, [(starred(one), pick(rows, language=one)) for one in languages], columns, last)


def _transfer_rows(rows: Rows) -> Rows:
    """A row for each test of transfer of each row."""
    return [row | {"test": test, **scores} for row in rows for test, scores in row["transfer"].items()]


def transfer_table(rows: Rows, systems: Iterable[str]) -> str:
    """Per test of transfer and set trained on, each system's accuracy; the share of words the training text lacks.

    The joint tagger on MasakhaPOS is not transfer: `joint_table` has it.
    """
    found = [r for r in _transfer_rows(rows) if not (r["language"] == pos.JOINT and r["test"].startswith(OWN))]
    columns = {"trained on": fact("language"), "unseen, % of words": fact("unseen_share", ".0f")}
    columns |= {system: score("accuracy", system=system) for system in systems if pick(rows, system=system)}
    places = [(test.name, language) for test in pos.TRANSFER_TESTS for language in test.trained_on]
    return table("test", [(name, pick(found, test=name, language=language)) for name, language in places], columns)


def joint_table(rows: Rows, systems: Iterable[str]) -> str:
    """Accuracy per language of one joint tagger beside the languages' own taggers, and the means."""
    own = [row | {"kind": "own", **row["test"]} for row in pick(rows, language=pos.LANGUAGES)]
    joint = [row for row in _transfer_rows(pick(rows, language=pos.JOINT)) if row["test"].startswith(OWN)]
    found = own + [row | {"kind": "joint", "language": row["test"].removeprefix(OWN)} for row in joint]
    columns, means = {}, []
    for system, kind in product((one for one in systems if pick(joint, system=one)), ("own", "joint")):
        columns[f"{system}, {kind}"] = score("accuracy", system=system, kind=kind)
        taken = [pick(found, system=system, kind=kind, language=one) for one in pos.LANGUAGES]
        scores = [statistics.fmean(row["accuracy"] for row in some) for some in taken if some]
        means.append(f"**{statistics.fmean(scores):.1f}**" if scores else "")
    groups = [(starred(one), pick(found, language=one)) for one in pos.LANGUAGES]
    return table("language", groups, columns, ["**mean**", *means])


def tried_table(rows: Rows, name: str, seconds: bool = False) -> str:
    """Dev scores of what was tried on dev, by language; with the processor seconds of a run."""
    places = sorted({(row["task"], row["language"]) for row in rows})
    several = len({task for task, _ in places}) > 1

    def cell(task: str, language: str) -> Cell:
        scores, times = score(name, task=task, language=language), score("seconds", task=task, language=language)
        return lambda own: f"{scores(own)} ({times(own)} s)" if seconds and scores(own) else scores(own)

    columns = {f"{task} {language}" if several else language: cell(task, language) for task, language in places}
    if not several:
        columns["mean"] = lambda own: mean_spread(seed_means(own, name, [language for _, language in places]))
    tries = dict.fromkeys((row["system"], row["setting"]) for row in rows)
    groups = [(", ".join(filter(None, one)), pick(rows, system=one[0], setting=one[1])) for one in tries]
    return table("dev", groups, columns)


def differences_table(rows: Rows, pairs: Iterable[tuple[str, str]]) -> str:
    """Where encoders win and lose against other systems, language by language, on the seeds that both have."""
    groups = list(_differences(rows, pairs).items())
    others = [one for one in pos.LANGUAGES if one not in RAW_TEXT]
    columns = {"mean difference": _mean_gap("accuracy"), "taught": _mean_gap("accuracy", RAW_TEXT)}
    columns |= {"others": _mean_gap("accuracy", others), "on unseen words": _mean_gap("unseen"), "behind in": _behind}
    return table("encoder against", groups, columns)


def differences_plot(rows: Rows, pairs: Iterable[tuple[str, str]]) -> str:
    """The same as bars, the languages that the teachers' raw text holds first, as SVG."""
    found = _differences(rows, pairs)
    bars = {
        starred(one): {name: own[0]["accuracy"] for name, some in found.items() if (own := pick(some, language=one))}
        for one in sorted(pos.LANGUAGES, key=lambda one: (one not in RAW_TEXT, one))
    }
    return bar_plot({label: values for label, values in bars.items() if values}, "parts of speech, points of accuracy")


def _differences(rows: Rows, pairs: Iterable[tuple[str, str]]) -> dict[str, Rows]:
    """By pair: a row for each language that both have, with the mean differences on the seeds that both have."""
    groups: dict[str, Rows] = {}
    for ours, other in pairs:
        found = groups[f"{ours} - {other}"] = []
        for language in pos.LANGUAGES:
            own = pick(rows, language=language)
            one, two = ({row["seed"]: row["test"] for row in pick(own, system=system)} for system in (ours, other))
            both = [(one[seed], two[seed]) for seed in one.keys() & two.keys()]
            if both:
                found.append({"language": language, **{name: _gap(both, name) for name in ("accuracy", "unseen")}})
    return groups


def _gap(pairs: Iterable[tuple[Row, Row]], name: str) -> float | None:
    gaps = [one[name] - two[name] for one, two in pairs if one[name] is not None]
    return statistics.fmean(gaps) if gaps else None


def _mean_gap(name: str, languages: Sequence[str] = pos.LANGUAGES) -> Cell:
    def cell(rows: Rows) -> str:
        values = [row[name] for row in pick(rows, language=tuple(languages)) if row[name] is not None]
        return f"{statistics.fmean(values):+.2f}" if values else ""

    return cell


def _behind(rows: Rows) -> str:
    """A cell: in how many languages, in which, and how far."""
    lost = sorted((row["accuracy"], row["language"]) for row in rows if row["accuracy"] < 0)
    listed = ", ".join(f"{language} {gap:+.1f}" for gap, language in lost)
    return f"{len(lost)} of {len(rows)}" + (f": {listed}" if lost else "")
