"""From prepared text to encoders: the teacher, the students, and their intrinsic scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import DistillEmb
from ..distill import DistillSettings, distill
from ..distill.targets import Targets
from ..evaluate import EmbeddingModel, Evaluation, evaluate
from ..evaluate.evaluation import Tasks
from ..files import encoder_bytes, iter_lines
from ..persistence import find_word_list, resolve
from ..teachers import Teacher, load_teacher, train_teacher
from ..text import is_word
from .settings import BUNDLED, student_settings

_MAP_WORDS, _MAP_SKIP, _MIN_LETTERS = 80, 50, 4
_SHOWN_WORDS, _NEIGHBORS = 8, 6


def teach(
    text: Path,
    out: Path,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
    threads: int | None = 1,
    progress: bool = False,
) -> Teacher:
    """Train the teacher on a text. An interrupted training goes on.

    settings: arguments of `train_teacher`, which fits the others to the text. The same seed gives the same table only
    with one thread.
    """
    given = {"storage": "float16", **settings}
    train_teacher([text], out, threads=threads, seed=seed, resume=True, overwrite=True, progress=progress, **given)
    return load_teacher(out)


def distill_encoder(
    kind: str,
    teacher: Teacher,
    out: Path,
    settings: Mapping[str, Any],
    *,
    text: Path | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Distill an encoder, or find the bundled one. An interrupted training goes on.

    kind: ``"own"`` learns from the teacher alone. ``"joint"`` learns the average of the teacher and of what the bundled
    encoder says of the same words; of different widths, the main directions of both side by side, as many as the
    bundled encoder has. ``"afro11"`` is the bundled encoder as it is. settings: what differs from `student_settings`.
    text: for hard negatives, read where the settings say
    ``hard_negatives="window"``.
    """
    if kind == BUNDLED:
        return resolve(BUNDLED)
    joint: dict[str, Any] = {}
    if kind == "joint":
        dim = DistillEmb.from_pretrained(BUNDLED).dim
        joint = {"combine": "average"} if teacher.dim == dim else {"combine": "svd", "dim": dim}
    given = DistillSettings(seed=seed, **student_settings(len(teacher)) | dict(settings) | joint)
    teachers: list[Teacher | str] = [teacher, BUNDLED] if joint else [teacher]
    corpus = [text] if text and given.reads_corpus else []
    return distill(teachers, out, given, corpus, resume=True, progress=progress, extra=Targets.word_lists)


def evaluate_encoders(
    encoders: Mapping[str, Path], teacher: Teacher, shown: Sequence[str], *, maps: bool = True, progress: bool = False
) -> Evaluation:
    """Score encoders beside their teacher: held-out words, neighbors of the words shown, size, speed, map of words."""
    models = [
        EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path, cache_size=0), name, encoder_bytes(path))
        for name, path in encoders.items()
    ]
    candidates = [word for word in teacher.words if is_word(word)]
    held_out = find_word_list(encoders["own"], "held_out") if "own" in encoders else None
    tasks = Tasks(
        neighbors=list(shown),
        n_neighbors=_NEIGHBORS,
        vocabulary=candidates,
        held_out={"own": list(iter_lines([held_out]))} if held_out else {},
        map_words=[w for w in candidates[_MAP_SKIP:] if len(w) >= _MIN_LETTERS][:_MAP_WORDS] if maps else [],
    )
    return evaluate(models, EmbeddingModel.from_table(teacher), tasks, teacher_table=teacher, progress=progress)


def word_counts(teacher: Teacher) -> dict[str, int]:
    """How often each word of a table occurs; once where it does not say."""
    counts = [1] * len(teacher) if teacher.counts is None else teacher.counts.tolist()
    return dict(zip(teacher.words, counts, strict=True))


def words_to_show(counts: Mapping[str, int], tagged: Sequence[str] = ()) -> list[str]:
    """A few words of middling frequency, those with an entity first. The most frequent ones are particles."""
    ranked = [w for w, _ in Counter(counts).most_common() if len(w) >= _MIN_LETTERS and w.isalpha()]
    middling = ranked[len(ranked) // 400 : len(ranked) // 20]
    if len(middling) < 2 * _SHOWN_WORDS:
        middling = ranked
    known = Counter(w for w in tagged if counts.get(w, 0) > 1 and len(w) >= _MIN_LETTERS and w.isalpha())
    named = [w for w, _ in known.most_common(_SHOWN_WORDS // 2)]
    others = [w for w in middling[:: max(1, len(middling) // _SHOWN_WORDS)] if w not in named]
    return (named + others)[:_SHOWN_WORDS]
