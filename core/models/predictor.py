"""What an agent sees of the model: a plain view of its own run."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .densities import Density, MixtureDensity
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
        model: a stack of one model, or of an ensemble's K members.
    """

    model: DensityModel

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Density:
        """The predictive densities of rows x [N, d], batch shape [N]; dropout off."""
        parameters = self.model.density_parameters(x.expand(self.members, -1, -1))
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
        self, x: Tensor, passes: int, generator: torch.Generator, rate: float | None = None
    ) -> Density:
        """The densities of T stochastic passes over rows x [N, d], batch shape [T, N].

        Dropout is on, with a fresh mask for each pass and each row. An ensemble gives the densities
        of its members instead, dropout off: T is their number.

        Args:
            passes: number of passes T.
            rate: dropout rate; the model's own if None.
        """
        if self.members > 1:
            return self.model.density(self.model.density_parameters(x.expand(self.members, -1, -1)))
        before = self.model.dropout
        self.model.dropout = before if rate is None else rate
        try:
            parameters = self.model.density_parameters(x.repeat(passes, 1)[None], [generator])
        finally:
            self.model.dropout = before
        return self.model.density(parameters.view(passes, len(x), -1))

    @property
    def members(self) -> int:
        """Models of the ensemble; 1 if it is none."""
        return len(self.model.theta)

    @property
    def dropout(self) -> float:
        """The model's dropout rate, in training and in stochastic passes."""
        return self.model.dropout
