"""What all networks share: stacks of linear layers, an encoder, and the registry of the models.

Shapes: S models in the stack, N rows, d features, h width of the embedding, K parameters of the
density of one row. Every layer maps [S, N, in] to [S, N, out], each model of the stack with its
own weights. Dropout is on where a function that drops elements is given, and off otherwise; there
is no training mode to forget.
"""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ..registry import Registry
from . import backprop
from .densities import Density
from .masks import draw_bits, dropout_by, level

#: The models by the name that a run's settings have for them.
MODELS: Registry["DensityModel"] = Registry("model", "core.models", folders=False)

#: Drops elements of what it takes, perhaps in place; None for no dropout.
Drop: TypeAlias = Callable[[Tensor], Tensor] | None

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
    #: The rest of the head: so many MLPs, each with its share of what the linear layers give. ReLU is
    #: before each of their layers; their outputs, side by side, give the density's parameters.
    branches = 1

    def __init__(self, stack: int, features: int, hidden: Sequence[int], dropout: float, relu: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.relu = relu
        encoder = list(pairwise((features, hidden[0], *hidden)))
        self._encoder_layers = len(encoder)
        self._linear_layers = linear = len(encoder) + self.linear_head_layers
        #: (in, out) of every layer, in the order of their weights in `theta`.
        self.shapes = [*encoder, *self.head_shapes(hidden[-1])]
        each = (len(self.shapes) - linear) // self.branches
        self._branches = [range(first, first + each) for first in range(linear, len(self.shapes), each)]
        #: The places in `shapes` of the layers that give the densities' parameters.
        self.last_layers = [branch[-1] for branch in self._branches]
        encoded = range(len(encoder) if relu else 0)
        self._followed_by_relu = {*encoded, *range(linear, len(self.shapes))} - {*self.last_layers}
        self._sizes = [size for n_in, n_out in self.shapes for size in (n_in * n_out, n_out)]
        self.theta = nn.Parameter(torch.zeros(stack, sum(self._sizes)))
        self._plan = self._make_plan()

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        """(in, out) of the layers after an embedding of that width."""
        raise NotImplementedError

    @staticmethod
    def constrain(raw: Tensor) -> Tensor:
        """The densities' parameters [S, N, K] from what the last layers give, [S, N, K]."""
        return raw

    def _make_plan(self) -> np.ndarray:
        """The layers and their connections, for `backprop`."""
        plan = np.zeros((len(self.shapes), 8), np.int64)
        plan[:, :2] = self.shapes
        plan[1:, backprop.PLACE] = np.cumsum(self._sizes)[1:-1:2]
        plan[:, backprop.SOURCE] = np.arange(-1, len(plan) - 1)
        for i, (first, *_) in enumerate(self._branches):
            plan[first, backprop.SOURCE] = self._linear_layers - 1
            plan[first, backprop.FIRST] = i * plan[first, backprop.N_IN]
        plan[1 : self._encoder_layers, backprop.DROPOUT] = self.dropout > 0
        plan[[*self._followed_by_relu, self._linear_layers - 1], backprop.RELU] = 1
        plan[self.last_layers, backprop.LAST] = 1
        return plan

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

    def draw_bits(self, masks: Sequence[np.random.SFC64], rows: int) -> np.ndarray:
        """The random bits of a step's dropout for so many rows [S, ...], from a source for each model."""
        count = rows * self._plan[:, backprop.N_OUT] @ self._plan[:, backprop.DROPOUT]
        return np.stack([draw_bits(source, count) for source in masks])

    def gradient(self, x: Tensor, y: Tensor, bits: Tensor) -> Tensor:
        """The derivatives [S, P] of each model's mean NLL by `theta`, by PyTorch.

        Args:
            x: [S, N, d].
            y: [S, N].
            bits: of `draw_bits`, as int16 on the device.
        """
        drop = dropout_by(bits, self.dropout) if self.dropout > 0 else None
        nll = -self(x, drop).log_prob(y).mean(-1).sum()
        return torch.autograd.grad(nll, self.theta)[0]

    def backpropagate(self, x: Tensor, y: Tensor, bits: np.ndarray) -> None:
        """Sets the gradient of `theta` to that of `gradient`; compiled, on the CPU in float32."""
        theta = self.theta
        if theta.grad is None:
            theta.grad = torch.empty_like(theta)
        plan, rate = self._plan, self.dropout
        drop = bits, np.uint16(level(rate)), np.float32(1 / (1 - rate))
        network = plan, theta.detach().numpy(), np.ascontiguousarray(x), *drop
        outputs, raw = backprop.forward(*network)
        by_raw = self.nll_gradient(torch.from_numpy(raw), y)
        backprop.backward(*network, outputs, by_raw.numpy(), theta.grad.numpy())

    @classmethod
    def nll_gradient(cls, raw: Tensor, y: Tensor) -> Tensor:
        """The derivatives [S, N, K] of the mean NLL by what the last layers give."""
        with torch.enable_grad():
            raw.requires_grad_()
            nll = -cls.density(cls.constrain(raw)).log_prob(y).mean(-1).sum()
            return torch.autograd.grad(nll, raw)[0]

    def encode(self, x: Tensor) -> Tensor:
        """The embedding [S, N, h] of rows [S, N, d]; dropout off."""
        return self._linear_part(self.layers(), x, self._encoder_layers)

    def density_parameters(self, x: Tensor, drop: Drop = None) -> Tensor:
        """The parameters [S, N, K] of the densities of rows [S, N, d]."""
        layers = self.layers()
        return self._apply_branches(layers, self._linear_part(layers, x, self._linear_layers, drop))

    def forward(self, x: Tensor, drop: Drop = None) -> Density:
        """The densities p(y|x) of rows [S, N, d], batch shape [S, N]."""
        return self.density(self.density_parameters(x, drop))

    @torch.no_grad()
    def passes(self, x: Tensor, passes: int, drop: Callable[[Tensor], Tensor]) -> Tensor:
        """The parameters [T, N, K] of the densities of T passes over x [N, d], by the one model of the stack.

        Every row of every pass has a mask of its own.
        """
        layers = self.layers()
        # No mask comes before the output of the second layer: up to there all passes are the same.
        hidden = self._one_by_one(layers, x[None], range(2)).repeat(1, passes, 1)
        found = []
        for rows in hidden.split(_PIECE if x.device.type == "cpu" else hidden.shape[1], 1):
            embedded = self._one_by_one(layers, drop(rows), range(2, self._linear_layers), drop)
            found.append(self._apply_branches(layers, embedded))
        return torch.cat(found, 1).view(passes, len(x), -1)

    def traced(self, x: Tensor) -> tuple[Tensor, list[TracedLayer]]:
        """The parameters [S, N, K] of the densities of rows [S, N, d], and the layers that gave them.

        They can be differentiated by the layers' outputs, not by weights. Rows do not mix: one backward pass
        through the sum over all rows gives the derivatives of each.
        """
        with torch.no_grad():
            layers = [TracedLayer(*layer) for layer in self.layers()]
        return self._apply_branches(layers, self._one_by_one(layers, x, range(self._linear_layers))), layers

    def _apply_branches(self, layers: Sequence[Layer], x: Tensor) -> Tensor:
        """The densities' parameters [S, N, K], from all layers and what the linear ones give."""
        x = x.relu() if x.requires_grad else x.relu_()
        parts = zip(x.chunk(self.branches, -1), self._branches, strict=True)
        return self.constrain(torch.cat([self._one_by_one(layers, *part) for part in parts], -1))

    def _linear_part(self, layers: Sequence[Layer], x: Tensor, stop: int, drop: Drop = None) -> Tensor:
        """The layers before `stop`: the encoder's, perhaps with the linear ones of the head."""
        if drop is not None or self.relu:
            return self._one_by_one(layers, x, range(stop), drop)
        # These are one linear map, then: less than half of the work.
        weight, bias = layers[0]
        rows = torch.cat([weight, bias], 1)
        for layer in layers[1:stop]:
            bias = nn.functional.pad(layer.bias, (0, 0, rows.shape[1] - 1, 0))
            rows = torch.baddbmm(bias, rows, layer.weight)
        return Layer(rows[:, :-1], rows[:, -1:])(x)

    def _one_by_one(self, layers: Sequence[Layer], x: Tensor, places: range, drop: Drop = None) -> Tensor:
        """Applies the layers of these places, one after the other."""
        for i in places:
            x = layers[i](x)
            if i in self._followed_by_relu:
                x = x.relu_()
            if drop is not None and 0 < i < self._encoder_layers:
                x = drop(x)
        return x
