"""Several teachers for one student: restricting them to the words that all of them know."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DistillEmbError
from .table import Teacher


def check_given(teachers: Sequence[Teacher]) -> None:
    """Raises `DistillEmbError` when there is no teacher."""
    if not teachers:
        raise DistillEmbError("No teacher was given: give at least one.")


def check_one_width(teachers: Sequence[Teacher], mend: str) -> None:
    """Raises `DistillEmbError`, ending in what mends it, for teachers whose vectors differ in width."""
    first, *others = teachers
    for other in others:
        if other.dim != first.dim:
            raise DistillEmbError(
                f"Teachers {first.name} and {other.name} have vectors of width {first.dim} and {other.dim}: {mend}"
            )


def common_words(teachers: Sequence[Teacher]) -> list[str]:
    """The words that every teacher's table holds, in the first one's order. May be empty."""
    check_given(teachers)
    first, *others = teachers
    return [word for word in dict.fromkeys(first.words) if all(word in other.rows for other in others)]


def combine_teachers(teachers: Sequence[Teacher], same_width: bool = False) -> list[Teacher]:
    """The teachers restricted to their common words, all in the first one's order.

    same_width: refuse teachers whose vectors differ in width (a loss that compares distances within each
    teacher does not care). Raises `DistillEmbError` then, and when no word is common to all.
    """
    words = common_words(teachers)
    if same_width:
        check_one_width(teachers, "give teachers of one width, or a loss that allows different ones.")
    if not words:
        names = ", ".join(teacher.name for teacher in teachers)
        raise DistillEmbError(
            f"The teachers {names} have no word in common: give teachers of the same language and casing."
        )
    return [teacher.select([teacher.rows[word] for word in words]) for teacher in teachers]
