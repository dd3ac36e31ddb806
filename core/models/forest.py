"""`--variation forest`: extremely randomised trees, as a mixture of their leaves.

Shapes: n labelled points, N rows, d features, K trees, h width of the embedding.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from .densities import Density, GaussDensity, GaussMixture
from .predictor import Predictor
from .regressor import REGRESSORS, Regressor

TREES = 100
#: Smallest sizes of leaves to try. Single points predict best if there is little noise; three also estimate
#: it.
LEAF_SIZES = (1, 3)
#: Width of the embedding.
SKETCH = 256


def fitted_noise(
    mean: np.ndarray, variance: np.ndarray, y: np.ndarray, samples: Sequence[np.ndarray]
) -> tuple[float, float]:
    """The noise s of lowest NLL where member k of an ensemble says N(m, v + s^2): that NLL, and s.

    Of each point those members count that were not fitted to it.

    Args:
        mean, variance: m and v of each member at the labelled points, [K, n].
        samples: positions of the points to which each member was fitted; none where that is not known.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    unseen = np.ones(mean.shape)
    for row, sample in zip(unseen, samples, strict=False):
        row[sample] = 0
    if not unseen.any():
        unseen[:] = 1
    some = unseen.any(axis=0)

    def nll(log_noise: float) -> float:
        spread = variance + np.exp(2 * log_noise)
        log_p = -0.5 * ((y - mean) ** 2 / spread + np.log(2 * np.pi * spread))
        weights = unseen[:, some] / unseen[:, some].sum(axis=0)
        return -float(logsumexp(log_p[:, some], axis=0, b=weights).mean())

    scale = y.std() or 1.0
    best = minimize_scalar(nll, bounds=np.log([1e-3 * scale, 2 * scale]), method="bounded")
    return float(best.fun), float(np.exp(best.x))


class LeafSketch:
    """The embedding of a fitted forest of scikit-learn's: a random sketch of the leaves.

    Inner products are about the share of trees in which two points are in one leaf.
    """

    def __init__(self, forest: Any, seed: int) -> None:
        rng = np.random.default_rng(seed)
        counts = [tree.tree_.node_count for tree in forest.estimators_]
        self.forest, self._of_trees = forest, [rng.standard_normal((count, SKETCH)) for count in counts]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Of rows [N, d]: [N, h]."""
        leaves = self.forest.apply(x)  # [N, K]
        sketch = sum(of_tree[leaves[:, k]] for k, of_tree in enumerate(self._of_trees))
        return np.asarray(sketch) / np.sqrt(SKETCH * len(self._of_trees))


class Committee(Predictor):
    """A mixture of members, each of which is a pass: they say N(m, s^2)."""

    @abstractmethod
    def member_parameters(self, x: Tensor) -> Tensor:
        """m and s of each member for rows x [N, d]: [K, N, 2]."""

    def __call__(self, x: Tensor) -> Density:
        return GaussMixture(self.member_parameters(x))

    def passes(
        self, x: Tensor, passes: int, generator: Generator, rate: float | None = None, *, shared: bool = False
    ) -> Density:
        return GaussDensity(self.member_parameters(x))


@REGRESSORS.register("forest")
class Forest(Committee, Regressor):
    """Geurts, Ernst, Wehenkel, *Extremely Randomized Trees*, 2006, each grown on a bootstrap sample.

    A tree predicts N(m, v + s^2), m and v the mean and variance of the targets in the leaf. The noise s and
    the size of leaves minimise the NLL on points that trees have not seen. Each tree is a pass.
    """

    label = "forest"
    density = GaussMixture
    offers = frozenset({"passes", "embedding"})
    members = TREES

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        fitted = [self._grow(x, y, size) for size in LEAF_SIZES]
        _, self.model, self._noise = min(fitted, key=lambda one: one[0])
        self._sketch = LeafSketch(self.model, self.seed)

    def _grow(self, x: np.ndarray, y: np.ndarray, size: int) -> tuple[float, Any, float]:
        """The NLL of unseen points, the trees, and their noise."""
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(TREES, min_samples_leaf=size, bootstrap=True, random_state=self.seed)
        forest.fit(x, y)
        nll, noise = fitted_noise(*_leaves(forest, x), y, forest.estimators_samples_)
        return nll, forest, noise

    def member_parameters(self, x: Tensor) -> Tensor:
        mean, variance = _leaves(self.model, self.array(x))
        both = np.stack([mean, np.sqrt(variance + self._noise**2)], axis=-1)
        return torch.from_numpy(both).to(x)

    def encode(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._sketch(self.array(x))).to(x)


def _leaves(forest: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the targets in the leaf of each tree, [K, N] each."""
    trees = [tree.tree_ for tree in forest.estimators_]
    leaves = forest.apply(x).T
    mean = [tree.value[leaf, 0, 0] for tree, leaf in zip(trees, leaves, strict=True)]
    variance = [tree.impurity[leaf] for tree, leaf in zip(trees, leaves, strict=True)]
    return np.array(mean), np.maximum(variance, 0)
