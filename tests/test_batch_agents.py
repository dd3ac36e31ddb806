"""Agents that choose batches: each is its features and its selection, and what others' code says of them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from skactiveml.base import SkactivemlRegressor
from skactiveml.pool import GreedySamplingTarget, GreedySamplingX, QueryByCommittee
from torch import Tensor

from agents.shared import features, selections
from core import CORRECTED, PROTOCOLS, Protocol, Seeds
from tests.builders import NETWORKS, choose, make_state
from tests.test_selections import forward_backward_by_inverses, largest_cluster_by_loops, seeding_by_loops


def greedy_by_loops(name: str, state: object, count: int) -> list[int]:
    x, x_known, y_known = state.x_unlabeled, state.x_labeled, state.y_labeled  # type: ignore[attr-defined]
    predicted = state.classifier(x).mean  # type: ignore[attr-defined]
    known = [(a.double().numpy(), float(b)) for a, b in zip(x_known, y_known, strict=True)]
    own = [(a.double().numpy(), float(b)) for a, b in zip(x, predicted, strict=True)]

    def distance(one: tuple[np.ndarray, float], other: tuple[np.ndarray, float]) -> float:
        d_x, d_y = math.dist(one[0], other[0]), abs(one[1] - other[1])
        return {"gsx": d_x, "gsy": d_y, "igs": d_x * d_y}[name]

    picks: list[int] = []
    for _ in range(count):
        centers = [*known, *(own[i] for i in picks)]
        left = [i for i in range(len(own)) if i not in picks]
        picks.append(max(left, key=lambda i: min(distance(own[i], center) for center in centers)))
    return picks


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("variation", NETWORKS)
@pytest.mark.parametrize("name", ["gsx", "gsy", "igs"])
def test_greedy_sampling(name: str, variation: str, protocol: Protocol) -> None:
    state = make_state(variation, protocol, pool=30)
    assert choose(name, state, protocol, 12).tolist() == greedy_by_loops(name, state, 12)


@pytest.mark.parametrize("variation", NETWORKS)
def test_agents_name_their_features_and_selection(variation: str) -> None:
    state = make_state(variation, CORRECTED, pool=20)
    x, points_, generator = state.x_unlabeled, torch.cat([state.x_unlabeled, state.x_labeled]), Seeds().torch
    predictor = state.classifier
    sketch = features.sketched_gradients(predictor, points_, generator("agent"))
    assert choose("lcmd", state, CORRECTED).tolist() == largest_cluster_by_loops(
        sketch[:20].double().numpy(), sketch[20:].double().numpy(), 5
    )
    drawing = generator("agent")
    passes = features.spread(features.pass_moments(predictor, points_, drawing)[0])
    assert choose("lcmd_pred", state, CORRECTED).tolist() == largest_cluster_by_loops(
        passes[:20].numpy(), passes[20:].numpy(), 5
    )
    of_x = features.spread(features.pass_moments(predictor, x, generator("agent"))[0])
    covariance = of_x @ of_x.T
    means = predictor.passes(x, 25, generator("agent"), shared=True).mean.double().numpy()
    np.testing.assert_allclose(covariance, np.cov(means.T, bias=True), rtol=1e-9, atol=1e-15)
    expected = selections.determinant(of_x, 5, 1e-3).tolist()
    assert choose("batchbald", state, CORRECTED).tolist() == expected


class Told(SkactivemlRegressor):
    """Predicts what the model of a state predicts; never fitted."""

    def __init__(self, state: Any) -> None:
        super().__init__(missing_label=np.nan)
        self.state = state

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> "Told":
        return self

    def predict(self, x: Any) -> np.ndarray:
        return self.state.classifier(torch.as_tensor(x, dtype=torch.float32)).mean.double().numpy()


@pytest.mark.parametrize("name", ["gsx", "gsy", "igs"])
def test_greedy_sampling_beside_scikit_activeml(name: str) -> None:
    """A second opinion: the first point of a batch, which no guess of a label precedes."""
    state = make_state("gauss", PROTOCOLS["corrected"], pool=30)
    x = torch.cat([state.x_labeled, state.x_unlabeled]).double().numpy()
    unknown = np.full(len(state.x_unlabeled), np.nan)
    y = np.concatenate([state.y_labeled.double().numpy(), unknown])
    if name == "gsx":
        chosen = GreedySamplingX(random_state=0).query(x, y, batch_size=5)
    else:
        method = {"gsy": "GSy", "igs": "GSi"}[name]
        other = GreedySamplingTarget(method=method, random_state=0)
        chosen = other.query(x, y, Told(state), fit_reg=False, batch_size=1)
    expected = (chosen - len(state.x_labeled)).tolist()
    assert choose(name, state, PROTOCOLS["corrected"], len(expected)).tolist() == expected


class Member(SkactivemlRegressor):
    """Predicts given numbers of a pool; never fitted."""

    def __init__(self, means: np.ndarray) -> None:
        super().__init__(missing_label=np.nan)
        self.means = means

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> "Member":
        return self

    def predict(self, x: Any) -> np.ndarray:
        return self.means


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("variation", NETWORKS)
def test_committee_beside_scikit_activeml(variation: str, protocol: Protocol) -> None:
    """A second opinion on a whole batch; its members are our passes."""
    state = make_state(variation, protocol, pool=30)
    means = state.classifier.passes(state.x_unlabeled, 25, Seeds().torch("agent")).mean.double().numpy()
    x = torch.cat([state.x_labeled, state.x_unlabeled]).double().numpy()
    y = np.concatenate([state.y_labeled.double().numpy(), np.full(30, np.nan)])
    other = QueryByCommittee(random_state=0)
    chosen = other.query(x, y, [Member(of_one) for of_one in means], batch_size=5)
    assert choose("qbc", state, protocol).tolist() == (chosen - len(state.x_labeled)).tolist()


def gradients_one_by_one(predictor: Any, x: Tensor, generator: torch.Generator) -> np.ndarray:
    """Of log p(y|x) with respect to the last layers' weights and biases, by autograd, float64 [N, all]."""
    y = predictor(x).draw(1, generator)[0][0].detach()
    model = predictor.model.double()
    sizes = [(n_in + 1) * n_out for n_in, n_out in model.shapes]
    rows = []
    for n in range(len(x)):
        parameters = model.density_parameters(x[n].double().expand(predictor.members, 1, -1))
        log_prob = predictor._density(parameters).log_prob(y[n : n + 1].double())
        (gradient,) = torch.autograd.grad(log_prob.sum(), model.theta)
        layers = gradient.split(sizes, 1)
        rows.append(torch.cat([layers[i] for i in model.last_layers], 1).flatten())
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("variation", NETWORKS)
def test_badge(variation: str, protocol: Protocol) -> None:
    state, generator = make_state(variation, protocol, pool=20), Seeds().torch("agent")
    chosen = choose("badge", state, protocol).tolist()
    gradients = gradients_one_by_one(state.classifier, state.x_unlabeled, generator)
    assert chosen == seeding_by_loops(gradients, 5, generator)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("variation", NETWORKS)
def test_bait(variation: str, protocol: Protocol) -> None:
    """By inverses in the embedding's own coordinates: the posterior of the last layer's weights."""
    state, sigma = make_state(variation, protocol, pool=15), 1e-3
    chosen = choose("bait", state, protocol, 3).tolist()
    points = torch.cat([state.x_unlabeled, state.x_labeled])
    phi = torch.nn.functional.pad(state.classifier.encode(points).double(), (0, 1), value=1.0)
    phi = phi / phi[15:].square().sum(1).mean().sqrt()
    width, known = phi.shape[1], phi[15:]
    prior = known.T @ known + sigma**2 * torch.eye(width, dtype=phi.dtype)
    covariance = sigma**2 * torch.linalg.inv(prior)
    # Any root of the covariance of the weights gives the same choice.
    values, vectors = torch.linalg.eigh(covariance)
    after = phi @ (vectors * values.clamp(min=0).sqrt())
    assert chosen == forward_backward_by_inverses(after[:15], after.T @ after, 3, sigma)
