"""The Gaussian with mean and standard deviation from the network."""

import torch
from torch import Tensor, nn

from .densities import GaussDensity
from .networks import MODELS, DensityModel


@MODELS.register("gauss")
class GaussianModel(DensityModel):
    """Two heads on the embedding: ReLU-Linear for the mean, ReLU-Linear-Softplus for the scale."""

    label, plural = "Gaussian", "Gaussians"
    density = GaussDensity

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        # One layer for both: products of a single column are not the same bits in a stack as alone.
        return [(width, 2)]

    @staticmethod
    def constrain(raw: Tensor) -> Tensor:
        mean, scale = raw.split(1, -1)
        return torch.cat([mean, nn.functional.softplus(scale)], -1)
