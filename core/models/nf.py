"""The conditional normalizing flow of the study: a neural spline flow (Durkan et al., 2019)."""

import numpy as np
import torch
from torch import Tensor

from . import splines
from .densities import FlowDensity
from .networks import MODELS, DensityModel
from .splines import SPLINE_PARAMETERS


@MODELS.register("nsf")
class NeuralSplineFlow(DensityModel):
    """Two rational-quadratic splines on y, each with its own MLP h-64-64-23 (docs/METHOD.md, section 2)."""

    variation = "nf"
    label, plural = "normalizing flow", "flows"
    density = FlowDensity
    linear_head_layers = 1
    branches = 2

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        # The first layers of both MLPs, whose input is the same, are one.
        return [(width, 2 * 64), *2 * [(64, 64), (64, SPLINE_PARAMETERS)]]

    @classmethod
    def nll_gradient(cls, raw: Tensor, y: Tensor) -> Tensor:
        rows, targets = raw.view(-1, 2 * SPLINE_PARAMETERS).numpy(), y.reshape(-1, 1).numpy()
        weight = np.full_like(targets, -1 / y.shape[-1])
        return torch.from_numpy(splines.log_prob_gradients(rows, targets, weight)[0]).view_as(raw)
