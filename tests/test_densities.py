"""Means, standard deviations and quantiles of the densities, against scipy's integrals and roots."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from core.models.densities import Density, FlowDensity, GaussDensity, MixtureDensity
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

        pieces = itertools.pairwise(ends)
        return sum(quad(integrand, low, high, epsabs=1e-9, limit=200)[0] for low, high in pieces)

    mean = integral(1, 0.0)
    return mean, math.sqrt(integral(2, mean))


@pytest.mark.parametrize(("spread", "error"), [(0.3, 1e-8), (1.0, 1e-6), (3.0, 1e-5)])
def test_moments_of_the_flow_are_its_integrals(spread: float, error: float) -> None:
    parameters = flow_parameters(4, spread, seed=1)
    expected = np.array([slow_moments(row) for row in parameters]).T
    density, single = FlowDensity(parameters), FlowDensity(parameters.float())
    np.testing.assert_allclose([density.mean, density.stddev], expected, rtol=0, atol=error)
    np.testing.assert_allclose(density.variance, expected[1] ** 2, rtol=0, atol=2 * error * expected[1].max())
    assert single.mean.dtype == single.stddev.dtype == torch.float32
    np.testing.assert_allclose([single.mean, single.stddev], expected, rtol=0, atol=1e-4)


@quick
@given(seed=st.integers(0, 10**6), spread=st.floats(0.0, 10.0))
def test_moments_of_the_flow_are_those_of_its_quantiles(seed: int, spread: float) -> None:
    """Means over 100,000 even levels, which know nothing of knots."""
    density = FlowDensity(flow_parameters(3, spread, seed))
    levels = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    y = density.icdf(levels[:, None])
    torch.testing.assert_close(density.mean, y.mean(0), rtol=0, atol=2e-4)
    torch.testing.assert_close(density.stddev, y.std(0), rtol=0, atol=1e-3)


def test_a_flow_of_zeros_is_the_standard_normal() -> None:
    density = FlowDensity(torch.zeros(2, 46, dtype=torch.float64))
    torch.testing.assert_close(density.mean, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(density.variance, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-12)
    expected = torch.from_numpy(stats.norm.ppf(LEVELS))[:, None].expand(-1, 2)
    torch.testing.assert_close(density.icdf(LEVELS[:, None]), expected)


def test_moments_and_quantiles_of_the_flow_are_those_of_zukos_splines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters, levels = flow_parameters(6, 1.0).float().view(2, 3, 46), LEVELS.float()[:, None, None]
    density = FlowDensity(parameters)
    compiled = density.mean, density.stddev, density.icdf(levels)
    monkeypatch.setattr(FlowDensity, "_compiled", False)
    plain = density.mean, density.stddev, density.icdf(levels)
    for one, other, shape in zip(compiled, plain, [(2, 3), (2, 3), (8, 2, 3)], strict=True):
        assert one.shape == shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["mean", "variance"])
def test_moments_of_the_flow_are_differentiable(name: str) -> None:
    parameters = flow_parameters(1, 0.5).requires_grad_()
    (gradient,) = torch.autograd.grad(getattr(FlowDensity(parameters), name).sum(), parameters)
    step = 1e-5 * torch.eye(46, dtype=torch.float64)
    high, low = (getattr(FlowDensity(parameters.detach() + s), name) for s in (step, -step))
    torch.testing.assert_close(gradient[0], (high - low) / 2e-5, rtol=1e-4, atol=1e-6)


def make(kind: str, dtype: torch.dtype = torch.float64) -> Density:
    """Batch shape [3]; the ensembles have four members."""
    flows = flow_parameters(12, 0.7, seed=3).to(dtype).view(4, 3, 46)
    gauss = torch.stack([GAUSS, GAUSS * 0.5, GAUSS.flip(0), GAUSS + 0.1]).to(dtype)
    made = {
        "flow": lambda: FlowDensity(flows[0]),
        "gauss": lambda: GaussDensity(gauss[0]),
        "ensemble": lambda: MixtureDensity(flows, FlowDensity),
        "gauss_ensemble": lambda: MixtureDensity(gauss, GaussDensity),
    }
    return made[kind]()


KINDS = pytest.mark.parametrize("kind", ["flow", "gauss", "ensemble", "gauss_ensemble"])


@KINDS
@BOTH
def test_quantiles_are_the_roots_of_the_cdf(kind: str, dtype: torch.dtype) -> None:
    density, exact = make(kind, dtype), make(kind)
    quantiles = density.icdf(LEVELS.to(dtype)[:, None])
    assert quantiles.dtype == dtype
    # 1 - 1e-6 is 1 - 1.01e-6 in float32: what matters is the level that was asked for.
    levels = LEVELS.to(dtype).double()
    for i, level in enumerate(levels.tolist()):
        for row in range(3):

            def above(y: float, row: int = row, level: float = level) -> float:
                return exact.cdf(torch.full((3,), y, dtype=torch.float64))[row].item() - level

            root = brentq(above, -20, 20, xtol=1e-12)
            error = 1e-8 if dtype == torch.float64 else 2e-3 if level > 0.9999 else 2e-5
            assert abs(quantiles[i, row].item() - root) < error * max(1, abs(root)), (level, row)


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


@KINDS
@BOTH
def test_moments_are_those_of_the_density(kind: str, dtype: torch.dtype) -> None:
    """Trapezoids in float64, for each row around its quantiles."""
    density, exact = make(kind, dtype), make(kind)
    low, high = exact.icdf(torch.tensor([1e-12, 1 - 1e-12], dtype=torch.float64)[:, None])
    y = low + (high - low) * torch.linspace(0, 1, 400_001, dtype=torch.float64)[:, None]
    p = exact.log_prob(y).exp()
    mean = torch.trapezoid(y * p, y, dim=0)
    variance = torch.trapezoid((y - mean).square() * p, y, dim=0)
    error = 1e-6 if dtype == torch.float64 else 1e-5
    for name, expected in (("mean", mean), ("variance", variance), ("stddev", variance.sqrt())):
        got = getattr(density, name)
        assert got.dtype == dtype
        assert got.shape == (3,)
        torch.testing.assert_close(got.double(), expected, rtol=error, atol=error)


def test_the_mixture_of_gaussians_is_scipys() -> None:
    density = make("gauss_ensemble")
    members = np.stack([GAUSS, GAUSS * 0.5, GAUSS.flip(0), GAUSS + 0.1])  # [4, 3, 2]
    y = np.linspace(-3, 4, 50)[:, None]
    normals = [stats.norm(loc=member[:, 0], scale=member[:, 1]) for member in members]
    np.testing.assert_allclose(density.cdf(torch.from_numpy(y)), np.mean([n.cdf(y) for n in normals], 0))
    log_p = np.log(np.mean([n.pdf(y) for n in normals], 0) + 1e-300)
    got = density.log_prob(torch.from_numpy(y))
    np.testing.assert_allclose(
        got[log_p > -600], log_p[log_p > -600], rtol=1e-10
    )  # equal parts, in float64 too
    mean = members[..., 0].mean(0)
    np.testing.assert_allclose(density.mean, mean, rtol=1e-12)
    variance = (members[..., 1] ** 2 + members[..., 0] ** 2).mean(0) - mean**2
    np.testing.assert_allclose(density.variance, variance, rtol=1e-12)


def test_broken_parameters_have_no_moments_and_no_quantiles() -> None:
    for density in (
        FlowDensity(torch.full((2, 46), math.nan)),
        GaussDensity(torch.full((2, 2), math.nan)),
        MixtureDensity(torch.full((3, 2, 46), math.nan), FlowDensity),
    ):
        for got in (density.mean, density.stddev, density.icdf(torch.tensor(0.3))):
            assert got.shape == (2,)
            assert got.isnan().all()
