"""Sums of table rows, and their gradient on a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distillemb_plugins.layers import hashing_distillemb as hashing
from distillemb_plugins.layers.hashing_distillemb import SummedRows, sum_rows


@pytest.mark.parametrize("padding", [0, None])
@pytest.mark.parametrize("parts", [1, 4096])
def test_the_gradient_for_a_gpu_is_that_of_torch(
    padding: int | None, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_PADDING_ROWS", parts)
    torch.manual_seed(0)
    bags, target = torch.randint(0, 7, (40, 6)), torch.randn(40, 5)
    bags[3], bags[:, -1] = 0, 0  # a bag of nothing, and much padding
    start, found = torch.randn(9, 5), []
    for summed in (sum_rows, SummedRows.apply):
        table = start.clone().requires_grad_()
        values = summed(table, bags, padding)  # type: ignore[no-untyped-call]
        (values * target).sum().backward()
        found.append((values.detach(), table.grad))
    torch.testing.assert_close(found[0], found[1])
    assert found[1][1] is not None and found[1][1].shape == start.shape and not found[1][1][7:].any()


class OnGpu(torch.Tensor):
    """A tensor that says that it lies on a GPU."""

    is_cuda = True


def test_a_gpu_takes_it_where_a_gradient_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(SummedRows, "apply", lambda *given: calls.append(given))
    bags, table = torch.tensor([[1, 2]]), torch.randn(4, 3)
    with torch.no_grad():
        sum_rows(table.as_subclass(OnGpu), bags)
    sum_rows(table, bags)
    assert not calls
    sum_rows(table.as_subclass(OnGpu), bags)
    assert len(calls) == 1
