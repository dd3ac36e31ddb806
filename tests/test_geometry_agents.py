"""CoreSet, TypiClust and CoreGCN against slow, obvious references (docs/METHOD.md, section 3)."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import kmeans_plusplus
from torch import Tensor

from agents import coregcn, geometry
from core import CORRECTED, PROTOCOLS, PUBLISHED, Protocol, Seeds, State
from core.models.masks import draw_kept, mask_source
from tests.builders import FixedPredictor, choose, fixed_state, no_global_randomness, quick, torch_rng

# --- CoreSet -------------------------------------------------------------------------------


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest distance of each row of a to the rows of b, by loops in float64."""
    return np.array([min(math.dist(one, other) for other in b) for one in a])


def k_center_by_loops(x: np.ndarray, centers: np.ndarray, count: int) -> list[int]:
    picks: list[int] = []
    for _ in range(count):
        far = distances(x, np.concatenate([centers, x[picks]]))
        far[picks] = -1
        picks.append(int(np.argmax(far)))
    return picks


def embedded(pool: int, labelled: int, seed: int, width: int = 4) -> tuple[State, np.ndarray]:
    embedding = torch.randn(pool + labelled, width, generator=torch_rng(seed))
    return fixed_state(FixedPredictor(embedding=embedding), pool, labelled), embedding.double().numpy()


@quick
@given(pool=st.integers(1, 40), labelled=st.integers(1, 9), count=st.integers(1, 12), seed=st.integers(0, 99))
def test_coreset(pool: int, labelled: int, count: int, seed: int) -> None:
    state, embedding = embedded(pool, labelled, seed)
    x, centers = embedding[:pool], embedding[pool:]
    count = min(count, pool)
    expected = np.argsort(-distances(x, centers), kind="stable")[:count].tolist()
    assert choose("coreset", state, PUBLISHED, count).tolist() == expected
    assert choose("coreset", state, CORRECTED, count).tolist() == k_center_by_loops(x, centers, count)


# --- TypiClust -----------------------------------------------------------------------------


class Labelled(geometry.TypiClust):
    """TypiClust that is told the clusters."""

    labels: np.ndarray

    def _cluster(self, features: np.ndarray, clusters: int) -> np.ndarray:
        assert self.labels.max() < clusters
        return self.labels


def most_typical_by_loops(members: list[int], points: np.ndarray) -> int:
    neighbours = min(20, len(members) // 2)
    if neighbours <= 1:
        return members[0]
    typicality = []
    for i in members:
        squares = sorted(sum((points[i] - points[j]) ** 2) for j in members if j != i)
        typicality.append(1 / (sum(squares[:neighbours]) / neighbours + 1e-5))
    return members[int(np.argmax(typicality))]


def typiclust_by_loops(
    points: np.ndarray, pool: int, labels: np.ndarray, count: int, rotate: bool
) -> list[int]:
    """The docstring of TypiClust (rotate: under `corrected`)."""
    rng = Seeds().numpy("agent")
    clusters = sorted(set(labels.tolist()))
    sizes = {c: sum(label == c for label in labels) for c in clusters}
    known = {c: sum(label == c for label in labels[pool:]) for c in clusters}
    large = [c for c in clusters if sizes[c] > 5]
    ranked = sorted(large or clusters, key=lambda c: (known[c], -sizes[c]))
    picks: list[int] = []
    for turn in range(count):
        cluster = ranked[turn % len(ranked)] if rotate else ranked[0]
        left = [i for i in range(pool) if i not in picks]
        members = [i for i in left if labels[i] == cluster]
        picks.append(most_typical_by_loops(members, points) if members else int(rng.choice(left)))
    return picks


def whole_points(count: int, seed: int, reach: int = 9) -> np.ndarray:
    """Whole numbers: squared distances are exact, also for faiss, and some are equal."""
    return np.random.default_rng(seed).integers(-reach, reach + 1, (count, 3))


@pytest.mark.parametrize("reach", [1, 9])
@pytest.mark.parametrize("members", [1, 2, 3, 4, 5, 6, 11, 20, 39, 40, 41, 42, 60])
def test_most_typical(members: int, reach: int) -> None:
    for seed in range(8):
        points = whole_points(members, seed, reach)
        expected = most_typical_by_loops(list(range(members)), points)
        assert geometry.most_typical(points.astype(np.float32)) == expected


@quick
@given(
    pool=st.integers(1, 70),
    labelled=st.integers(1, 6),
    clusters=st.integers(1, 7),
    count=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_typiclust(pool: int, labelled: int, clusters: int, count: int, seed: int) -> None:
    points = whole_points(pool + labelled, seed)
    clusters = min(clusters, labelled + 1)
    Labelled.labels = np.random.default_rng(seed).integers(0, clusters, pool + labelled)
    count = min(count, pool)
    state = fixed_state(FixedPredictor(embedding=torch.from_numpy(points).float()), pool, labelled)
    for protocol, rotate in ((PUBLISHED, False), (CORRECTED, True)):
        chosen = Labelled(count, Seeds(), protocol).predict(state).tolist()
        assert chosen == typiclust_by_loops(points, pool, Labelled.labels, count, rotate)


def inertia(x: np.ndarray, centers: Sequence[int]) -> float:
    return float(sum(min(sum((a - x[c]) ** 2) for c in centers) for a in x))


def k_means_plus_plus_by_loops(x: np.ndarray, count: int, starts: int, rng: np.random.Generator) -> list[int]:
    """Each draw from the same stream as `k_means_plus_plus` makes it, a distance at a time."""
    trials = 2 + int(math.log(count))
    centers = [[int(first)] for first in rng.integers(len(x), size=starts)]
    for _ in range(1, count):
        uniform = rng.uniform(size=(starts, trials))
        for start, draws in zip(centers, uniform, strict=True):
            shares = np.cumsum([min(sum((a - x[c]) ** 2) for c in start) for a in x])
            rows = [min(sum(shares < draw * shares[-1]), len(x) - 1) for draw in draws]
            start.append(min(rows, key=lambda row: inertia(x, [*start, row])))
    return min(centers, key=lambda chosen: inertia(x, chosen))


@quick
@given(n=st.integers(1, 12), count=st.integers(1, 5), starts=st.integers(1, 3), seed=st.integers(0, 999))
def test_k_means_plus_plus(n: int, count: int, starts: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    count = min(count, n)
    expected = k_means_plus_plus_by_loops(x, count, starts, np.random.default_rng(seed))
    chosen = geometry.k_means_plus_plus(x, count, starts, np.random.default_rng(seed)).tolist()
    # Two points that are each other's nearest leave the same to be had by either: rounding decides.
    assert chosen == expected or inertia(x, chosen) == pytest.approx(inertia(x, expected), abs=1e-6)


def test_k_means_plus_plus_is_as_good_as_scikit_learns_on_all_points() -> None:
    """Mean inertia of a start over many; `init_size=3 k`, a sample, gives 8 to 18 % more."""
    x = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)

    def loss(rows: np.ndarray) -> float:
        return float(((x[:, None] - x[rows]) ** 2).sum(-1).min(1).sum())

    ours = [loss(geometry.k_means_plus_plus(x, 80, 1, np.random.default_rng(i))) for i in range(20)]
    others = [loss(kmeans_plusplus(x, 80, random_state=i)[1]) for i in range(20)]
    assert np.mean(ours) == pytest.approx(np.mean(others), rel=0.01)
    of_ten = [loss(geometry.k_means_plus_plus(x, 80, 10, np.random.default_rng(i))) for i in range(5)]
    assert np.mean(of_ten) < np.mean(ours)


@pytest.mark.parametrize(("labelled", "clusters"), [(1, 2), (49, 50), (50, 51), (498, 499), (600, 500)])
def test_typiclust_clusters(labelled: int, clusters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, dict[str, object]]] = []

    class Spy:
        def __init__(self, count: int, **settings: object) -> None:
            asked.append((self.kind, count, settings))

        kind = "plain"

        def fit_predict(self, features: np.ndarray) -> np.ndarray:
            assert len(features) == 9 + labelled
            return np.zeros(len(features), dtype=np.int32)

    monkeypatch.setattr("sklearn.cluster.KMeans", type("Plain", (Spy,), {"kind": "plain"}))
    monkeypatch.setattr("sklearn.cluster.MiniBatchKMeans", type("Mini", (Spy,), {"kind": "mini-batch"}))
    for seed in (1, 2):
        choose("typiclust", embedded(9, labelled, 0)[0], PUBLISHED, seed=seed)
    for kind, count, settings in asked:
        assert kind == ("plain" if clusters <= 50 else "mini-batch")
        assert count == clusters
        if clusters <= 50:
            assert set(settings) == {"n_init", "random_state"}
            assert settings["n_init"] == 10
        else:
            assert set(settings) == {"init", "n_init", "batch_size", "random_state"}
            assert (settings["n_init"], settings["batch_size"]) == (1, 5000)
            assert len(np.unique(np.asarray(settings["init"]), axis=0)) == clusters  # the best of ten starts
        assert isinstance(settings["random_state"], int)
    assert asked[0][2]["random_state"] != asked[1][2]["random_state"]


# --- CoreGCN -------------------------------------------------------------------------------


@pytest.fixture
def float64() -> Iterator[None]:
    """The graph network draws its weights in torch's default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def dense_adjacency(x: Tensor) -> Tensor:
    n = len(x)
    gram = torch.tensor([[sum(a * b) for b in x.numpy()] for a in x.numpy()]) - torch.eye(n)
    degree = torch.tensor([sum(gram[:, j]) + 1e-6 for j in range(n)])
    return gram @ torch.diag(1 / degree) + torch.eye(n)


def train_densely(x: Tensor, candidates: int, generator: torch.Generator) -> Tensor:
    """The graph network with A as a matrix."""
    x = torch.stack([row / math.sqrt(sum(row**2)) for row in x])
    a, source = dense_adjacency(x), mask_source(generator)

    def draw(*shape: int) -> Tensor:
        bound = 1 / math.sqrt(shape[-1])
        return (bound * (2 * torch.rand(shape, generator=generator) - 1)).requires_grad_()

    w1, b1, w2, b2 = draw(x.shape[1], 128), draw(128), draw(128, 1), draw(1)
    optimizer = torch.optim.Adam([w1, b1, w2, b2], lr=1e-3, weight_decay=5e-4)
    for _ in range(200):
        hidden = (a @ (x @ w1) + b1).clamp(min=0)
        dropped = hidden * draw_kept(hidden.shape, 0.3, source) / 0.7
        s = 1 / (1 + torch.exp(-(a @ (dropped @ w2) + b2)[:, 0]))
        loss = -torch.log(s[candidates:] + 1e-6).sum() / (len(x) - candidates)
        loss = loss - 1.2 * torch.log(1 - s[:candidates] + 1e-6).sum() / candidates
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        hidden = (a @ (x @ w1) + b1).clamp(min=0)
        return torch.cat([hidden, a @ (hidden @ w2) + b2], 1)


@pytest.mark.usefixtures("float64")
def test_graph_network() -> None:
    x = torch.randn(11, 5, generator=torch_rng()) + 1
    with no_global_randomness():
        features = coregcn.train(x, 8, torch_rng(3))
    assert features.shape == (11, 129)
    assert not features.requires_grad
    torch.testing.assert_close(features, train_densely(x, 8, torch_rng(3)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_coregcn_is_k_center_greedy_in_its_features(protocol: Protocol) -> None:
    state, embedding = embedded(20, 6, 0)
    features = coregcn.train(torch.from_numpy(embedding).float(), 20, Seeds().torch("agent"))
    x = features.double().numpy()
    assert choose("coregcn", state, protocol).tolist() == k_center_by_loops(x[:20], x[20:], 5)
