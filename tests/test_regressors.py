"""Models that are fitted at once: forest and Gaussian process, as variations and behind their predictor."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from core import AGENTS, CORRECTED, Experiment, UserError
from core.models import gp
from core.models.regressor import REGRESSORS, Regressor
from core.models.variations import VARIATIONS
from core.state import State
from tests.builders import choose, files, no_global_randomness

REGRESSED = [name for name, variation in VARIATIONS.items() if variation.regressor]


def noisy_sines(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two features of which the second is noisier where it is large, and one that says nothing."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 3)).astype(np.float32).astype(np.float64)
    y = 0.5 + 0.3 * np.sin(6 * x[:, 0]) + (0.02 + 0.1 * x[:, 1]) * rng.normal(size=n)
    return x, y.astype(np.float32).astype(np.float64)


def fitted(name: str, n: int = 150) -> Regressor:
    model = REGRESSORS[name](seed=3)
    model.fit(*noisy_sines(n))
    return model


@pytest.mark.parametrize("name", REGRESSED)
def test_densities_are_those_of_the_data(name: str) -> None:
    x, y = noisy_sines(2000, seed=1)
    density = fitted(name)(torch.from_numpy(x).float())
    inside = density.cdf(torch.from_numpy(y).float())
    assert 0.84 < ((inside > 0.05) & (inside < 0.95)).float().mean() < 0.98
    # Far better than a Gaussian around the labels' mean.
    nll = -density.log_prob(torch.from_numpy(y).float()).mean()
    assert nll < -stats.norm.logpdf(y, y.mean(), y.std()).mean() - 0.5
    assert (density.mean - torch.from_numpy(y)).abs().mean() < 0.4 * np.abs(y - y.mean()).mean()


@pytest.mark.parametrize("name", REGRESSED)
def test_the_same_points_give_the_same_model(name: str) -> None:
    x = torch.from_numpy(noisy_sines(20, seed=2)[0]).float()
    with no_global_randomness():
        one, other = fitted(name), fitted(name)
    assert torch.equal(one(x).mean, other(x).mean)
    assert torch.equal(one.encode(x), other.encode(x))


def test_forest_predicts_as_scikit_learns_does() -> None:
    """Leaves of several points, taken for their NLL, once doubled the error on pakinsons within a round."""
    x, y = noisy_sines(150)
    new = noisy_sines(1000, seed=5)[0]
    expected = ExtraTreesRegressor(100, bootstrap=True, random_state=3).fit(x, y).predict(new)
    np.testing.assert_allclose(fitted("forest")(torch.from_numpy(new)).mean, expected, atol=1e-6)


def test_trees_are_passes_and_leaves_are_near() -> None:
    model, x = fitted("forest"), torch.from_numpy(noisy_sines(30, seed=2)[0]).float()
    passes = model.passes(x, 25, torch.Generator())
    assert passes.batch_shape == (model.members, 30)
    torch.testing.assert_close(passes.mean.mean(0), model(x).mean)
    # Inner products of the embedding estimate the share of trees in which two points are in one leaf.
    leaves = model.model.apply(x.double().numpy())
    shares = (leaves[:, None] == leaves[None]).mean(-1)
    embedding = model.encode(x).double().numpy()
    assert np.abs(embedding @ embedding.T - shares).max() < 0.3
    assert np.corrcoef((embedding @ embedding.T).ravel(), shares.ravel())[0, 1] > 0.9


def test_gaussian_process_is_scikit_learns_with_its_hyperparameters() -> None:
    model = fitted("gp", n=60)
    assert isinstance(model, gp.GaussianProcess)
    x, y = noisy_sines(60)
    kernel = ConstantKernel(model._variance) * Matern(model._scales.numpy(), nu=2.5) + WhiteKernel(
        model._noise
    )
    other = GaussianProcessRegressor(kernel, optimizer=None, alpha=0).fit(x, (y - y.mean()) / y.std())
    new = noisy_sines(40, seed=5)[0]
    mean, deviation = other.predict(new, return_std=True)
    density = model(torch.from_numpy(new))
    np.testing.assert_allclose(density.mean, y.mean() + y.std() * mean, atol=1e-5)
    np.testing.assert_allclose(density.stddev, y.std() * deviation, atol=1e-5)
    # The feature that says nothing has the longest scale.
    assert model._scales[2] > 1.5 * model._scales[0]


def test_gaussian_process_says_how_many_points_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gp, "MOST_POINTS", 100)
    with pytest.raises(UserError, match=r"at most 100 labelled points, not 101"):
        fitted("gp", n=101)


CASES = [
    (agent, name) for agent, cls in AGENTS.classes.items() for name in REGRESSED if name in cls.variations
]


def test_agents_work_with_what_models_offer() -> None:
    without = {
        name: set(AGENTS.classes) - {agent for agent, other in CASES if other == name} for name in REGRESSED
    }
    assert {"badge", "gauss_std"} <= without["forest"]
    assert {"badge", "bald", "balsa_kl_pairs", "qbc", "epig"} <= without["gp"]
    assert without["gp"] & {"lcmd", "coreset", "typiclust", "gsx", "igs", "gauss_std"} == set()
    with pytest.raises(UserError, match=r"'badge' needs variation nf or .*, not forest"):
        Experiment("diabetes", "badge", variation="forest")


@pytest.mark.parametrize(("agent", "name"), CASES)
def test_agents_choose(agent: str, name: str) -> None:
    x, y = noisy_sines(60)
    model = fitted(name, n=40)
    rows = torch.from_numpy(x).float()
    y_labelled, nothing = torch.from_numpy(y[:40]).float(), torch.optim.SGD([torch.zeros(1)])
    state = State(rows[40:], rows[:40], y_labelled, {}, 100, 0, 0.2, 0.1, model, nothing)
    chosen = choose(agent, state, CORRECTED)
    assert len(set(chosen.tolist())) == 5
    assert set(chosen.tolist()) <= set(range(20))
    assert choose(agent, state, CORRECTED).tolist() == chosen.tolist()


@pytest.mark.parametrize("name", REGRESSED)
def test_runs_are_made_alone_and_in_a_group_alike(name: str, tmp_path: Path) -> None:
    experiment = Experiment(
        "diabetes", "coreset", variation=name, protocol="corrected", query_size=10, budget=20
    )
    settings = experiment.settings()
    assert settings["model"] == name
    assert "lr" not in settings
    experiment.run([1, 2], tmp_path / "group/runs")
    experiment.run([1], tmp_path / "alone/runs")
    experiment.run([2], tmp_path / "alone/runs")
    meta = (experiment.folder(tmp_path / "alone/runs") / "run_1/meta.txt").read_text()
    assert "fits_at_epoch_limit: 0\n" in meta
    group, alone = files(tmp_path / "group"), files(tmp_path / "alone")
    assert group == alone
    assert len(group) > 2


def test_no_hyperparameter_of_a_forest_can_be_changed() -> None:
    with pytest.raises(UserError, match="forest has no hyper-parameters"):
        Experiment("diabetes", "random", variation="forest", config={"lr": 0.1})
