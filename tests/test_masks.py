"""Masks keep what they should, each element for itself."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2_contingency

from core.masks import keep_mask
from tests.builders import no_global_randomness, torch_rng


@pytest.mark.parametrize("rate", [0.0, 0.0163037704541147, 0.05, 0.3, 0.5])
def test_rate(rate: float) -> None:
    with no_global_randomness():
        keep = keep_mask((500, 801), rate, torch_rng(1))
    assert keep.dtype == torch.bool
    assert keep.shape == (500, 801)
    assert binomtest(int((~keep).sum()), keep.numel(), rate).pvalue > 1e-3


@pytest.mark.parametrize("shift", [1, 2, 64, 128])
def test_neighbours_are_independent(shift: int) -> None:
    keep = keep_mask((400_001,), 0.3, torch_rng(2)).numpy()
    table = np.histogram2d(keep[:-shift], keep[shift:], bins=2)[0]
    assert chi2_contingency(table).pvalue > 1e-3


def test_repeats_with_its_generator_and_goes_on() -> None:
    generator = torch_rng(3)
    first, second = (keep_mask((7, 9), 0.5, generator) for _ in range(2))
    assert torch.equal(first, keep_mask((7, 9), 0.5, torch_rng(3)))
    assert not torch.equal(first, second)
