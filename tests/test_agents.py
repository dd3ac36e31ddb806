"""One contract for every agent, and each agent's choice against a slow reference."""

import copy
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from agents import AGENTS, coregcn, distributions, geometry, scores
from core import CORRECTED, PROTOCOLS, PUBLISHED, Protocol, Seeds, State
from core.classifier import Classifier
from core.config import VARIATIONS
from core.models import Density
from tests.builders import (
    FixedClassifier,
    fixed_state,
    make_config,
    make_state,
    no_global_randomness,
    quick,
    torch_rng,
)

KL_DUALS = {"balsa_kl_grid_dual", "balsa_kl_pairs_dual"}
DUALS = KL_DUALS | {"balsa_emd_dual"}
NO_RANDOMNESS = {"coreset", "nf_entropy", "gauss_std", "gauss_entropy", "gauss_lc"}

# --- names ---------------------------------------------------------------------------------

FOLDERS = {
    "random": "RandomAgent",
    "coreset": "Coreset_Greedy",
    "typiclust": "TypiClust",
    "coregcn": "CoreGCN",
    "bald": "BALD_Point",
    "bald_dist_entropy": "BALD_Dist_Entropy",
    "bald_dist_std": "BALD_Dist_Std",
    "nflows_out": "NFlows_Out",
    "balsa_kl_grid": "BALSA_KL_Grid",
    "balsa_kl_pairs": "BALSA_KL_Pairs",
    "balsa_emd": "BALSA_EMD",
    "balsa_kl_grid_norm": "BALSA_KL_Grid_Norm",
    "balsa_kl_diff": "BALSA_KL_Diff",
    "balsa_kl_anomaly": "BALSA_KL_Anomaly",
    "balsa_entropy": "BALSA_entropy",
    "balsa_emd_full": "BALSA_EMD_full",
    "balsa_kl_grid_dual": "BALSA_KL_Grid_dual",
    "balsa_kl_pairs_dual": "BALSA_KL_Pair_dual",
    "balsa_emd_dual": "BALSA_EMD_dual",
    "nf_conf": "NF_Conf",
    "nf_entropy": "NF_Entropy",
    "nf_std": "NF_Std",
    "nf_sample_std": "NF_Sample_Std",
    "gauss_std": "GaussStd",
    "gauss_entropy": "GaussEntropy",
    "gauss_lc": "GaussLC",
}


def test_names_folders_and_aliases_of_the_specification() -> None:
    assert {name: cls.folder for name, cls in AGENTS.classes.items()} == FOLDERS
    assert AGENTS.name("bald_point") == "bald"
    assert AGENTS.name("balsa_full") == "balsa_emd_full"


@pytest.mark.parametrize("name", AGENTS.classes)
def test_declarations(name: str) -> None:
    cls = AGENTS[name]
    assert cls.candidates == (5_000 if name.startswith("balsa_") else 10_000)
    assert cls.variations == (("gauss",) if name.startswith("gauss_") else VARIATIONS)

    with_dropout = name.startswith(("bald", "balsa_", "nflows_out")) and name not in DUALS
    for dropout in (0.0, 0.02, 0.05, 0.3):
        config = make_config(dropout=dropout)
        raised = make_config(dropout=max(dropout, 0.05))
        assert cls.inject_config(config) == (raised if with_dropout else config)
        assert config.dropout == dropout


# --- the contract --------------------------------------------------------------------------

CASES = [
    pytest.param(name, variation, protocol, id=f"{name}-{variation}-{protocol.name}")
    for name, cls in AGENTS.classes.items()
    for variation in cls.variations
    for protocol in PROTOCOLS.values()
]


def choose(name: str, state: State, protocol: Protocol, query_size: int = 5, seed: int = 1) -> np.ndarray:
    return AGENTS[name](query_size, Seeds(agent_seed=seed), protocol).predict(state)


def check_choice(chosen: np.ndarray, pool: int, count: int) -> None:
    assert isinstance(chosen, np.ndarray)
    assert chosen.dtype.kind == "i"
    assert chosen.shape == (count,)
    assert len(set(chosen.tolist())) == count
    assert set(chosen.tolist()) <= set(range(pool))


@pytest.mark.parametrize(("name", "variation", "protocol"), CASES)
def test_contract(name: str, variation: str, protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    def fresh() -> State:
        return make_state(variation, protocol)

    state = fresh()
    model = state.classifier.model
    weights = copy.deepcopy(model.state_dict())
    tensors = [part.clone() for part in state[:3]]
    with no_global_randomness():
        chosen = choose(name, state, protocol)
    check_choice(chosen, 12, 5)

    # Nothing of the state is changed but what the published KL duals leave behind.
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key])
    assert model.theta.grad is None
    assert model.dropout == (0.05 if name in KL_DUALS and protocol is PUBLISHED else 0.02)
    for part, before in zip(state[:3], tensors, strict=True):
        assert torch.equal(part, before)

    # The agent's seed, and it alone, decides.
    torch.manual_seed(0)
    agent = AGENTS[name](5, Seeds(), protocol)
    assert agent.predict(*fresh()).tolist() == chosen.tolist()
    others = (choose(name, fresh(), protocol, seed=seed).tolist() != chosen.tolist() for seed in range(2, 8))
    if name in NO_RANDOMNESS:
        assert not any(others)
    elif (name, variation) != ("nf_conf", "gauss"):  # the best sample hardly differs from the mean
        assert any(others)

    # Fewer points than asked for: in the pool, or in the budget.
    for pool in (3, 1):
        check_choice(choose(name, make_state(variation, protocol, pool=pool), protocol), pool, pool)
    check_choice(choose(name, fresh()._replace(added_images=98), protocol), 12, 2)

    # No more candidates than the cap, drawn by the seed.
    seen: list[Tensor] = []
    cls = AGENTS[name]
    select = cls.select

    def watch(self: object, state: State, x: Tensor, count: int) -> np.ndarray:
        seen.append(x)
        return select(self, state, x, count)  # type: ignore[arg-type]

    monkeypatch.setattr(cls, "candidates", 6)
    monkeypatch.setattr(cls, "select", watch)
    for seed in (1, 1, 2):
        chosen = choose(name, fresh(), protocol, seed=seed)
        check_choice(chosen, 12, 5)
        assert seen[-1].shape == (6, 10)
        positions = [state.x_unlabeled.tolist().index(row) for row in seen[-1].tolist()]
        assert len(set(positions)) == 6
        assert set(chosen.tolist()) <= set(positions)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_candidates_are_drawn_anew_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AGENTS["random"], "candidates", 5)
    agent = AGENTS["random"](5, Seeds())
    state = make_state(pool=50)
    drawn = [set(agent.predict(state).tolist()) for _ in range(40)]
    assert drawn[0] != drawn[1]
    assert len(set.union(*drawn)) == 50


def test_random_is_uniform() -> None:
    agent = AGENTS["random"](3, Seeds())
    state = make_state(pool=10)
    counts = np.bincount(np.concatenate([agent.predict(state) for _ in range(1000)]), minlength=10)
    assert abs(counts - 300).max() < 5 * math.sqrt(1000 * 0.3 * 0.7)


def test_gauss_agents_refuse_a_flow() -> None:
    for name in ("gauss_std", "gauss_entropy", "gauss_lc"):
        with pytest.raises(TypeError, match="Gaussian"):
            choose(name, make_state("nf"), PUBLISHED)


@pytest.mark.parametrize("name", ["balsa_kl_grid_dual", "balsa_kl_pairs_dual", "balsa_emd_dual"])
@pytest.mark.parametrize(("configured", "raised"), [(0.0, 0.05), (0.02, 0.05), (0.3, 0.3)])
def test_dropout_that_duals_leave(name: str, configured: float, raised: float) -> None:
    left = []
    for protocol in (PUBLISHED, CORRECTED):
        state = make_state("gauss", protocol, dropout=configured)
        choose(name, state, protocol)
        left.append(state.classifier.model.dropout)
    assert left == [raised if name in KL_DUALS else configured, configured]


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
    return fixed_state(FixedClassifier(embedding=embedding), pool, labelled), embedding.double().numpy()


@quick
@given(pool=st.integers(1, 40), labelled=st.integers(1, 9), count=st.integers(1, 12), seed=st.integers(0, 99))
def test_coreset(pool: int, labelled: int, count: int, seed: int) -> None:
    state, embedding = embedded(pool, labelled, seed)
    x, centers = embedding[:pool], embedding[pool:]
    count = min(count, pool)
    expected = np.argsort(-distances(x, centers), kind="stable")[:count].tolist()
    assert choose("coreset", state, PUBLISHED, count).tolist() == expected
    assert choose("coreset", state, CORRECTED, count).tolist() == k_center_by_loops(x, centers, count)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_coreset_among_equal_points(protocol: Protocol) -> None:
    state = fixed_state(FixedClassifier(embedding=torch.ones(7, 3)), 6)
    assert choose("coreset", state, protocol).tolist() == [0, 1, 2, 3, 4]


def test_nearest_distance_far_from_the_origin() -> None:
    generator = torch_rng()
    x, centers = torch.rand(60, 3, generator=generator) + 1000, torch.rand(40, 3, generator=generator) + 1000
    expected = distances(x.double().numpy(), centers.double().numpy())
    np.testing.assert_allclose(geometry.nearest_distance(x, centers), expected, atol=1e-4)


def test_nearest_distance_in_pieces() -> None:
    x, centers = torch.rand(2100, 2, generator=torch_rng()), torch.rand(3, 2, generator=torch_rng(1))
    expected = (x[:, None] - centers).norm(dim=-1).min(1).values
    torch.testing.assert_close(geometry.nearest_distance(x, centers), expected)


@pytest.mark.parametrize("name", ["coreset", "typiclust", "coregcn"])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_geometry_looks_at_the_encoders_output(name: str, protocol: Protocol) -> None:
    """The same choice from a classifier that knows nothing but the embeddings."""
    state = make_state("nf", protocol, pool=30)
    encode = state.classifier.encode
    embedding = torch.cat([encode(state.x_unlabeled), encode(state.x_labeled)])
    known = fixed_state(FixedClassifier(embedding=embedding), 30, 8)
    # Products of several rows may round differently than of all.
    torch.testing.assert_close(known.classifier.encode(known.x_unlabeled), encode(state.x_unlabeled))
    assert choose(name, known, protocol).tolist() == choose(name, state, protocol).tolist()


# --- TypiClust -----------------------------------------------------------------------------


class Labelled(AGENTS["typiclust"]):  # type: ignore[misc]
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
    """The text of SPEC.md section 3 (rotate: of section 5)."""
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


@quick
@given(data=st.data())
def test_typiclust(data: st.DataObject) -> None:
    # Whole numbers: squared distances are exact, also for faiss, and ties are common.
    pool, labelled = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 6))
    points = data.draw(arrays(np.int64, (pool + labelled, 3), elements=st.integers(-9, 9)))
    cluster = st.integers(0, data.draw(st.integers(0, labelled)))
    Labelled.labels = data.draw(arrays(np.int64, pool + labelled, elements=cluster))
    count = data.draw(st.integers(1, min(pool, 12)))
    state = fixed_state(FixedClassifier(embedding=torch.from_numpy(points).float()), pool, labelled)
    for protocol, rotate in ((PUBLISHED, False), (CORRECTED, True)):
        chosen = Labelled(count, Seeds(), protocol).predict(state).tolist()
        assert chosen == typiclust_by_loops(points, pool, Labelled.labels, count, rotate)


def told_clusters(labels: list[int], pool: int) -> State:
    Labelled.labels = np.array(labels)
    embedding = torch.randn(len(labels), 3, generator=torch_rng())
    return fixed_state(FixedClassifier(embedding=embedding), pool, len(labels) - pool)


def test_typiclust_ranks_clusters() -> None:
    """Cluster 0 is small, 1 holds labels, 2 is the largest without, 3 comes next."""
    labels = [0] * 5 + [1] * 20 + [2] * 8 + [3] * 7 + [1, 1, 1]
    state = told_clusters(labels, 40)
    chosen = Labelled(5, Seeds(), CORRECTED).predict(state)
    assert np.array(labels)[chosen].tolist() == [2, 3, 1, 2, 3]
    chosen = Labelled(5, Seeds(), PUBLISHED).predict(state)
    assert np.array(labels)[chosen].tolist() == [2] * 5


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_typiclust_counts_labelled_points_as_members(protocol: Protocol) -> None:
    """Cluster 1 is above 5 points with its labelled one only, 0 is not."""
    state = told_clusters([0] * 5 + [1] * 5 + [1], 10)
    assert Labelled(1, Seeds(), protocol).predict(state).tolist()[0] in range(5, 10)


def test_typiclust_without_large_clusters_and_with_an_emptied_one() -> None:
    """All clusters count; the first-ranked one, of two points, is soon empty."""
    state = told_clusters([0, 0, 1, 2, 1, 2], 4)
    chosen = Labelled(4, Seeds(), PUBLISHED).predict(state).tolist()
    assert chosen[:2] == [0, 1]
    assert sorted(chosen[2:]) == [2, 3]


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

    monkeypatch.setattr(geometry, "KMeans", type("Plain", (Spy,), {"kind": "plain"}))
    monkeypatch.setattr(geometry, "MiniBatchKMeans", type("Mini", (Spy,), {"kind": "mini-batch"}))
    for seed in (1, 2):
        choose("typiclust", embedded(9, labelled, 0)[0], PUBLISHED, seed=seed)
    for kind, count, settings in asked:
        assert kind == ("plain" if clusters <= 50 else "mini-batch")
        assert count == clusters
        assert settings["n_init"] == 10
        assert settings.get("batch_size") == (None if clusters <= 50 else 5000)
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


@pytest.mark.usefixtures("float64")
def test_adjacency_without_its_matrix() -> None:
    x = torch.randn(15, 6, generator=torch_rng())
    x = x / x.norm(dim=1, keepdim=True)
    dense, h = dense_adjacency(x), torch.randn(15, 4, generator=torch_rng(1))
    torch.testing.assert_close(coregcn.Adjacency(x) @ h, dense @ h, rtol=1e-9, atol=1e-9)
    # Columns are scaled, not rows.
    assert not torch.allclose(dense, dense.T)


def train_densely(x: Tensor, candidates: int, generator: torch.Generator) -> Tensor:
    """The graph network of SPEC.md with A as a matrix."""
    x = torch.stack([row / math.sqrt(sum(row**2)) for row in x])
    a = dense_adjacency(x)

    def draw(*shape: int) -> Tensor:
        bound = 1 / math.sqrt(shape[-1])
        return (bound * (2 * torch.rand(shape, generator=generator) - 1)).requires_grad_()

    w1, b1, w2, b2 = draw(x.shape[1], 128), draw(128), draw(128, 1), draw(1)
    optimizer = torch.optim.Adam([w1, b1, w2, b2], lr=1e-3, weight_decay=5e-4)
    for _ in range(200):
        hidden = (a @ (x @ w1) + b1).clamp(min=0)
        keep = torch.empty_like(hidden).bernoulli_(0.7, generator=generator)
        s = 1 / (1 + torch.exp(-(a @ ((hidden * keep / 0.7) @ w2) + b2)[:, 0]))
        loss = -sum(torch.log(one + 1e-6) for one in s[candidates:]) / (len(x) - candidates)
        loss = loss - 1.2 * sum(torch.log(1 - one + 1e-6) for one in s[:candidates]) / candidates
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


# --- agents that score the predictive distribution -----------------------------------------

Scoring = Callable[[Classifier, Tensor, torch.Generator, Protocol], Tensor]


def on_grid(density: Density, protocol: Protocol, points: int = 200) -> tuple[Tensor, float]:
    """Log-densities with the grid last, and the spacing: the numbers of SPEC.md section 5."""
    first, last, intervals = {PUBLISHED: (0.1, 0.9, points), CORRECTED: (0.0, 1.0, points - 1)}[protocol]
    grid = torch.linspace(first, last, points)
    log_p = torch.stack([density.log_prob(y.expand(density.batch_shape)) for y in grid], -1)
    return log_p, (last - first) / intervals


def draws(density: Density, generator: torch.Generator, count: int = 64) -> Tensor:
    return density.draw(count, generator)[0].movedim(0, -1)


def from_grid(score: Callable[[Tensor, float, bool], Tensor], rate: float | None = None) -> Scoring:
    def scoring(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
        density = classifier.passes(x, 25, generator, rate)
        return score(*on_grid(density, protocol), protocol is CORRECTED)

    return scoring


def from_samples(score: Callable[[Tensor, bool], Tensor], rate: float | None = None) -> Scoring:
    def scoring(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
        samples = draws(classifier.passes(x, 25, generator, rate), generator)
        return score(samples, protocol is CORRECTED)

    return scoring


def bald(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y, log_prob = classifier.passes(x, 25, generator).draw(64, generator)
    return scores.bald_point(y.gather(0, log_prob.argmax(0)[None])[0])


def nflows_out(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    density = classifier.passes(x, 25, generator)
    if protocol is PUBLISHED:
        return scores.nflows_out(on_grid(density, protocol)[0])
    y = density.draw(64, generator)[0]  # [M, T, N]
    own = torch.stack([density.log_prob(one) for one in y])
    total = torch.zeros(len(x))
    for t in range(25):
        under_all = torch.stack([density.log_prob(one[t].expand(25, -1)) for one in y])  # [M, T', N]
        total += (own[:, t] - under_all.exp().mean(1).log()).sum(0)
    return total / (25 * 64)


def kl_anomaly(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y = classifier.passes(x, 25, generator).draw(64, generator)[0]
    judge = classifier.passes(x, 25, generator)
    return scores.kl_anomaly(torch.stack([judge.log_prob(one) for one in y], -1))


def nf_conf(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y, _ = classifier(x).draw(64 if protocol is PUBLISHED else 200, generator)
    return -classifier(x).log_prob(y).amax(0)


def nf_entropy(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    log_p, spacing = on_grid(classifier(x), protocol, 500)
    return torch.from_numpy(np.trapezoid(-log_p.exp() * log_p, dx=spacing))


def nf_std(classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol) -> Tensor:
    y, _ = classifier(x).draw(64, generator)
    return classifier(x).log_prob(y).std(0)


def nf_sample_std(
    classifier: Classifier, x: Tensor, generator: torch.Generator, protocol: Protocol
) -> Tensor:
    return draws(classifier(x), generator, 64 if protocol is PUBLISHED else 200).std(-1)


SCORES: dict[str, Scoring] = {
    "bald": bald,
    "bald_dist_entropy": from_grid(scores.dist_entropy),
    "bald_dist_std": from_samples(scores.dist_std),
    "nflows_out": nflows_out,
    "balsa_kl_grid": from_grid(lambda log_p, dx, log_space: scores.kl_grid(log_p, log_space)),
    "balsa_kl_pairs": from_grid(lambda log_p, dx, log_space: scores.kl_pairs(log_p, log_space)),
    "balsa_emd": from_samples(lambda s, absolute: scores.emd_pairs(s)),
    "balsa_kl_grid_norm": from_grid(lambda log_p, dx, log_space: scores.kl_grid(log_p, log_space, dx)),
    "balsa_kl_diff": from_grid(lambda log_p, dx, log_space: scores.kl_diff(log_p)),
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


@pytest.mark.parametrize("piece", [None, 2])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("name", SCORES)
def test_scores_of_the_predictive_distribution(
    name: str, protocol: Protocol, piece: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all candidates at once, and piece by piece; float64, as an untrained model hardly disagrees."""
    state, again = (make_state("gauss", protocol, pool=5) for _ in range(2))
    for classifier in (state.classifier, again.classifier):
        classifier.model.double()
    x = state.x_unlabeled.double()
    agent = AGENTS[name](3, Seeds(), protocol)
    assert isinstance(agent, distributions.DistributionAgent)
    if piece:
        everyone = name == "nflows_out" and protocol is CORRECTED  # every pass judges every sample
        densities = 25 * 25 * 64 if everyone else agent.densities
        monkeypatch.setattr(distributions, "_PIECE", piece * densities + 1)
    got = agent.score(state, x)
    assert got.shape == (5,)
    assert not got.requires_grad

    generator = Seeds().torch("agent")
    parts = [SCORES[name](again.classifier, part, generator, protocol) for part in x.split(piece or 5)]
    torch.testing.assert_close(got, torch.cat(parts), rtol=1e-6, atol=1e-9, check_dtype=False)


def test_every_agent_of_distributions_is_scored_above() -> None:
    family = {
        name for name, cls in AGENTS.classes.items() if issubclass(cls, distributions.DistributionAgent)
    }
    assert family == set(SCORES)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_gaussian_closed_forms(protocol: Protocol) -> None:
    parameters = torch.tensor([[[0.1, 0.5], [0.7, 0.02], [0.4, 2.0]]])
    state = fixed_state(FixedClassifier(parameters), 3)
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
