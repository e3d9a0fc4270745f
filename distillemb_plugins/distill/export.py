"""A trained student as an encoder directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DistillEmbError
from ..facts import HELD_OUT, EncoderFacts, current_versions
from ..persistence import EncoderFiles, write_encoder
from ..quantization import check_storage
from ..teachers import Teacher
from ..vectors import unit_rows
from .residual_codebook import fit_residual_codebook
from .settings import DistillSettings
from .student import Student
from .targets import Targets


def write_student(
    student: Student,
    targets: Targets,
    settings: DistillSettings,
    out: Path,
    *,
    scores: Mapping[str, float],
    facts: EncoderFacts,
    extra_files: Mapping[str, bytes],
    overwrite: bool = False,
) -> Path:
    """Write the encoder directory with its facts, all of it or nothing.

    Args:
        student: With its final weights.
        targets: What it was trained on.
        settings: How it was trained, and how it is stored.
        out: The directory.
        scores: On held-out words.
        facts: What is known beyond the training.
        extra_files: Further files, name to content.
        overwrite: Replace what stands at `out`.

    Returns:
        `out`.

    Raises:
        DistillEmbError: A weight is not finite, or something stands at `out`.
    """
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in student.encoder.state_dict().items()}
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        raise DistillEmbError(
            f"The training diverged ({broken[0]} holds NaN or infinity): lower learning_rate or set clip."
        )
    facts = replace(
        facts,
        teachers=tuple(targets.names),
        settings=settings.to_dict(),
        scores={HELD_OUT: dict(scores), **facts.scores},
        versions=current_versions(),
    )
    files = _with_codebook(student, weights, targets, settings)
    return write_encoder(
        out,
        files.config,
        files.tensors,
        student.characters,
        storage=check_storage(settings.storage),
        facts=facts,
        overwrite=overwrite,
        extra_files=extra_files,
    )


def _with_codebook(
    student: Student, weights: dict[str, NDArray[Any]], targets: Targets, settings: DistillSettings
) -> EncoderFiles:
    """The encoder, with what it misses of the frequent training words where the settings ask for it."""
    characters = student.characters
    sizes = {"vocab_size": len(characters), "max_chars": characters.max_chars}
    files = EncoderFiles({**student.config, **sizes}, weights, characters)
    if not settings.codebook_words:
        return files
    train = targets.train
    vectors = np.mean([unit_rows(table[train]) for table in targets.vectors], axis=0)
    return fit_residual_codebook(
        files,
        Teacher("targets", [targets.words[row] for row in train.tolist()], vectors),
        settings.codebook_words,
        settings.codebook_bytes,
        storage=check_storage(settings.storage),
        seed=settings.seed,
    )
