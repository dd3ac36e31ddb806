"""Scores of a committee of passes, against their formulas."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from agents import AGENTS
from agents.committees import PAIDE_GRID
from agents.shared import scores
from core import CORRECTED, PROTOCOLS, Environment, Protocol, Seeds
from core.models.densities import Density, GaussDensity
from core.models.variations import load_config
from datasets import DATASETS
from tests.builders import NETWORKS, make_state, torch_rng

MEANS = torch.rand(4, 3, generator=torch_rng(0), dtype=torch.float64) * 0.3 + 0.3
SCALES = torch.rand(4, 3, generator=torch_rng(1), dtype=torch.float64) * 0.1 + 0.03
GAUSSIANS = GaussDensity(torch.stack([MEANS, SCALES], -1))


def log_density_at(i: int, n: int, y: np.ndarray) -> np.ndarray:
    z = (y - float(MEANS[i, n])) / float(SCALES[i, n])
    return -0.5 * z * z - math.log(float(SCALES[i, n]) * math.sqrt(2 * math.pi))


def integrated(n: int, distance: str) -> np.ndarray:
    """[K, K] by the trapezoid rule on a fine grid."""
    y, result = np.linspace(-1.5, 2.5, 20_001), np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            log_p, log_q = log_density_at(i, n, y), log_density_at(j, n, y)
            if distance == "kl":
                result[i, j] = np.trapezoid(np.exp(log_p) * (log_p - log_q), y)
            else:
                result[i, j] = -np.log(np.trapezoid(np.exp(0.5 * (log_p + log_q)), y))
    return result


@pytest.mark.parametrize("distance", ["kl", "bhattacharyya"])
def test_distances_are_their_integrals(distance: str) -> None:
    closed = getattr(scores, f"{distance}_of_gaussians")(MEANS, SCALES)
    gridded = getattr(scores, f"{distance}_on_grid")(GAUSSIANS.log_prob_on(PAIDE_GRID))
    for n in range(3):
        np.testing.assert_allclose(closed[n], integrated(n, distance), rtol=1e-6, atol=1e-9)
    # The grid's spacing is a sixth of the smallest standard deviation.
    torch.testing.assert_close(gridded, closed, rtol=1e-5, atol=1e-7)


def test_pairwise_distance_estimate() -> None:
    distances = torch.rand(3, 5, 5, generator=torch_rng(), dtype=torch.float64)
    for n in range(3):
        of_pass = [math.log(sum(math.exp(-float(d)) for d in row) / 5) for row in distances[n]]
        got = scores.pairwise_distance_estimate(distances)[n]
        assert float(got) == pytest.approx(-sum(of_pass) / 5)
    assert float(scores.pairwise_distance_estimate(torch.zeros(1, 5, 5))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("name", ["paide", "paide_bhatt", "qbc"])
@pytest.mark.parametrize("variation", NETWORKS)
def test_scores_of_the_passes(variation: str, name: str, protocol: Protocol) -> None:
    state = make_state(variation, protocol, pool=5)
    x = state.x_unlabeled
    density = state.classifier.passes(x, 25, Seeds().torch("agent"))
    got = AGENTS[name](3, Seeds(), protocol).score(state, x)
    if name == "qbc":
        expected = density.mean.double().numpy().std(0, ddof=1)
    else:
        # A flow ends where the agent's grid does, a Gaussian nowhere.
        y = torch.linspace(-9, 10, 4000) if variation.startswith("gauss") else torch.linspace(-0.5, 1.5, 400)
        log_p = torch.stack([density.log_prob(one.expand(density.batch_shape)) for one in y], -1).double()
        p = log_p.softmax(-1).numpy()
        expected = np.zeros(5)
        for n in range(5):
            for one in p[:, n]:
                kl = [(one * np.log(one / other)).sum() for other in p[:, n]]
                bhatt = [-np.log(np.sqrt(one * other).sum()) for other in p[:, n]]
                distances = np.array(kl if name == "paide" else bhatt)
                expected[n] -= np.log(np.exp(-distances).mean()) / len(p)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-7)


# --- EPIG ------------------------------------------------------------------------------------


def test_expected_information_gain_by_loops() -> None:
    generator = torch_rng(3)
    means, variances = (torch.rand(25, 9, generator=generator, dtype=torch.float64) for _ in range(2))
    got = scores.expected_information_gain(means, variances, 6)
    total = variances.numpy().mean(0) + means.numpy().var(0)
    for i in range(6):
        of_targets = []
        for j in range(6, 9):
            covariance = np.cov(means[:, i], means[:, j], bias=True)[0, 1]
            of_targets.append(-0.5 * math.log(1 - covariance**2 / (total[i] * total[j])))
        assert float(got[i]) == pytest.approx(np.mean(of_targets))


def gain_on_grid(density: Density, candidates: int) -> np.ndarray:
    """EPIG on cells of normalised mass: H[y] + H[y*] - H[y, y*], the joint the mean over the passes."""
    p = density.log_prob_on(torch.linspace(-0.5, 1.5, 200)).double().softmax(-1)

    def entropy(mass: Tensor) -> float:
        return float(-torch.special.xlogy(mass, mass).sum())

    of_each = [entropy(one) for one in p.mean(0).unbind()]
    result = np.zeros(candidates)
    for i in range(candidates):
        for j in range(candidates, p.shape[1]):
            joint = p[:, i].T @ p[:, j] / len(p)
            result[i] += of_each[i] + of_each[j] - entropy(joint)
    return result / (p.shape[1] - candidates)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variation", "least"), [("nf", 0.95), ("gauss", 0.95), ("ensemble", 0.8), ("gauss_ensemble", 0.95)]
)
def test_moments_rank_as_the_grid_does(variation: str, least: float) -> None:
    """docs/AGENTS.md has the numbers: ranks agree for most models, the sizes of the gains do not."""
    config = AGENTS["epig"].inject_config(load_config("diabetes", variation))
    agreement = []
    for seed in range(5):
        env = Environment(DATASETS["diabetes"]("nowhere", Seeds(seed)), config, CORRECTED)
        state, _ = env.reset()
        x = state.x_unlabeled[:60]  # 40 candidates, 20 targets
        density = state.classifier.passes(x, 25, torch_rng(), shared=True)
        means, variances = (moment.double() for moment in density.moments())
        by_moments = scores.expected_information_gain(means, variances, 40)
        agreement.append(spearmanr(by_moments, gain_on_grid(density, 40)).statistic)
    # A single model may be so sure, or so unlike the others, that noise ranks it.
    assert np.median(agreement) > least


def test_targets_are_drawn_from_the_pool() -> None:
    state = make_state("gauss", CORRECTED, pool=150)
    x = state.x_unlabeled[:10]
    agent = AGENTS["epig"](3, Seeds(), CORRECTED)
    drawn = Seeds().numpy("agent").choice(150, 100, replace=False)
    points = torch.cat([x, state.x_unlabeled[torch.from_numpy(drawn)]])
    density = state.classifier.passes(points, 25, Seeds().torch("agent"), shared=True)
    means, variances = (moment.double() for moment in density.moments())
    expected = scores.expected_information_gain(means, variances, 10)
    torch.testing.assert_close(agent.score(state, x), expected)
    assert (expected > 0).all()
