"""The recurrent layers against torch's packed ones, and the CRF against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distillemb_plugins.characters import CharTable
from distillemb_plugins.layers.heads_distillemb import (
    Bidirectional,
    ChainCrf,
    ShapeFeatures,
    find_positions,
    pool_words,
    reorder,
)

LENGTHS = [4, 1, 3, 0]
LABELS = 3


def masks() -> list[Tensor]:
    """Sentences of four, one, three and no words: padded on the right, on the left, and with holes."""
    right = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    holes = torch.tensor([[1, 1, 0, 1, 1], [0, 0, 1, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()
    return [right, right.flip(1), holes]


def spread(words: Tensor, mask: Tensor) -> Tensor:
    """Put each sentence's words (compact) where the mask is true, and rubbish elsewhere."""
    x = torch.full_like(words, 7)
    for b, length in enumerate(LENGTHS):
        x[b, mask[b]] = words[b, :length]
    return x


def test_places() -> None:
    x = torch.arange(20).view(4, 5, 1)
    for mask in masks():
        places = find_positions(mask)
        assert places.lengths.tolist() == LENGTHS
        for b, length in enumerate(LENGTHS):
            compact = reorder(x, places.order)[b, :length, 0]
            assert compact.tolist() == x[b, mask[b], 0].tolist()
            assert reorder(reorder(x, places.order), places.mirrored)[b, :length, 0].tolist() == compact.tolist()[::-1]
            assert reorder(reorder(x, places.order), places.rank)[b, mask[b], 0].tolist() == compact.tolist()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_layers_equal_packed_ones(cell: str) -> None:
    torch.manual_seed(0)
    ours = Bidirectional(6, 5, 2, cell, 0.0)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
    theirs = kind(6, 5, num_layers=2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for layer in range(2):
            for suffix, cells in (("", ours.forwards), ("_reverse", ours.backwards)):
                for name, weight in cells[layer].named_parameters():
                    weight.copy_(getattr(theirs, name.replace("_l0", f"_l{layer}{suffix}")))
    words = torch.randn(4, 5, 6)
    packed = nn.utils.rnn.pack_padded_sequence(words[:3], LENGTHS[:3], batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=5)
    for mask in masks():
        found = ours(spread(words, mask), mask)
        assert not found[~mask].any()
        for b, length in enumerate(LENGTHS[:3]):
            torch.testing.assert_close(found[b, mask[b]], expected[b, :length])


def brute_force(crf: ChainCrf, emissions: Tensor) -> dict[tuple[int, ...], Tensor]:
    """The score of every label sequence of one sentence, as the formula says."""
    scores = {}
    for path in itertools.product(range(LABELS), repeat=len(emissions)):
        score = crf.start[path[0]] + crf.end[path[-1]] + sum(emissions[t, label] for t, label in enumerate(path))
        scores[path] = score + sum(crf.transitions[a, b] for a, b in itertools.pairwise(path))
    return scores


@pytest.fixture
def crf() -> ChainCrf:
    torch.manual_seed(1)
    layer = ChainCrf(LABELS)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=1.5)
    return layer


@pytest.mark.parametrize("which", [0, 1, 2])
def test_crf_equals_brute_force(crf: ChainCrf, which: int) -> None:
    mask = masks()[which]
    words = torch.randn(4, 5, LABELS)
    emissions = spread(words, mask)
    partition, marginals = crf.partition(emissions, mask), crf.log_marginals(emissions, mask)
    path, scores = crf.viterbi(emissions, mask), crf.scores(emissions, mask)
    for b, length in enumerate(LENGTHS[:3]):
        every = brute_force(crf, words[b, :length])
        total = torch.stack(list(every.values())).logsumexp(0)
        torch.testing.assert_close(partition[b], total)
        best = max(every, key=lambda p, every=every: every[p].item())
        assert tuple(path[b, mask[b]].tolist()) == best
        assert tuple(scores[b, mask[b]].argmax(1).tolist()) == best
        for t, label in itertools.product(range(length), range(LABELS)):
            own = torch.stack([s for p, s in every.items() if p[t] == label]).logsumexp(0)
            torch.testing.assert_close(marginals[b, mask[b]][t, label], own - total)
    assert not path[~mask].any() and not scores[~mask].any()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_crf_loss_sums_over_unlabelled_words(crf: ChainCrf, which: int) -> None:
    mask = masks()[which]
    words = torch.randn(4, 5, LABELS)
    gold = torch.randint(LABELS, (4, 5))
    gold[0, 1] = gold[2, 2] = -100  # in the middle and at the end
    labels = spread(gold[:, :, None], mask)[:, :, 0].masked_fill(~mask, -100)
    expected = torch.zeros(())
    for b, length in enumerate(LENGTHS[:3]):
        every = brute_force(crf, words[b, :length])
        fits = [s for p, s in every.items() if all(g in (-100, x) for x, g in zip(p, gold[b].tolist(), strict=False))]
        expected = expected + torch.stack(list(every.values())).logsumexp(0) - torch.stack(fits).logsumexp(0)
    torch.testing.assert_close(crf.loss(spread(words, mask), mask, labels), expected)
    nothing = torch.full_like(labels, -100)
    assert crf.loss(spread(words, mask), mask, nothing).abs() < 1e-5


def test_crf_gradient_is_finite_and_right(crf: ChainCrf) -> None:
    emissions = torch.randn(4, 5, LABELS, requires_grad=True)
    mask = masks()[2]
    labels = torch.randint(LABELS, (4, 5)).masked_fill(~mask, -100)
    crf.loss(emissions, mask, labels).backward()
    # d loss / d emission = p(label) - [label is gold]
    gold = torch.nn.functional.one_hot(labels.clamp(min=0), LABELS)
    expected = (crf.log_marginals(emissions, mask).exp() - gold) * mask[:, :, None]
    torch.testing.assert_close(emissions.grad, expected.detach(), atol=1e-5, rtol=1e-4)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in crf.parameters())


def test_viterbi_wins_over_marginals(crf: ChainCrf) -> None:
    """Where the best sequence and the best label of a word differ, the argmax of the scores is the sequence's."""
    emissions = torch.randn(400, 4, LABELS)
    mask = torch.ones(400, 4, dtype=torch.bool)
    path = crf.viterbi(emissions, mask)
    marginals, scores = crf.log_marginals(emissions, mask), crf.scores(emissions, mask)
    differ = marginals.argmax(2) != path
    assert differ.any() and torch.equal(scores.argmax(2), path)
    torch.testing.assert_close(scores[~differ].softmax(1), marginals[~differ].exp())


def test_crf_of_one_label_and_extreme_scores() -> None:
    one = ChainCrf(1)
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert one.viterbi(torch.zeros(1, 3, 1), mask).tolist() == [[0, 0, 0]]
    crf = ChainCrf(2)
    emissions = torch.tensor([[[1e4, -1e4], [-1e4, 1e4]]])
    assert crf.loss(emissions, mask[:, :2], torch.tensor([[0, 1]])) < 1e-3
    assert crf.scores(emissions, mask[:, :2]).isfinite().all()


def test_shape_features() -> None:
    classes = CharTable(["a", "B", "7", "!", "ጅ", "ọ́", "ǅ"], hashed=4).classes
    assert classes == [0, 0, 1, 2, 3, 4, 1, 1, 2, 1, 2, 3, 4]
    shapes = ShapeFeatures(classes, 4)
    with torch.no_grad():
        shapes.traits.weight.copy_(2.0 ** torch.arange(7).expand(4, 7))
    words: dict[str, tuple[list[int], int]] = {
        "Ba": ([0, 3, 2], 1),  # begins upper case, padding first
        "aB": ([2, 3, 0], 2),
        "BB": ([3, 3, 0], 1 + 2 + 4),
        "a7": ([2, 4, 0], 8),
        "77": ([4, 4, 0], 8 + 16),
        "7!": ([4, 5, 0], 8 + 32),
        "!": ([5, 0, 0], 32 + 64),
        "": ([0, 0, 0], 0),
    }
    found = shapes(torch.tensor([[ids for ids, _ in words.values()]]), torch.float32)
    assert found[0, :, 0].tolist() == [expected for _, expected in words.values()]


def test_pooling_reads_no_padding() -> None:
    words = -torch.rand(4, 5, 2)
    expected: list[Any] = [torch.cat([w[:n].mean(0), w[:n].amax(0)]) for w, n in zip(words[:3], LENGTHS, strict=False)]
    for mask in masks():
        found = pool_words(spread(words, mask), mask)
        torch.testing.assert_close(found[:3], torch.stack(expected))
        assert not found[3].any()
