"""The compiled splines against zuko's, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import kernels
from core.densities import FlowDensity
from tests.builders import quick, torch_rng


def parameters(rows: int, spread: float, seed: int = 0) -> torch.Tensor:
    return spread * torch.randn((rows, 46), generator=torch_rng(seed))


@quick
@given(
    seed=st.integers(0, 999),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
    rows=st.integers(1, 5),
    shared=st.booleans(),
    count=st.integers(1, 40),
)
def test_forward_is_zukos(seed: int, spread: float, rows: int, shared: bool, count: int) -> None:
    p = parameters(rows, spread, seed)
    y = 14 * torch.rand((1 if shared else rows, count), generator=torch_rng(seed)) - 7
    y = y.sort(-1).values  # some lie outside of the splines' bound
    z, jacobian = kernels.forward(p.numpy(), y.numpy())
    density = FlowDensity(p.double()[:, None])
    expected, ladj = density.transform.call_and_ladj(y.double())
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(np.log(jacobian), ladj, rtol=1e-3, atol=1e-2)


@quick
@given(seed=st.integers(0, 999), spread=st.sampled_from([0.1, 1.0, 2.0]), count=st.integers(1, 40))
def test_inverse_is_zukos(seed: int, spread: float, count: int) -> None:
    p = parameters(3, spread, seed)
    z = 14 * torch.rand((3, count), generator=torch_rng(seed)) - 7
    before = z.clone()
    y, jacobian = kernels.inverse(p.numpy(), z.numpy())
    assert torch.equal(z, before)
    expected, ladj = FlowDensity(p.double()[:, None]).transform.inv.call_and_ladj(z.double())
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(np.log(jacobian), -ladj, rtol=1e-3, atol=1e-2)


def test_no_farther_from_float64_than_zuko_in_float32() -> None:
    p, y = parameters(500, 1.0), torch.linspace(0, 1, 200)
    ours = FlowDensity(p).log_prob_on(y)
    zukos = FlowDensity(p).log_prob(y[:, None]).T
    exact = FlowDensity(p.double()).log_prob(y[:, None].double()).T
    assert (ours - exact).abs().max() <= (zukos - exact).abs().max()
    assert (ours - exact).abs().mean() <= 1e-5


@pytest.mark.parametrize("place", [0, 9, 20, 30])
def test_nan_stays_nan(place: int) -> None:
    p = parameters(2, 1.0)
    p[0, place] = torch.nan
    y = FlowDensity(p).log_prob_on(torch.linspace(0, 1, 5))
    assert y[0].isnan().all()
    assert y[1].isfinite().all()
    for part in FlowDensity(p).draw(6, torch_rng()):
        assert part[:, 0].isnan().all()
        assert part[:, 1].isfinite().all()


def test_targets_of_rows() -> None:
    """Row r of the parameters takes row r mod Q of the targets."""
    p = parameters(6, 1.0)
    y = torch.rand((3, 9), generator=torch_rng()).sort(-1).values.numpy()
    z, jacobian = kernels.forward(p.numpy(), y)
    for r in range(6):
        one = kernels.forward(p[r : r + 1].numpy(), y[r % 3 : r % 3 + 1])
        np.testing.assert_array_equal(np.stack([z[r], jacobian[r]]), np.stack(one)[:, 0])


@pytest.mark.parametrize("batch", [(7,), (4, 7)])
def test_density_scores_the_same_with_and_without_the_kernels(batch: tuple[int, ...]) -> None:
    p = torch.randn((*batch, 46), generator=torch_rng(1))
    compiled, plain = FlowDensity(p), FlowDensity(p.clone().requires_grad_())
    assert compiled._compiled
    assert not plain._compiled
    grid = torch.linspace(0, 1, 50)
    rows = torch.rand((7, 30), generator=torch_rng()).sort(-1).values
    for y in (grid, rows):
        got = compiled.log_prob_on(y)
        assert got.shape == (*batch, y.shape[-1])
        torch.testing.assert_close(got, plain.log_prob_on(y).detach(), rtol=1e-4, atol=2e-3)
    for got, expected in zip(compiled.draw(64, torch_rng(2)), plain.draw(64, torch_rng(2)), strict=True):
        assert got.shape == (64, *batch)
        torch.testing.assert_close(got, expected.detach(), rtol=1e-4, atol=2e-3)
