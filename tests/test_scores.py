"""The acquisition functions against loops written from docs/METHOD.md, section 3."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp, rel_entr
from scipy.stats import wasserstein_distance
from torch import Tensor

from agents.shared import scores
from core.agent import top
from tests.builders import quick, torch_rng

Score = Callable[[Tensor], Tensor]
Reference = Callable[[np.ndarray], float]

SPACING = 0.8 / 200


def shapes(last: int) -> st.SearchStrategy[tuple[int, int, int]]:
    """T, N, and grid points or samples, which are at least `last`."""
    return st.tuples(st.integers(2, 5), st.integers(1, 3), st.integers(last, 7))


log_densities = arrays(np.float64, shapes(2), elements=st.floats(-12, 6))
samples = arrays(np.float64, shapes(2), elements=st.floats(-3, 3))


# --- references: the score of one candidate ------------------------------------------------


def kl(log_p: np.ndarray, log_q: np.ndarray) -> float:
    return sum(math.exp(a) * (a - b) for a, b in zip(log_p, log_q, strict=True))


def log_mean(log_p: np.ndarray) -> np.ndarray:
    return logsumexp(log_p, axis=0) - math.log(len(log_p))


def normalised(log_p: np.ndarray) -> np.ndarray:
    """log of p / area; stays with the logarithms, so that narrow densities have an answer."""
    high = log_p.max()
    return log_p - high - math.log(np.trapezoid(np.exp(log_p - high), dx=SPACING))


def entropy(log_p: np.ndarray) -> float:
    return float(np.trapezoid([-math.exp(a) * a for a in log_p], dx=SPACING))


def kl_grid(log_p: np.ndarray) -> float:
    return sum(kl(one, log_mean(log_p)) for one in log_p)


def kl_grid_norm(log_p: np.ndarray) -> float:
    return sum(kl(one, normalised(log_mean(log_p))) for one in log_p)


def kl_pairs(log_p: np.ndarray) -> float:
    return sum(kl(log_p[t], log_p[t + 1]) for t in range(len(log_p) - 1))


def kl_diff(log_p: np.ndarray) -> float:
    return sum(kl(log_p[t], log_p[t + 1]) - kl(log_p[t], log_mean(log_p)) for t in range(len(log_p) - 1))


def kl_anomaly(log_d: np.ndarray) -> float:
    return -sum(sum(one - log_mean(log_d)) for one in log_d)  # log(d / mean)


def entropy_difference(log_p: np.ndarray) -> float:
    return sum(entropy(log_p[t]) - entropy(log_p.mean(0)) for t in range(len(log_p) - 1))


def dist_entropy(log_p: np.ndarray) -> float:
    return sum(entropy(normalised(log_mean(log_p))) - entropy(one) for one in log_p)


def nflows_out(log_p: np.ndarray) -> float:
    a = [-sum(one) / len(one) for one in log_p]
    return sum(sum(a) / len(a) - one for one in a) / len(a)


def dist_std(s: np.ndarray, absolute: bool) -> float:
    steps = [np.std(s[t], ddof=1) - np.std(s[t - 1], ddof=1) for t in range(1, len(s))]
    return sum(abs(step) for step in steps) if absolute else sum(steps)


def emd_pairs(s: np.ndarray) -> float:
    return sum(wasserstein_distance(s[t], s[t + 1]) for t in range(len(s) - 1))


def emd_full(s: np.ndarray) -> float:
    return sum(wasserstein_distance(one, other) for one in s for other in s) / len(s)


OF_DENSITIES: dict[str, tuple[Score, Reference]] = {
    "kl_grid published": (partial(scores.kl_grid, log_space=False), kl_grid),
    "kl_grid corrected": (partial(scores.kl_grid, log_space=True), kl_grid),
    "kl_grid_norm published": (partial(scores.kl_grid, log_space=False, spacing=SPACING), kl_grid_norm),
    "kl_grid_norm corrected": (partial(scores.kl_grid, log_space=True, spacing=SPACING), kl_grid_norm),
    "kl_pairs published": (partial(scores.kl_pairs, log_space=False), kl_pairs),
    "kl_pairs corrected": (partial(scores.kl_pairs, log_space=True), kl_pairs),
    "kl_diff published": (partial(scores.kl_diff, log_space=False), kl_diff),
    "kl_diff corrected": (partial(scores.kl_diff, log_space=True), kl_diff),
    "kl_anomaly published": (partial(scores.kl_anomaly, log_space=False), kl_anomaly),
    "kl_anomaly corrected": (partial(scores.kl_anomaly, log_space=True), kl_anomaly),
    "entropy_difference": (partial(scores.entropy_difference, spacing=SPACING), entropy_difference),
    "dist_entropy published": (
        partial(scores.dist_entropy, spacing=SPACING, log_space=False),
        dist_entropy,
    ),
    "dist_entropy corrected": (
        partial(scores.dist_entropy, spacing=SPACING, log_space=True),
        dist_entropy,
    ),
    "nflows_out": (scores.nflows_out, nflows_out),
}
OF_SAMPLES: dict[str, tuple[Score, Reference]] = {
    "dist_std published": (partial(scores.dist_std, absolute=False), partial(dist_std, absolute=False)),
    "dist_std corrected": (partial(scores.dist_std, absolute=True), partial(dist_std, absolute=True)),
    "emd_pairs": (scores.emd_pairs, emd_pairs),
    "emd_full": (scores.emd_full, emd_full),
}


def by_candidate(reference: Reference, values: np.ndarray) -> list[float]:
    return [reference(values[:, n]) for n in range(values.shape[1])]


@pytest.mark.parametrize("name", OF_DENSITIES)
@quick
@given(log_p=log_densities)
def test_scores_of_densities_are_the_formula(name: str, log_p: np.ndarray) -> None:
    score, reference = OF_DENSITIES[name]
    expected = by_candidate(reference, log_p)
    np.testing.assert_allclose(score(torch.from_numpy(log_p)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OF_SAMPLES)
@quick
@given(s=samples)
def test_scores_of_samples_are_the_formula(name: str, s: np.ndarray) -> None:
    score, reference = OF_SAMPLES[name]
    np.testing.assert_allclose(score(torch.from_numpy(s)), by_candidate(reference, s), atol=1e-12)


@quick
@given(
    log_p=st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 5)).flatmap(
        lambda tnm: arrays(np.float64, (tnm[0], *tnm), elements=st.floats(-12, 6))
    )
)
def test_mutual_information(log_p: np.ndarray) -> None:
    passes, _, candidates, count = log_p.shape
    expected = []
    for n in range(candidates):
        total = 0.0
        for t in range(passes):
            for j in range(count):
                mean = sum(math.exp(log_p[other, t, n, j]) for other in range(passes)) / passes
                total += log_p[t, t, n, j] - math.log(mean)
        expected.append(total / (passes * count))
    own = torch.from_numpy(np.stack([log_p[t, t] for t in range(passes)])).movedim(-1, 0)  # [M, T, N]
    of_all = np.moveaxis(log_p, 1, -1).reshape(passes, candidates, -1)  # [T', N, MT]
    got = scores.mutual_information(own, torch.from_numpy(of_all))
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert (got <= math.log(passes) + 1e-9).all()


# --- zeros of float32 ----------------------------------------------------------------------

HARSH = [name for name in OF_DENSITIES if name.endswith("published")]


def narrow() -> Tensor:
    """Log-densities [25, 3, 200] of Gaussians of standard deviation 0.1, 0.001 and 0.0001."""
    means = 0.5 + 0.01 * torch.randn(25, 3, 1, generator=torch_rng())
    gaussian = torch.distributions.Normal(means, torch.tensor([0.1, 1e-3, 1e-4])[:, None])
    return gaussian.log_prob(torch.linspace(0.1, 0.9, 200))


@pytest.mark.parametrize("name", HARSH)
def test_corrected_scores_of_narrow_densities_are_the_formula(name: str) -> None:
    log_p = narrow()
    published, reference = OF_DENSITIES[name]
    corrected, _ = OF_DENSITIES[name.replace("published", "corrected")]
    np.testing.assert_array_equal(published(log_p).isfinite(), [True, False, False])
    expected = by_candidate(reference, log_p.double().numpy())
    np.testing.assert_allclose(corrected(log_p), expected, rtol=1e-3)
    np.testing.assert_allclose(published(log_p)[0], expected[0], rtol=1e-3)


LENIENT = [name for name in OF_DENSITIES if name not in HARSH and name != "nflows_out"]


@pytest.mark.parametrize("name", LENIENT)
def test_other_scores_are_finite_even_for_densities_of_zero(name: str) -> None:
    score, _ = OF_DENSITIES[name]
    log_p = narrow()
    log_p[log_p < -100] = -math.inf
    assert log_p.isinf().all(0).any()
    assert log_p.isinf().any(-1).all(0).any()
    log_p = torch.cat([log_p, torch.full_like(log_p[:, :1], -math.inf)], 1)
    result = score(log_p)
    assert result.shape == (4,)
    assert result.isfinite().all()


def test_densities_of_zero_as_published() -> None:
    """Those of float32: exp(-200) is zero. Terms of `kl_diff` are scipy's on float32 arrays."""
    log_p = torch.tensor([[[-1.0, -200.0, 0.5]], [[0.5, -1.0, -200.0]], [[-2.0, -0.5, 1.0]]])  # [3, 1, 3]
    p = log_p.exp().numpy()
    for last in (2, 3):
        some = p[:last]
        terms = [rel_entr(some[t], some[t + 1]) - rel_entr(some[t], some.mean(0)) for t in range(last - 1)]
        result = scores.kl_diff(log_p[:last], log_space=False)
        np.testing.assert_allclose(result, np.sum(terms, axis=(0, 2)), rtol=1e-5)
    assert scores.kl_diff(log_p, log_space=True).isfinite()
    zero_first = torch.stack([log_p[1], log_p[2]])  # 0 log(0/q) alone
    assert scores.kl_diff(zero_first, log_space=False).isfinite()

    assert scores.kl_anomaly(log_p, log_space=False).tolist() == [math.inf]
    assert scores.kl_anomaly(torch.full((3, 1, 3), -200.0), log_space=False).isnan()
    assert scores.kl_anomaly(torch.full((3, 1, 3), -200.0), log_space=True).tolist() == [0]


# --- properties ----------------------------------------------------------------------------


def test_nflows_out_is_rounding_noise() -> None:
    log_p = 5 * torch.randn(25, 50, 200, generator=torch_rng())
    assert scores.nflows_out(log_p.double()).abs().max() < 1e-13
    noise = scores.nflows_out(log_p)
    assert noise.dtype == torch.float32
    assert 0 < noise.abs().max() < 1e-5


# --- the choice ----------------------------------------------------------------------------


@quick
@given(
    values=st.lists(st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 2.0]), max_size=12),
    count=st.integers(0, 14),
)
def test_top(values: list[float], count: int) -> None:
    ranks = [math.inf if math.isnan(value) else value for value in values]
    expected = sorted(range(len(values)), key=lambda i: (-ranks[i], i))[:count]
    assert top(torch.tensor(values), count).tolist() == expected
