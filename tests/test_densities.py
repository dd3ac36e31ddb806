"""Means, standard deviations and quantiles of the densities, against scipy's integrals and roots."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from core.models.densities import Density, FlowDensity, GaussDensity, GaussMixture, MixtureDensity
from tests.builders import quick, torch_rng

LEVELS = torch.tensor([1e-6, 0.001, 0.05, 0.3, 0.5, 0.77, 0.99, 1 - 1e-6], dtype=torch.float64)
GAUSS = torch.tensor([[0.3, 0.2], [-1.0, 1.5], [2.0, 0.01]], dtype=torch.float64)
BOTH = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def flow_parameters(rows: int, spread: float, seed: int = 0) -> Tensor:
    return spread * torch.randn((rows, 46), generator=torch_rng(seed), dtype=torch.float64)


def slow_moments(parameters: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of one flow, by adaptive integration of y p(y) between its knots."""
    density = FlowDensity(parameters[None])
    first, second = density.transform.transforms
    ends = sorted({*first.horizontal[0].tolist(), *first.inv(second.horizontal.T)[:, 0].tolist(), -9.0, 9.0})

    def integral(power: int, center: float) -> float:
        def integrand(y: float) -> float:
            p = density.log_prob(torch.tensor([y], dtype=torch.float64)).exp().item()
            return (y - center) ** power * p

        pieces = pairwise(ends)
        return sum(quad(integrand, low, high, epsabs=1e-9, limit=200)[0] for low, high in pieces)

    mean = integral(1, 0.0)
    return mean, math.sqrt(integral(2, mean))


@pytest.mark.parametrize(("spread", "error"), [(0.3, 1e-8), (1.0, 1e-6)])
def test_moments_of_the_flow_are_its_integrals(spread: float, error: float) -> None:
    parameters = flow_parameters(2, spread, seed=1)
    expected = np.array([slow_moments(row) for row in parameters]).T
    density, single = FlowDensity(parameters), FlowDensity(parameters.float())
    np.testing.assert_allclose([density.mean, density.stddev], expected, rtol=0, atol=error)
    np.testing.assert_allclose(density.variance, expected[1] ** 2, rtol=0, atol=2 * error * expected[1].max())
    assert single.mean.dtype == single.stddev.dtype == torch.float32
    np.testing.assert_allclose([single.mean, single.stddev], expected, rtol=0, atol=1e-4)


@quick
@given(seed=st.integers(0, 10**6), spread=st.floats(0.0, 10.0))
def test_moments_of_steep_flows_are_those_of_their_inverse(seed: int, spread: float) -> None:
    """Trapezoids over z, which know nothing of knots.

    y(z) grows from -5 to 5, in a jump at the worst: the trapezoids are wrong by at most a step of
    1.8e-4 times 0.4 (phi) times 10, for the variance times 100.
    """
    density = FlowDensity(flow_parameters(3, spread, seed))
    z = torch.linspace(-9, 9, 100_001, dtype=torch.float64)
    y, weights = density.transform.inv(z[:, None].expand(-1, 3)), torch.from_numpy(stats.norm.pdf(z))[:, None]
    mean = torch.trapezoid(weights * y, z, dim=0)
    variance = torch.trapezoid(weights * (y - mean).square(), z, dim=0)
    torch.testing.assert_close(density.mean, mean, rtol=0, atol=8e-4)
    torch.testing.assert_close(density.variance, variance, rtol=0, atol=8e-3)


def make(kind: str, dtype: torch.dtype = torch.float64) -> Density:
    """Batch shape [3]; the ensembles have four members."""
    flows = flow_parameters(12, 0.7, seed=3).to(dtype).view(4, 3, 46)
    gauss = torch.stack([GAUSS, GAUSS * 0.5, GAUSS.flip(0), GAUSS + 0.1]).to(dtype)
    made = {
        "flow": lambda: FlowDensity(flows[0]),
        "gauss": lambda: GaussDensity(gauss[0]),
        "ensemble": lambda: MixtureDensity(flows, FlowDensity),
        "gauss_ensemble": lambda: MixtureDensity(gauss, GaussDensity),
        "committee": lambda: GaussMixture(gauss),
    }
    return made[kind]()


KINDS = pytest.mark.parametrize("kind", ["flow", "gauss", "ensemble", "gauss_ensemble", "committee"])


@pytest.mark.machines
@KINDS
@BOTH
def test_quantiles_are_the_roots_of_the_cdf(kind: str, dtype: torch.dtype) -> None:
    density, exact = make(kind, dtype), make(kind)
    quantiles = density.icdf(LEVELS.to(dtype)[:, None])
    assert quantiles.dtype == dtype
    # A cdf in float32 knows a level to some 1e-7: between the roots of such levels.
    of_level, of_root = (3e-7, 2e-5) if dtype == torch.float32 else (1e-15, 1e-8)
    for i, level in enumerate(LEVELS.to(dtype).tolist()):
        for row in range(3):

            def root(level: float, row: int = row) -> float:
                def above(y: float) -> float:
                    return exact.cdf(torch.full((3,), y, dtype=torch.float64))[row].item() - level

                return brentq(above, -20, 20, xtol=1e-12)

            low, high = root(level - of_level), root(level + of_level)
            assert low - of_root < quantiles[i, row].item() < high + of_root, (level, row)


@KINDS
@BOTH
def test_conventions_of_icdf(kind: str, dtype: torch.dtype) -> None:
    density = make(kind, dtype)
    levels = torch.tensor([0.2, 0.9], dtype=dtype)
    alone = density.icdf(levels[0])
    assert alone.shape == (3,)
    torch.testing.assert_close(density.icdf(levels[:, None]), torch.stack([alone, density.icdf(levels[1])]))
    per_row = density.icdf(torch.tensor([0.2, 0.9, 0.2], dtype=dtype))
    torch.testing.assert_close(per_row[::2], alone[::2])
    wrong = density.icdf(torch.tensor([0.0, 1.0, -0.1, 1.1, math.nan], dtype=dtype)[:, None])
    assert (wrong[0] == -math.inf).all()
    assert (wrong[1] == math.inf).all()
    assert wrong[2:].isnan().all()


@pytest.mark.parametrize("kind", ["gauss_ensemble", "committee"])
def test_the_mixture_of_gaussians_is_scipys(kind: str) -> None:
    density = make(kind)
    members = np.stack([GAUSS, GAUSS * 0.5, GAUSS.flip(0), GAUSS + 0.1])  # [4, 3, 2]
    y = np.linspace(-3, 4, 50)[:, None]
    normals = [stats.norm(loc=member[:, 0], scale=member[:, 1]) for member in members]
    np.testing.assert_allclose(
        density.cdf(torch.from_numpy(y)), np.mean([n.cdf(y) for n in normals], 0), atol=1e-15
    )
    log_p = np.log(np.mean([n.pdf(y) for n in normals], 0) + 1e-300)
    got = density.log_prob(torch.from_numpy(y))
    np.testing.assert_allclose(
        got[log_p > -600], log_p[log_p > -600], rtol=1e-10
    )  # equal parts, in float64 too
    mean = members[..., 0].mean(0)
    np.testing.assert_allclose(density.mean, mean, rtol=1e-12)
    variance = (members[..., 1] ** 2 + members[..., 0] ** 2).mean(0) - mean**2
    np.testing.assert_allclose(density.variance, variance, rtol=1e-12)


@KINDS
def test_samples_come_with_their_density_and_follow_the_cdf(kind: str) -> None:
    density = make(kind)
    y, log_p = density.draw(20_000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(log_p, density.log_prob(y), rtol=0, atol=1e-4)  # drawn in float32
    for row in range(3):
        u = density.cdf(y)[:, row].numpy()
        assert stats.kstest(u, "uniform").pvalue > 1e-4
