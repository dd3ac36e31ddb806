"""Flow, Gaussian and encoder against slow references; what the `Predictor` view promises."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from core.models.densities import Density, FlowDensity, GaussDensity
from core.models.gauss import GaussianModel
from core.models.masks import dropout
from core.models.networks import DensityModel
from core.models.nf import NeuralSplineFlow
from core.models.predictor import SAMPLES
from core.models.variations import build_model
from tests.builders import (
    FEATURES,
    SINGLE,
    make_classifier,
    make_config,
    no_global_randomness,
    quick,
    specified_layers,
    torch_rng,
)

BINS, BOUND, SLOPE = 8, 5.0, 1e-4


def spline_parameters(rows: int = 6, spread: float = 2.0, seed: int = 0) -> Tensor:
    return spread * torch.randn(rows, 46, generator=torch_rng(seed), dtype=torch.float64)


def rows(count: int, features: int = FEATURES) -> Tensor:
    return torch.rand(count, features, generator=torch_rng(1))


# --- the spline ----------------------------------------------------------------------------


def rational_quadratic(parameters: np.ndarray, y: float) -> tuple[float, float]:
    """Value and slope at y of the spline with these 23 numbers: Durkan et al., equations 4 and 5.

    Unconstrained widths and heights are squashed by v / (1 + |2 v / log slope|) before the softmax,
    logarithms of the slopes at the knots by v / (1 + |v / log slope|), as zuko does.
    """
    limit = abs(math.log(SLOPE))
    knots = []
    for part in (parameters[:BINS], parameters[BINS : 2 * BINS]):
        squashed = [math.exp(v / (1 + abs(2 * v) / limit)) for v in part]
        edges = [-BOUND]
        for share in squashed:
            edges.append(edges[-1] + 2 * BOUND * share / sum(squashed))
        knots.append(edges)
    xs, ys = knots
    slopes = [1.0, *(math.exp(v / (1 + abs(v) / limit)) for v in parameters[2 * BINS :]), 1.0]
    for k in range(BINS):
        if xs[k] < y < xs[k + 1]:
            s = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k])
            xi = (y - xs[k]) / (xs[k + 1] - xs[k])
            below = s + (slopes[k + 1] + slopes[k] - 2 * s) * xi * (1 - xi)
            value = ys[k] + (ys[k + 1] - ys[k]) * (s * xi**2 + slopes[k] * xi * (1 - xi)) / below
            rise = slopes[k + 1] * xi**2 + 2 * s * xi * (1 - xi) + slopes[k] * (1 - xi) ** 2
            return value, s**2 * rise / below**2
    return y, 1.0


def slow_flow(parameters: np.ndarray, y: float, order: tuple[int, int] = (0, 1)) -> tuple[float, float]:
    """z and log p(y): first one spline, then the other, then N(0, 1)."""
    log_slope = 0.0
    for i in order:
        y, slope = rational_quadratic(parameters[23 * i : 23 * (i + 1)], y)
        log_slope += math.log(slope)
    return y, log_slope - 0.5 * y**2 - 0.5 * math.log(2 * math.pi)


Y = [-7.0, -4.99, -3.1, -0.6, 0.0, 0.13, 0.5, 0.77, 1.0, 2.9, 4.9, 6.0]


@pytest.mark.parametrize("spread", [0.3, 2.0, 30.0])
def test_flow_is_durkans_spline_twice(spread: float) -> None:
    parameters = spline_parameters(spread=spread)
    density = FlowDensity(parameters)
    y = torch.tensor(Y, dtype=torch.float64)[:, None].expand(-1, len(parameters))
    expected = np.array([[slow_flow(p, value) for p in parameters.numpy()] for value in Y])
    np.testing.assert_allclose(density.transform(y), expected[..., 0], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(density.log_prob(y), expected[..., 1], rtol=1e-6, atol=1e-6)
    swapped = np.array([[slow_flow(p, value, (1, 0)) for p in parameters.numpy()] for value in Y])
    assert np.abs(expected - swapped).max() > 0.01


@quick
@given(seed=st.integers(0, 10**6), spread=st.floats(0.1, 3), y=st.floats(-8, 8))
def test_inverse_and_log_determinant(seed: int, spread: float, y: float) -> None:
    density = FlowDensity(spline_parameters(1, spread, seed))
    value = torch.tensor([y], dtype=torch.float64, requires_grad=True)
    z, log_slope = density.transform.call_and_ladj(value)
    (slope,) = torch.autograd.grad(z.sum(), value)
    torch.testing.assert_close(log_slope, slope.log(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(density.transform.inv(z), value, rtol=1e-6, atol=1e-6)
    assert slope > 0


# --- layers and their init -----------------------------------------------------------------

ENCODER = [(61, 32), (32, 32), (32, 64), (64, 128)]
SPLINE_HEAD = [(128, 64), (64, 64), (64, 23)]
LAYERS = {"nf": ENCODER + 2 * SPLINE_HEAD, "gauss": [*ENCODER, (128, 1), (128, 1)]}


def make_model(
    variation: str, stack: int = 1, features: int = 61, relu: bool = False, **changes: float
) -> DensityModel:
    return build_model(
        make_config(variation, **changes), features, relu, [torch_rng(s) for s in range(stack)]
    )


@pytest.mark.parametrize("variation", SINGLE)
def test_layers_of_the_specification(variation: str) -> None:
    model = make_model(variation, stack=2)
    assert type(model) is {"nf": NeuralSplineFlow, "gauss": GaussianModel}[variation]
    layers = specified_layers(model)
    assert [tuple(weight.shape) for weight, _ in layers] == [(2, *shape) for shape in LAYERS[variation]]
    assert [tuple(bias.shape) for _, bias in layers] == [(2, 1, n_out) for _, n_out in LAYERS[variation]]
    count = sum((n_in + 1) * n_out for n_in, n_out in LAYERS[variation])
    assert sum(p.numel() for p in model.parameters()) == 2 * count


@pytest.mark.parametrize("variation", SINGLE)
def test_init_is_pytorchs_default_for_linear_layers(variation: str) -> None:
    pooled = []
    layers = specified_layers(make_model(variation, stack=30))
    for layer, (n_in, _) in zip(layers, LAYERS[variation], strict=True):
        for tensor in layer:
            scaled = tensor.detach().flatten() * math.sqrt(n_in)
            assert scaled.abs().max() <= 1 + 1e-6
            # 30 draws or more: the largest of them is near the bound.
            assert scaled.abs().max() > 0.85
            pooled.append(scaled[:500])
    assert kstest((torch.cat(pooled) + 1) / 2, "uniform").pvalue > 0.01


# --- the networks --------------------------------------------------------------------------


def slow_encoder(model: DensityModel, x: Tensor, masks: torch.Generator | None = None) -> Tensor:
    """The encoder of a stack of one, layer after layer; dropout behind every layer but the first."""
    for i, (weight, bias) in enumerate(model.layers()[:4]):
        x = x @ weight[0] + bias[0]
        if model.relu:
            x = x.clamp(min=0)
        if i > 0 and masks is not None:
            x = dropout(x[None], model.dropout, masks)[0]
    return x


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("variation", SINGLE)
def test_forward_pass(variation: str, relu: bool) -> None:
    model = make_model(variation, features=FEATURES, relu=relu, dropout=0.3).double()
    x = rows(9).double()
    for seed in (None, 4):
        embedding = slow_encoder(model, x, None if seed is None else torch_rng(seed))
        if seed is None:
            torch.testing.assert_close(model.encode(x[None])[0], embedding)

        weights = [(weight[0], bias[0]) for weight, bias in specified_layers(model)[4:]]
        if variation == "nf":
            expected = []
            for mlp in (weights[:3], weights[3:]):
                hidden = embedding
                for i, (weight, bias) in enumerate(mlp):
                    hidden = hidden @ weight + bias
                    hidden = hidden.clamp(min=0) if i < 2 else hidden
                expected.append(hidden)
        else:
            positive = embedding.clamp(min=0)
            mean, raw = (positive @ weight + bias for weight, bias in weights)
            expected = [mean, (1 + raw.exp()).log()]
        drop = None if seed is None else partial(dropout, rate=model.dropout, source=torch_rng(seed))
        got = model.density_parameters(x[None], drop)[0]
        torch.testing.assert_close(got, torch.cat(expected, 1))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("drop", [0.0, 0.3])
@pytest.mark.parametrize("variation", ["nf", "gauss", "mdn"])
def test_backpropagation(variation: str, drop: float, relu: bool) -> None:
    """The derivatives of a stack's NLL, with the masks of these bits, are those of PyTorch in float64."""
    model = make_model(variation, stack=3, features=FEATURES, relu=relu, dropout=drop)
    x = torch.rand(3, 17, FEATURES, generator=torch_rng(1))
    y = torch.rand(3, 17, generator=torch_rng())
    bits = model.draw_bits([np.random.SFC64(seed) for seed in range(3)], 17)
    model.backpropagate(x, y, bits)
    exact = copy.deepcopy(model).double()
    expected = exact.gradient(x.double(), y.double(), torch.from_numpy(bits.view(np.int16)))
    torch.testing.assert_close(model.theta.grad, expected, rtol=1e-4, atol=1e-6, check_dtype=False)


# --- the view that agents get --------------------------------------------------------------


@pytest.mark.parametrize("variation", SINGLE)
def test_every_pass_and_every_row_has_a_mask_of_its_own(variation: str) -> None:
    classifier = make_classifier(variation, dropout=0.5)
    one_row = rows(1).expand(6, -1)
    y = torch.tensor(0.4)
    log_p = classifier.passes(one_row, 4, torch_rng()).log_prob(y)
    assert log_p.shape == (4, 6)
    assert len(log_p.unique()) == 24
    calm = classifier.passes(one_row, 4, torch_rng(), rate=0.0).log_prob(y)
    torch.testing.assert_close(calm, classifier(one_row).log_prob(y).expand(4, 6))


def mean(density: Density) -> Tensor:
    """Of a Gaussian."""
    assert isinstance(density, GaussDensity)
    return density.loc


@pytest.mark.parametrize("variation", SINGLE)
def test_point_prediction_is_the_most_likely_of_64_samples(variation: str) -> None:
    classifier = make_classifier(variation)
    x = 4 * rows(10)
    assert SAMPLES == 64
    y, _ = classifier(x).draw(64, torch_rng(3))
    expected = []
    for n in range(10):
        density = classifier(x[n : n + 1])
        log_p = density.log_prob(y[:, n, None])[:, 0].tolist()
        expected.append(y[log_p.index(max(log_p)), n].item())
    np.testing.assert_allclose(classifier.predict(x, torch_rng(3)), expected, rtol=1e-6)


@pytest.mark.parametrize("variation", SINGLE)
def test_the_view_changes_nothing(variation: str) -> None:
    classifier = make_classifier(variation, dropout=0.3)
    before = copy.deepcopy(classifier.model.state_dict())
    x = rows(6)
    kept = x.clone()
    y = torch.rand(6, generator=torch_rng())
    with no_global_randomness():
        results = [
            classifier(x).log_prob(y),
            classifier.encode(x),
            classifier.predict(x, torch_rng()),
            classifier.passes(x, 4, torch_rng(), rate=0.6).log_prob(y),
            *classifier.passes(x, 4, torch_rng()).draw(2, torch_rng()),
        ]
    assert [tuple(r.shape) for r in results] == [(6,), (6, 128), (6,), (4, 6), (2, 4, 6), (2, 4, 6)]
    assert not any(result.requires_grad for result in results)
    assert classifier.dropout == classifier.model.dropout == 0.3
    assert torch.equal(x, kept)
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert classifier.model.theta.grad is None
