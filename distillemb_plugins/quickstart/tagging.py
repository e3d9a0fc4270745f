"""Training and scoring the quickstart's spaCy pipelines, through spaCy's own training API."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..errors import require

if TYPE_CHECKING:
    from spacy import Language

# Without pretrained vectors; with the bundled encoder; with the one distilled from the sample's raw text.
ARMS = ("scratch", "afro11", "distilled")
CONFIGS = ("scratch.cfg", "encoder.cfg")


@dataclass(frozen=True)
class Scores:
    """Entity scores of one pipeline on one corpus, each from 0 to 1, as spaCy's `Scorer` counts them."""

    f1: float
    precision: float
    recall: float
    per_type: dict[str, float]
    words_per_second: float


def config_text(arm: str) -> str:
    """The training configuration of an arm, as it lies in the package; two arms differ in ``paths.encoder`` alone."""
    return files(__package__).joinpath(CONFIGS[arm != "scratch"]).read_text(encoding="utf-8")


def train_tagger(
    arm: str, out: Path, *, paths: Mapping[str, str | Path], max_steps: int | None, seed: int, progress: bool
) -> Path:
    """Train one arm and leave the pipeline with the best dev score in `out`.

    paths: values of the configuration's ``[paths]``. max_steps: of the configuration when None.
    Raises `MissingExtraError` when spaCy is not installed.
    """
    require("spacy", "spacy")
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train
    from thinc.api import Config

    overrides: dict[str, Any] = {f"paths.{name}": str(path) for name, path in paths.items()}
    overrides["system.seed"] = seed
    if max_steps is not None:
        overrides |= {"training.max_steps": max_steps, "training.eval_frequency": max(1, max_steps // 5)}
    config = Config().from_str(config_text(arm), interpolate=False, overrides=overrides)
    nlp = init_nlp(config)
    steps = int(config.interpolate()["training"]["max_steps"])
    with (
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work,
        tqdm(total=steps, desc=f"training NER, {arm}", unit=" steps", disable=not progress) as bar,
    ):
        train(nlp, Path(work), stdout=TrainingRows(bar), stderr=io.StringIO())
        shutil.move(str(Path(work) / "model-best"), out)
    return out


def score_tagger(nlp: Language, conll: Path) -> Scores:
    """Score a pipeline on a two-column CoNLL file."""
    from ..spacy_plugin.readers import create_conll_corpus

    results = nlp.evaluate(list(create_conll_corpus(conll)(nlp)))
    per_type = results["ents_per_type"] or {}
    return Scores(
        f1=_share(results["ents_f"]),
        precision=_share(results["ents_p"]),
        recall=_share(results["ents_r"]),
        per_type={label: _share(scores["f"]) for label, scores in sorted(per_type.items())},
        words_per_second=round(float(results["speed"]), 1),
    )


def set_config_paths(pipeline: Path, paths: dict[str, str]) -> None:
    """Replace the ``[paths]`` values in a saved pipeline's ``config.cfg``.

    Training ran in a temporary directory: without this, the file would name places that are gone.
    """
    from thinc.api import Config

    config = Config().from_disk(pipeline / "config.cfg", interpolate=False)
    config["paths"].update(paths)
    config.to_disk(pipeline / "config.cfg", interpolate=False)


def _share(score: float | None) -> float:
    return round(float(score or 0.0), 4)


class TrainingRows(io.StringIO):
    """Takes spaCy's training table and moves a progress bar by it: a row is epoch, step, losses, scores.

    bar: a tqdm bar that counts steps. score: what the last column is called beside the bar.
    """

    def __init__(self, bar: Any, score: str = "dev F1") -> None:
        super().__init__()
        self.bar, self.score = bar, score

    def write(self, text: str) -> int:
        row = re.match(r"\s*\d+\s+(\d+)\s.*?([\d.]+)\s*$", text)
        if row:
            self.bar.update(int(row[1]) - self.bar.n)
            self.bar.set_postfix_str(f"{self.score} {100 * float(row[2]):.1f}", refresh=False)
        return len(text)
