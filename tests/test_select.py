"""`core.select`: any agent for a fitted model of scikit-learn's, a torch module, or a learner of our own."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import core
from agents.shared.selections import k_center_greedy
from core import AGENTS, UserError
from core.models.adapters import as_predictor
from core.models.regressor import REGRESSORS
from tests.builders import no_global_randomness

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(200, 4)) * [1, 5, 1, 1]
Y = 100 + 30 * np.sin(5 * X[:, 0]) + 2 * X[:, 1] + RNG.normal(size=200)
LABELLED, POOL = (X[:60], Y[:60]), X[60:]


def network(outputs: int = 1) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = [nn.Linear(4, 16), nn.ReLU(inplace=True), nn.Linear(16, 8, bias=False), nn.Tanh()]
        return nn.Sequential(*parts, nn.Dropout(0.5), nn.Linear(8, outputs))


MODELS: dict[str, Any] = {
    "forest": RandomForestRegressor(20, random_state=0).fit(*LABELLED),
    "bagging": BaggingRegressor(max_features=0.5, random_state=0).fit(*LABELLED),
    "gp": GaussianProcessRegressor(RBF() + WhiteKernel(), normalize_y=True).fit(*LABELLED),
    "pipeline": make_pipeline(StandardScaler(), BayesianRidge()).fit(*LABELLED),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=0).fit(*LABELLED),
    "network": network(),
}
OFFERS = {
    "forest": {"passes", "embedding"},
    "bagging": {"passes"},
    "network": {"embedding", "gradients"},
}
NO_DISTRIBUTION = ("boosting", "network")


def choose(agent: str, model: Any, count: int = 5, **options: Any) -> Any:
    return core.select(agent, pool=POOL, labelled=LABELLED, model=model, count=count, **options)


@pytest.mark.parametrize("name", MODELS)
def test_every_agent_chooses_or_says_what_it_lacks(name: str) -> None:
    chose, said = set(), list[str]()
    for agent in AGENTS.classes:
        with no_global_randomness():
            try:
                chosen = choose(agent, MODELS[name])
            except UserError as error:
                said.append(str(error))
                continue
        chose.add(agent)
        assert chosen.dtype == np.int64
        assert len(set(chosen.tolist())) == 5
        assert set(chosen.tolist()) <= set(range(len(POOL)))
        assert np.array_equal(chosen, choose(agent, MODELS[name]))
    assert "\n" not in "".join(said)
    able = {agent for agent, cls in AGENTS.classes.items() if cls.asks <= OFFERS.get(name, set())}
    gaussian = {agent for agent in able if AGENTS[agent].density.__name__ == "GaussDensity"}
    heuristics = {agent for agent in able if agent.startswith("nf_")}
    assert {"random", "gsx", "gsy", "igs"} <= chose
    lacking = set() if name in ("gp", "pipeline") else gaussian
    assert chose == able - lacking - (heuristics if name in NO_DISTRIBUTION else set())


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UserError, match="'badge' needs gradients of a model; RandomForestRegressor has"):
        choose("badge", MODELS["forest"])
    with pytest.raises(UserError, match="needs a predictive distribution"):
        choose("nf_entropy", MODELS["network"])
    with pytest.raises(UserError, match="agent 'gauss_std' scores a GaussDensity"):
        choose("gauss_std", MODELS["forest"])


def test_a_committee_disagrees_as_its_trees_do() -> None:
    forest = MODELS["forest"]
    spread = np.std([tree.predict(POOL) for tree in forest.estimators_], axis=0)
    chosen, scores = choose("qbc", forest, scores=True)
    assert np.array_equal(chosen, np.argsort(-spread, kind="stable")[:5])
    assert np.corrcoef(scores, spread)[0, 1] > 0.999
    # The density holds for points that it has not seen, where trees fitted to all are off by more than 0.
    x, y = torch.from_numpy(POOL), torch.from_numpy((Y[60:] - LABELLED[1].min()) / np.ptp(LABELLED[1]))
    density = as_predictor(forest, *LABELLED)(x)
    inside = (density.cdf(y) > 0.05) & (density.cdf(y) < 0.95)
    assert inside.double().mean() > 0.85
    assert (
        -density.log_prob(y).mean() < -torch.distributions.Normal(y.mean(), y.std()).log_prob(y).mean() - 0.5
    )


def test_a_gaussian_process_says_how_sure_it_is() -> None:
    _, std = MODELS["gp"].predict(POOL, return_std=True)
    chosen, scores = choose("gauss_std", MODELS["gp"], scores=True)
    assert np.array_equal(chosen, np.argsort(-std, kind="stable")[:5])
    assert np.allclose(scores, std / np.ptp(LABELLED[1]))


def test_units_of_the_target_do_not_matter() -> None:
    """`nf_entropy` looks at densities between 0 and 1."""
    x, y = LABELLED
    model = BayesianRidge().fit(x, y)
    other = BayesianRidge().fit(x, 1000 * y - 7)
    one = core.select("nf_entropy", pool=POOL, labelled=(x, y), model=model, scores=True)[1]
    two = core.select("nf_entropy", pool=POOL, labelled=(x, 1000 * y - 7), model=other, scores=True)[1]
    assert np.std(one) > 0
    assert np.allclose(one, two, rtol=0.01)


def test_a_network_is_left_as_it_was() -> None:
    net = network().train()
    net[4].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    chosen = core.select("coreset", pool=torch.from_numpy(POOL), labelled=LABELLED, model=net, count=5)
    assert net.training
    assert not net[4].training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    # By hand: distances between what goes into the last layer.
    net.eval()
    embedding = net[:5](torch.from_numpy(X).float()).detach()
    assert np.array_equal(chosen, k_center_greedy(embedding[60:], embedding[:60], 5))


def test_gradients_of_a_network_are_those_of_its_mean() -> None:
    net = network().requires_grad_(False)  # frozen, as it may be
    predictor = as_predictor(net, *LABELLED)
    rows = torch.from_numpy(POOL[:3])
    factors = predictor.gradients(rows, torch.Generator())
    assert [(a.shape[-1], b.shape[-1]) for a, b in factors] == [(n + 1, m) for n, m in predictor.shapes]
    net.requires_grad_(True).eval()
    for i in range(3):
        net.zero_grad()
        net(rows[i, None].float()).sum().backward()
        layers: list[Any] = [net[0], net[2], net[5]]
        for (a, b), layer in zip(factors, layers, strict=True):
            product = torch.outer(b[0, i], a[0, i]) * np.ptp(LABELLED[1])
            assert torch.allclose(product[:, :-1], layer.weight.grad, atol=1e-6)
            bias = 0.0 if layer.bias is None else layer.bias.grad
            assert torch.allclose(product[:, -1], torch.as_tensor(bias), atol=1e-6)


def test_scores_are_of_the_whole_pool() -> None:
    chosen, scores = choose("coreset", MODELS["network"], scores=True)
    assert scores.shape == (len(POOL),)
    assert scores[chosen[0]] == scores.max()
    with pytest.raises(UserError, match="chooses a batch as a whole"):
        choose("lcmd", MODELS["network"], scores=True)
    noisy, scores = choose("qbc+power", MODELS["forest"], scores=True)
    assert not np.array_equal(noisy, np.argsort(-scores)[:5])


def test_a_learner_of_our_own_is_taken_as_it_is() -> None:
    model = REGRESSORS["gp"](seed=3)
    scaled = (Y - Y.min()) / np.ptp(Y)
    model.fit(LABELLED[0], scaled[:60])
    labelled = LABELLED[0], scaled[:60]
    chosen = core.select("gauss_std", pool=POOL, labelled=labelled, model=model, count=5)
    std = model(torch.from_numpy(POOL).float()).stddev
    assert np.array_equal(chosen, std.argsort(descending=True)[:5])


@pytest.mark.parametrize(
    ("agent", "model"),
    [
        ("igs", GradientBoostingRegressor(n_estimators=5)),
        ("lcmd", RandomForestRegressor(5)),
        ("qbc", VotingRegressor([("line", LinearRegression()), ("ridge", BayesianRidge())])),
    ],
)
def test_tables_keep_their_names(agent: str, model: Any) -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    fitted = clone(model).fit(frame[:60], Y[:60])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn's, of names that are missing
        chosen = core.select(agent, pool=frame[60:], labelled=(frame[:60], Y[:60]), model=fitted, count=5)
    assert len(chosen) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pool": POOL[:, :3]}, "do not fit together"),
        ({"pool": POOL[:3]}, "count 5 is not between 1 and 3"),
        ({"pool": np.where(POOL > 4, np.nan, POOL)}, "pool: finite numbers"),
        ({"pool": np.full(POOL.shape, "red")}, "pool: numbers are expected"),
        ({"labelled": (LABELLED[0], LABELLED[1][:, None])}, "labelled: finite numbers with 1 axes"),
        ({"model": LinearRegression()}, "LinearRegression is not fitted"),
        ({"model": StandardScaler()}, "StandardScaler, is no regressor"),
        ({"model": network(outputs=2)}, "Sequential gives .* not one number each"),
        (
            {"model": nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 1, 4), nn.Flatten())},
            "calls no nn.Linear",
        ),
        ({"agent": "lcdm"}, "did you mean lcmd"),
    ],
)
def test_wrong_input_is_said_in_a_line(changes: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"agent": "random", "pool": POOL, "labelled": LABELLED, "model": MODELS["gp"]}
    with pytest.raises(UserError, match=said):
        core.select(count=5, **given | changes)
