"""One contract for every model and its ensemble: what agents, training and reports ask of them."""

import math
from pathlib import Path

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from core import CORRECTED, PUBLISHED, Protocol, Seeds
from core.config import Config
from core.models.densities import Density
from core.models.variations import VARIATIONS, load_config
from core.training.trainer import make_trainer
from tests.builders import (
    FEATURES,
    NETWORKS,
    fit,
    make_classifier,
    make_config,
    no_global_randomness,
    torch_rng,
)

every = pytest.mark.parametrize("variation", NETWORKS)


def rows(count: int) -> Tensor:
    return torch.rand(count, FEATURES, generator=torch_rng(1))


@every
def test_configuration_of_a_new_dataset(variation: str) -> None:
    config = load_config("mine", variation)
    assert config.model == VARIATIONS[variation].model
    assert config.members == (5 if VARIATIONS[variation].ensemble else 1)


@every
def test_what_is_more_special_comes_later(variation: str, tmp_path: Path) -> None:
    """Keys for all models, under the model's name, of the protocol, under its name in either file."""
    kind = VARIATIONS[variation]
    other = next(one.single for one in VARIATIONS.values() if one.single != kind.single)
    own = tmp_path / "mine.yaml"

    def used(text: str, protocol: Protocol = CORRECTED) -> Config:
        own.write_text(text)
        return load_config("mine", variation, protocol, tmp_path)

    assert used("lr: 0.5").lr == 0.003  # default.yaml has one for this protocol
    assert used("lr: 0.5", PUBLISHED).lr == 0.5
    assert used(f"{kind.single}: {{lr: 0.25}}\nlr: 0.5", PUBLISHED).lr == 0.25
    assert used(f"{other}: {{lr: 0.25}}", PUBLISHED).lr == 0.001
    assert used("corrected: {lr: 0.5}").lr == 0.5
    assert used("corrected: {lr: 0.5}", PUBLISHED).lr == 0.001
    assert used(f"corrected: {{lr: 0.5, {kind.single}: {{lr: 0.25}}}}").lr == 0.25
    assert used("patience: 7").patience == CORRECTED.training["patience"]
    assert used("corrected: {patience: 7}").patience == 7
    assert used("members: 3").members == (3 if kind.ensemble else 1)


# --- the density ---------------------------------------------------------------------------


def density_of(variation: str, count: int = 3) -> Density:
    density = make_classifier(variation, dropout=0.3)(rows(count))
    assert isinstance(density, VARIATIONS[variation].density)
    assert density.batch_shape == (count,)
    return density


@every
def test_density_integrates_to_its_cdf_and_moments(variation: str) -> None:
    density = density_of(variation)
    low, high = density.icdf(torch.tensor([[1e-6], [1 - 1e-6]]))
    y = low + (high - low) * torch.linspace(0, 1, 20_001)[:, None]
    p, exact = density.log_prob(y).exp().double(), y.double()
    below = 1e-6 + torch.cumulative_trapezoid(p, exact, dim=0)
    torch.testing.assert_close(density.cdf(y[1:]).double(), below, rtol=0, atol=1e-4)
    mean = torch.trapezoid(exact * p, exact, dim=0)
    torch.testing.assert_close(density.mean.double(), mean, rtol=0, atol=5e-4)
    variance = torch.trapezoid((exact - mean).square() * p, exact, dim=0)
    torch.testing.assert_close(density.variance.double(), variance, rtol=2e-3, atol=0)
    assert torch.equal(density.stddev, density.variance.sqrt())


@every
def test_quantiles_invert_the_cdf(variation: str) -> None:
    density, levels = density_of(variation), torch.tensor([0.001, 0.2, 0.5, 0.9, 0.999])
    quantiles = density.icdf(levels[:, None])
    assert quantiles.shape == (5, 3)
    torch.testing.assert_close(density.cdf(quantiles), levels[:, None].expand(-1, 3), rtol=0, atol=1e-5)
    assert (quantiles.diff(dim=0) > 0).all()
    ends = density.icdf(torch.tensor([0.0, 1.0])[:, None])
    assert torch.equal(ends, torch.tensor([-math.inf, math.inf])[:, None].expand(-1, 3))


@every
def test_draws_are_of_the_density_and_its_generator(variation: str) -> None:
    density = density_of(variation)
    with no_global_randomness():
        y, log_prob = density.draw(4000, torch_rng(3))
    assert y.shape == log_prob.shape == (4000, 3)
    torch.testing.assert_close(log_prob, density.log_prob(y), rtol=1e-4, atol=1e-4)
    for row in density.cdf(y).T.double().numpy():
        assert kstest(row, "uniform").pvalue > 1e-3
    for one in y.T:  # no two rows share what is drawn
        assert sum(torch.equal(one, other) for other in y.T) == 1
    assert torch.equal(density.draw(4000, torch_rng(3))[0], y)
    assert not torch.equal(density.draw(4000, torch_rng(4))[0], y)


@every
def test_many_y_at_once(variation: str) -> None:
    classifier = make_classifier(variation, dropout=0.3)
    shared = torch.linspace(-2, 2, 11)
    own = shared + torch.rand(3, 1, generator=torch_rng(2))
    for density in (classifier(rows(3)), classifier.passes(rows(3), 4, torch_rng())):
        for y in (shared, own):
            expected = torch.stack([density.log_prob(column) for column in y.unbind(-1)], -1)
            torch.testing.assert_close(density.log_prob_on(y), expected, rtol=1e-4, atol=1e-4)


# --- the network ---------------------------------------------------------------------------


@every
def test_training_fits_the_density(variation: str) -> None:
    """y = x_1 + noise of 0.1: p(y|x) comes near to that, in mean and in spread."""
    config = make_config(variation, first_epochs=100, patience=10, lr=0.003, dropout=0.0, best_weights=True)
    generator = torch_rng(5)
    x = torch.rand(1100, FEATURES, generator=generator)
    y = x[:, 0] + 0.1 * torch.randn(1100, generator=generator)
    trainer = make_trainer(FEATURES, config, CORRECTED, Seeds())
    fit(trainer, x[:1000], y[:1000], x[1000:], y[1000:])
    density = trainer.predictor(x[1000:])
    nll = -density.log_prob(y[1000:]).mean().item()
    best = 0.5 + math.log(0.1 * math.sqrt(2 * math.pi))
    assert nll < best + 0.4
    assert (density.mean - x[1000:, 0]).abs().mean() < 0.1
    assert 0.05 < density.stddev.mean() < 0.2
