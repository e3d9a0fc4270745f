"""Settings: presets, and bad values refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from distillemb_plugins.distill import PRESETS, DistillSettings
from distillemb_plugins.distill.settings import default_settings, describe_settings
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.hf.configuration_distillemb import ENCODER_DEFAULTS


def test_distillemb_preset_is_the_published_recipe() -> None:
    settings = DistillSettings(preset="distillemb")
    assert settings.student == "distillemb-small"
    assert settings.losses == {"triplet": 1.0}
    assert (settings.margin, settings.hard_negatives, settings.window) == (1.0, "window", 32)
    assert (settings.batch_size, settings.epochs, settings.learning_rate) == (64, 64, 1e-3)
    assert (settings.schedule, settings.gamma, settings.clip) == ("step", 0.95, 0.0)
    assert (settings.max_chars, settings.align, settings.min_char_count) == (13, "center", 100)
    assert not settings.center and not settings.normalize


def test_tiny_embeddings_preset_is_local_and_global() -> None:
    settings = DistillSettings(preset="tiny-embeddings")
    assert settings.student == "char-cnn"
    assert settings.losses == {"local": 1.0, "global": 1.0}
    assert settings.global_words == 10


def test_what_is_given_wins_over_the_preset_even_if_it_is_a_default() -> None:
    settings = DistillSettings(preset="distillemb", batch_size=1024, student="char-cnn")
    assert settings.batch_size == 1024 == DistillSettings().batch_size
    assert settings.student == "char-cnn"
    assert settings.epochs == 64


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_known_settings_and_round_trip(preset: str) -> None:
    defaults = default_settings()
    assert not [name for name, value in PRESETS[preset].items() if value == defaults[name]]  # overrides alone
    settings = DistillSettings(preset=preset)
    assert DistillSettings(**settings.to_dict()) == settings


def test_names_of_earlier_versions_are_read() -> None:
    old: dict[str, Any] = {
        "centre": False,
        "normalise": False,
        "neighbours": 7,
        "hard_negatives": "neighbours",
        "align": "centre",
    }
    settings = DistillSettings(**old | {"memory_words": 300, "memory_codes": 12})
    assert (settings.center, settings.normalize, settings.neighbors) == (False, False, 7)
    assert (settings.hard_negatives, settings.codebook_words, settings.codebook_bytes) == ("neighbors", 300, 12)
    assert settings.align == "center"
    with pytest.raises(TypeError, match="no setting center_of_mass"):
        DistillSettings(center_of_mass=1)  # type: ignore[call-arg]


def test_every_setting_says_what_it_means() -> None:
    meanings = describe_settings()
    assert meanings.keys() == DistillSettings().to_dict().keys()
    assert all(text.endswith(".") for text in meanings.values())


def test_presets_do_not_share_their_dictionaries() -> None:
    DistillSettings().losses["triplet"] = 3.0
    assert "triplet" not in DistillSettings().losses


def test_every_student_of_the_registry_can_be_chosen() -> None:
    for student in ENCODER_DEFAULTS:
        assert DistillSettings(student=student).student == student


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"preset": "nothing"}, "preset is 'nothing'"),
        ({"student": "transformer"}, "student is 'transformer': choose one of"),
        ({"losses": {"cosine": 0.0}}, "sum to nothing"),
        ({"losses": {}}, "give weights by name"),
        ({"losses": {"mse": 1.0}}, "choose one of triplet"),
        ({"losses": {"cosine": -1.0}}, "The weight of the loss cosine is -1.0"),
        ({"losses": {"cosine": float("nan")}}, "The weight of the loss cosine is nan"),
        ({"losses": {"triplet": 1.0}}, "The triplet loss needs negatives"),
        ({"epochs": None}, "epochs is None"),
        ({"epochs": 0}, "epochs is 0: give a whole number of at least 1"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"learning_rate": 0}, "learning_rate is 0: give a number above 0"),
        ({"temperature": -1}, "temperature is -1"),
        ({"warmup": 1.0}, "warmup is 1.0"),
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"held_out": -3}, "held_out is -3"),
        ({"held_out": 0, "patience": 2}, "patience needs a validation score"),
        ({"betas": (0.9, 1.0)}, "betas are"),
        ({"schedule": "sine"}, "schedule is 'sine'"),
        ({"max_seconds": 0}, "max_seconds is 0"),
        ({"hard_negatives": "neighbors", "negatives": 40, "neighbors": 32}, "raise neighbors"),
        ({"hard_negatives": "window", "negatives": 32, "window": 32}, "raise window"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(DistillEmbError, match=words) as caught:
        DistillSettings(**values)
    assert "\n" not in str(caught.value)


def test_settings_that_are_no_more_are_read_where_they_had_no_effect() -> None:
    assert DistillSettings(power=0.5, epochs=3) == DistillSettings(epochs=3)  # type: ignore[call-arg]
    with pytest.raises(DistillEmbError, match=r"power is 0\.9, and there is no such setting"):
        DistillSettings(**{"power": 0.9})
