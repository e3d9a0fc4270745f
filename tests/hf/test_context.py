"""Context layers: the same values alone, in a batch and beside padding, and no distance beyond their range."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from distillemb_plugins.layers.context_distillemb import ContextLayers

DIM, SIZE, RANGE, CHARS = 6, 8, 5, 4


@pytest.fixture(scope="module")
def layers() -> ContextLayers:
    torch.manual_seed(0)
    config = SimpleNamespace(
        dim=DIM,
        context_layers=2,
        context_size=SIZE,
        context_heads=2,
        context_feed_forward=16,
        context_dropout=0.1,
        context_range=RANGE,
    )
    made = ContextLayers(config, [0, 0, 1, 1, 2, 3]).eval()
    torch.nn.init.normal_(made.mask_vector)
    for layer in made.layers:  # larger weights, so that what a word sees shows
        torch.nn.init.normal_(layer.attention_in.weight)
        torch.nn.init.normal_(layer.attention_out.weight)
    return made


def sentence(words: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors ``[1, words, DIM]`` and characters ``[1, words, CHARS]``."""
    random = torch.Generator().manual_seed(seed)
    vectors = torch.randn(1, words, DIM, generator=random)
    return vectors, torch.randint(2, 6, (1, words, CHARS), generator=random)


def run(layers: ContextLayers, vectors: Tensor, char_ids: Tensor, mask: Tensor, masked: Tensor | None = None) -> Tensor:
    with torch.inference_mode():
        return layers(layers.read(vectors, char_ids), mask, masked)[0]


def padded(x: Tensor, left: int, right: int) -> Tensor:
    """A sentence with padding words on both sides; what stands in them must not matter."""
    junk = [torch.full((1, n, *x.shape[2:]), 3, dtype=x.dtype) for n in (left, right)]
    return torch.cat([junk[0], x, junk[1]], 1)


@pytest.mark.parametrize("words", [1, RANGE, RANGE + 4])
@pytest.mark.parametrize(("left", "right"), [(3, 0), (0, 3), (2, 7)])
def test_padding_on_either_side_changes_nothing(layers: ContextLayers, words: int, left: int, right: int) -> None:
    vectors, char_ids = sentence(words)
    alone = run(layers, vectors, char_ids, torch.ones(1, words, dtype=torch.bool))
    mask = torch.zeros(1, left + words + right, dtype=torch.bool)
    mask[:, left : left + words] = True
    found = run(layers, padded(vectors, left, right), padded(char_ids, left, right), mask)
    torch.testing.assert_close(found[:, left : left + words], alone, rtol=1e-5, atol=1e-5)
    assert not found[~mask].any()


def test_a_batch_gives_what_each_sentence_gives_alone(layers: ContextLayers) -> None:
    short, long = sentence(3, 1), sentence(RANGE + 2, 2)
    mask = torch.zeros(2, RANGE + 2, dtype=torch.bool)
    mask[0, :3], mask[1] = True, True
    both = [torch.cat([padded(a, 0, RANGE - 1), b]) for a, b in zip(short, long, strict=True)]
    found = run(layers, both[0], both[1], mask)
    for row, (one, words) in enumerate(((short, 3), (long, RANGE + 2))):
        alone = run(layers, *one, torch.ones(1, words, dtype=torch.bool))
        torch.testing.assert_close(found[row, :words], alone[0], rtol=1e-5, atol=1e-5)


def test_states_of_some_words_alone(layers: ContextLayers) -> None:
    vectors, char_ids = (torch.cat([part] * 2) for part in sentence(RANGE))
    mask = torch.ones(2, RANGE, dtype=torch.bool)
    mask[0, 3:] = False
    wanted, x = torch.tensor([1, RANGE, RANGE + 4]), layers.read(vectors, char_ids)
    with torch.inference_mode():
        every, some = (layers(x, mask, wanted=places)[0] for places in (None, wanted))
    torch.testing.assert_close(some, every.flatten(0, 1)[wanted], rtol=1e-5, atol=1e-5)


def test_a_word_depends_on_its_neighbors_and_on_nothing_beyond_its_range(layers: ContextLayers) -> None:
    words = 2 * RANGE * len(layers.layers) + 1
    vectors, char_ids = sentence(words)
    mask = torch.ones(1, words, dtype=torch.bool)
    before = run(layers, vectors, char_ids, mask)
    changed = vectors.clone()
    changed[:, 0] += 3
    after = run(layers, changed, char_ids, mask)
    reach = len(layers.layers) * (RANGE - 1)
    assert (before - after)[0, 1].abs().max() > 1e-3
    torch.testing.assert_close(after[:, reach + 1 :], before[:, reach + 1 :], rtol=1e-6, atol=1e-6)


def test_the_order_of_words_matters(layers: ContextLayers) -> None:
    vectors, char_ids = sentence(3)
    mask = torch.ones(1, 3, dtype=torch.bool)
    turned = run(layers, vectors.flip(1), char_ids.flip(1), mask).flip(1)
    assert (turned - run(layers, vectors, char_ids, mask)).abs().max() > 1e-3


def test_a_masked_word_is_not_seen(layers: ContextLayers) -> None:
    vectors, char_ids = sentence(4)
    mask = torch.ones(1, 4, dtype=torch.bool)
    masked = torch.tensor([[False, True, False, False]])
    other = vectors.clone()
    other[:, 1] = 9
    torch.testing.assert_close(run(layers, vectors, char_ids, mask, masked), run(layers, other, char_ids, mask, masked))


def test_a_sentence_without_words_gives_zeros(layers: ContextLayers) -> None:
    vectors, char_ids = sentence(3)
    assert not run(layers, vectors, char_ids, torch.zeros(1, 3, dtype=torch.bool)).any()


def test_gradient_checkpointing_gives_the_same_gradients(layers: ContextLayers) -> None:
    vectors, char_ids = sentence(4)
    mask = torch.ones(1, 4, dtype=torch.bool)
    gradients = []
    layers.train()
    try:
        for on in (False, True):
            layers.gradient_checkpointing = on
            layers.zero_grad()
            torch.manual_seed(1)  # of dropout
            layers(layers.read(vectors, char_ids), mask)[0].sum().backward()
            gradients.append(layers.input.weight.grad.clone())  # type: ignore[union-attr]
    finally:
        layers.gradient_checkpointing = False
        layers.eval()
    torch.testing.assert_close(gradients[0], gradients[1])
