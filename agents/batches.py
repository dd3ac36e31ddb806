"""Agents that choose a batch as a whole."""

import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.state import State

from .shared import features, selections

#: Standard deviation of the noise in the posterior of BAIT and the covariance of BatchBALD.
SIGMA = 1e-3


@AGENTS.register("gsx")
class GSx(Agent):
    """Greedy sampling in the inputs: the point farthest in x from all labelled and chosen ones."""

    folder = "GSx"
    label = "GSx"
    needs = "x"
    reference = "Wu, Lin, Huang 2019, arXiv 1808.04245"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        return selections.k_center_greedy(x, state.x_labeled, count)


@AGENTS.register("gsy")
class GSy(Agent):
    """Greedy sampling in the output: the prediction farthest from all labels and chosen predictions."""

    folder = "GSy"
    label = "GSy"
    needs = "prediction"
    reference = "Wu, Lin, Huang 2019, arXiv 1808.04245"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        predicted = state.classifier(x).mean[:, None]
        return selections.k_center_greedy(predicted, state.y_labeled[:, None], count)


@AGENTS.register("igs")
class IGS(Agent):
    """Greedy sampling in both: the product of the distances in inputs and output, pair by pair."""

    folder = "iGS"
    label = "iGS"
    formula = "farthest by d_x d_y, pair by pair, d_x in x and d_y in the prediction"
    needs = "x, prediction"
    reference = "Wu, Lin, Huang 2019, arXiv 1808.04245"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        y, x_labeled, y_labeled = state.classifier(x).mean, state.x_labeled, state.y_labeled[:, None]
        distances = [
            (torch.cdist(rows, x_labeled) * torch.cdist(predicted[:, None], y_labeled)).amin(1)
            for rows, predicted in zip(x.split(2048), y.split(2048), strict=True)
        ]

        def distance_to(pick: Tensor) -> Tensor:
            return (x - x[pick]).norm(dim=1) * (y - y[pick]).abs()

        return selections.farthest(torch.cat(distances), distance_to, count)


@AGENTS.register("lcmd")
class LCMD(Agent):
    """Largest cluster, maximum distance, in sketched gradients of the log-density."""

    folder = "LCMD"
    label = "LCMD"
    needs = "gradients; the embedding of models that have none"
    asks = frozenset({"embedding"})
    reference = "Holzmüller et al. 2023, arXiv 2203.09410"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        points = torch.cat([x, state.x_labeled])
        if "gradients" in state.classifier.offers:
            sketches = features.sketched_gradients(state.classifier, points, self.generator)
        else:
            sketches = state.classifier.encode(points)
        return selections.largest_cluster(sketches[: len(x)], sketches[len(x) :], count)


@AGENTS.register("lcmd_pred")
class LCMDPredictions(Agent):
    """Largest cluster, maximum distance, in the passes' predictions φ."""

    folder = "LCMD_Pred"
    label = "LCMD predictions"
    needs = "shared passes"
    asks = frozenset({"passes"})
    reference = "Holzmüller et al. 2023, arXiv 2203.09410; Kirsch 2023, arXiv 2302.08981"
    dropout = 0.05

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        points = torch.cat([x, state.x_labeled])
        phi = features.spread(features.pass_moments(state.classifier, points, self.generator)[0])
        return selections.largest_cluster(phi[: len(x)], phi[len(x) :], count)


@AGENTS.register("badge")
class BADGE(Agent):
    """k-means++ in the last layers' gradients of the log-density of a sampled target."""

    folder = "BADGE"
    label = "BADGE"
    asks = frozenset({"gradients"})
    reference = "Ash et al. 2020, arXiv 1906.03671"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        squared_norms, inner = features.last_layer_gradients(state.classifier, x, self.generator)
        return selections.k_means_seeding(squared_norms, inner, count, self.generator)


@AGENTS.register("bait")
class BAIT(Agent):
    """Lowest summed posterior variance of the last layer: adds too many points, then drops the worst."""

    folder = "BAIT"
    label = "BAIT"
    asks = frozenset({"embedding"})
    reference = "Ash et al. 2021, arXiv 2106.09675; Holzmüller et al. 2023, arXiv 2203.09410"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        embedding = state.classifier.encode(torch.cat([x, state.x_labeled])).double()
        inputs = torch.nn.functional.pad(embedding, (0, 1), value=1.0)  # the 1 is for the layer's bias
        phi = features.posterior(inputs, len(state.x_labeled), SIGMA)
        return selections.forward_backward(phi[: len(x)], phi.T @ phi, count, SIGMA)


@AGENTS.register("batchbald")
class BatchBALD(Agent):
    """The batch whose predictions vary most together over the passes: largest determinant."""

    folder = "BatchBALD"
    label = "BatchBALD"
    formula = "determinant of the passes' covariance φ φᵀ + σ² I"
    needs = "shared passes"
    asks = frozenset({"passes"})
    reference = "Kirsch, van Amersfoort, Gal 2019, arXiv 1906.08158"
    dropout = 0.05

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        phi = features.spread(features.pass_moments(state.classifier, x, self.generator)[0])
        return selections.determinant(phi, count, SIGMA)
