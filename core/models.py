"""The conditional densities p(y|x): a neural spline flow and a Gaussian, as stacks of models.

Shapes: S models in the stack, N rows, d features, h width of the embedding, K parameters of the
density of one row. Every layer maps [S, N, in] to [S, N, out], each model of the stack with its
own weights. Dropout is on where generators for its masks are given, one for each model, and off
otherwise; there is no training mode to forget.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import Config
from .densities import SPLINE_PARAMETERS, Density, FlowDensity, GaussDensity
from .dropout import dropout

__all__ = [
    "DensityModel",
    "GaussianModel",
    "Layer",
    "NeuralSplineFlow",
    "build_model",
]


class Layer(NamedTuple):
    """S linear layers side by side: maps [S, N, in] to [S, N, out]."""

    weight: Tensor  # [S, in, out]
    bias: Tensor  # [S, 1, out]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class DensityModel(nn.Module):
    """An encoder and what turns its embedding into a density.

    All weights of a model are one row of the single parameter `theta`, which the layers are views
    of: the optimiser then works on one tensor instead of on twenty small ones.

    Args:
        stack: number of models S.
        features: number of features d.
        hidden: widths of the hidden layers; the encoder's layers are d-h0, h0-h0, h0-h1, ...
        dropout: dropout rate behind every encoder layer but the first.
        relu: ReLU after each linear layer of the encoder (protocol `corrected`).
    """

    density: type[FlowDensity] | type[GaussDensity]

    def __init__(self, stack: int, features: int, hidden: Sequence[int], dropout: float, relu: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.relu = relu
        encoder = list(pairwise((features, hidden[0], *hidden)))
        self._encoder_layers = len(encoder)
        #: (in, out) of every layer, in the order of their weights in `theta`.
        self.shapes = [*encoder, *self.head_shapes(hidden[-1])]
        self._sizes = [size for n_in, n_out in self.shapes for size in (n_in * n_out, n_out)]
        self.theta = nn.Parameter(torch.zeros(stack, sum(self._sizes)))

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        """(in, out) of the layers behind an embedding of that width."""
        raise NotImplementedError

    @staticmethod
    def apply_head(head: Sequence[Layer], embedding: Tensor) -> Tensor:
        """Parameters [S, N, K] of the densities, from the embedding [S, N, h]."""
        raise NotImplementedError

    @torch.no_grad()
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draws PyTorch's default init, uniform in +-1/sqrt(in), from the CPU generator of each model."""
        for theta, generator in zip(self.theta, generators, strict=True):
            draw = 2 * torch.rand(theta.shape, generator=generator) - 1
            bounds = [1 / math.sqrt(n_in) for n_in, _ in self.shapes for _ in ("weight", "bias")]
            theta.copy_(draw * torch.tensor(bounds).repeat_interleave(torch.tensor(self._sizes)))

    def with_theta(self, theta: Tensor) -> "DensityModel":
        """The same architecture with other weights [S, P]."""
        other = copy.copy(self)
        other._parameters = {"theta": nn.Parameter(theta)}
        return other

    def layers(self) -> list[Layer]:
        """All layers, in the order of `shapes`."""
        parts = iter(self.theta.split(self._sizes, 1))
        return [Layer(next(parts).unflatten(1, shape), next(parts)[:, None]) for shape in self.shapes]

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """The embedding [S, N, h] of rows [S, N, d]; with dropout if generators are given."""
        return self._apply_encoder(self.layers()[: self._encoder_layers], x, generators)

    def density_parameters(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """The parameters [S, N, K] of the densities of rows [S, N, d]; dropout as in `encode`."""
        layers = self.layers()
        encoder, head = layers[: self._encoder_layers], layers[self._encoder_layers :]
        return self.apply_head(head, self._apply_encoder(encoder, x, generators))

    def forward(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Density:
        """The densities p(y|x) of rows [S, N, d], batch shape [S, N]."""
        return self.density(self.density_parameters(x, generators))

    def _apply_encoder(
        self, encoder: Sequence[Layer], x: Tensor, generators: Sequence[torch.Generator] | None
    ) -> Tensor:
        for i, layer in enumerate(encoder):
            x = layer(x)
            if self.relu:
                x = x.relu()
            if i > 0 and generators is not None and self.dropout > 0:
                x = dropout(x, self.dropout, generators)
        return x


class NeuralSplineFlow(DensityModel):
    """Two rational-quadratic splines on y, each with its own MLP h-64-64-23 (SPEC.md section 2)."""

    density = FlowDensity

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        return 2 * [(width, 64), (64, 64), (64, SPLINE_PARAMETERS)]

    @staticmethod
    def apply_head(head: Sequence[Layer], embedding: Tensor) -> Tensor:
        splines = [
            last(second(first(embedding).relu()).relu()) for first, second, last in (head[:3], head[3:])
        ]
        return torch.cat(splines, -1)


class GaussianModel(DensityModel):
    """Two heads on the embedding: ReLU-Linear for the mean, ReLU-Linear-Softplus for the scale."""

    density = GaussDensity

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        return [(width, 1), (width, 1)]

    @staticmethod
    def apply_head(head: Sequence[Layer], embedding: Tensor) -> Tensor:
        # One product for both: those of a single column are not the same bits in a stack as alone.
        weight, bias = (torch.cat(parts, -1) for parts in zip(*head, strict=True))
        mean, scale = Layer(weight, bias)(embedding.relu()).split(1, -1)
        return torch.cat([mean, nn.functional.softplus(scale)], -1)


_MODELS: dict[str, type[DensityModel]] = {"nsf": NeuralSplineFlow, "gauss": GaussianModel}


def build_model(
    config: Config, features: int, relu: bool, generators: Sequence[torch.Generator]
) -> DensityModel:
    """A freshly initialised stack of models on the CPU, one for each generator."""
    model = _MODELS[config.model](len(generators), features, config.hidden, config.dropout, relu)
    model.reset(generators)
    return model
