"""Agents that look at where points lie in the encoder's output: CoreSet and TypiClust.

Shapes: N candidates, L labelled points, h width of the embedding.
"""

import warnings

import faiss
import numpy as np
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from core.agent import AGENTS, Agent
from core.state import State

__all__ = ["k_center_greedy", "nearest_distance"]


def nearest_distance(x: Tensor, centers: Tensor) -> Tensor:
    """Euclidean distance of each row of x [N, h] to the nearest of the centers [L, h]; [N]."""
    # Distances come from |a|^2 + |b|^2 - 2ab, which loses digits far from the origin: move it.
    origin = centers.mean(0)
    pieces = (x - origin).split(2048)
    return torch.cat([torch.cdist(piece, centers - origin).min(1).values for piece in pieces])


def k_center_greedy(x: Tensor, centers: Tensor, count: int) -> Tensor:
    """Picks `count` rows of x [N, h], each the farthest from all centers and earlier picks.

    Sener & Savarese, *Active Learning for Convolutional Neural Networks: A Core-Set Approach*,
    2018, arXiv 1708.00489, algorithm 1.
    """
    distance = nearest_distance(x, centers)
    picks = []
    for _ in range(count):
        pick = distance.argmax()
        picks.append(pick)
        distance = torch.minimum(distance, (x - x[pick]).norm(dim=1))
        distance[pick] = -1.0  # never again, also among equal points
    return torch.stack(picks)


@AGENTS.register("coreset")
class CoresetGreedy(Agent):
    """CoreSet greedy: the points farthest from all labelled ones in the encoder's output."""

    folder = "Coreset_Greedy"

    def score(self, state: State, x: Tensor) -> Tensor:
        classifier = state.classifier
        return nearest_distance(classifier.encode(x), classifier.encode(state.x_labeled))

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        if not self.protocol.k_center:
            return super().select(state, x, count)
        encode = state.classifier.encode
        return k_center_greedy(encode(x), encode(state.x_labeled), count).cpu().numpy()


def most_typical(features: np.ndarray) -> int:
    """Position of the row of highest typicality among features [m, h]; the first if m is small.

    Typicality = 1 / (mean squared distance to the min(20, m // 2) nearest neighbours + 1e-5)
    (Hacohen, Dekel, Weinshall, *Active Learning on a Budget*, 2022, arXiv 2202.02794; the paper
    takes the distance itself, the published code of the study its square).
    """
    neighbours = min(20, len(features) // 2)
    if neighbours <= 1:
        return 0
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(features)
    squared, _ = index.search(features, neighbours + 1)  # the nearest is the point itself
    return int(np.argmax(1 / (squared[:, 1:].mean(1) + 1e-5)))


@AGENTS.register("typiclust")
class TypiClust(Agent):
    """Typical points of clusters that hold few labels."""

    folder = "TypiClust"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        encode = state.classifier.encode
        features = torch.cat([encode(x), encode(state.x_labeled)]).cpu().numpy()
        ranked = self._ranked_clusters(features, len(x))
        taken = np.zeros(len(x), dtype=bool)
        picks: list[int] = []
        for i in range(count):
            members = ranked[i % len(ranked) if self.protocol.rotate_clusters else 0]
            members = members[~taken[members]]
            if len(members):
                pick = members[most_typical(features[members])]
            else:
                pick = self.rng.choice(np.flatnonzero(~taken))
            taken[pick] = True
            picks.append(int(pick))
        return np.array(picks)

    def _ranked_clusters(self, features: np.ndarray, candidates: int) -> list[np.ndarray]:
        """The candidates in each cluster of candidates and labelled points, best cluster first."""
        clusters = min(len(features) - candidates + 1, 500)
        label = self._cluster(features, clusters)
        size = np.bincount(label, minlength=clusters)
        labelled = np.bincount(label[candidates:], minlength=clusters)
        ranked = np.lexsort((-size, labelled))
        ranked = ranked[size[ranked] > 0]
        large = ranked[size[ranked] > 5]
        return [np.flatnonzero(label[:candidates] == c) for c in (large if len(large) else ranked)]

    def _cluster(self, features: np.ndarray, clusters: int) -> np.ndarray:
        """The cluster of each row of features [N + L, h]."""
        seed = int(self.rng.integers(2**31))
        if clusters <= 50:
            k_means = KMeans(clusters, n_init=10, random_state=seed)
        else:
            # k-means++ on all points would take nine tenths of the time of all ten starts.
            k_means = MiniBatchKMeans(
                clusters, batch_size=5000, n_init=10, init_size=3 * clusters, random_state=seed
            )
        with warnings.catch_warnings():
            # Equal points make fewer clusters than asked for; empty ones are left out above.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return k_means.fit_predict(features)
