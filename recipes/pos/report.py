"""The tables of the POS recipe's README, made from its results alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from distillemb_plugins.data.pos import JOINT, LANGUAGES, TREEBANKS
from distillemb_plugins.data.pos import TRANSFER_TESTS as TESTS
from recipes.common import markdown_table, mean_spread, megabytes, whole_seeds
from recipes.pos import hf_side
from recipes.spacy_arms import ARMS, ENCODER_OF
from recipes.spacy_arms import LANGUAGES as TAUGHT

Row = dict[str, Any]
Value = Callable[[Row], float | None]
SIDES = {"spacy": ARMS, "hf": hf_side.ARMS}
OWN = "MasakhaPOS "  # the tests of the languages themselves
DISTILLED = tuple(arm for arm in ENCODER_OF if arm != "random")  # measured against the other arms


def table_of_arms(rows: Sequence[Row], side: str) -> str:
    """Per arm, means over the languages: accuracy on all, taught and other languages, on seen and unseen words."""
    header = ["arm", "test", "of the taught", "of the others", "seen words", "unseen words"]
    header += ["seeds", "embedding", "model", "CPU seconds a run", "words/s"]
    lines = []
    for arm in SIDES[side]:
        found = _of(rows, side, arm)
        found = whole_seeds(found, "trained_on", (row["trained_on"] for row in found))
        if found:
            lines.append([arm, *_means(found), str(len({row["seed"] for row in found})), *_cost(found)])
    return markdown_table(header, lines)


def _of(rows: Sequence[Row], side: str, arm: str) -> list[Row]:
    return [row for row in rows if (row["side"], row["arm"]) == (side, arm) and row["trained_on"] in LANGUAGES]


def _means(found: Sequence[Row]) -> list[str]:
    taught = [row for row in found if row["trained_on"] in TAUGHT]
    others = [row for row in found if row["trained_on"] not in TAUGHT]
    return [
        *(_over_seeds(part, lambda row: row["test"]["accuracy"]) for part in (found, taught, others)),
        _over_seeds(found, lambda row: row["test"]["seen"]),
        _over_seeds(found, lambda row: row["test"]["unseen"]),
    ]


def _over_seeds(found: Sequence[Row], value: Value) -> str:
    """Mean over the languages for each seed, then mean ± standard deviation over the seeds."""
    means = []
    for seed in sorted({row["seed"] for row in found}):
        values = [v for row in found if row["seed"] == seed and (v := value(row)) is not None]
        means += [statistics.fmean(values)] if values else []
    return mean_spread(means, 2) if means else ""


def _cost(found: Sequence[Row]) -> list[str]:
    embedding = found[0]["embedding_bytes"]
    return [
        megabytes(embedding) if embedding else "none",
        megabytes(statistics.fmean(row["model_bytes"] for row in found)),
        f"{statistics.fmean(row['cpu_seconds'] for row in found):.1f}",
        f"{statistics.median(row['words_per_second'] for row in found):,.0f}",
    ]


def table_of_languages(rows: Sequence[Row], side: str, value: str = "accuracy") -> str:
    """Per language, each arm's test accuracy (or that on ``"unseen"`` words, with their share)."""
    arms = [arm for arm in SIDES[side] if _of(rows, side, arm)]
    share = ["unseen, % of words"] if value == "unseen" else []
    lines = []
    for language in (*LANGUAGES, *TREEBANKS):
        found = [row for row in rows if row["side"] == side and row["trained_on"] == language]
        if found:
            shares = [f"{found[0]['test']['unseen_share']:.0f}"] if share else []
            lines.append([starred(language), *shares, *(_cell(found, arm, value) for arm in arms)])
    return markdown_table(["trained on", *share, *arms], lines)


def starred(language: str) -> str:
    """A language's code, with a star where the encoder's text does not hold it."""
    return language if language in TAUGHT or language not in LANGUAGES else f"{language} *"


def _cell(found: Sequence[Row], arm: str, value: str) -> str:
    values = [row["test"][value] for row in found if row["arm"] == arm and row["test"][value] is not None]
    return mean_spread(values) if values else ""


def table_of_transfer(rows: Sequence[Row], side: str) -> str:
    """Per test of transfer and set trained on, each arm's accuracy; the share of words the training text lacks.

    The joint tagger on MasakhaPOS is no transfer: `joint_gain` has it.
    """
    arms = [arm for arm in SIDES[side] if any((row["side"], row["arm"]) == (side, arm) for row in rows)]
    lines = []
    for test in TESTS:
        for name in test.trained_on:
            if name == JOINT and test.name.startswith(OWN):
                continue
            found = [r for r in rows if (r["side"], r["trained_on"]) == (side, name) and test.name in r["transfer"]]
            if found:
                share = f"{found[0]['transfer'][test.name]['unseen_share']:.0f}"
                cells = [_transferred(found, arm, test.name) for arm in arms]
                lines.append([test.name, name, share, *cells])
    return markdown_table(["test", "trained on", "unseen, % of words", *arms], lines)


def _transferred(found: Sequence[Row], arm: str, name: str) -> str:
    values = [row["transfer"][name]["accuracy"] for row in found if row["arm"] == arm]
    return mean_spread(values) if values else ""


def differences(rows: Sequence[Row], side: str = "spacy") -> str:
    """Where the encoder loses: frozen and fine-tuned against each other arm, language by language, means of seeds.

    Only seeds that both arms have in a language are compared.
    """
    header = ["encoder against", "mean difference", "taught", "others", "on unseen words", "behind in"]
    lines = []
    for ours in DISTILLED:
        for other in (arm for arm in SIDES[side] if arm not in DISTILLED):
            gaps = {name: _gap(rows, side, name, ours, other, "accuracy") for name in LANGUAGES}
            unseen = {name: _gap(rows, side, name, ours, other, "unseen") for name in LANGUAGES}
            known = {name: gap for name, gap in gaps.items() if gap is not None}
            if known:
                lines.append(
                    [f"{ours} - {other}", *_gap_cells(known), _mean_gap(list(unseen.values())), _losses(known)]
                )
    return markdown_table(header, lines)


def _gap(rows: Sequence[Row], side: str, language: str, ours: str, other: str, value: str) -> float | None:
    found: dict[str, dict[int, float]] = {ours: {}, other: {}}
    for row in rows:
        if (row["side"], row["trained_on"]) == (side, language) and row["arm"] in found:
            found[row["arm"]][row["seed"]] = row["test"][value]
    both = found[ours].keys() & found[other].keys()
    return statistics.fmean(found[ours][seed] - found[other][seed] for seed in both) if both else None


def _gap_cells(known: dict[str, float]) -> list[str]:
    taught = [gap for name, gap in known.items() if name in TAUGHT]
    others = [gap for name, gap in known.items() if name not in TAUGHT]
    return [_mean_gap(list(known.values())), _mean_gap(taught), _mean_gap(others)]


def _mean_gap(gaps: Sequence[float | None]) -> str:
    values = [gap for gap in gaps if gap is not None]
    return f"{statistics.fmean(values):+.2f}" if values else ""


def _losses(known: dict[str, float]) -> str:
    lost = sorted((gap, name) for name, gap in known.items() if gap < 0)
    listed = ", ".join(f"{name} {gap:+.1f}" for gap, name in lost)
    return f"{len(lost)} of {len(known)}" + (f": {listed}" if lost else "")


def table_of_settings(rows: Sequence[Row]) -> str:
    """The settings that were tried, by dev accuracy alone."""
    header = ["side, trained on, arm", "setting", "dev accuracy", "CPU seconds"]
    keys = ("side", "trained_on", "arm")
    lines = [
        [", ".join(row[k] for k in keys), row["setting"], f"{row['dev']:.1f}", f"{row['cpu_seconds']:.1f}"]
        for row in sorted(rows, key=lambda r: [r[k] for k in (*keys, "setting")], reverse=True)
    ]
    return markdown_table(header, lines)


def joint_gain(rows: Sequence[Row]) -> str:
    """Accuracy per language of one joint tagger beside the languages' own taggers, in the same arm, and the means."""
    pairs = [(side, arm) for side, arms in SIDES.items() for arm in arms if _joint(rows, side, arm)]
    columns = [found for side, arm in pairs for found in _own_and_joint(rows, side, arm)]
    lines = [
        [starred(language), *(mean_spread(found[language]) if language in found else "" for found in columns)]
        for language in LANGUAGES
    ]
    means = [statistics.fmean(map(statistics.fmean, found.values())) if found else None for found in columns]
    lines.append(["**mean**", *("" if mean is None else f"**{mean:.1f}**" for mean in means)])
    return markdown_table(
        ["language", *(f"{side} {arm}, {kind}" for side, arm in pairs for kind in ("own", JOINT))], lines
    )


def _own_and_joint(rows: Sequence[Row], side: str, arm: str) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The accuracies of each language, one a seed: of its own tagger, and of the joint one."""
    own: dict[str, list[float]] = {}
    joint: dict[str, list[float]] = {}
    for row in _of(rows, side, arm):
        own.setdefault(row["trained_on"], []).append(row["test"]["accuracy"])
    for row in _joint(rows, side, arm):
        for name, scores in row["transfer"].items():
            if name.startswith(OWN):
                joint.setdefault(name.removeprefix(OWN), []).append(scores["accuracy"])
    return own, joint


def _joint(rows: Sequence[Row], side: str, arm: str) -> list[Row]:
    return [row for row in rows if (row["side"], row["arm"], row["trained_on"]) == (side, arm, JOINT)]
