"""Models that are fitted to the labelled points at once, not by epochs: what they must offer.

Shapes: n labelled points, N rows, d features, K parts of a model (its trees), h width of the embedding.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from torch import Tensor

from ..registry import Registry
from .densities import Density
from .predictor import Predictor

#: By the names that `--variation` takes.
REGRESSORS: Registry["Regressor"] = Registry("regressor", "core.models", folders=False)


class Regressor(Predictor):
    """A model of your own: `fit` and `__call__`, which returns the densities of rows x [N, d].

    `passes` (densities [K, N] of the model's parts) and `encode` (features [N, h] in which points that the
    model treats alike are near) are for agents that need them: `offers` names those that it has.

    Args:
        seed: of everything random; two fits to the same points give the same model.
    """

    #: Its name in figures, and the class of its densities.
    label: ClassVar[str]
    density: ClassVar[type[Density]]

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @abstractmethod
    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learns from labelled points [n, d] and targets [n], float64, both scaled to about [0, 1]."""

    @staticmethod
    def array(x: Tensor) -> np.ndarray:
        """Rows as scikit-learn takes them: float64, on the CPU."""
        return x.detach().cpu().double().numpy()
