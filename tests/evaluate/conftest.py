"""Small models on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest

from distillemb_plugins.evaluate.models import EmbeddingModel
from distillemb_plugins.teachers import Teacher

# A plane in which the right answers can be read off: king - man + woman = queen.
PLANE = {
    "man": (1.0, 0.0),
    "woman": (1.0, 1.0),
    "king": (3.0, 0.1),
    "queen": (3.0, 1.1),
    "apple": (-2.0, 0.5),
    "pear": (-2.0, 0.6),
}


@pytest.fixture
def plane_teacher() -> Teacher:
    return Teacher("plane", list(PLANE), np.array(list(PLANE.values()), dtype=np.float32))


@pytest.fixture
def plane(plane_teacher: Teacher) -> EmbeddingModel:
    return EmbeddingModel.from_table(plane_teacher)
