"""From text to encoders: the teacher, and the three ways to begin that are compared on the dev sentences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillemb_plugins import DistillEmb
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.distill.targets import Targets
from distillemb_plugins.evaluate import EmbeddingModel, Evaluation, evaluate
from distillemb_plugins.evaluate.evaluation import Tasks
from distillemb_plugins.files import encoder_bytes
from distillemb_plugins.persistence import resolve
from distillemb_plugins.teachers import Teacher, load_teacher, train_teacher

BUNDLED = "afro11"
# own: the text alone. joint: the text, and what the bundled encoder says of the same words. afro11: it as it is.
STARTS = ("own", "joint", BUNDLED)
HELD_OUT, VOCABULARY = "held_out.txt", "vocabulary.txt"
_LISTED_WORDS = 5000
_LEAST_MEMORY = 1000  # words: a codebook has 256 entries, which have to be learnt from some more
_MAP_WORDS, _MAP_SKIP, _MAP_LETTERS = 80, 50, 4
_SHOWN_WORDS, _NEIGHBOURS = 8, 6


@dataclass(frozen=True)
class Effort:
    """How much is computed; the defaults are for use, smaller ones serve tests.

    teacher, student: settings that differ from those that follow from the number of words (arguments of
    `train_teacher`, and of `DistillSettings`).
    """

    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)


def teacher_settings(words: int) -> dict[str, Any]:
    """fastText's settings for a text of so many words.

    Little text: skip-gram, which learns more from each occurrence than CBOW, words seen twice, more passes, and
    fewer rows for the n-grams. Plenty of text: the package's own.
    """
    if words < 2_000_000:
        return {"skipgram": True, "min_count": 2, "epochs": 10, "min_n": 3, "buckets": 50_000}
    if words < 20_000_000:
        return {"skipgram": True, "min_count": 3, "epochs": 5, "min_n": 3, "buckets": 200_000}
    return {"skipgram": False, "min_count": 5, "epochs": 5}


def student_settings(vocabulary: int) -> dict[str, Any]:
    """The student's settings for a teacher of so many words: passes so that each word is seen often enough, a memory
    of the frequent words (16 bytes each), int8. Characters seen less than five times stay unknown, so that the student
    learns what an unknown one is.
    """
    epochs = min(60, max(20, round(400_000 / max(1, vocabulary))))
    memory = min(vocabulary, 20_000) if vocabulary >= _LEAST_MEMORY else 0
    return {"epochs": epochs, "memory_words": memory, "storage": "int8", "min_char_count": 5}


def teach(text: Path, out: Path, words: int, effort: Effort, *, seed: int, threads: int, progress: bool) -> Teacher:
    """Train the teacher on the prepared text; an interrupted training is gone on with."""
    settings = teacher_settings(words) | effort.teacher
    train_teacher(
        [text],
        out,
        threads=threads,
        seed=seed,
        storage="float16",
        resume=True,
        overwrite=True,
        progress=progress,
        **settings,
    )
    return load_teacher(out)


def bundled_teacher(words: Sequence[str]) -> Teacher:
    """What the bundled encoder says of these words, as a table."""
    return Teacher(BUNDLED, list(words), DistillEmb.from_pretrained(BUNDLED).encode(list(words)))


def teachers_of(start: str, teacher: Teacher) -> list[Teacher]:
    """The tables that a student of this start learns from."""
    return [teacher, bundled_teacher(teacher.words)] if start == "joint" else [teacher]


def distil(start: str, teacher: Teacher, out: Path, effort: Effort, *, seed: int, progress: bool) -> Path:
    """The encoder of a start: distilled into `out`, or the bundled one where it lies. Resumes."""
    if start == BUNDLED:
        return resolve(BUNDLED)
    settings = student_settings(len(teacher)) | effort.student | ({"combine": "average"} if start == "joint" else {})
    return distill(
        teachers_of(start, teacher),
        out,
        DistillSettings(seed=seed, **settings),
        resume=True,
        progress=progress,
        extra=_lists,
    )


def _lists(targets: Targets) -> dict[str, bytes]:
    """Held-out and frequent words, which lie with the encoder for `distillemb evaluate` and `neighbors`."""
    lists = {HELD_OUT: [targets.words[row] for row in targets.held_out], VOCABULARY: targets.words[:_LISTED_WORDS]}
    return {name: "".join(f"{word}\n" for word in words).encode() for name, words in lists.items() if words}


def judge(encoders: Mapping[str, Path], teacher: Teacher, shown: Sequence[str], *, progress: bool) -> Evaluation:
    """Intrinsic scores of the encoders beside their teacher: held-out words, neighbours, size, speed, a map of words.

    The joint start learns another space than the teacher's, so its held-out score stands in its own log.
    """
    subjects = [_subject(name, path) for name, path in encoders.items()]
    candidates = [word for word in teacher.words if any(c.isalpha() for c in word)]
    tasks = Tasks(
        neighbors=list(shown),
        n_neighbors=_NEIGHBOURS,
        vocabulary=candidates,
        held_out={name: _words(path / HELD_OUT) for name, path in encoders.items() if name == "own"},
        map_words=[word for word in candidates[_MAP_SKIP:] if len(word) >= _MAP_LETTERS][:_MAP_WORDS],
    )
    return evaluate(subjects, EmbeddingModel.from_table(teacher), tasks, teacher_table=teacher, progress=progress)


def _subject(name: str, path: Path) -> EmbeddingModel:
    return EmbeddingModel.from_encoder(DistillEmb.from_pretrained(path, cache_size=0), name, encoder_bytes(path))


def _words(file: Path) -> list[str]:
    return file.read_text("utf-8").split("\n")[:-1] if file.is_file() else []


def words_to_show(counts: Mapping[str, int], tagged: Sequence[str] = ()) -> list[str]:
    """A few words of middling frequency for the neighbours, those with an entity first: particles say little."""
    ranked = [w for w, _ in Counter(counts).most_common() if len(w) >= _MAP_LETTERS and w.isalpha()]
    middling = ranked[len(ranked) // 400 : len(ranked) // 20]
    if len(middling) < 2 * _SHOWN_WORDS:
        middling = ranked
    step = max(1, len(middling) // _SHOWN_WORDS)
    known = Counter(w for w in tagged if counts.get(w, 0) > 1 and len(w) >= _MAP_LETTERS and w.isalpha())
    named = [w for w, _ in known.most_common(_SHOWN_WORDS // 2)]
    others = [w for w in middling[::step] if w not in named]
    return (named + others)[:_SHOWN_WORDS]


def held_out_scores(encoder: Path) -> dict[str, float]:
    """The last validation of an encoder's log: how near it comes to its targets on words it never saw."""
    file = encoder / "distill_log.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    scores = [line["validation"] for line in lines if "validation" in line]
    return dict(scores[-1]) if scores else {}
