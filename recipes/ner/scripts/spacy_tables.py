"""The tables and the plot of the NER recipe in spaCy, from the rows of its results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from distillemb_plugins.evaluate.plots import figure_of, svg_text
from distillemb_plugins.files import atomic_file
from recipes import spacy_arms
from recipes.common import markdown_table, mean_spread, megabytes

TAGGER_ARMS = ("joint", "refined")  # the encoder of that tagger of ner_hf.py, trained with the pipeline
ARMS = (*spacy_arms.ARMS, *TAGGER_ARMS)
NAMED_TABLES = ("static", "floret", "compressed")  # in the target
LOW_DATA_ARMS = ("hash", "static", "finetuned", "static-svd", "finetuned-svd")
SHARES = (10, 25, 50)  # per cent of the training sentences; 100 is the main run
Row = dict[str, Any]


def chosen(rows: Iterable[Row], **values: Any) -> list[Row]:
    """The rows that hold these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def languages_of(rows: Iterable[Row]) -> list[str]:
    return sorted({row["language"] for row in rows})


def seed_means(rows: Sequence[Row], name: str, languages: Sequence[str]) -> list[float]:
    """A score's mean over the languages, for each seed that has all of them."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        values = {row["language"]: row[name] for row in chosen(rows, seed=seed)}
        if set(languages) <= set(values):
            found.append(statistics.fmean(values[language] for language in languages))
    return found


def spread(values: Sequence[float]) -> str:
    """Mean and spread, empty for no figures."""
    return mean_spread(values) if values else ""


def language_table(rows: Sequence[Row]) -> str:
    """Test F1 of every language (rows) and arm (columns), and the mean over the languages."""
    lines = []
    for language in languages_of(rows):
        cells = [[row["test_f1"] for row in chosen(rows, language=language, arm=arm)] for arm in ARMS]
        lines.append([language, *map(spread, cells)])
    means = [seed_means(chosen(rows, arm=arm), "test_f1", languages_of(rows)) for arm in ARMS]
    lines.append(["**mean**", *(f"**{mean_spread(found)}**" if found else "" for found in means)])
    return markdown_table(["test F1", *ARMS], lines)


def arm_table(rows: Sequence[Row]) -> str:
    """What each arm scores, loads and costs, means over languages and seeds."""
    header = ["arm", "dev F1", "test F1", "seen", "never seen", "loads", "pipeline", "words/s", "CPU s a run", "runs"]
    lines = []
    for arm in ARMS:
        found = chosen(rows, arm=arm)
        if found:
            scores = ["dev_f1", "test_f1", "test_f1_seen", "test_f1_unseen"]
            size = found[0]["embedding_bytes"]
            lines.append(
                [
                    arm,
                    *(spread(seed_means(found, name, languages_of(rows))) for name in scores),
                    megabytes(size) if size else "none",
                    megabytes(statistics.fmean(row["pipeline_bytes"] for row in found)),
                    f"{statistics.median(row['test_words_per_second'] for row in found):,.0f}",
                    f"{statistics.fmean(row['seconds'] for row in found):.0f}",
                    str(len(found)),
                ]
            )
    return markdown_table(header, lines)


def target(rows: Sequence[Row]) -> str:
    """The target, and what was reached: with fastText as the teacher, and with the counted table.

    The tables to beat are those that the target names. The counted table is one more: the encoder that is distilled
    from it is set against it too, so that what the teacher brings is not taken for what the encoder brings.
    """
    languages = languages_of(rows)
    arms = (*NAMED_TABLES, "static-svd", "finetuned", "finetuned-svd", *TAGGER_ARMS)
    found = {arm: seed_means(chosen(rows, arm=arm), "test_f1", languages) for arm in arms}
    means = {arm: statistics.fmean(values) for arm, values in found.items() if values}
    have = [arm for arm in NAMED_TABLES if arm in means]
    if not have or "finetuned" not in means:
        return "Not all arms have been run on all languages."
    best = max(have, key=means.__getitem__)
    said = [
        "Target: the fine-tuned encoder at least 3 points of mean F1 above the best of fastText's, floret's and "
        "compress-fasttext's tables, at no more than a twentieth of fastText's bytes.",
        f"Reached with fastText as the teacher: {_lead(rows, means, 'finetuned', best)}.",
    ]
    if "finetuned-svd" in means:
        above = ""
        if "static-svd" in means:
            above = f" ({means['finetuned-svd'] - means['static-svd']:+.1f} against that table itself)"
        said.append(f"With the counted table as the teacher: {_lead(rows, means, 'finetuned-svd', best)}{above}.")
    said += [
        f"With the encoder of the {arm} tagger: {means[arm] - means[best]:+.1f}." for arm in TAGGER_ARMS if arm in means
    ]
    return " ".join(said)


def _lead(rows: Sequence[Row], means: dict[str, float], arm: str, best: str) -> str:
    lead = means[arm] - means[best]
    sizes = {one: chosen(rows, arm=one)[0]["embedding_bytes"] for one in ("static", arm)}
    ratio = sizes["static"] / sizes[arm]
    verdict = "met" if lead >= 3 and ratio >= 20 else "missed"
    return f"{lead:+.1f} points against {best}, at 1/{ratio:.0f} of the bytes: **{verdict}**"


def low_data_points(rows: Sequence[Row]) -> dict[str, dict[int, list[float]]]:
    """Mean test F1 by arm and share, one for each seed, over the languages that every share has been run on."""
    found = [row for row in rows if row["arm"] in LOW_DATA_ARMS]
    shares = (*SHARES, 100)
    languages = sorted(set.intersection(*({row["language"] for row in chosen(found, share=one)} for one in shares)))
    points: dict[str, dict[int, list[float]]] = {}
    for arm in LOW_DATA_ARMS:
        for share in shares:
            means = seed_means(chosen(found, arm=arm, share=share), "test_f1", languages) if languages else []
            if means:
                points.setdefault(arm, {})[share] = means
    return points


def low_data_table(rows: Sequence[Row]) -> str:
    """Mean test F1 with a part of the training sentences."""
    points = low_data_points(rows)
    shares = (*SHARES, 100)
    lines = [[arm, *(spread(found.get(share, [])) for share in shares)] for arm, found in points.items()]
    return markdown_table(["mean test F1", *(f"{share} %" for share in shares)], lines)


def tried_table(rows: Sequence[Row], variants: Sequence[str]) -> str:
    """Dev F1 of what was tried: means over the languages, for the seeds that have all of them."""
    lines = []
    names = languages_of(rows)
    for variant in variants:
        found = chosen(rows, variant=variant)
        if found:
            languages = [[row["dev_f1"] for row in chosen(found, language=one)] for one in names]
            lines.append([variant, *map(spread, languages), spread(seed_means(found, "dev_f1", names))])
    return markdown_table(["dev F1", *names, "mean"], lines)


def draw_low_data(rows: Sequence[Row], out: Path) -> None:
    """Draw `low_data_points` as an SVG file, the same bytes from the same figures."""
    with figure_of(6, 4) as (figure, axes):
        for arm, found in low_data_points(rows).items():
            means = [statistics.fmean(values) for values in found.values()]
            deviations = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in found.values()]
            axes.errorbar(list(found), means, deviations, marker="o", capsize=3, label=arm)
        axes.set_xlabel("training sentences (per cent)")
        axes.set_ylabel("mean test F1")
        axes.set_xticks([*SHARES, 100])
        axes.grid(alpha=0.3)
        axes.legend()
        with atomic_file(out, "w") as stream:
            stream.write(svg_text(figure))
