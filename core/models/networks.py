"""What all models share: stacks of linear layers, an encoder, and the registry of the models.

A model is one file of this folder (docs/ADD_A_MODEL.md); `variations.py` finds them.

Shapes: S models in the stack, N rows, d features, h width of the embedding, K parameters of the
density of one row. Every layer maps [S, N, in] to [S, N, out], each model of the stack with its
own weights. Dropout is on where generators for its masks are given, one for each model, and off
otherwise; there is no training mode to forget.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..registry import Registry
from .denormals import DENORMAL, product
from .densities import Density
from .masks import Mask, dropout

__all__ = ["FEW", "MODELS", "DensityModel", "Layer", "TracedLayer"]

#: The models by the name that a run's settings have for them.
MODELS: Registry["DensityModel"] = Registry("model", folders=False)

# Rows that go through the layers at once on the CPU, where no gradients are wanted: what is made of them
# stays in the cache.
_PIECE = 3072
#: Of fewer rows than these, products may have other bits than of many.
FEW = 64
# Weights below it change no bit of what other weights, or a bias, give for inputs of all bits.
_NEGLIGIBLE = 1e-30


class Layer(NamedTuple):
    """S linear layers side by side: maps [S, N, in] to [S, N, out]."""

    weight: Tensor  # [S, in, out]
    bias: Tensor  # [S, 1, out]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)

    def padded(self, outputs: int) -> "Layer":
        """With so many outputs more, all zero: products of whole vectors are faster, of the same bits."""
        return Layer(*(nn.functional.pad(part, (0, outputs)) for part in self))


class TrainedLayer(Layer):
    """Layers whose products of more than a few rows leave out denormal weights (`denormals.py`)."""

    kept: Tensor  # [S, in, out]

    def __call__(self, x: Tensor) -> Tensor:
        return product(x, *self, self.kept)


class TracedLayer(Layer):
    """Layers that keep what went in and what came out, for gradients with respect to the output."""

    input: Tensor
    output: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        self.input, self.output = x, super().__call__(x).requires_grad_()
        return self.output.clone()  # what follows may work in place


class DensityModel(nn.Module):
    """An encoder and what turns its embedding into a density.

    All weights of a model are one row of the single parameter `theta`, which the layers are views
    of: the optimiser then works on one tensor instead of on twenty small ones.

    A subclass registers itself in `MODELS`, names itself for people, says its density, and implements
    `head_shapes` and `apply_head`.

    Args:
        stack: number of models S.
        features: number of features d.
        hidden: widths of the hidden layers; the encoder's layers are d-h0, h0-h0, h0-h1, ...
        dropout: dropout rate behind every encoder layer but the first.
        relu: ReLU after each linear layer of the encoder (protocol `corrected`).
    """

    #: Its name for people, and that of several: "Gaussian", "Gaussians".
    label: ClassVar[str]
    plural: ClassVar[str]
    #: What its parameters are the parameters of.
    density: ClassVar[type[Density]]
    #: What `--variation` calls it, where that is not the name it is registered by.
    variation: ClassVar[str | None] = None
    #: Its configuration where configs/ has neither a file for the dataset nor a default one: such a file's
    #: keys, those of one model.
    default: ClassVar[Mapping[str, Any]] = {}
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
        #: (in, out) of every layer, in the order of their weights in `theta`.
        self.shapes = [*encoder, *self.head_shapes(hidden[-1])]
        self._sizes = [size for n_in, n_out in self.shapes for size in (n_in * n_out, n_out)]
        self.theta = nn.Parameter(torch.zeros(stack, sum(self._sizes)))

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        """(in, out) of the layers behind an embedding of that width."""
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
        """All layers, in the order of `shapes`; views of `theta` where gradients are wanted.

        Weight decay shrinks weights of ReLUs that are never on without end, to denormal numbers, which are
        slow (`denormals.py`). But for those of the first layer, they are zero where no gradients are wanted,
        and elsewhere on the CPU the layers that have any are `TrainedLayer`s.
        """
        theta = self.theta.detach()
        if not torch.is_grad_enabled():
            return self._split(theta.masked_fill(self._below(_NEGLIGIBLE), 0.0))
        layers = self._split(self.theta)
        if theta.device.type != "cpu" or theta.dtype != torch.float32:
            return layers
        denormal = self._below(DENORMAL)
        if denormal.any():
            kept = theta.masked_fill(denormal, 0.0).split(self._sizes, 1)[::2]
            for i, of_weight in enumerate(denormal.split(self._sizes, 1)[::2]):
                if of_weight.any():
                    layers[i] = layer = TrainedLayer(*layers[i])
                    layer.kept = kept[i].unflatten(1, self.shapes[i])
        return layers

    def _below(self, size: float) -> Tensor:
        """Which weights [S, P] are below that size, but for those of the first layer.

        That meets a table's numbers: of few bits, and any size.
        """
        below = self.theta.detach().abs() < size
        below[:, : sum(self._sizes[:2])] = False
        return below

    def _split(self, theta: Tensor) -> list[Layer]:
        """The layers of weights [S, P], as views."""
        parts = iter(theta.split(self._sizes, 1))
        return [Layer(next(parts).unflatten(1, shape), next(parts)[:, None]) for shape in self.shapes]

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """The embedding [S, N, h] of rows [S, N, d]; with dropout if generators are given."""
        return self._linear_part(self.layers()[: self._encoder_layers], x, generators)

    def density_parameters(
        self, x: Tensor, generators: Sequence[torch.Generator] | None = None, shared: bool = False
    ) -> Tensor:
        """The parameters [S, N, K] of the densities of rows [S, N, d]; dropout as in `encode`.

        Args:
            shared: all rows of a model have one dropout mask.
        """
        layers = self.layers()
        linear = self._encoder_layers + self.linear_head_layers
        first, head = layers[:linear], layers[linear:]
        if generators is None and not torch.is_grad_enabled() and x.device.type == "cpu":
            first = self._without_masks(first)
            pieces = _pieces(x, len(x) * x.shape[1])
            return torch.cat([self.apply_head(head, self._one_by_one(first, piece)) for piece in pieces], 1)
        return self.apply_head(head, self._linear_part(first, x, generators, shared))

    @torch.no_grad()
    def passes(self, x: Tensor, passes: int, generator: torch.Generator) -> Tensor:
        """The parameters [T, N, K] of the densities of T passes over x [N, d], by the one model of the stack.

        A mask for each pass and row: it is `density_parameters` of x T times below itself, with dropout. On
        the CPU the layers before all masks see each row once, and the others the rows piece by piece.
        """
        plain = x.device.type != "cpu" or not self.dropout > 0 or self._encoder_layers < 3
        if plain or len(x) < FEW:
            return self.density_parameters(x.repeat(passes, 1)[None], [generator]).view(passes, len(x), -1)
        layers = self.layers()
        linear = self._encoder_layers + self.linear_head_layers
        hidden = self._one_by_one(layers[:2], x[None])
        hidden = dropout(hidden.repeat(1, passes, 1), self.dropout, [generator])
        rows = hidden.shape[1]
        masks = {
            i: Mask((rows, self.shapes[i][1]), self.dropout, generator)
            for i in range(2, self._encoder_layers)
        }
        found, first = [], 0

        def drop(i: int, piece: Tensor) -> Tensor:
            masks[i].apply(piece, first)
            return piece

        for piece in _pieces(hidden, rows):
            embedded = self._one_by_one(layers[2:linear], piece, drop, start=2)
            found.append(self.apply_head(layers[linear:], embedded))
            first += piece.shape[1]
        return torch.cat(found, 1).view(passes, len(x), -1)

    def traced(self, x: Tensor) -> tuple[Tensor, list[TracedLayer]]:
        """The parameters [S, N, K] of the densities of rows [S, N, d], and the layers that gave them.

        Dropout is off. What is made of the parameters can be differentiated with respect to the layers'
        outputs, not to weights. Rows do not mix: one backward pass through the sum over all rows gives
        the derivatives of each.
        """
        with torch.no_grad():
            layers = [TracedLayer(*layer) for layer in self.layers()]
        linear = self._encoder_layers + self.linear_head_layers
        return self.apply_head(layers[linear:], self._one_by_one(layers[:linear], x)), layers

    def forward(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Density:
        """The densities p(y|x) of rows [S, N, d], batch shape [S, N]."""
        return self.density(self.density_parameters(x, generators))

    def _linear_part(
        self,
        layers: Sequence[Layer],
        x: Tensor,
        generators: Sequence[torch.Generator] | None,
        shared: bool = False,
    ) -> Tensor:
        """The encoder's layers, and those of the head that are linear in the embedding."""
        if generators is None:
            return self._one_by_one(self._without_masks(layers), x)
        if not self.dropout > 0:
            return self._one_by_one(layers, x)
        return self._one_by_one(layers, x, lambda _, x: dropout(x, self.dropout, generators, shared))

    def _without_masks(self, layers: Sequence[Layer]) -> list[Layer]:
        """What the layers of the linear part amount to where no masks stand between them."""
        return list(layers) if self.relu else [_composed(layers)]

    def _one_by_one(
        self,
        layers: Sequence[Layer],
        x: Tensor,
        drop: Callable[[int, Tensor], Tensor] | None = None,
        start: int = 0,
    ) -> Tensor:
        """Applies layers of the linear part, of which the first is number `start`.

        Args:
            drop: dropout behind encoder layer i, of what comes out of it.
        """
        for i, layer in enumerate(layers, start):
            x = layer(x)
            if i < self._encoder_layers:
                if self.relu:
                    x = x.relu_()
                if i > 0 and drop is not None:
                    x = drop(i, x)
        return x


def _pieces(x: Tensor, rows: int) -> Sequence[Tensor]:
    """x [S, N, d], `rows` in all, in pieces of the rows: of `_PIECE` rows of all models or fewer.

    They are of about the same size: products of a few rows would not have the same bits.
    """
    return x.tensor_split(max(1, math.ceil(rows / _PIECE)), 1)


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
