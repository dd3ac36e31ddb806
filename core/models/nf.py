"""The conditional normalizing flow of the study: a neural spline flow (Durkan et al., 2019)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .densities import FlowDensity
from .networks import MODELS, DensityModel, Layer
from .splines import SPLINE_PARAMETERS


@MODELS.register("nsf")
class NeuralSplineFlow(DensityModel):
    """Two rational-quadratic splines on y, each with its own MLP h-64-64-23 (docs/METHOD.md, section 2)."""

    variation = "nf"
    label, plural = "normalizing flow", "flows"
    density = FlowDensity
    linear_head_layers = 1
    last_layers = (-3, -1)  # of either spline

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        # The first layers of both MLPs, whose input is the same, are one.
        return [(width, 2 * 64), *2 * [(64, 64), (64, SPLINE_PARAMETERS)]]

    @staticmethod
    def apply_head(head: Sequence[Layer], x: Tensor) -> Tensor:
        one, two = x.relu_().split(64, -1)
        splines = []
        for hidden, second, last in ((one, *head[:2]), (two, *head[2:])):
            splines.append(last(second(hidden).relu_()))
        return torch.cat(splines, -1)
