"""From prepared text to encoders: the teacher, the students, and their intrinsic scores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import DistillEmb
from ..distill import DistillSettings, distill
from ..distill.targets import Targets
from ..evaluate import EmbeddingModel, Evaluation, evaluate
from ..evaluate.evaluation import Tasks
from ..files import encoder_bytes
from ..persistence import resolve
from ..teachers import Teacher, load_teacher, train_teacher
from ..text import is_word
from .settings import BUNDLED, student_settings, teacher_settings

HELD_OUT, VOCABULARY = "held_out.txt", "vocabulary.txt"
_LISTED_WORDS = 5000
_MAP_WORDS, _MAP_SKIP, _MIN_LETTERS = 80, 50, 4
_SHOWN_WORDS, _NEIGHBORS = 8, 6


def teach(
    text: Path,
    out: Path,
    words: int,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
    threads: int | None = 1,
    progress: bool = False,
) -> Teacher:
    """Train the teacher on the prepared text. An interrupted training goes on.

    Args:
        text: The text file.
        out: The table to write.
        words: How many words the text has.
        settings: What differs from `teacher_settings`, arguments of `train_teacher`.
        seed: Seed of the training.
        threads: Threads. The same seed gives the same table only with one.
        progress: Show a progress bar.
    """
    given = {"storage": "float16", **teacher_settings(words), **settings}
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

    Args:
        kind: ``"own"`` learns from the teacher alone. ``"joint"`` learns the average of the teacher and of what the
            bundled encoder says of the same words. ``"afro11"`` is the bundled encoder as it is.
        teacher: The table.
        out: The encoder directory to write.
        settings: What differs from `student_settings`, fields of `DistillSettings`.
        text: Text in which the distillation looks for hard negatives.
        seed: Seed of the distillation.
        progress: Show a progress bar.

    Returns:
        The encoder directory.
    """
    if kind == BUNDLED:
        return resolve(BUNDLED)
    given = student_settings(len(teacher)) | dict(settings) | ({"combine": "average"} if kind == "joint" else {})
    return distill(
        [teacher, BUNDLED] if kind == "joint" else [teacher],
        out,
        DistillSettings(seed=seed, **given),
        [text] if text else [],
        resume=True,
        progress=progress,
        extra=_lists,
    )


def _lists(targets: Targets) -> dict[str, bytes]:
    """Held-out and frequent words, which lie with the encoder for `distillemb evaluate` and `neighbors`."""
    lists = {HELD_OUT: [targets.words[row] for row in targets.held_out], VOCABULARY: targets.words[:_LISTED_WORDS]}
    return {name: "".join(f"{word}\n" for word in words).encode() for name, words in lists.items() if words}


def evaluate_encoders(
    encoders: Mapping[str, Path], teacher: Teacher, shown: Sequence[str], *, maps: bool = True, progress: bool = False
) -> Evaluation:
    """Score encoders beside their teacher: held-out words, neighbors, size, speed, and a map of words.

    A joint encoder learns another space than the teacher's, so its held-out score stands in its own log.

    Args:
        encoders: Encoder directories by kind.
        teacher: The table.
        shown: Words whose neighbors are listed.
        maps: Compute the vectors of a map.
        progress: Show a progress bar.
    """
    models = [
        EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path, cache_size=0), name, encoder_bytes(path))
        for name, path in encoders.items()
    ]
    candidates = [word for word in teacher.words if is_word(word)]
    tasks = Tasks(
        neighbors=list(shown),
        n_neighbors=_NEIGHBORS,
        vocabulary=candidates,
        held_out={name: _words(path / HELD_OUT) for name, path in encoders.items() if name == "own"},
        map_words=[w for w in candidates[_MAP_SKIP:] if len(w) >= _MIN_LETTERS][:_MAP_WORDS] if maps else [],
    )
    return evaluate(models, EmbeddingModel.from_table(teacher), tasks, teacher_table=teacher, progress=progress)


def _words(file: Path) -> list[str]:
    return file.read_text("utf-8").split("\n")[:-1] if file.is_file() else []


def words_to_show(counts: Mapping[str, int], tagged: Sequence[str] = ()) -> list[str]:
    """A few words of middling frequency, those with an entity first. The most frequent ones are particles.

    Args:
        counts: Words with their number of occurrences, or anything that ranks them.
        tagged: Words that stand in entities.
    """
    ranked = [w for w, _ in Counter(counts).most_common() if len(w) >= _MIN_LETTERS and w.isalpha()]
    middling = ranked[len(ranked) // 400 : len(ranked) // 20]
    if len(middling) < 2 * _SHOWN_WORDS:
        middling = ranked
    step = max(1, len(middling) // _SHOWN_WORDS)
    known = Counter(w for w in tagged if counts.get(w, 0) > 1 and len(w) >= _MIN_LETTERS and w.isalpha())
    named = [w for w, _ in known.most_common(_SHOWN_WORDS // 2)]
    others = [w for w in middling[::step] if w not in named]
    return (named + others)[:_SHOWN_WORDS]


def held_out_scores(encoder: Path) -> dict[str, float]:
    """The last validation in an encoder's log: how near it comes to its targets on words it never saw."""
    file = encoder / "distill_log.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    scores = [line["validation"] for line in lines if "validation" in line]
    return dict(scores[-1]) if scores else {}
