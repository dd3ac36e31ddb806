"""Dropout drops what it should, each element for itself."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2_contingency

from core.models.masks import Mask, dropout
from tests.builders import no_global_randomness, torch_rng

pytestmark = pytest.mark.machines


@pytest.mark.parametrize("rate", [0.0, 0.0163037704541147, 0.05, 0.3, 0.5, 0.9])
def test_rate(rate: float) -> None:
    with no_global_randomness():
        out = dropout(torch.full((1, 500, 801), 3.0), rate, [torch_rng(1)])
    assert out.shape == (1, 500, 801)
    dropped = out == 0
    assert binomtest(int(dropped.sum()), out.numel(), rate).pvalue > 1e-3
    torch.testing.assert_close(out[~dropped], torch.full_like(out[~dropped], 3 / (1 - rate)))


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (3, 624), (1001, 5)])
def test_a_mask_for_later_is_that_of_now(shape: tuple[int, int]) -> None:
    ours, theirs = torch_rng(5), torch_rng(5)
    x = torch.randn((1, *shape), generator=torch_rng())
    expected, mask = dropout(x, 0.3, [theirs]), Mask(shape, 0.3, ours)
    for first in range(0, shape[0], 4):
        mask.apply(x[:, first : first + 4], first)
    assert torch.equal(x, expected)
    assert torch.equal(dropout(x, 0.3, [ours]), dropout(x, 0.3, [theirs]))  # both go on alike


@pytest.mark.parametrize("shift", [1, 2, 64, 128])
def test_neighbours_are_independent(shift: int) -> None:
    kept = dropout(torch.ones(1, 400_001), 0.3, [torch_rng(2)])[0].numpy() > 0
    table = np.histogram2d(kept[:-shift], kept[shift:], bins=2)[0]
    assert chi2_contingency(table).pvalue > 1e-3


def test_repeats_with_its_generator_and_goes_on() -> None:
    x, generator = torch.ones(1, 7, 9), torch_rng(3)
    first, second = (dropout(x, 0.5, [generator]) for _ in range(2))
    assert torch.equal(first, dropout(x, 0.5, [torch_rng(3)]))
    assert not torch.equal(first, second)


def test_each_of_a_stack_has_its_own_mask() -> None:
    alone = [dropout(torch.ones(1, 5, 6), 0.5, [torch_rng(seed)]) for seed in (1, 2)]
    assert not torch.equal(*alone)
    assert torch.equal(dropout(torch.ones(2, 5, 6), 0.5, [torch_rng(1), torch_rng(2)]), torch.cat(alone))


def test_any_layout_and_type() -> None:
    x = torch.arange(1.0, 13).view(1, 3, 4).double()
    out, transposed = dropout(x, 0.5, [torch_rng()]), dropout(x.mT.contiguous().mT, 0.5, [torch_rng()])
    assert out.dtype == torch.float64
    assert torch.equal(out, transposed)


def test_gradient() -> None:
    x = torch.full((1, 40), 2.0, requires_grad=True)
    out = dropout(x, 0.3, [torch_rng()])
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach() / 2)
