"""Ensembles: the mixture of the members, and what agents see of it."""

import pytest
import torch

from core.models.densities import MixtureDensity
from core.models.predictor import NetworkPredictor
from tests.builders import FEATURES, make_classifier, torch_rng

both = pytest.mark.parametrize("variation", ["ensemble", "gauss_ensemble"])


def make(variation: str, rows: int = 6) -> tuple[NetworkPredictor, list[NetworkPredictor], torch.Tensor]:
    """An ensemble, its members as models of their own, and rows."""
    ensemble = make_classifier(variation, dropout=0.3)
    members = [
        NetworkPredictor(ensemble.model.with_theta(theta[None])) for theta in ensemble.model.theta.detach()
    ]
    return ensemble, members, torch.rand(rows, FEATURES, generator=torch_rng(1))


@both
def test_density_is_the_mean_of_the_members(variation: str) -> None:
    ensemble, members, x = make(variation)
    density = ensemble(x)
    assert isinstance(density, MixtureDensity)
    assert density.batch_shape == (6,)
    y = torch.rand(9, 6, generator=torch_rng(2))
    expected = torch.stack([member(x).log_prob(y).exp() for member in members]).mean(0)
    torch.testing.assert_close(density.log_prob(y).exp(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(density.log_prob(y[0]).exp(), expected[0], rtol=1e-4, atol=1e-5)
    grid = torch.linspace(0, 1, 7)
    on_grid = torch.stack([member(x).log_prob_on(grid).exp() for member in members]).mean(0)
    torch.testing.assert_close(density.log_prob_on(grid).exp(), on_grid, rtol=1e-4, atol=1e-5)
    cdf = torch.stack([member(x).cdf(y[0]) for member in members]).mean(0)
    torch.testing.assert_close(density.cdf(y[0]), cdf, rtol=1e-4, atol=1e-5)


@both
def test_passes_are_the_members_without_dropout(variation: str) -> None:
    ensemble, members, x = make(variation)
    generator = torch_rng()
    before = generator.get_state()
    density = ensemble.passes(x, 25, generator, rate=0.5)
    assert density.batch_shape == (3, 6)
    assert torch.equal(generator.get_state(), before)
    y = torch.rand(6, generator=torch_rng(2))
    expected = torch.stack([member(x).log_prob(y) for member in members])
    torch.testing.assert_close(density.log_prob(y), expected, rtol=1e-4, atol=1e-4)


@both
def test_embedding_is_that_of_all_members(variation: str) -> None:
    ensemble, members, x = make(variation)
    expected = torch.cat([member.encode(x) for member in members], 1)
    torch.testing.assert_close(ensemble.encode(x), expected, rtol=1e-5, atol=1e-6)
