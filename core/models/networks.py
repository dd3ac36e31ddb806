"""What all networks share: stacks of linear layers, an encoder, and the registry of the models.

Shapes: S models in the stack, N rows, d features, h width of the embedding, K parameters of the
density of one row. Every layer maps [S, N, in] to [S, N, out], each model of the stack with its
own weights. Dropout is on where sources of its masks are given, one for each model, and off
otherwise; there is no training mode to forget.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from ..registry import Registry
from .densities import Density
from .masks import MaskSource, dropout, mask_source

#: The models by the name that a run's settings have for them.
MODELS: Registry["DensityModel"] = Registry("model", "core.models", folders=False)

#: Sources of dropout masks, one for each model; None for no dropout.
Masks: TypeAlias = Sequence[MaskSource] | None

# Rows that go through the layers at once on the CPU, where no gradients are wanted: what is made of them
# stays in the cache.
_PIECE = 3072


class Layer(NamedTuple):
    """S linear layers side by side: maps [S, N, in] to [S, N, out]."""

    weight: Tensor  # [S, in, out]
    bias: Tensor  # [S, 1, out]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class TracedLayer(Layer):
    """Layers that keep their inputs and outputs, for gradients with respect to the output."""

    input: Tensor
    output: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        self.input, self.output = x, super().__call__(x).requires_grad_()
        return self.output.clone()  # what follows may work in place


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

    #: Its name in figures, singular and plural: "Gaussian", "Gaussians".
    label: ClassVar[str]
    plural: ClassVar[str]
    #: The class of its densities.
    density: ClassVar[type[Density]]
    #: What `--variation` calls it, where that is not the name it is registered by.
    variation: ClassVar[str | None] = None
    #: Layers of the head with nothing but linear ones between them and the embedding.
    linear_head_layers = 0
    #: The head's last layers, by their places in `shapes`: they give the density's parameters.
    last_layers: ClassVar[tuple[int, ...]] = (-1,)

    def __init__(self, stack: int, features: int, hidden: Sequence[int], dropout: float, relu: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.relu = relu
        encoder = list(pairwise((features, hidden[0], *hidden)))
        self._encoder_layers = len(encoder)
        self._linear_layers = len(encoder) + self.linear_head_layers
        #: (in, out) of every layer, in the order of their weights in `theta`.
        self.shapes = [*encoder, *self.head_shapes(hidden[-1])]
        self._sizes = [size for n_in, n_out in self.shapes for size in (n_in * n_out, n_out)]
        self.theta = nn.Parameter(torch.zeros(stack, sum(self._sizes)))

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        """(in, out) of the layers after an embedding of that width."""
        raise NotImplementedError

    @staticmethod
    def apply_head(head: Sequence[Layer], x: Tensor) -> Tensor:
        """Parameters [S, N, K] of the densities, by the head's layers behind the linear ones."""
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
        """All layers, in the order of `shapes`, as views of `theta`."""
        parts = iter(self.theta.split(self._sizes, 1))
        return [Layer(next(parts).unflatten(1, shape), next(parts)[:, None]) for shape in self.shapes]

    def encode(self, x: Tensor) -> Tensor:
        """The embedding [S, N, h] of rows [S, N, d]; dropout off."""
        return self._linear_part(self.layers()[: self._encoder_layers], x)

    def density_parameters(self, x: Tensor, masks: Masks = None, shared: bool = False) -> Tensor:
        """The parameters [S, N, K] of the densities of rows [S, N, d]; with dropout if masks are given.

        Args:
            shared: all rows of a model have one dropout mask.
        """
        layers, linear = self.layers(), self._linear_layers
        return self.apply_head(layers[linear:], self._linear_part(layers[:linear], x, masks, shared))

    def forward(self, x: Tensor, masks: Masks = None) -> Density:
        """The densities p(y|x) of rows [S, N, d], batch shape [S, N]; with dropout if masks are given."""
        return self.density(self.density_parameters(x, masks))

    @torch.no_grad()
    def passes(self, x: Tensor, passes: int, generator: torch.Generator) -> Tensor:
        """The parameters [T, N, K] of the densities of T passes over x [N, d], by the one model of the stack.

        Every row of every pass has a mask of its own.

        Args:
            passes: their number T.
            generator: seeds the masks; on the device of x.
        """
        layers, masks, linear = self.layers(), [mask_source(generator)], self._linear_layers
        # No mask comes before the output of the second layer: up to there all passes are the same.
        hidden = self._one_by_one(layers[:2], x[None]).repeat(1, passes, 1)
        found = []
        for rows in hidden.split(_PIECE if x.device.type == "cpu" else hidden.shape[1], 1):
            dropped = dropout(rows, self.dropout, masks)
            embedded = self._one_by_one(layers[2:linear], dropped, masks, start=2)
            found.append(self.apply_head(layers[linear:], embedded))
        return torch.cat(found, 1).view(passes, len(x), -1)

    def traced(self, x: Tensor) -> tuple[Tensor, list[TracedLayer]]:
        """The parameters [S, N, K] of the densities of rows [S, N, d], and the layers that gave them.

        They can be differentiated by the layers' outputs, not by weights. Rows do not mix: one backward pass
        through the sum over all rows gives the derivatives of each.
        """
        with torch.no_grad():
            layers = [TracedLayer(*layer) for layer in self.layers()]
        linear = self._linear_layers
        return self.apply_head(layers[linear:], self._one_by_one(layers[:linear], x)), layers

    def _linear_part(
        self, layers: Sequence[Layer], x: Tensor, masks: Masks = None, shared: bool = False
    ) -> Tensor:
        """The encoder's layers, and those of the head that are linear in the embedding."""
        if masks is None and not self.relu:
            layers = [_composed(layers)]
        return self._one_by_one(layers, x, masks, shared)

    def _one_by_one(
        self, layers: Sequence[Layer], x: Tensor, masks: Masks = None, shared: bool = False, start: int = 0
    ) -> Tensor:
        """Applies layers of the linear part, of which the first is number `start`."""
        for i, layer in enumerate(layers, start):
            x = layer(x)
            if i < self._encoder_layers:
                if self.relu:
                    x = x.relu_()
                if i > 0 and masks is not None:
                    x = dropout(x, self.dropout, masks, shared)
        return x


def _composed(layers: Sequence[Layer]) -> Layer:
    """The one linear layer that does what these do one after the other.

    Without ReLU and dropout the published encoder is one linear map: less than half of the work.
    """
    weight, bias = layers[0]
    rows = torch.cat([weight, bias], 1)
    for layer in layers[1:]:
        bias = nn.functional.pad(layer.bias, (0, 0, rows.shape[1] - 1, 0))
        rows = torch.baddbmm(bias, rows, layer.weight)
    return Layer(rows[:, :-1], rows[:, -1:])
