"""The rows of docs/METHOD.md, section 5, end to end: each test fails when the two protocols are swapped."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import AGENTS
from core import CORRECTED, PROTOCOLS, PUBLISHED, Protocol, Seeds, State
from core.training.trainer import FitRequest
from tests.builders import SINGLE, FixedPredictor, fixed_state, make_environment, make_state, torch_rng

both = pytest.mark.parametrize("protocol", [PUBLISHED, CORRECTED], ids=PROTOCOLS)


def choose(name: str, state: State, protocol: Protocol, count: int = 1) -> list[int]:
    return AGENTS[name](count, Seeds(), protocol).predict(state).tolist()


def score(name: str, state: State, protocol: Protocol) -> Tensor:
    return AGENTS[name](1, Seeds(), protocol).score(state, state.x_unlabeled)


def gaussians(means: Tensor, scales: Tensor | float) -> FixedPredictor:
    """Gaussians of these means [T, rows] and standard deviations [rows]."""
    return FixedPredictor(torch.stack([means, torch.as_tensor(scales).expand_as(means)], -1))


def means_around_a_half(rows: int, spread: float = 0.05) -> Tensor:
    return 0.5 + spread * torch.randn(25, rows, generator=torch_rng())


# --- training and encoder ------------------------------------------------------------------


@pytest.mark.parametrize("variation", SINGLE)
def test_early_stopping(variation: str) -> None:
    """The first fit improves for many epochs: published stops at the earliest, the seventh."""
    epochs, nll = {}, {}
    for name, protocol in PROTOCOLS.items():
        _, info = make_environment(variation, protocol, first_epochs=50).reset()
        epochs[name], nll[name] = info["epochs"], info["validation_nll"]
    assert epochs["published"] == 7
    assert 20 < epochs["corrected"] <= 50
    assert nll["corrected"] < nll["published"] - 0.1


@pytest.mark.parametrize("fitting", ["finetuning", "from_scratch"])
@both
def test_refits_within_a_round(protocol: Protocol, fitting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labelled points of each fit of a round of three, and the one set of metrics after it."""
    env = make_environment("gauss", protocol, fitting=fitting)
    state, _ = env.reset()
    sizes: list[list[float]] = []
    plain = env.learner.trainer.request

    def watch(x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> FitRequest:
        sizes.append(x[50:].tolist())
        return plain(x, y, x_val, y_val)

    monkeypatch.setattr(env.learner.trainer, "request", watch)
    _, _, _, _, info = env.step([4, 9, 2])
    added = [state.x_unlabeled[i].tolist() for i in (9, 4, 2)]
    if protocol is PUBLISHED and fitting == "finetuning":
        assert sizes == [added[:1], added[:2], added]
        assert info["epochs"] == 3
    else:
        assert sizes == [added]
        assert info["epochs"] == 1
    assert env.state.x_labeled[50:].tolist() == added
    x, y = torch.from_numpy(env.dataset.x_test), torch.from_numpy(env.dataset.y_test)
    assert -env.learner.predictor(x).log_prob(y).mean().item() == pytest.approx(info["nll"])


@pytest.mark.parametrize("variation", SINGLE)
@both
def test_activation_of_the_encoder(protocol: Protocol, variation: str) -> None:
    """Published: an affine map. Corrected: ReLU last, so no output is negative."""
    state, _ = make_environment(variation, protocol).reset()
    x, encode = state.x_unlabeled, state.classifier.encode
    bend = encode(x) + encode(-x) - 2 * encode(torch.zeros_like(x))
    is_affine = bool(bend.abs().max() < 1e-5)
    assert is_affine == (protocol is PUBLISHED)
    assert bool((encode(x) >= 0).all()) == (protocol is CORRECTED)


# --- grids and density arithmetic ----------------------------------------------------------


@both
def test_spacing_of_the_grid(protocol: Protocol) -> None:
    """Areas and entropies by numpy, of points and spacings in numbers."""
    first, last, missing = (0.1, 0.9, 0) if protocol is PUBLISHED else (0.0, 1.0, 1)
    means = means_around_a_half(1)
    state = fixed_state(gaussians(means, 0.2), 1)

    def densities(points: int) -> tuple[np.ndarray, float]:
        grid = np.linspace(first, last, points)
        z = (grid - means.double().numpy()) / 0.2
        return np.exp(-(z**2) / 2) / (0.2 * math.sqrt(2 * math.pi)), (last - first) / (points - missing)

    def entropy(p: np.ndarray, spacing: float) -> np.ndarray:
        return np.trapezoid(-p * np.log(p), dx=spacing)

    p, spacing = densities(200)
    mean = p.mean(0)
    normal = mean / np.trapezoid(mean, dx=spacing)
    geometric = np.exp(np.log(p).mean(0))
    expected = {
        "nf_entropy": entropy(*densities(500))[0],
        "bald_dist_entropy": (entropy(normal, spacing) - entropy(p, spacing)).sum(),
        "balsa_kl_grid_norm": (p * np.log(p / normal)).sum(),
        "balsa_entropy": (entropy(p[:-1], spacing) - entropy(geometric, spacing)).sum(),
    }
    for name, value in expected.items():
        assert score(name, state, protocol).item() == pytest.approx(value, rel=1e-4), name


HARSH = [
    "balsa_kl_grid",
    "balsa_kl_grid_norm",
    "balsa_kl_pairs",
    "balsa_kl_grid_dual",
    "balsa_kl_pairs_dual",
    "bald_dist_entropy",
]


@pytest.mark.parametrize("name", HARSH)
@both
def test_density_arithmetic(name: str, protocol: Protocol) -> None:
    """Row 0 disagrees a lot, row 1 is narrow and agrees: NaN ranks it first as published."""
    means = torch.stack([means_around_a_half(1, 0.2)[:, 0], torch.full((25,), 0.5)], 1)
    state = fixed_state(gaussians(means, torch.tensor([0.2, 0.001])), 2)
    result = score(name, state, protocol)
    assert result[0].isfinite()
    assert bool(result[1].isnan()) == (protocol is PUBLISHED)
    assert bool(result[1].isfinite()) == (protocol is CORRECTED)
    assert choose(name, state, protocol) == ([1] if protocol is PUBLISHED else [0])


@pytest.mark.parametrize("name", ["balsa_kl_pairs", "balsa_kl_pairs_dual", "balsa_kl_diff"])
@both
def test_infinite_divergence(name: str, protocol: Protocol) -> None:
    """Of a wide pass from a narrow one, the last: p log(p/0), and nothing else is zero."""
    scales = torch.full((25, 1), 0.2)
    scales[-1] = 0.01
    means = torch.full((25, 1), 0.5)
    state = fixed_state(FixedPredictor(torch.stack([means, scales], -1)), 1)
    result = score(name, state, protocol)
    assert bool(result.isposinf()) == (protocol is PUBLISHED)
    assert bool(result.isfinite()) == (protocol is CORRECTED)


@pytest.mark.parametrize("name", ["balsa_kl_diff", "balsa_entropy", "balsa_kl_anomaly"])
@both
def test_other_scores_of_narrow_densities(name: str, protocol: Protocol) -> None:
    """Row 1: passes narrow and apart. `balsa_entropy` stays with logarithms in the published code."""
    state = fixed_state(gaussians(means_around_a_half(2), torch.tensor([0.2, 0.001])), 2)
    result = score(name, state, protocol)
    assert result[0].isfinite()
    infinite = protocol is PUBLISHED and name == "balsa_kl_diff"
    assert bool(result[1].isposinf()) == infinite
    assert bool(result[1].isfinite()) == (not infinite)


# --- scores --------------------------------------------------------------------------------


def test_differences_of_bald_dist_std() -> None:
    """Row 0 swings to and fro, row 1 rises: signed differences see the rise alone."""
    swinging = torch.where(torch.arange(25) % 2 == 0, 0.1, 2.0)
    scales = torch.stack([swinging, torch.linspace(0.1, 2.0, 25)], 1)
    state = fixed_state(FixedPredictor(torch.stack([torch.zeros(25, 2), scales], -1)), 2)
    published, corrected = (score("bald_dist_std", state, protocol) for protocol in (PUBLISHED, CORRECTED))
    assert abs(published[0]) < 0.2
    assert published[1] > 1.2
    assert corrected[0] == pytest.approx(24 * 1.9, rel=0.1)
    assert choose("bald_dist_std", state, PUBLISHED) == [1]
    assert choose("bald_dist_std", state, CORRECTED) == [0]


def test_mutual_information_of_nflows_out() -> None:
    """Row 0: 25 passes far apart, log 25 nats. Row 1: all passes agree."""
    means = torch.stack([torch.arange(25.0), torch.zeros(25)], 1)
    classifier = gaussians(means, 0.01)
    state = fixed_state(classifier, 2)
    information = score("nflows_out", state, CORRECTED)
    np.testing.assert_allclose(information, [math.log(25), 0], atol=1e-4)
    assert classifier.draws == [64]
    calm = fixed_state(gaussians(0.02 * means, 0.2), 2)
    assert score("nflows_out", calm, PUBLISHED).abs().max() < 1e-4
    assert score("nflows_out", calm, CORRECTED)[0] > 0.05


# --- dual agents ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["balsa_kl_grid_dual", "balsa_kl_pairs_dual", "balsa_emd_dual"])
@both
def test_dropout_after_a_round_of_a_dual_agent(name: str, protocol: Protocol) -> None:
    """Of the environment's model, which trains on with what is left."""
    env = make_environment("gauss", protocol)
    state, _ = env.reset()
    agent = AGENTS[name](2, Seeds(), protocol)
    assert env.learner.trainer.model.dropout == 0.02
    left = 0.05 if protocol is PUBLISHED and name != "balsa_emd_dual" else 0.02
    for _ in range(2):
        state, *_ = env.step(agent.predict(state).tolist())
        assert env.learner.trainer.model.dropout == left
    # A new episode starts with the configured rate.
    env.reset()
    assert env.learner.trainer.model.dropout == 0.02


# --- what does not differ ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["random", "coregcn", "gauss_std", "gauss_entropy", "gauss_lc", "nf_std"])
def test_agents_that_know_no_protocol(name: str) -> None:
    """The same choice on the same model."""
    state = make_state("gauss", PUBLISHED)
    assert choose(name, state, PUBLISHED, 5) == choose(name, state, CORRECTED, 5)
