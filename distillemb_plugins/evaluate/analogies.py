"""Word analogies: a is to b as c is to ?, by 3CosAdd (Mikolov et al. 2013).

File format (word2vec, gensim): ``: section`` lines and lines of four words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..files import numbered_lines
from ..vectors import Floats, similarity_blocks, unit_rows
from .models import Lookup, progress_bar

Question = tuple[str, str, str, str]
_UNNAMED = "all"


@dataclass(frozen=True)
class SectionScore:
    """One section. skipped: questions with a word outside the vocabulary. top1, top5: right among the first 1, 5."""

    name: str
    questions: int
    skipped: int
    top1: int
    top5: int


@dataclass(frozen=True)
class AnalogyScore:
    """Analogies over a vocabulary.

    accuracy: right answers / answerable questions (None when there are none). accuracy_all: right answers / all
    questions, so that one that cannot be asked counts as wrong.
    """

    sections: list[SectionScore]
    vocabulary: int
    answered: int
    skipped: int
    accuracy: float | None
    accuracy_top5: float | None
    accuracy_all: float | None


def read_analogies(path: str | Path) -> dict[str, list[Question]]:
    """Read analogies, ``{section: [(a, b, c, d), ...]}``.

    Raises:
        DistillEmbError: Naming a line that is not four words, or when there are none.
    """
    sections: dict[str, list[Question]] = {}
    section = _UNNAMED
    for number, line in numbered_lines(path):
        words = line.split()
        if not words:
            continue
        if words[0].startswith(":"):
            section = line.strip().lstrip(":").strip() or _UNNAMED
        elif len(words) == 4:
            sections.setdefault(section, []).append((words[0], words[1], words[2], words[3]))
        else:
            raise DistillEmbError(f"{path}, line {number} has {len(words)} words: an analogy has four (a b c d).")
    if not sections:
        raise DistillEmbError(f"{path} holds no analogies: each line needs four words.")
    return sections


def score_analogies(
    lookup: Lookup,
    sections: dict[str, list[Question]],
    vocabulary: Sequence[str],
    vectors: Floats | None = None,
    *,
    progress: bool = False,
) -> AnalogyScore:
    """Answer every question with the word of the vocabulary nearest to ``b - a + c`` (3CosAdd), a, b and c left out.

    All three vectors are taken at length 1. Words that differ only in case are one, the first. As in gensim, a question
    with a word outside the vocabulary is skipped.

    Args:
        lookup: Where the vectors come from.
        sections: The questions.
        vocabulary: The candidates, the best (most frequent) first.
        vectors: Their vectors float32 ``[n, dim]``; looked up when None.
        progress: Whether to show a bar on standard error.
    """
    first: dict[str, int] = {}
    for i, word in enumerate(vocabulary):
        first.setdefault(word.lower(), i)
    keep = np.fromiter(first.values(), dtype=np.intp)
    row = {word: i for i, word in enumerate(first)}
    unit = unit_rows(lookup([vocabulary[i] for i in keep])[0] if vectors is None else vectors[keep])
    scores = []
    with progress_bar(sum(map(len, sections.values())), "analogies", "question", progress) as bar:
        for name, questions in sections.items():
            rows = [[row.get(word.lower(), -1) for word in question] for question in questions]
            table = np.array(rows, dtype=np.intp).reshape(-1, 4)
            ranks = answer_ranks(table[(table >= 0).all(axis=1)], unit)
            top1, top5 = (int((ranks < n).sum()) for n in (1, 5))
            scores.append(SectionScore(name, len(table), len(table) - len(ranks), top1, top5))
            bar.update(len(questions))
    total, skipped, top1, top5 = (
        sum(getattr(score, count) for score in scores) for count in ("questions", "skipped", "top1", "top5")
    )
    answered = total - skipped
    return AnalogyScore(
        sections=scores,
        vocabulary=len(first),
        answered=answered,
        skipped=skipped,
        accuracy=top1 / answered if answered else None,
        accuracy_top5=top5 / answered if answered else None,
        accuracy_all=top1 / total if total else None,
    )


def answer_ranks(questions: NDArray[np.intp], unit: Floats) -> NDArray[np.int64]:
    """Rank each right answer among all words but the three of its question: int64 ``[q]``, from 0.

    questions: rows of a, b, c, d in `unit`, intp ``[q, 4]``. unit: float32 ``[n, dim]``, unit rows. A right answer
    that is itself one of the three can never be found (gensim counts it as wrong): its rank is n.
    """
    ranks = np.full(len(questions), len(unit), dtype=np.int64)
    if not len(questions):
        return ranks
    a, b, c, d = questions.T
    for rows, block in similarity_blocks(unit_rows(unit[b] - unit[a] + unit[c]), unit):
        here = np.arange(len(block))
        block[here[:, None], questions[rows, :3]] = -np.inf
        right = block[here, d[rows]]
        better = (block > right[:, None]).sum(axis=1)
        ranks[rows] = np.where(np.isfinite(right), better, len(unit))
    return ranks
