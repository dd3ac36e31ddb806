"""`--variation forest`: extremely randomised trees, as a mixture of their leaves.

Shapes: n labelled points, N rows, d features, K trees, h width of the embedding.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .densities import Density, GaussDensity, GaussMixture
from .predictor import Predictor
from .regressor import REGRESSORS, Regressor

TREES = 100
#: Width of the embedding.
SKETCH = 256


def with_names(model: Any, rows: np.ndarray) -> Any:
    """Rows [N, d] with the names of columns, if the model was fitted to some: else scikit-learn warns."""
    if (names := getattr(model, "feature_names_in_", None)) is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=names)


def member_means(model: Any, x: np.ndarray) -> np.ndarray:
    """What each member of a fitted ensemble of scikit-learn's predicts for rows [N, d]: [K, N]."""
    members = model.estimators_
    if all(hasattr(member, "tree_") for member in members):
        members = [member.tree_ for member in members]
        x = x.astype(np.float32)  # as trees take them, without a check of each
    columns = getattr(model, "estimators_features_", [slice(None)] * len(members))
    pairs = zip(members, columns, strict=True)
    return np.stack(
        [member.predict(with_names(member, x[:, some])).reshape(len(x)) for member, some in pairs]
    )


def fitted_noise(mean: np.ndarray, y: np.ndarray, samples: Sequence[np.ndarray]) -> float:
    """The noise s of lowest NLL where member k of an ensemble says N(m, s^2).

    Of each point those members count that were not fitted to it.

    Args:
        mean: m of each member at the labelled points, [K, n].
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
    weights = unseen[:, some] / unseen[:, some].sum(axis=0)
    squared = ((y - mean) ** 2)[:, some]

    def nll(log_noise: float) -> float:
        log_p = -0.5 * squared * np.exp(-2 * log_noise) - log_noise
        return -float(logsumexp(log_p, axis=0, b=weights).mean())

    scale = y.std() or 1.0
    best = minimize_scalar(nll, bounds=np.log([1e-3 * scale, 2 * scale]), method="bounded")
    return float(np.exp(best.x))


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
    """A mixture of members, each of which is a pass: they say N(m, s^2), all with the same noise s."""

    @abstractmethod
    def means_and_noise(self, x: Tensor) -> tuple[Tensor, float]:
        """m of each member for rows x [N, d], [K, N], and s."""

    def _parameters(self, x: Tensor) -> Tensor:
        mean, noise = self.means_and_noise(x)
        return torch.stack([mean, torch.full_like(mean, noise)], -1)

    def __call__(self, x: Tensor) -> Density:
        return GaussMixture(self._parameters(x))

    def passes(self, x: Tensor, *_: Any, **__: Any) -> Density:
        return GaussDensity(self._parameters(x))


@REGRESSORS.register("forest")
class Forest(Committee, Regressor):
    """Geurts, Ernst, Wehenkel, *Extremely Randomized Trees*, 2006, each grown on a bootstrap sample.

    Leaves are single points, as usual. The noise minimises the NLL on points that trees have not seen.
    (Leaves of two or three points with their variance have a lower NLL, by 0.3 to 0.4 on diamonds, but up to
    twice the error, and their most likely value is often that of a leaf whose points agree by chance.)
    """

    label = "forest"
    density = GaussMixture
    offers = frozenset({"passes", "embedding"})
    members = TREES

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        self.model = ExtraTreesRegressor(TREES, bootstrap=True, random_state=self.seed).fit(x, y)
        self._noise = fitted_noise(member_means(self.model, x), y, self.model.estimators_samples_)
        self._sketch = LeafSketch(self.model, self.seed)

    def means_and_noise(self, x: Tensor) -> tuple[Tensor, float]:
        return torch.from_numpy(member_means(self.model, self.array(x))).to(x), self._noise

    def encode(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._sketch(self.array(x))).to(x)
