"""Selections and features of the agents that choose batches, against loops written from their formulas."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agents.shared import features, selections
from tests.builders import NETWORKS, make_classifier, quick, torch_rng

SIGMA = 0.1
seeds = st.integers(0, 999)


def points(count: int, width: int, seed: int) -> Tensor:
    return torch.randn(count, width, generator=torch_rng(seed), dtype=torch.float64)


# --- selections ------------------------------------------------------------------------------


def largest_cluster_by_loops(x: np.ndarray, centers: np.ndarray, count: int) -> list[int]:
    picks: list[int] = []
    for _ in range(count):
        all_centers = [*centers, *x[picks]]
        squared = [[float(((one - center) ** 2).sum()) for center in all_centers] for one in x]
        members: dict[int, list[int]] = {}
        for i, row in enumerate(squared):
            if i not in picks:
                members.setdefault(int(np.argmin(row)), []).append(i)
        largest = max(sorted(members), key=lambda c: sum(min(squared[i]) for i in members[c]))
        picks.append(max(members[largest], key=lambda i: min(squared[i])))
    return picks


@quick
@given(pool=st.integers(1, 25), labelled=st.integers(1, 5), count=st.integers(1, 9), seed=seeds)
def test_largest_cluster(pool: int, labelled: int, count: int, seed: int) -> None:
    x, centers, count = points(pool, 3, seed), points(labelled, 3, seed + 1), min(count, pool)
    expected = largest_cluster_by_loops(x.numpy(), centers.numpy(), count)
    assert selections.largest_cluster(x, centers, count).tolist() == expected


def seeding_by_loops(x: np.ndarray, count: int, generator: torch.Generator) -> list[int]:
    picks = [int(np.argmax((x**2).sum(1)))]
    while len(picks) < count:
        squared = [min(float(((one - x[j]) ** 2).sum()) for j in picks) for one in x]
        level = float(torch.rand((), generator=generator, dtype=torch.float64)) * sum(squared)
        pick = 0
        while sum(squared[: pick + 1]) <= level:
            pick += 1
        picks.append(pick)
    return picks


@quick
@given(pool=st.integers(1, 25), count=st.integers(1, 9), seed=seeds)
def test_k_means_seeding(pool: int, count: int, seed: int) -> None:
    x, count = points(pool, 3, seed), min(count, pool)
    got = selections.k_means_seeding(x.square().sum(1), lambda i: x @ x[i], count, torch_rng(seed))
    assert got.tolist() == seeding_by_loops(x.numpy(), count, torch_rng(seed))


def log_determinant(phi: Tensor, batch: list[int]) -> float:
    of_batch = phi[batch]
    return float(torch.linalg.slogdet(of_batch @ of_batch.T / SIGMA**2 + torch.eye(len(batch))).logabsdet)


@quick
@given(pool=st.integers(1, 15), width=st.integers(1, 6), count=st.integers(1, 9), seed=seeds)
def test_determinant_is_greedy(pool: int, width: int, count: int, seed: int) -> None:
    phi = points(pool, width, seed)
    batch: list[int] = []
    for pick in selections.determinant(phi, min(count, pool), SIGMA).tolist():
        gains = {i: log_determinant(phi, [*batch, i]) for i in range(pool) if i not in batch}
        assert gains[pick] == pytest.approx(max(gains.values()), abs=1e-6)
        batch.append(pick)


def summed_variance(phi: Tensor, total: Tensor, batch: list[int], sigma: float) -> float:
    of_batch = phi[batch]
    eye = torch.eye(phi.shape[1], dtype=phi.dtype)
    return float(torch.trace(total @ torch.linalg.inv(eye + of_batch.T @ of_batch / sigma**2)))


def forward_backward_by_inverses(phi: Tensor, total: Tensor, count: int, sigma: float = SIGMA) -> list[int]:
    batch: list[int] = []
    others = range(len(phi))
    for _ in range(min(2 * count, len(phi))):
        left = [i for i in others if i not in batch]
        batch.append(min(left, key=lambda i: summed_variance(phi, total, [*batch, i], sigma)))
    while len(batch) > count:
        loss = {i: summed_variance(phi, total, [j for j in batch if j != i], sigma) for i in batch}
        least = min(loss.values())
        batch.remove([i for i in batch if loss[i] <= least * (1 + 1e-9)][-1])
    return batch


@quick
@given(pool=st.integers(1, 14), width=st.integers(1, 5), count=st.integers(1, 6), seed=seeds)
def test_forward_backward(pool: int, width: int, count: int, seed: int) -> None:
    phi, count = points(pool, width, seed), min(count, pool)
    total = phi.T @ phi + torch.eye(width, dtype=phi.dtype)
    got = selections.forward_backward(phi, total, count, SIGMA).tolist()
    assert got == forward_backward_by_inverses(phi, total, count)


def test_of_equal_points_the_first_one_stays() -> None:
    """Twice as many points as wanted are picked, and dropped again: of two rows alike the later one."""
    for seed in range(1, 9):
        phi = points(1, 1, seed).repeat(2, 1)
        assert selections.forward_backward(phi, phi.T @ phi, 1, SIGMA).tolist() == [0]


Selection = Callable[[Tensor, Tensor, int], Tensor]
#: Those that draw nothing.
SELECTIONS: dict[str, Selection] = {
    "k_center_greedy": selections.k_center_greedy,
    "largest_cluster": selections.largest_cluster,
    "determinant": lambda x, centers, count: selections.determinant(x, count, SIGMA),
    "forward_backward": lambda x, centers, count: selections.forward_backward(x, x.T @ x, count, SIGMA),
}


def seeding(x: Tensor, centers: Tensor, count: int) -> Tensor:
    return selections.k_means_seeding(x.square().sum(1), lambda i: x @ x[i], count, torch_rng())


@pytest.mark.parametrize("select", [*SELECTIONS.values(), seeding], ids=[*SELECTIONS, "k_means_seeding"])
@quick
@given(pool=st.integers(1, 12), seed=seeds)
def test_batches_hold_no_point_twice(select: Selection, pool: int, seed: int) -> None:
    """Also where points repeat, and where all of them are wanted."""
    x = torch.randint(-1, 2, (pool, 2), generator=torch_rng(seed)).double()
    centers = torch.tensor([[5.0, 5.0]], dtype=torch.float64)
    for count in range(1, pool + 1):
        assert len(set(select(x, centers, count).tolist())) == count
    assert sorted(select(torch.ones(pool, 2).double(), centers, pool).tolist()) == list(range(pool))


@pytest.mark.parametrize("select", [*SELECTIONS.values(), seeding], ids=[*SELECTIONS, "k_means_seeding"])
@quick
@given(pool=st.integers(2, 12), seed=seeds)
def test_a_candidates_twin_is_not_chosen_too(select: Selection, pool: int, seed: int) -> None:
    """Where features are more than points: of fewer, the last points are hardly new to a covariance."""
    x, centers = points(pool, 40, seed).repeat(2, 1), points(2, 40, seed + 1) + 20
    for count in range(1, pool + 1):
        chosen = select(x, centers, count) % pool
        assert len(set(chosen.tolist())) == count


# --- features --------------------------------------------------------------------------------


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("variation", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("of", ["log_prob", "mean"])
def test_gradients_are_those_of_each_row_alone(
    variation: str, relu: bool, dtype: torch.dtype, of: Literal["log_prob", "mean"]
) -> None:
    """float32 has the compiled splines, float64 zuko's."""
    predictor = make_classifier(variation, relu=relu)
    model = predictor.model.to(dtype)
    x = torch.rand(4, 5, generator=torch_rng(1)).to(dtype)
    layers = predictor.gradients(x, torch_rng(2), of=of)
    y = predictor(x).draw(1, torch_rng(2))[0][0].detach()
    for n in range(len(x)):
        parameters = model.density_parameters(x[n].expand(predictor.members, 1, -1))
        density = predictor._density(parameters)
        value = density.mean if of == "mean" else density.log_prob(y[n : n + 1])
        (expected,) = torch.autograd.grad(value.sum(), model.theta)
        parts = []
        for a, b in layers:
            product = a[:, n, :, None] * b[:, n, None, :]  # [S, in + 1, out]: weights, then bias
            parts.append(product.flatten(1))
        scale = float(expected.abs().max())
        tolerance = scale * (1e-3 if dtype == torch.float32 else 1e-9)
        torch.testing.assert_close(torch.cat(parts, 1), expected, rtol=0, atol=tolerance)
    assert model.theta.grad is None


def test_gradients_of_log_p_need_a_generator() -> None:
    with pytest.raises(ValueError, match="need a generator"):
        make_classifier("gauss").gradients(torch.rand(2, 5))


@pytest.mark.parametrize("variation", ["nf", "gauss_ensemble"])
def test_sketches_are_the_projections_of_each_layer(variation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, x = make_classifier(variation), torch.rand(5, 5, generator=torch_rng(1))
    p, generator = 512, torch_rng(3)
    projections = [
        [torch.randn(predictor.members, width, p, generator=generator) / math.sqrt(p) for width in (n + 1, m)]
        for n, m in predictor.model.shapes
    ]
    expected = torch.zeros(5, p, dtype=torch.float64)
    layers = predictor.gradients(x, generator)
    for (a, b), (of_a, of_b) in zip(layers, projections, strict=True):
        for member in range(predictor.members):
            for n in range(5):
                left, right = a[member, n] @ of_a[member], b[member, n] @ of_b[member]
                expected[n] += math.sqrt(p) * (left * right).double()
    got = features.sketched_gradients(predictor, x, torch_rng(3))
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@quick
@given(seed=seeds, labelled=st.integers(1, 6))
def test_posterior_is_that_of_a_gaussian_process(seed: int, labelled: int) -> None:
    phi = points(9 + labelled, 4, seed)
    got = features.posterior(phi, labelled, SIGMA)
    scaled = phi / phi[9:].square().sum(1).mean().sqrt()
    kernel = scaled @ scaled.T
    known = kernel[9:, 9:] + SIGMA**2 * torch.eye(labelled, dtype=phi.dtype)
    expected = kernel - kernel[:, 9:] @ torch.linalg.inv(known) @ kernel[9:]
    torch.testing.assert_close(got @ got.T, expected, rtol=1e-6, atol=1e-8)


def test_passes_of_one_mask_vary_together() -> None:
    """The covariance of two points is that of their models; with a mask for each point it is zero."""
    predictor, x = make_classifier("gauss", dropout=0.3), torch.rand(2, 5, generator=torch_rng(1))
    correlation = {}
    for shared in (True, False):
        means = predictor.passes(x, 4000, torch_rng(2), shared=shared).mean
        correlation[shared] = float(np.corrcoef(means.numpy().T)[0, 1])
    assert correlation[True] > 0.5
    assert abs(correlation[False]) < 5 / math.sqrt(4000)
