"""`--variation gp`: an exact Gaussian process.

Shapes: n labelled points, N rows, d features.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .densities import Density, GaussDensity
from .regressor import REGRESSORS, Regressor

#: Most labelled points: time grows with their cube.
MOST_POINTS = 2000
#: Points, drawn at random, to which the hyper-parameters are fitted.
FITTED = 300
#: Standard deviation of the log length scales around their mean.
SPREAD = 0.5
_JITTER = 1e-6


@REGRESSORS.register("gp")
class GaussianProcess(Regressor):
    """A Gaussian process with a Matern-5/2 kernel, a length scale for each feature, and noise.

    Rasmussen & Williams, *Gaussian Processes for Machine Learning*, 2006, algorithm 2.1. The hyper-parameters
    maximise marginal likelihood times prior. The prior keeps length scales near each other: without it, few
    points switch features off by chance: 90 % intervals learned from 100 diamonds held 64 % of the others.
    (scikit-learn has no priors, and takes 30 times as long for the 81 features of superconductors.)

    The embedding is the features divided by their length scales.
    """

    label = "Gaussian process"
    density = GaussDensity
    offers = frozenset({"embedding"})

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        if len(x) > MOST_POINTS:
            raise UserError(
                f"a Gaussian process takes at most {MOST_POINTS:,} labelled points, not {len(x):,}"
            )
        self._shift, self._scale = float(y.mean()), float(y.std()) or 1.0
        self._x = torch.from_numpy(x)
        target = torch.from_numpy((y - self._shift) / self._scale)
        some = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(x))[:FITTED])
        self._scales, self._variance, self._noise = _fitted(self._x[some], target[some])
        noise = self._noise * torch.eye(len(x)).double()
        self._root = torch.linalg.cholesky(self._covariance(self._x) + noise)
        self._weights = torch.cholesky_solve(target[:, None], self._root)[:, 0]
        self.model = self

    def _covariance(self, x: Tensor) -> Tensor:
        """Of rows [N, d] with the labelled points, [N, n]."""
        return self._variance * _matern(x / self._scales, self._x / self._scales)

    def __call__(self, x: Tensor) -> Density:
        covariance = self._covariance(x.detach().cpu().double())
        half = torch.linalg.solve_triangular(self._root, covariance.T, upper=False)
        variance = self._variance + self._noise - half.square().sum(0)
        mean = self._shift + self._scale * (covariance @ self._weights)
        return GaussDensity(torch.stack([mean, self._scale * variance.clamp(min=_JITTER).sqrt()], -1).to(x))

    def encode(self, x: Tensor) -> Tensor:
        return x / self._scales.to(x)


def _matern(a: Tensor, b: Tensor) -> Tensor:
    """The Matern-5/2 kernel of rows [N, d] and [n, d] that are divided by the length scales."""
    squared = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    distance = (5 * squared.clamp(min=1e-18)).sqrt()
    return (1 + distance + distance.square() / 3) * torch.exp(-distance)


def _fitted(x: Tensor, y: Tensor) -> tuple[Tensor, float, float]:
    """Length scales [d], variance and noise for rows [n, d] and standardised targets [n].

    Prior, with variances: log scales ~ N(c, 1/4) around their mean c ~ N(sqrt(2) + log(d) / 2, 3), log
    variance ~ N(0, 1), log noise ~ N(-4, 1).
    """
    from scipy.optimize import minimize

    d, usual = x.shape[1], 0.5 * math.log(x.shape[1])

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the log of marginal likelihood times prior, and its gradient."""
        logs = torch.tensor(values, requires_grad=True)
        scales, (variance, noise) = logs[:d], logs[d:].exp()
        kernel = variance * _matern(x / scales.exp(), x / scales.exp())
        root = torch.linalg.cholesky(kernel + (noise + _JITTER) * torch.eye(len(x)).double())
        half = torch.linalg.solve_triangular(root, y[:, None], upper=False)
        centre = scales.mean()
        prior = ((scales - centre) / SPREAD).square().sum() + (centre - usual - math.sqrt(2)).square() / 3
        prior = prior + logs[d].square() + (logs[d + 1] + 4).square()
        value = 0.5 * half.square().sum() + root.diagonal().log().sum() + 0.5 * prior
        value.backward()
        assert logs.grad is not None
        return value.item(), logs.grad.numpy()

    start = np.array([usual] * d + [0.0, -3.0])
    bounds = [(-5, 8)] * d + [(-7, 7), (-14, 3)]
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100})
    logs = torch.from_numpy(best.x)
    return logs[:d].exp(), float(logs[d].exp()), float(logs[d + 1].exp()) + _JITTER
