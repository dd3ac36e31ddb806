"""Agents that choose a batch as a whole: each names its features and its selection.

The formulas are in docs/AGENTS.md; both protocols do the same.
"""

import numpy as np
import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.state import State

from .features import (
    last_layer,
    last_layer_gradients,
    pass_moments,
    point_predictions,
    posterior,
    sketched_gradients,
    spread,
)
from .selections import (
    determinant,
    farthest,
    forward_backward,
    k_center_greedy,
    k_means_seeding,
    largest_cluster,
)

#: Standard deviation of the noise in the posterior of BAIT and the covariance of BatchBALD.
SIGMA = 1e-3


@AGENTS.register("gsx")
class GSx(Agent):
    """Greedy sampling in the inputs: the point farthest from all labelled and chosen ones.

    Formula: farthest in x
    Needs: x
    Reference: Wu, Lin, Huang 2019, arXiv 1808.04245
    """

    folder = "GSx"
    label = "GSx"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        return k_center_greedy(x, state.x_labeled, count).cpu().numpy()


@AGENTS.register("gsy")
class GSy(Agent):
    """Greedy sampling in the output: the prediction farthest from all labels and chosen predictions.

    Formula: farthest in the prediction
    Needs: prediction
    Reference: Wu, Lin, Huang 2019, arXiv 1808.04245
    """

    folder = "GSy"
    label = "GSy"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        predicted = point_predictions(state.classifier, x)[:, None]
        return k_center_greedy(predicted, state.y_labeled[:, None], count).cpu().numpy()


@AGENTS.register("igs")
class IGS(Agent):
    """Greedy sampling in both: the product of the distances in inputs and output, pair by pair.

    Formula: farthest by d_x d_y, pair by pair, d_x in x and d_y in the prediction
    Needs: x, prediction
    Reference: Wu, Lin, Huang 2019, arXiv 1808.04245
    """

    folder = "iGS"
    label = "iGS"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        y, x_labeled, y_labeled = point_predictions(state.classifier, x), state.x_labeled, state.y_labeled
        pieces = zip(x.split(2048), y.split(2048), strict=True)
        distance = torch.cat(
            [
                (torch.cdist(rows, x_labeled) * torch.cdist(of_rows[:, None], y_labeled[:, None])).amin(1)
                for rows, of_rows in pieces
            ]
        )

        def to(pick: Tensor) -> Tensor:
            return (x - x[pick]).norm(dim=1) * (y - y[pick]).abs()

        return farthest(distance, to, count).cpu().numpy()


@AGENTS.register("lcmd")
class LCMD(Agent):
    """Largest cluster, maximum distance, in sketched gradients of the log-density.

    Formula: largest cluster, maximum distance in sketched gradients
    Needs: gradients
    Reference: Holzmüller et al. 2023, arXiv 2203.09410
    """

    folder = "LCMD"
    label = "LCMD"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        points = torch.cat([x, state.x_labeled])
        sketches = sketched_gradients(state.classifier, points, self.generator)
        return largest_cluster(sketches[: len(x)], sketches[len(x) :], count).cpu().numpy()


@AGENTS.register("lcmd_pred")
class LCMDPredictions(Agent):
    """As `lcmd`, in the predictions of the passes.

    Formula: largest cluster, maximum distance in the passes' predictions φ
    Needs: shared passes
    Reference: Holzmüller et al. 2023, arXiv 2203.09410; Kirsch 2023, arXiv 2302.08981
    """

    folder = "LCMD_Pred"
    label = "LCMD predictions"
    dropout = 0.05

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        points = torch.cat([x, state.x_labeled])
        phi = spread(pass_moments(state.classifier, points, self.generator)[0])
        return largest_cluster(phi[: len(x)], phi[len(x) :], count).cpu().numpy()


@AGENTS.register("badge")
class BADGE(Agent):
    """k-means++ in the last layers' gradients of the log-density of a sampled target.

    Formula: k-means++ in the last layers' gradients
    Needs: gradients
    Reference: Ash et al. 2020, arXiv 1906.03671
    """

    folder = "BADGE"
    label = "BADGE"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        gradients = last_layer_gradients(state.classifier, x, self.generator)
        picks = k_means_seeding(gradients.squared_norms(), gradients.inner, count, self.generator)
        return picks.cpu().numpy()


@AGENTS.register("bait")
class BAIT(Agent):
    """Lowers the posterior variance of all points most, in the last layer: forward, then backward.

    Formula: forward, then backward, in the last layer's posterior
    Needs: embedding
    Reference: Ash et al. 2021, arXiv 2106.09675; Holzmüller et al. 2023, arXiv 2203.09410
    """

    folder = "BAIT"
    label = "BAIT"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        points = torch.cat([x, state.x_labeled])
        phi = posterior(last_layer(state.classifier, points), len(state.x_labeled), SIGMA)
        return forward_backward(phi[: len(x)], phi.T @ phi, count, SIGMA).cpu().numpy()


@AGENTS.register("batchbald")
class BatchBALD(Agent):
    """The batch whose predictions vary most together over the passes: largest determinant.

    Formula: determinant of the passes' covariance φ φᵀ + σ² I
    Needs: shared passes
    Reference: Kirsch, van Amersfoort, Gal 2019, arXiv 1906.08158
    """

    folder = "BatchBALD"
    label = "BatchBALD"
    dropout = 0.05

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        phi = spread(pass_moments(state.classifier, x, self.generator)[0])
        return determinant(phi, count, SIGMA).cpu().numpy()
