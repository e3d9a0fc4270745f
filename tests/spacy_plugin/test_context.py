"""`distillemb.BiLSTMEncoder.v1`."""

from __future__ import annotations

import numpy as np
import pytest
from spacy.util import registry
from thinc.api import Adam

from distillemb_plugins import DistillEmbError
from distillemb_plugins.spacy_plugin.context import build_bilstm_encoder_v1


def documents(*lengths: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(n, 8)).astype("f") for n in lengths]


def test_a_sentence_scores_the_same_alone_and_in_a_batch() -> None:
    model = build_bilstm_encoder_v1(8, depth=2)
    batch = documents(3, 0, 12, 1)
    together = model.predict(batch)
    assert [o.shape for o in together] == [(3, 8), (0, 8), (12, 8), (1, 8)]
    for one, output in zip(batch, together, strict=True):
        assert np.allclose(model.predict([one])[0], output, atol=1e-6)
    assert model.predict(documents(0))[0].shape == (0, 8)


def test_gradients_reach_inputs_and_weights() -> None:
    model = build_bilstm_encoder_v1(8)
    batch = documents(3, 5)
    outputs, backprop = model(batch, is_train=True)
    gradient = [np.random.default_rng(1).normal(size=o.shape).astype("f") for o in outputs]
    d_batch = backprop(gradient)
    shifted = [b.copy() for b in batch]
    shifted[1][2, 3] += 1e-2
    lower = [b.copy() for b in batch]
    lower[1][2, 3] -= 1e-2

    def total(documents: list[np.ndarray]) -> float:
        return sum(float((o * g).sum()) for o, g in zip(model.predict(documents), gradient, strict=True))

    up, down = total(shifted), total(lower)
    assert d_batch[1][2, 3] == pytest.approx((up - down) / 2e-2, rel=2e-2, abs=1e-3)
    before = model.to_bytes()
    model.finish_update(Adam(0.01))
    assert model.to_bytes() != before


def test_weights_are_stored_without_pickle() -> None:
    model = build_bilstm_encoder_v1(8)
    other = build_bilstm_encoder_v1(8)
    batch = documents(4)
    assert not np.allclose(model.predict(batch)[0], other.predict(batch)[0])
    data = model.to_bytes()
    assert b"ctorch" not in data and b"PK\x03\x04" not in data
    assert np.allclose(other.from_bytes(data).predict(batch)[0], model.predict(batch)[0])


def test_averages_and_copies() -> None:
    model = build_bilstm_encoder_v1(8)
    optimizer = Adam(0.05, use_averages=True)
    batch = documents(4)
    for _ in range(3):
        outputs, backprop = model(batch, is_train=True)
        backprop(outputs)
        model.finish_update(optimizer)
    last = model.predict(batch)[0]
    with model.use_params(optimizer.averages):
        assert not np.allclose(model.predict(batch)[0], last)
    assert np.array_equal(model.predict(batch)[0], last)
    copied = model.copy()
    assert copied.shims[0].id != model.shims[0].id and np.array_equal(copied.predict(batch)[0], last)


@pytest.mark.parametrize("settings", [{"width": 7}, {"width": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_settings_that_cannot_be(settings: dict[str, float]) -> None:
    with pytest.raises(DistillEmbError, match=r"BiLSTMEncoder\.v1"):
        registry.resolve({"m": {"@architectures": "distillemb.BiLSTMEncoder.v1", "width": 8, **settings}})
