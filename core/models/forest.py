"""`--variation forest`: extremely randomised trees, as a mixture of their leaves.

Shapes: n labelled points, N rows, d features, K trees, h width of the embedding.
"""

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from .densities import Density, GaussDensity, MixtureDensity
from .regressor import REGRESSORS, Regressor

TREES = 100
#: Smallest sizes of leaves to try. Single points predict best if there is little noise; three also estimate
#: it.
LEAF_SIZES = (1, 3)
#: Width of the embedding.
SKETCH = 256


@REGRESSORS.register("forest")
class Forest(Regressor):
    """Geurts, Ernst, Wehenkel, *Extremely Randomized Trees*, 2006, each grown on a bootstrap sample.

    A tree predicts N(m, v + s^2), m and v the mean and variance of the targets in the leaf. The noise s and
    the size of leaves minimise the NLL on points that trees have not seen. Each tree is a pass. The embedding
    is a random sketch of the leaves: inner products are about the share of trees that put two points in one
    leaf.
    """

    label = "forest"
    density = MixtureDensity
    offers = frozenset({"passes", "embedding"})
    members = TREES

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        fitted = [self._grow(x, y, size) for size in LEAF_SIZES]
        _, self.model, self._noise = min(fitted, key=lambda one: one[0])
        rng = np.random.default_rng(self.seed)
        leaves = [tree.tree_.node_count for tree in self.model.estimators_]
        self._sketches = [rng.standard_normal((count, SKETCH)) for count in leaves]

    def _grow(self, x: np.ndarray, y: np.ndarray, size: int) -> tuple[float, Any, float]:
        """The NLL of unseen points, the trees, and their noise."""
        from scipy.optimize import minimize_scalar
        from scipy.special import logsumexp
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(TREES, min_samples_leaf=size, bootstrap=True, random_state=self.seed)
        forest.fit(x, y)
        unseen = np.ones((TREES, len(y)))
        for row, sample in zip(unseen, forest.estimators_samples_, strict=True):
            row[sample] = 0
        some = unseen.any(axis=0)
        mean, variance = _leaves(forest, x)

        def nll(log_noise: float) -> float:
            spread = variance + np.exp(2 * log_noise)
            log_p = -0.5 * ((y - mean) ** 2 / spread + np.log(2 * np.pi * spread))
            weights = unseen[:, some] / unseen[:, some].sum(axis=0)
            return -float(logsumexp(log_p[:, some], axis=0, b=weights).mean())

        scale = y.std() or 1.0
        best = minimize_scalar(nll, bounds=np.log([1e-3 * scale, 2 * scale]), method="bounded")
        return float(best.fun), forest, float(np.exp(best.x))

    def _parameters(self, x: Tensor) -> Tensor:
        """Mean and standard deviation of each tree, [K, N, 2]."""
        mean, variance = _leaves(self.model, self.array(x))
        both = np.stack([mean, np.sqrt(variance + self._noise**2)], axis=-1)
        return torch.from_numpy(both).to(x)

    def __call__(self, x: Tensor) -> Density:
        return MixtureDensity(self._parameters(x), GaussDensity)

    def passes(
        self, x: Tensor, passes: int, generator: Generator, rate: float | None = None, *, shared: bool = False
    ) -> Density:
        return GaussDensity(self._parameters(x))

    def encode(self, x: Tensor) -> Tensor:
        leaves = self.model.apply(self.array(x))  # [N, K]
        sketch = sum(of_tree[leaves[:, k]] for k, of_tree in enumerate(self._sketches))
        return torch.from_numpy(np.asarray(sketch) / np.sqrt(SKETCH * TREES)).to(x)


def _leaves(forest: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the targets in the leaf of each tree, [K, N] each."""
    trees = [tree.tree_ for tree in forest.estimators_]
    leaves = forest.apply(x).T
    mean = [tree.value[leaf, 0, 0] for tree, leaf in zip(trees, leaves, strict=True)]
    variance = [tree.impurity[leaf] for tree, leaf in zip(trees, leaves, strict=True)]
    return np.array(mean), np.maximum(variance, 0)
