"""MAE, NLL and CRPS against double loops, a library and a closed form."""

import math

import numpy as np
import pytest
import scoringrules
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.metrics import crps, evaluate, interval_width, measure, pit_histogram
from tests.builders import NETWORKS, make_classifier, no_global_randomness, quick, torch_rng

numbers = st.floats(-5, 5)


@quick
@given(samples=arrays(np.float64, st.tuples(st.integers(1, 8), st.just(3)), elements=numbers), y=numbers)
def test_crps_is_the_double_loop(samples: np.ndarray, y: float) -> None:
    count = len(samples)
    expected = []
    for column in samples.T:
        error = sum(abs(a - y) for a in column) / count
        spread = sum(abs(a - b) for a in column for b in column) / count**2
        expected.append(error - spread / 2)
    targets = torch.full((3,), y, dtype=torch.float64)
    got = crps(torch.from_numpy(samples), targets)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    library = scoringrules.crps_ensemble(targets.numpy(), samples.T, estimator="nrg")
    np.testing.assert_allclose(got, library, atol=1e-12)
    assert (got >= -1e-12).all()


def test_intervals_are_as_wide_as_those_of_the_distribution() -> None:
    samples = torch.randn(64, 20_000, generator=torch_rng(1))
    assert interval_width(samples.sort(0).values).mean().item() == pytest.approx(2 * 1.645, rel=0.01)


@pytest.mark.parametrize("variation", NETWORKS)
def test_evaluate(variation: str) -> None:
    predictor = make_classifier(variation)
    x = 3 * torch.rand(20, 5, generator=torch_rng(1))
    y = torch.rand(20, generator=torch_rng(2))

    evaluation = evaluate(predictor, x, y, torch_rng(3))
    errors, nll, scores, u = [], [], [], []
    samples, _ = predictor(x).draw(64, torch_rng(3))
    for n in range(20):
        density, target = predictor(x[n : n + 1]), y[n].item()
        column = samples[:, n].tolist()
        log_p = density.log_prob(samples[:, n, None])[:, 0].tolist()
        # Of samples that are as likely but for rounding, either is the prediction.
        likely = [value for value, log in zip(column, log_p, strict=True) if log > max(log_p) - 1e-5]
        predicted = evaluation.predictions[n].item()
        errors.append(abs(min(likely, key=lambda value: abs(value - predicted)) - target))
        nll.append(-density.log_prob(torch.tensor([target])).item())
        u.append(density.cdf(torch.tensor([target])).item())
        spread = sum(abs(a - b) for a in column for b in column) / 64**2
        scores.append(sum(abs(a - target) for a in column) / 64 - spread / 2)

    result = measure(evaluation)
    expected = [sum(values) / 20 for values in (errors, nll, scores)]
    np.testing.assert_allclose([result["mae"], result["nll"], result["crps"]], expected, rtol=1e-5)
    of_errors = [np.sqrt(np.mean(np.square(errors))), max(errors), np.quantile(errors, 0.95)]
    got = [result["rmse"], result["max_error"], result["error_95"]]
    np.testing.assert_allclose(got, of_errors, rtol=1e-4)
    quantiles = np.quantile(samples.double(), [0.05, 0.95], axis=0, method="median_unbiased")
    np.testing.assert_allclose(result["sharpness"], np.mean(quantiles[1] - quantiles[0]), rtol=1e-5)
    assert all(isinstance(value, float) and math.isfinite(value) for value in result.values())
    assert pit_histogram(evaluation.pit).tolist() == [
        sum(k / 20 <= value < (k + 1) / 20 for value in u) for k in range(20)
    ]
    gaps = [abs(sum(value < level / 20 for value in u) / 20 - level / 20) for level in range(1, 20)]
    assert math.isclose(result["calibration"], sum(gaps) / 19)


class Uniform:
    """Says of every row that its target is uniform on [0, 1]."""

    def __call__(self, x: torch.Tensor) -> "Uniform":
        return self

    def draw(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(n, 1), torch.zeros(n, 1)

    def log_prob(self, y: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(y)

    def cdf(self, y: torch.Tensor) -> torch.Tensor:
        return y


@quick
@given(
    u=arrays(
        np.float64,
        st.integers(1, 60),
        elements=st.floats(0, 1) | st.sampled_from([i / 20 for i in range(21)]),
    )
)
def test_calibration_of_any_pit(u: np.ndarray) -> None:
    y = torch.from_numpy(u)
    evaluation = evaluate(Uniform(), y[:, None], y, torch_rng(0))  # type: ignore[arg-type]
    levels = np.arange(1, 20) / 20
    error = np.mean([abs(np.mean(u < level) - level) for level in levels])
    np.testing.assert_allclose(measure(evaluation)["calibration"], error, atol=1e-12)
    np.testing.assert_array_equal(pit_histogram(evaluation.pit), np.histogram(u, np.arange(21) / 20)[0])


def test_evaluate_depends_on_its_arguments_alone() -> None:
    predictor = make_classifier(dropout=0.5)
    x, y = torch.rand(20, 5, generator=torch_rng(1)), torch.rand(20, generator=torch_rng(2))
    before = predictor.model.theta.clone()
    with no_global_randomness():
        one = measure(evaluate(predictor, x, y, torch_rng(3)))
        other = measure(evaluate(predictor, x, y, torch_rng(4)))
    assert one == measure(evaluate(predictor, x, y, torch_rng(3)))
    # Another generator: other samples, the same densities.
    assert one["nll"] == other["nll"]
    assert one["mae"] != other["mae"]
    assert one["crps"] != other["crps"]
    assert predictor.dropout == 0.5
    assert torch.equal(predictor.model.theta, before)
