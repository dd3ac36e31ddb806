"""What a learner must offer to agents and metrics, and how a network offers it.

Shapes: N rows, d features, S models of an ensemble (1 if it is none), T passes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Generator, Tensor, nn

from .densities import Density, MixtureDensity
from .masks import dropout, mask_source
from .networks import DensityModel

#: Samples of the predictive distribution behind point prediction and CRPS.
SAMPLES = 64
#: What gradients are taken of, and the two factors of a layer's gradients.
Of: TypeAlias = Literal["log_prob", "mean"]
Factors: TypeAlias = list[tuple[Tensor, Tensor]]


def most_likely(samples: Tensor, log_prob: Tensor) -> Tensor:
    """The sample of highest density: [M, *batch], [M, *batch] -> [*batch]."""
    best = log_prob.argmax(0, keepdim=True)
    return samples.gather(0, best).squeeze(0)


class Predictor(ABC):
    """A trained model as functions of rows x [N, d]; the names are the published interface's.

    Nothing here changes the model or keeps gradients. Whatever is random takes the generator it draws from,
    on the model's device. Every learner has densities; agents that need more (an embedding, passes,
    gradients) only work with learners that have it.

    Attributes:
        offers: which of `passes`, `embedding` (`encode`) and `gradients` it has.
        model: the model itself, of any kind.
        members: models of an ensemble S; 1 if it is none.
        dropout: rate in training and in stochastic passes.
        shapes, last_layers: of one with gradients, widths (in, out) of each layer, and the places of the
            layers that give the density's parameters.
    """

    offers: ClassVar[frozenset[str]] = frozenset()
    model: Any
    members: int = 1
    dropout: float = 0.0
    shapes: Sequence[tuple[int, int]]
    last_layers: Sequence[int] = (-1,)

    @abstractmethod
    def __call__(self, x: Tensor) -> Density:
        """The predictive densities of rows x [N, d], batch shape [N]."""

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The point prediction [N] of rows x [N, d]: the most likely of 64 samples."""
        # Rows in pieces: 64 samples of all rows at once would need memory by the gigabyte.
        return torch.cat([most_likely(*self(rows).draw(SAMPLES, generator)) for rows in x.split(2048)])

    def encode(self, x: Tensor) -> Tensor:
        """The embedding [N, h] of rows x [N, d]; those of members side by side."""
        raise NotImplementedError(f"{type(self).__name__} has no embedding")

    def passes(
        self, x: Tensor, passes: int, generator: Generator, rate: float | None = None, *, shared: bool = False
    ) -> Density:
        """The densities of T stochastic passes over rows x [N, d], batch shape [T, N].

        A pass has dropout, with a mask of its own for each row. An ensemble gives the densities of its
        members instead, dropout off: T is their number.

        Args:
            passes: number of passes T.
            rate: dropout rate; the model's own if None.
            shared: one mask for all rows of a pass. Only then do two rows vary together over the passes.
        """
        raise NotImplementedError(f"{type(self).__name__} has no stochastic passes")

    def gradients(self, x: Tensor, generator: Generator | None = None, of: Of = "log_prob") -> Factors:
        """Gradients by the weights of each layer, for each row of x [N, d].

        Those of a row with respect to a layer's weights and bias are the outer product of what went into
        the layer, with a 1 for the bias, and the derivative with respect to what came out of it.

        Args:
            of: what is differentiated: the mean of p(y|x), or log p(y|x) at a y that is drawn from p(y|x)
                with the generator, once for each row.

        Returns:
            Both factors for each layer, in the order of `shapes`: [S, N, in + 1] and [S, N, out].
        """
        raise NotImplementedError(f"{type(self).__name__} has no gradients")


class NetworkPredictor(Predictor):
    """The view of a network, or of an ensemble's S; dropout is off but in `passes`.

    `model(x.expand(S, -1, -1))` gives the densities of rows x [N, d], batch shape [S, N], and can be
    differentiated. All weights are its one parameter, `theta` [S, P]; `model.layers()` are views of it,
    weight [S, in, out] and bias [S, 1, out] of each layer.
    """

    offers = frozenset({"passes", "embedding", "gradients"})

    def __init__(self, model: DensityModel) -> None:
        self.model: DensityModel = model
        self.members, self.shapes, self.last_layers = len(model.theta), model.shapes, model.last_layers

    @property
    def dropout(self) -> float:  # type: ignore[override]
        return self.model.dropout

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Density:
        return self._density(self.model.density_parameters(x.expand(self.members, -1, -1)))

    def _density(self, parameters: Tensor) -> Density:
        """The density of members' parameters [S, N, K] together, batch shape [N]."""
        if self.members > 1:
            return MixtureDensity(parameters, self.model.density)
        return self.model.density(parameters[0])

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.model.encode(x.expand(self.members, -1, -1)).movedim(0, 1).flatten(1)

    @torch.no_grad()
    def passes(
        self, x: Tensor, passes: int, generator: Generator, rate: float | None = None, *, shared: bool = False
    ) -> Density:
        if self.members > 1:
            return self.model(x.expand(self.members, -1, -1))
        rate = self.dropout if rate is None else rate
        drop = partial(dropout, rate=rate, source=mask_source(generator), shared=shared)
        if shared:
            each = [self.model.density_parameters(x[None], drop) for _ in range(passes)]
            return self.model.density(torch.cat(each))
        return self.model.density(self.model.passes(x, passes, drop))

    def gradients(self, x: Tensor, generator: Generator | None = None, of: Of = "log_prob") -> Factors:
        with torch.enable_grad():  # one backward pass for all rows; no product is formed
            parameters, layers = self.model.traced(x.expand(self.members, -1, -1))
            if of == "mean":
                value = self._density(parameters).mean
            elif generator is None:
                raise ValueError("gradients of log p(y|x) need a generator, which draws y")
            else:
                y = self._density(parameters.detach()).draw(1, generator)[0].squeeze(0)
                value = self._density(parameters).log_prob(y)
            by_output = torch.autograd.grad(value.sum(), [layer.output for layer in layers])
        inputs = [nn.functional.pad(layer.input.detach(), (0, 1), value=1.0) for layer in layers]
        return list(zip(inputs, by_output, strict=True))
