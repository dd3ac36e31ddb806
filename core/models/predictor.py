"""What an agent sees of the model: a plain view of its own run."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .densities import Density, MixtureDensity
from .masks import mask_source
from .networks import DensityModel

__all__ = ["SAMPLES", "Predictor", "most_likely"]

#: Samples of the predictive distribution behind point prediction and CRPS.
SAMPLES = 64


def most_likely(samples: Tensor, log_prob: Tensor) -> Tensor:
    """The sample of highest density: [M, *batch], [M, *batch] -> [*batch]."""
    best = log_prob.argmax(0, keepdim=True)
    return samples.gather(0, best).squeeze(0)


@dataclass(frozen=True)
class Predictor:
    """A run's model as functions of rows x [N, d]; the name is the published interface's.

    Nothing here changes the model, needs its mode to be set, or keeps gradients. Whatever is
    random takes the generator it draws from, on the model's device.

    Args:
        model: the network, a `torch.nn.Module` that holds S models side by side: 1, or an ensemble's members.
            `model(x.expand(S, -1, -1))` gives the densities of rows x [N, d], batch shape [S, N], and can be
            differentiated. All weights are its one parameter, `theta` [S, P]; `model.layers()` are views of
            it, weight [S, in, out] and bias [S, 1, out] of each layer. Dropout is off unless masks are given.
    """

    model: DensityModel

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Density:
        """The predictive densities of rows x [N, d], batch shape [N]; dropout off."""
        return self._density(self.model.density_parameters(x.expand(self.members, -1, -1)))

    def _density(self, parameters: Tensor) -> Density:
        """What the members' parameters [S, N, K] are together, batch shape [N]."""
        if self.members > 1:
            return MixtureDensity(parameters, self.model.density)
        return self.model.density(parameters[0])

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The embedding [N, h] of rows x [N, d]; dropout off. Those of members side by side."""
        return self.model.encode(x.expand(self.members, -1, -1)).movedim(0, 1).flatten(1)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The point prediction [N] of rows x [N, d]: the most likely of 64 samples; dropout off."""
        # Rows in pieces: 64 samples of all rows at once would need memory by the gigabyte.
        return torch.cat([most_likely(*self(rows).draw(SAMPLES, generator)) for rows in x.split(2048)])

    @torch.no_grad()
    def passes(
        self,
        x: Tensor,
        passes: int,
        generator: torch.Generator,
        rate: float | None = None,
        *,
        shared: bool = False,
    ) -> Density:
        """The densities of T stochastic passes over rows x [N, d], batch shape [T, N].

        Dropout is on, with a fresh mask for each pass and each row. An ensemble gives the densities
        of its members instead, dropout off: T is their number.

        Args:
            passes: number of passes T.
            rate: dropout rate; the model's own if None.
            shared: one mask for all rows of a pass, which then is one model. Only so do two rows vary
                together over the passes.
        """
        if self.members > 1:
            return self.model.density(self.model.density_parameters(x.expand(self.members, -1, -1)))
        before = self.model.dropout
        self.model.dropout = before if rate is None else rate
        try:
            if shared:
                masks = [mask_source(generator)]
                each = [self.model.density_parameters(x[None], masks, shared=True) for _ in range(passes)]
                return self.model.density(torch.cat(each))
            return self.model.density(self.model.passes(x, passes, generator))
        finally:
            self.model.dropout = before

    def gradients(
        self,
        x: Tensor,
        generator: torch.Generator | None = None,
        of: Literal["log_prob", "mean"] = "log_prob",
    ) -> list[tuple[Tensor, Tensor]]:
        """Gradients by the weights of each layer, for each row of x [N, d]; dropout off.

        Those of a row with respect to a layer's weights and bias are the outer product of what went into
        the layer, with a 1 for the bias, and the derivative with respect to what came out of it. All rows
        are done in one backward pass, and no product is formed.

        Args:
            of: what is differentiated: the mean of p(y|x), or log p(y|x) at a y that is drawn from p(y|x)
                with the generator, once for each row.

        Returns:
            Of each layer, in the order of the model's `shapes`, both factors: [S, N, in + 1] and
            [S, N, out], S the members.
        """
        with torch.enable_grad():
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

    @property
    def members(self) -> int:
        """Models of the ensemble; 1 if it is none."""
        return len(self.model.theta)

    @property
    def dropout(self) -> float:
        """The model's dropout rate, in training and in stochastic passes."""
        return self.model.dropout
