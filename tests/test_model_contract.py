"""What every registered model must keep to, one of your own too (docs/ADD_A_MODEL.md)."""

import pytest
import torch

from core.models.predictor import Predictor
from core.models.variations import VARIATIONS, build_model, load_config
from tests.builders import FEATURES, make_config, torch_rng


def predictor(variation: str, seed: int = 0) -> Predictor:
    config = make_config(variation)
    init = [torch_rng(seed + member) for member in range(config.members)]
    return Predictor(build_model(config, FEATURES, True, init))


@pytest.fixture(params=VARIATIONS)
def variation(request: pytest.FixtureRequest) -> str:
    torch.set_num_threads(1)
    return str(request.param)


def test_has_names_for_people_and_a_configuration(variation: str) -> None:
    kind = VARIATIONS[variation]
    assert kind.label.strip() == kind.label != ""
    config, path = load_config("no such dataset", variation)
    assert path.exists()
    assert (config.members > 1) == kind.ensemble


def test_density_is_a_density(variation: str) -> None:
    """Its area is one; mean, deviation, cdf and quantiles are those of its log_prob; samples too."""
    density = predictor(variation)(torch.rand(3, FEATURES, generator=torch_rng(5)))
    assert density.batch_shape == (3,)
    y = torch.linspace(-8, 8, 4001)
    p = density.log_prob_on(y).double().exp()  # [3, G]
    wide = y.double()
    torch.testing.assert_close(torch.trapezoid(p, wide), torch.ones(3).double(), rtol=0, atol=1e-3)
    mean = torch.trapezoid(p * wide, wide)
    torch.testing.assert_close(density.mean.double(), mean, rtol=0, atol=5e-3)
    variance = torch.trapezoid(p * (wide - mean[:, None]).square(), wide)
    torch.testing.assert_close(density.stddev.double(), variance.sqrt(), rtol=5e-3, atol=5e-3)
    for level in (0.05, 0.5, 0.95):
        quantile = density.icdf(torch.tensor(level))
        torch.testing.assert_close(density.cdf(quantile), torch.full((3,), level), rtol=0, atol=1e-3)
    torch.testing.assert_close(density.log_prob(y[:, None]).T, density.log_prob_on(y), rtol=1e-4, atol=1e-4)
    samples, log_prob = density.draw(4000, torch_rng(1))
    assert samples.shape == log_prob.shape == (4000, 3)
    torch.testing.assert_close(density.log_prob(samples), log_prob, rtol=1e-3, atol=1e-3)
    uniform = density.cdf(samples).sort(0).values
    steps = torch.linspace(0, 1, 4000)[:, None]
    assert (uniform - steps).abs().max() < 0.05  # Kolmogorov's distance; 0.03 at one in a thousand


def test_passes_differ_and_a_seed_gives_the_same(variation: str) -> None:
    one = predictor(variation)
    x = torch.rand(3, FEATURES, generator=torch_rng(5))
    y = torch.full((3,), 0.5)

    def passes() -> torch.Tensor:
        return one.passes(x, 4, torch_rng(2), 0.3).log_prob(y)

    assert torch.equal(passes(), passes())
    assert len(passes().unique(dim=0)) > 1
    assert torch.equal(predictor(variation)(x).log_prob(y), one(x).log_prob(y))
    assert not torch.equal(predictor(variation, 9)(x).log_prob(y), one(x).log_prob(y))
