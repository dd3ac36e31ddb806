"""Agents that score the predictive distribution draw and score as docs/METHOD.md, section 3 says."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import AGENTS, distributions, heuristics
from agents.shared import scores
from core import CORRECTED, PROTOCOLS, PUBLISHED, Protocol, Seeds
from core.models.densities import Density
from core.models.predictor import Predictor
from tests.builders import (
    FixedPredictor,
    choose,
    fixed_state,
    make_state,
)

KL_DUALS = {"balsa_kl_grid_dual", "balsa_kl_pairs_dual"}
DUALS = KL_DUALS | {"balsa_emd_dual"}

Scoring = Callable[[Predictor, Tensor, torch.Generator, Protocol], Tensor]


def on_grid(density: Density, protocol: Protocol, points: int = 200) -> tuple[Tensor, float]:
    """Log-densities with the grid last, and the spacing: the numbers of docs/METHOD.md, section 5."""
    first, last, intervals = {PUBLISHED: (0.1, 0.9, points), CORRECTED: (0.0, 1.0, points - 1)}[protocol]
    grid = torch.linspace(first, last, points)
    log_p = torch.stack([density.log_prob(y.expand(density.batch_shape)) for y in grid], -1)
    return log_p, (last - first) / intervals


def draws(density: Density, generator: torch.Generator, count: int = 64) -> Tensor:
    return density.draw(count, generator)[0].movedim(0, -1)


def from_grid(score: Callable[[Tensor, float, bool], Tensor], rate: float | None = None) -> Scoring:
    def scoring(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
        density = predictor.passes(x, 25, generator, rate)
        return score(*on_grid(density, protocol), protocol is CORRECTED)

    return scoring


def from_samples(score: Callable[[Tensor, bool], Tensor], rate: float | None = None) -> Scoring:
    def scoring(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
        samples = draws(predictor.passes(x, 25, generator, rate), generator)
        return score(samples, protocol is CORRECTED)

    return scoring


def bald(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y, log_prob = predictor.passes(x, 25, generator).draw(64, generator)
    return y.gather(0, log_prob.argmax(0)[None])[0].std(0)


def nflows_out(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    density = predictor.passes(x, 25, generator)
    if protocol is PUBLISHED:
        return scores.nflows_out(on_grid(density, protocol)[0])
    y = density.draw(64, generator)[0]  # [M, T, N]
    own = torch.stack([density.log_prob(one) for one in y])
    total = torch.zeros(len(x), dtype=torch.float64)
    for t in range(25):
        under_all = torch.stack([density.log_prob(one[t].expand(25, -1)) for one in y])  # [M, T', N]
        total += (own[:, t] - under_all.exp().mean(1).log()).double().sum(0)
    return total / (25 * 64)


def kl_anomaly(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y = predictor.passes(x, 25, generator).draw(64, generator)[0]
    judge = predictor.passes(x, 25, generator)
    return scores.kl_anomaly(torch.stack([judge.log_prob(one) for one in y], -1), protocol.log_space)


def nf_conf(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y, _ = predictor(x).draw(64 if protocol is PUBLISHED else 200, generator)
    return -predictor(x).log_prob(y).amax(0)


def nf_entropy(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    log_p, spacing = on_grid(predictor(x), protocol, 500)
    return torch.from_numpy(np.trapezoid(-log_p.exp() * log_p, dx=spacing))


def nf_std(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y, _ = predictor(x).draw(64, generator)
    return predictor(x).log_prob(y).std(0)


def nf_sample_std(predictor: Predictor, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    return draws(predictor(x), generator, 64 if protocol is PUBLISHED else 200).std(-1)


SCORES: dict[str, Scoring] = {
    "bald": bald,
    "bald_dist_entropy": from_grid(scores.dist_entropy),
    "bald_dist_std": from_samples(scores.dist_std),
    "nflows_out": nflows_out,
    "balsa_kl_grid": from_grid(lambda log_p, dx, log_space: scores.kl_grid(log_p, log_space)),
    "balsa_kl_pairs": from_grid(lambda log_p, dx, log_space: scores.kl_pairs(log_p, log_space)),
    "balsa_emd": from_samples(lambda s, absolute: scores.emd_pairs(s)),
    "balsa_kl_grid_norm": from_grid(lambda log_p, dx, log_space: scores.kl_grid(log_p, log_space, dx)),
    "balsa_kl_diff": from_grid(lambda log_p, dx, log_space: scores.kl_diff(log_p, log_space)),
    "balsa_kl_anomaly": kl_anomaly,
    "balsa_entropy": from_grid(lambda log_p, dx, log_space: scores.entropy_difference(log_p, dx)),
    "balsa_emd_full": from_samples(lambda s, absolute: scores.emd_full(s)),
    "balsa_kl_grid_dual": from_grid(lambda log_p, dx, log_space: scores.kl_grid(log_p, log_space), 0.05),
    "balsa_kl_pairs_dual": from_grid(lambda log_p, dx, log_space: scores.kl_pairs(log_p, log_space), 0.05),
    "balsa_emd_dual": from_samples(lambda s, absolute: scores.emd_pairs(s), 0.1),
    "nf_conf": nf_conf,
    "nf_entropy": nf_entropy,
    "nf_std": nf_std,
    "nf_sample_std": nf_sample_std,
}


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("name", SCORES)
def test_scores_of_the_predictive_distribution(name: str, protocol: Protocol) -> None:
    """float64, as an untrained model hardly disagrees."""
    state, again = (make_state("gauss", protocol, pool=5) for _ in range(2))
    for one in (state, again):
        one.classifier.model.double()
    x = state.x_unlabeled.double()
    agent = AGENTS[name](3, Seeds(), protocol)
    got = agent.score(state, x)
    assert got.shape == (5,)
    assert not got.requires_grad

    expected = SCORES[name](again.classifier, x, Seeds().torch("agent"), protocol)
    # The agent takes the density at a sample where it was drawn, the reference at the sample
    # rounded to float32: mutual information, a difference of two near numbers, shows it.
    atol = 1e-7 if name == "nflows_out" and protocol is CORRECTED else 1e-9
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=atol, check_dtype=False)


@pytest.mark.parametrize("name", sorted(DUALS))
def test_duals_never_lower_the_dropout(name: str) -> None:
    """At a configured rate above their own they score as their namesakes."""
    values = []
    for agent in (name, name.removesuffix("_dual")):
        state = make_state("gauss", CORRECTED, dropout=0.3)
        values.append(AGENTS[agent](3, Seeds(), CORRECTED).score(state, state.x_unlabeled))
    torch.testing.assert_close(*values, rtol=0, atol=0)


def test_every_agent_of_distributions_is_scored_above() -> None:
    files = (distributions.__name__, heuristics.__name__)  # an agent of one's own has a file of its own
    family = {
        name
        for name, cls in AGENTS.classes.items()
        if issubclass(cls, distributions.DistributionAgent)
        and cls.__module__ in files
        and cls.density is Density  # those of a Gaussian are below
    }
    assert family == set(SCORES)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_gaussian_closed_forms(protocol: Protocol) -> None:
    parameters = torch.tensor([[[0.1, 0.5], [0.7, 0.02], [0.4, 2.0]]])
    state = fixed_state(FixedPredictor(parameters), 3)
    sigma = parameters[0, :, 1].double().numpy()
    expected = {
        "gauss_std": sigma,
        "gauss_entropy": 0.5 * np.log(2 * math.pi * math.e * sigma**2),
        "gauss_lc": 1 + np.log(sigma * math.sqrt(2 * math.pi)),
    }
    for name, values in expected.items():
        agent = AGENTS[name](2, Seeds(), protocol)
        np.testing.assert_allclose(agent.score(state, state.x_unlabeled), values, rtol=1e-5)
        assert agent.predict(state).tolist() == [2, 0]


@pytest.mark.parametrize("name", SCORES)
def test_highest_scores_are_chosen_in_order(name: str) -> None:
    state = make_state("gauss", CORRECTED)
    values = AGENTS[name](5, Seeds(), CORRECTED).score(state, state.x_unlabeled)
    expected = sorted(range(12), key=lambda i: (-values[i].item(), i))[:5]
    assert choose(name, make_state("gauss", CORRECTED), CORRECTED).tolist() == expected
