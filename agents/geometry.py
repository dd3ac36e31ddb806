"""Distances in the embedding: CoreSet and TypiClust.

N candidates, L labelled points, h width of the embedding.
"""

import warnings

import faiss
import numpy as np
import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.compiled import compiled
from core.state import State

from .shared.selections import k_center_greedy, nearest

#: Starts of every k-means.
STARTS = 10


@AGENTS.register("coreset")
class CoresetGreedy(Agent):
    """CoreSet greedy: the points farthest from all labelled ones in the encoder's output."""

    folder = "Coreset_Greedy"
    formula = (
        "distance in the embedding to the nearest labelled point: the farthest are chosen; "
        "under `corrected` the points picked before count as labelled"
    )
    asks = frozenset({"embedding"})
    batch_aware = "under `corrected`"
    reference = "Sener & Savarese 2018, arXiv 1708.00489"

    def score(self, state: State, x: Tensor) -> Tensor:
        encode = state.classifier.encode
        return nearest(encode(x), encode(state.x_labeled))[0]

    def select(self, state: State, x: Tensor, count: int) -> Tensor | np.ndarray:
        if not self.protocol.k_center:
            return super().select(state, x, count)
        encode = state.classifier.encode
        return k_center_greedy(encode(x), encode(state.x_labeled), count)


@compiled(fastmath={"contract", "reassoc", "nsz"})
def _add_centers(products, norms, rows, nearest, centers):  # type: ignore[no-untyped-def]
    """Adds to each start the tried row of least inertia.

    Args:
        products: of the tried rows with all rows [starts * trials, N].
        norms: squared norms of all rows [N].
        rows: the positions tried [starts, trials].
        nearest: squared distances to the nearest center [starts, N], updated.
        centers: [starts], takes the rows that were added.
    """
    starts, trials = rows.shape
    zero, two = np.float32(0), np.float32(2)
    for start in range(starts):
        near, least, best = nearest[start], np.float32(np.inf), 0
        for trial in range(trials):
            product, norm, inertia = products[start * trials + trial], norms[rows[start, trial]], zero
            for n in range(len(norms)):
                squared = norm + norms[n] - two * product[n]
                squared = squared if squared > zero else zero
                inertia += squared if squared < near[n] else near[n]
            if inertia < least:
                least, best = inertia, trial
        product, norm = products[start * trials + best], norms[rows[start, best]]
        for n in range(len(norms)):
            squared = norm + norms[n] - two * product[n]
            squared = squared if squared > zero else zero
            near[n] = squared if squared < near[n] else near[n]
        centers[start] = rows[start, best]


def k_means_plus_plus(x: np.ndarray, count: int, starts: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of `count` rows of x [N, h] to be centers: those of least inertia of several starts.

    Greedy k-means++ (Arthur & Vassilvitskii, *k-means++: The Advantages of Careful Seeding*, 2007) as
    scikit-learn does it: each center is the best of 2 + log(count) rows that are drawn in proportion to
    their squared distances from the centers before it. All starts run at once, in float32, so that their
    distances are one product.
    """
    x = np.asarray(x - x.mean(0), dtype=np.float32)  # squares lose digits far from the origin
    norms, points = np.einsum("nh,nh->n", x, x), torch.from_numpy(x)
    trials = 2 + int(np.log(count))
    centers = np.empty((count, starts), dtype=np.int64)
    nearest = np.full((starts, len(x)), np.inf, dtype=np.float32)
    rows = rng.integers(len(x), size=(starts, 1))
    for k in range(count):
        if k > 0:
            shares = nearest.cumsum(1, dtype=np.float64)
            draws = rng.uniform(size=(starts, trials)) * shares[:, -1:]
            rows = np.stack([np.searchsorted(*pair) for pair in zip(shares, draws, strict=True)])
            rows = rows.clip(max=len(x) - 1)
        products = points[torch.from_numpy(rows.ravel())] @ points.T
        _add_centers(products.numpy(), norms, rows, nearest, centers[k])
    return centers[:, nearest.sum(1).argmin()]


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
    """Typical points of clusters that hold few labels.

    k-means on the embeddings of candidates and labelled points together, in min(L + 1, 500) clusters; above
    50, mini-batch k-means. Only clusters of more than 5 points count, labelled ones included (all clusters,
    if none is larger). They are ranked by fewest labelled points, then by most points. Each pick is the most
    typical of a cluster's candidates that are left: under `published` always of the first cluster, under
    `corrected` of each cluster in turn. If the cluster has none left, it is a random one of all that remain.
    """

    folder = "TypiClust"
    asks = frozenset({"embedding"})
    reference = "Hacohen et al. 2022, arXiv 2202.02794"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        encode = state.classifier.encode
        features = torch.cat([encode(x), encode(state.x_labeled)]).cpu().numpy()
        clusters = min(len(state.x_labeled) + 1, 500)
        label = self._cluster(features, clusters)
        size = np.bincount(label, minlength=clusters)
        labelled = np.bincount(label[len(x) :], minlength=clusters)
        counted = np.flatnonzero(size > (5 if size.max() > 5 else 0))
        ranked = counted[np.lexsort((-size[counted], labelled[counted]))]

        taken = np.zeros(len(x), dtype=bool)
        picks: list[int] = []
        for i in range(count):
            best = ranked[i % len(ranked) if self.protocol.rotate_clusters else 0]
            members = np.flatnonzero((label[: len(x)] == best) & ~taken)
            if len(members):
                pick = members[most_typical(features[members])]
            else:
                pick = self.rng.choice(np.flatnonzero(~taken))
            taken[pick] = True
            picks.append(int(pick))
        return np.array(picks)

    def _cluster(self, features: np.ndarray, clusters: int) -> np.ndarray:
        """The cluster of each row of features [N + L, h]."""
        from sklearn.cluster import KMeans, MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning

        seed = int(self.rng.integers(2**31))
        if clusters <= 50:
            k_means = KMeans(clusters, n_init=STARTS, random_state=seed)
        else:
            centers = features[k_means_plus_plus(features, clusters, STARTS, self.rng)]
            k_means = MiniBatchKMeans(clusters, init=centers, n_init=1, batch_size=5000, random_state=seed)
        with warnings.catch_warnings():
            # Equal points give fewer clusters; the caller leaves out empty ones.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return k_means.fit_predict(features)
