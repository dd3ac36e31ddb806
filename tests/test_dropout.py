"""Dropout drops what it should, each element for itself."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2_contingency

from core.models.masks import (
    MaskSource,
    draw_bits,
    draw_kept,
    dropout,
    dropout_by,
    mask_source,
)
from tests.builders import no_global_randomness, torch_rng


def sfc64(seed: int = 0) -> MaskSource:
    return np.random.SFC64(seed)


@pytest.mark.parametrize("make", [sfc64, torch_rng])
@pytest.mark.parametrize("rate", [0.0, 0.0163037704541147, 0.05, 0.3, 0.5, 0.9])
def test_rate(rate: float, make: type) -> None:
    with no_global_randomness():
        out = dropout(torch.full((1, 500, 801), 3.0), rate, make(1))
    assert out.shape == (1, 500, 801)
    dropped = out == 0
    assert binomtest(int(dropped.sum()), out.numel(), rate).pvalue > 1e-3
    torch.testing.assert_close(out[~dropped], torch.full_like(out[~dropped], 3 / (1 - rate)))


@pytest.mark.parametrize("shift", [1, 2, 3, 4, 64, 128])
def test_neighbours_are_independent(shift: int) -> None:
    kept = dropout(torch.ones(1, 400_001), 0.3, sfc64(2))[0].numpy() > 0
    table = np.histogram2d(kept[:-shift], kept[shift:], bins=2)[0]
    assert chi2_contingency(table).pvalue > 1e-3


def test_elements_that_are_kept_are_those_that_dropout_keeps() -> None:
    out = dropout(torch.ones(1, 70_001, 2), 0.3, sfc64(1))[0]
    assert torch.equal(draw_kept((70_001, 2), 0.3, sfc64(1)) > 0, out > 0)


@pytest.mark.parametrize("make", [sfc64, torch_rng])
def test_repeats_with_its_source(make: type) -> None:
    first, second = (dropout(torch.ones(1, 7, 9), 0.5, source) for source in [make(3)] * 2)
    assert torch.equal(first, dropout(torch.ones(1, 7, 9), 0.5, make(3)))
    assert not torch.equal(first, second)


def test_sources_from_one_generator_differ() -> None:
    generator = torch_rng()
    masks = [draw_kept((100,), 0.5, mask_source(generator)) for _ in range(2)]
    assert not torch.equal(*masks)
    assert torch.equal(masks[0], draw_kept((100,), 0.5, mask_source(torch_rng())))


def test_one_mask_for_all_rows() -> None:
    out = dropout(torch.ones(1, 5, 60), 0.5, sfc64(1), shared=True)
    assert torch.equal(out, out[:, :1].expand(1, 5, 60))
    assert 0 < out.count_nonzero() < out.numel()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_by_bits_that_were_drawn_before(dtype: torch.dtype) -> None:
    """Layers of 4 and of 8 rows take their parts; what is dropped has no gradient."""
    bits = torch.from_numpy(np.stack([draw_bits(np.random.SFC64(seed), 12 * 25) for seed in (1, 2)]))
    sources, drop = [sfc64(1), sfc64(2)], dropout_by(bits.short(), 0.3)
    for rows in (4, 8):
        x = torch.full((2, rows, 25), 2.0, dtype=dtype, requires_grad=True)
        out = drop(x)
        alone = zip(x.detach().clone(), sources, strict=True)
        assert torch.equal(out, torch.stack([dropout(part, 0.3, source) for part, source in alone]))
        out.sum().backward()
        torch.testing.assert_close(x.grad, out.detach() / 2)
