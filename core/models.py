"""The conditional densities p(y|x): a neural spline flow and a Gaussian, as stacks of models.

Shapes: S models in the stack, N rows, d features, h width of the embedding, K parameters of the
density of one row. Every layer maps [S, N, in] to [S, N, out], each model of the stack with its
own weights. Dropout is on where generators for its masks are given, one for each model, and off
otherwise; there is no training mode to forget.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from zuko.distributions import NormalizingFlow
from zuko.transforms import ComposedTransform, MonotonicRQSTransform

from .config import Config

__all__ = [
    "Density",
    "DensityModel",
    "FlowDensity",
    "GaussDensity",
    "GaussianModel",
    "NeuralSplineFlow",
    "StackedLinear",
    "build_model",
]

BINS, BOUND, SLOPE = 8, 5.0, 1e-4
SPLINE_PARAMETERS = 3 * BINS - 1


class StackedLinear(nn.Module):
    """S linear layers side by side: [S, N, in] to [S, N, out]."""

    def __init__(self, stack: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(stack, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(stack, 1, n_out))

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draws PyTorch's default init, uniform in +-1/sqrt(in), from the CPU generator of each model."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        for weight, bias, generator in zip(self.weight, self.bias, generators, strict=True):
            for parameter in (weight, bias):
                draw = torch.rand(parameter.shape, generator=generator)
                parameter.copy_((2 * draw - 1) * bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def dropout(x: Tensor, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Dropout on [S, N, h] with the masks of model s drawn from generator s."""
    keep = torch.empty_like(x)
    for mask, generator in zip(keep, generators, strict=True):
        mask.bernoulli_(1 - rate, generator=generator)
    return x * keep / (1 - rate)


class FlowDensity(NormalizingFlow):
    """The flow's p(y|x): two splines (first one, then the other) map y to z ~ N(0, 1).

    Neural Spline Flows (Durkan et al., 2019), arXiv 1906.04032.

    Args:
        parameters: the splines' unconstrained parameters, [..., 46]; [...] is the batch shape.
    """

    def __init__(self, parameters: Tensor) -> None:
        splines = [
            MonotonicRQSTransform(*p.split((BINS, BINS, BINS - 1), -1), bound=BOUND, slope=SLOPE)
            for p in parameters.split(SPLINE_PARAMETERS, -1)
        ]
        zero = parameters.new_zeros(()).expand(parameters.shape[:-1])
        base = Normal(zero, torch.ones_like(zero), validate_args=False)
        super().__init__(ComposedTransform(*splines), base)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n samples and their log-densities, [n, *batch] each."""
        z = torch.randn((n, *self.batch_shape), generator=generator, device=generator.device)
        y, ladj = self.transform.inv.call_and_ladj(z)
        return y, self.base.log_prob(z) - ladj

    def cdf(self, y: Tensor) -> Tensor:
        """P(Y <= y | x); the splines are increasing."""
        return self.base.cdf(self.transform(y))


class GaussDensity(Normal):
    """The Gaussian p(y|x).

    Args:
        parameters: mean and standard deviation, [..., 2]; [...] is the batch shape.
    """

    def __init__(self, parameters: Tensor) -> None:
        super().__init__(*parameters.unbind(-1), validate_args=False)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n samples and their log-densities, [n, *batch] each."""
        z = torch.randn((n, *self.batch_shape), generator=generator, device=generator.device)
        y = self.loc + self.scale * z
        return y, self.log_prob(y)


Density = FlowDensity | GaussDensity


class DensityModel(nn.Module):
    """An encoder and what turns its embedding into a density; the part both models share.

    Args:
        stack: number of models S.
        features: number of features d.
        hidden: widths of the hidden layers; the layers are d-h0, h0-h0, h0-h1, ...
        dropout: dropout rate behind every encoder layer but the first.
        relu: ReLU after each linear layer (protocol `corrected`).
    """

    density: type[FlowDensity] | type[GaussDensity]

    def __init__(self, stack: int, features: int, hidden: Sequence[int], dropout: float, relu: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.relu = relu
        widths = pairwise((features, hidden[0], *hidden))
        self.encoder = nn.ModuleList(StackedLinear(stack, n_in, n_out) for n_in, n_out in widths)

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draws all weights anew, those of model s from CPU generator s."""
        for module in self.modules():
            if isinstance(module, StackedLinear):
                module.reset(generators)

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """The embedding [S, N, h] of rows [S, N, d]; with dropout if generators are given."""
        for i, layer in enumerate(self.encoder):
            x = layer(x)
            if self.relu:
                x = x.relu()
            if i > 0 and generators is not None and self.dropout > 0:
                x = dropout(x, self.dropout, generators)
        return x

    def density_parameters(self, embedding: Tensor) -> Tensor:
        """Parameters [S, N, K] of the densities, from the embedding [S, N, h]."""
        raise NotImplementedError

    def forward(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Density:
        """The densities p(y|x) of rows [S, N, d], batch shape [S, N]."""
        return self.density(self.density_parameters(self.encode(x, generators)))


class NeuralSplineFlow(DensityModel):
    """Two rational-quadratic splines on y, each with its own MLP h-64-64-23 (SPEC.md section 2)."""

    density = FlowDensity

    def __init__(self, stack: int, features: int, hidden: Sequence[int], dropout: float, relu: bool) -> None:
        super().__init__(stack, features, hidden, dropout, relu)
        widths = (hidden[-1], 64, 64, SPLINE_PARAMETERS)
        self.splines = nn.ModuleList(
            nn.ModuleList(StackedLinear(stack, n_in, n_out) for n_in, n_out in pairwise(widths))
            for _ in range(2)
        )

    def density_parameters(self, embedding: Tensor) -> Tensor:
        parameters = []
        for first, second, last in self.splines:  # type: ignore[misc]
            parameters.append(last(second(first(embedding).relu()).relu()))
        return torch.cat(parameters, -1)


class GaussianModel(DensityModel):
    """Two heads on the embedding: ReLU-Linear for the mean, ReLU-Linear-Softplus for the scale."""

    density = GaussDensity

    def __init__(self, stack: int, features: int, hidden: Sequence[int], dropout: float, relu: bool) -> None:
        super().__init__(stack, features, hidden, dropout, relu)
        self.mean = StackedLinear(stack, hidden[-1], 1)
        self.scale = StackedLinear(stack, hidden[-1], 1)

    def density_parameters(self, embedding: Tensor) -> Tensor:
        embedding = embedding.relu()
        return torch.cat([self.mean(embedding), nn.functional.softplus(self.scale(embedding))], -1)


_MODELS: dict[str, type[DensityModel]] = {"nsf": NeuralSplineFlow, "gauss": GaussianModel}


def build_model(
    config: Config, features: int, relu: bool, generators: Sequence[torch.Generator]
) -> DensityModel:
    """A freshly initialised stack of models on the CPU, one for each generator."""
    model = _MODELS[config.model](len(generators), features, config.hidden, config.dropout, relu)
    model.reset(generators)
    return model
