"""Training until it has converged: best weights, averaged weights, fewer validations; varied from outside."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import evaluate
from core import CORRECTED, PROTOCOLS, PUBLISHED, Environment, Experiment, Seeds, UserError
from core.baselines import UpperBound
from core.models.variations import build_model
from core.runs.settings import read_meta
from core.training.trainer import FitResult, Trainer, train_stack
from core.training.trainer import make_trainer as fresh_trainer
from datasets import DATASETS
from tests.builders import FEATURES, fit, make_config
from tests.test_training import Data, make_data

CONVERGED: dict[str, Any] = {
    "best_weights": True,
    "average": 0.9,
    "check_every": 3,
    "patience": 4,
    "first_epochs": 300,
    "later_epochs": 300,
}


def make_trainer(run_id: int = 1, variation: str = "gauss", **changes: Any) -> Trainer:
    return fresh_trainer(FEATURES, make_config(variation, **changes), CORRECTED, Seeds(run_id))


def nll_of(trainer: Trainer, data: Data, rows: int | None = None) -> float:
    x, y = (part[:rows] for part in data[2:])
    density = trainer.model.density(trainer.model.density_parameters(x[None]))
    return -density.log_prob(y[None]).double().mean().item()


def by_epochs(epochs: int, data: Data, **changes: Any) -> list[Trainer]:
    """Trainers after one epoch, two, ..., each as it is at the end of its fit."""
    trainers = []
    for limit in range(1, epochs + 1):
        trainers.append(make_trainer(**{"first_epochs": limit, "patience": 10**6} | changes))
        fit(trainers[-1], *data)
    return trainers


def test_a_fit_ends_with_the_weights_of_its_best_epoch() -> None:
    """Few points and a large step: the validation NLL falls, and rises when the model overfits."""
    data = make_data(24, 60)
    result = fit(trainer := make_trainer(best_weights=True, patience=15, first_epochs=400, lr=0.01), *data)
    epochs = by_epochs(result.epochs, data, lr=0.01)
    nll = [nll_of(one, data) for one in epochs]
    best = min(range(len(nll)), key=nll.__getitem__)
    assert result.epochs == best + 1 + 16
    assert torch.equal(trainer.model.theta, epochs[best].model.theta)
    assert math.isclose(result.validation_nll, nll[best], rel_tol=1e-6)
    assert nll[-1] > nll[best] + 0.1
    assert result.fits_at_limit == 0


def test_the_first_fit_has_its_own_patience() -> None:
    changes: dict[str, Any] = {"best_weights": True, "first_epochs": 400, "later_epochs": 400, "lr": 0.01}
    data = make_data(24, 60)
    fit(trainer := make_trainer(patience=2, first_patience=9, **changes), *data)
    fit(of_nine := make_trainer(patience=9, **changes), *data)
    assert torch.equal(trainer.model.theta, of_nine.model.theta)
    trainer.config = replace(trainer.config, lr=0.02)  # whatever it does is worse
    assert fit(trainer, *data).epochs == 3


def test_a_fit_that_finds_nothing_better_ends_where_it_began() -> None:
    """Or each of many refits, a few points apart, would overfit a little more than the one before."""
    data = make_data(24, 60)
    trainer = make_trainer(best_weights=True, patience=15, first_epochs=400, later_epochs=400, lr=0.01)
    first = fit(trainer, *data)
    before = {name: rows.clone() for name, rows in trainer.rows().items()}
    trainer.config = replace(trainer.config, lr=0.02)  # whatever it does is worse
    again = fit(trainer, *data)
    assert (again.epochs, again.validation_nll) == (16, pytest.approx(first.validation_nll, rel=1e-6))
    assert all(torch.equal(rows, before[name]) for name, rows in trainer.rows().items())


def test_the_best_epoch_is_that_of_lowest_nll_whatever_stops_the_fit() -> None:
    """Published training watches the log-likelihood, of which the lowest is the worst."""
    data = make_data(24, 60)
    epochs = by_epochs(12, data)
    config = make_config("gauss", best_weights=True, first_epochs=12, patience=10**6)
    seeds = Seeds(1)
    published = Trainer(build_model(config, FEATURES, True, [seeds.torch("init")]), config, PUBLISHED, seeds)
    fit(published, *data)
    best = min(epochs, key=lambda one: nll_of(one, data))
    assert torch.equal(published.model.theta, best.model.theta)


def test_the_average_is_that_of_all_steps() -> None:
    """Against the weights after each epoch of one step, averaged in a loop."""
    data = make_data(20)
    epochs = by_epochs(12, data)
    average = make_trainer().model.theta.detach().clone()
    for step, trainer in enumerate(epochs, 1):
        decay = min(0.8, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * trainer.model.theta.detach()
    averaged = make_trainer(average=0.8, first_epochs=12, patience=10**6)
    result = fit(averaged, *data)
    torch.testing.assert_close(averaged.model.theta.detach(), average)
    assert math.isclose(result.validation_nll, nll_of(averaged, data), rel_tol=1e-6)


def test_fewer_validations_of_fewer_rows() -> None:
    data = make_data(24, 60)
    changes: dict[str, Any] = {"best_weights": True, "lr": 0.01}
    changes |= {"check_every": 4, "patience": 3, "watched_rows": 25, "first_epochs": 402}
    result = fit(trainer := make_trainer(**changes), *data)
    epochs = by_epochs(result.epochs, data, lr=0.01)[3::4]
    nll = [nll_of(one, data, 25) for one in epochs]
    best = min(range(len(nll)), key=nll.__getitem__)
    assert result.epochs == 4 * (best + 1 + 4)
    assert torch.equal(trainer.model.theta, epochs[best].model.theta)
    assert math.isclose(result.validation_nll, nll[best], rel_tol=1e-6)


def test_the_epoch_limit_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"best_weights": True, "patience": 1000, "first_epochs": 6, "later_epochs": 2}
    experiment = Experiment("diabetes", "random", variation="gauss", query_size=4, budget=12, config=changes)
    assert experiment.run([1], tmp_path / "runs") == [1]
    # Published: the first fit, and one for each of twelve points.
    said = "run_1: 13 fits hit the epoch limit before converging"
    assert f"warning: {said}\n" in capsys.readouterr().err
    assert read_meta(experiment.folder(tmp_path / "runs") / "run_1/meta.txt")["fits_at_epoch_limit"] == 13


@pytest.mark.machines
@pytest.mark.parametrize("variation", ["nf", "gauss_ensemble"])
def test_converged_fits_have_the_same_bits_in_any_stack(variation: str) -> None:
    """Each model, each member of an ensemble, stops by itself and keeps its own best weights."""

    def trained(run_ids: list[int]) -> tuple[list[Tensor], list[FitResult]]:
        trainers = [make_trainer(i, variation, **CONVERGED) for i in run_ids]
        results = []
        for points in (30, 40):
            x, y, *rest = make_data(points)
            fits = [one.request(x, y + 0.1 * i, *rest) for i, one in zip(run_ids, trainers, strict=True)]
            results += train_stack(fits)
        return [one.model.theta.detach() for one in trainers], results

    together, results = trained([1, 2, 3])
    assert len({result.epochs for result in results}) > 1
    for i, run_id in enumerate((1, 2, 3)):
        alone, of_one = trained([run_id])
        assert torch.equal(alone[0], together[i])
        assert [result.epochs for result in of_one] == [result.epochs for result in results[i::3]]


def test_a_model_that_diverges_is_no_result() -> None:
    with pytest.raises(FloatingPointError, match="training diverged"):
        fit(make_trainer(variation="nf", **CONVERGED | {"lr": 1e12}), *make_data(30))


def test_the_upper_bound_is_trained_as_agents_are() -> None:
    config = replace(make_config("gauss"), **CONVERGED)
    dataset = DATASETS["diabetes"]("nowhere", Seeds())
    bound = UpperBound(dataset, config, CORRECTED)
    _, info = bound.reset()
    assert bound.finished
    assert info["epoch"] == info["epochs"] > 10
    _, first = Environment(dataset, config, CORRECTED).reset()
    assert info["nll"] < first["nll"]


TYPED = "--agent random --dataset diabetes --variation gauss --query_size 4 --budget 8 --restarts 1"


def test_training_can_be_varied_from_outside(tmp_path: Path) -> None:
    text = "patience: 3\nbest_weights: true\naverage: 0.95\nwatched_rows: 20\nlr: 2e-3\n"
    (tmp_path / "mine.yaml").write_text(text)
    more = ["--config", str(tmp_path / "mine.yaml"), "--runs_folder", str(tmp_path / "runs")]
    assert evaluate.main([*TYPED.split(), *more]) == 0
    meta = read_meta(tmp_path / "runs_gauss/Diabetes/4/RandomAgent/run_1/meta.txt")
    wanted = {"patience": 3, "best_weights": True, "average": 0.95, "watched_rows": 20, "lr": 0.002}
    assert wanted.items() <= meta.items()
    assert meta["weight_decay"] == 0.001  # as usual


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"patiense": 3}, "config: unknown key patiense; known are hidden"),
        ({"best_weights": "yes"}, "config: 'best_weights' must be true or false, got 'yes'"),
        ({"members": 3}, "config: 'members' is only allowed for ensembles, not for nf"),
    ],
)
def test_a_wrong_configuration_is_named(config: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Experiment("diabetes", "random", config=config)


def test_corrected_trains_until_it_has_converged() -> None:
    """And published as its authors did, with the last weights."""
    published, corrected = (
        Experiment("pakinsons", "random", protocol=protocol).hyperparameters for protocol in PROTOCOLS
    )
    assert (published.lr, published.patience, published.average) == (0.001, 5, 0)
    assert not published.best_weights
    assert (corrected.lr, corrected.patience, corrected.average) == (0.002, 20, 0.99)
    assert corrected.best_weights
