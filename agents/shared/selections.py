"""Ways to choose a batch of points that differ from each other, as pure functions of features.

Each returns distinct positions [count] of candidates, in the order they were chosen; ties keep the order of
the candidates. Nothing needs a matrix of all pairs of candidates.

N candidates, L labelled points, h features of a point.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def nearest(x: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance of each row of x [N, h] to the nearest of the centers [L, h], and which that is."""
    # Distances come from |a|^2 + |b|^2 - 2ab, which loses digits far from the origin: move it.
    origin = centers.mean(0)
    pieces = [torch.cdist(piece, centers - origin).min(1) for piece in (x - origin).split(2048)]
    return torch.cat([piece.values for piece in pieces]), torch.cat([piece.indices for piece in pieces])


def farthest(distance: Tensor, distance_to: Callable[[Tensor], Tensor], count: int) -> Tensor:
    """Repeatedly picks the point farthest from the labelled points and earlier picks.

    `distance` [N] is each candidate's to the nearest labelled point; `distance_to` maps a position to the
    distances [N] from that candidate.
    """
    picks = []
    for _ in range(count):
        pick = distance.argmax()
        picks.append(pick)
        distance = torch.minimum(distance, distance_to(pick))
        distance[pick] = -1.0  # never again, also among equal points
    return torch.stack(picks)


def k_center_greedy(x: Tensor, centers: Tensor, count: int) -> Tensor:
    """Picks rows of x [N, h], each the farthest from all centers [L, h] and earlier picks.

    Sener & Savarese, *Active Learning for Convolutional Neural Networks: A Core-Set Approach*,
    2018, arXiv 1708.00489, algorithm 1.
    """
    return farthest(nearest(x, centers)[0], lambda pick: (x - x[pick]).norm(dim=1), count)


def largest_cluster(x: Tensor, centers: Tensor, count: int) -> Tensor:
    """LCMD: repeatedly makes the farthest point of a cluster, that with the largest sum of squares, a center.

    A candidate of x [N, h] belongs to the nearest of the centers [L, h], at first the labelled points.
    Holzmüller, Zaverkin, Kästner, Steinwart, *A Framework and Benchmark for Deep Batch Active Learning for
    Regression*, JMLR 2023, arXiv 2203.09410.
    """
    distance, cluster = nearest(x, centers)
    squared = distance.double().square()
    left = torch.ones(len(x), dtype=torch.bool, device=x.device)
    picks = []
    for k in range(len(centers), len(centers) + count):
        sums = squared.new_zeros(k).index_add_(0, cluster[left], squared[left])
        # Skip clusters without points that are left to choose.
        sums[torch.bincount(cluster[left], minlength=k) == 0] = -1.0
        inside = left & (cluster == sums.argmax())
        pick = torch.where(inside, squared, -1.0).argmax()
        picks.append(pick)
        left[pick] = False
        to_pick = torch.cdist(x, x[pick, None], compute_mode="donot_use_mm_for_euclid_dist")[:, 0]
        to_pick = to_pick.double().square()
        cluster = torch.where(to_pick < squared, k, cluster)
        squared = torch.minimum(squared, to_pick)
    return torch.stack(picks)


def k_means_seeding(
    squared_norms: Tensor, inner: Callable[[Tensor], Tensor], count: int, generator: torch.Generator
) -> Tensor:
    """k-means++: first the point of largest norm, then draws in proportion to squared distances.

    The distances are those to the nearest pick; if all are 0, the first point left is taken.
    Arthur & Vassilvitskii, *k-means++: The Advantages of Careful Seeding*, 2007, as in Ash et al.,
    *Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds*, 2020, arXiv 1906.03671,
    algorithm 1. Squared norms [N] are those of features; `inner` maps a position to its inner products [N]
    with all candidates.
    """
    left = torch.ones(len(squared_norms), dtype=torch.bool, device=squared_norms.device)
    squared = torch.full_like(squared_norms, torch.inf)
    pick = squared_norms.argmax()
    picks = [pick]
    left[pick] = False
    for _ in range(1, count):
        size = squared_norms + squared_norms[pick]
        to_pick = size - 2 * inner(pick)
        to_pick = torch.where(to_pick > 1e-12 * size, to_pick, 0.0)  # of equal points rounding alone is left
        squared = torch.minimum(squared, to_pick)
        sums = torch.where(left, squared, 0.0).cumsum(0)
        if sums[-1] > 0:
            level = sums[-1] * torch.rand((), generator=generator, dtype=sums.dtype, device=generator.device)
            # Rounding must not lead past the first sum that reaches the last one.
            pick = torch.searchsorted(sums, level, right=True).clamp(max=torch.searchsorted(sums, sums[-1]))
        else:
            pick = left.int().argmax()
        picks.append(pick)
        left[pick] = False
    return torch.stack(picks)


def determinant(phi: Tensor, count: int, sigma: float) -> Tensor:
    """Greedily, the batch with the largest determinant of phi phi^T + sigma^2 I, phi [N, h].

    For a Gaussian with that covariance, it has the largest joint entropy: BatchBALD (Kirsch, van Amersfoort,
    Gal, 2019, arXiv 1906.08158). The pivoted Cholesky factor has each step's gain.
    """
    gain = phi.square().sum(1) + sigma**2
    factor = phi.new_zeros(len(phi), count)
    picks = []
    for k in range(count):
        pick = gain.argmax()
        picks.append(pick)
        known = factor[:, :k]
        column = (phi @ phi[pick] - known @ known[pick]) / gain[pick].sqrt()
        factor[:, k] = column
        gain = gain - column.square()
        gain[pick] = -torch.inf  # and so it stays
    return torch.stack(picks)


def forward_backward(phi: Tensor, total: Tensor, count: int, sigma: float) -> Tensor:
    """BAIT: greedily picks the best points, twice as many as needed, then repeatedly drops the worst of them.

    The best lowers the summed posterior variance tr(C (I + Phi_S^T Phi_S / sigma^2)^-1) most. Ash et al.,
    *Gone Fishing: Neural Active Learning with Fisher Embeddings*, 2021, arXiv 2106.09675, in the Gaussian
    form of Holzmüller et al., 2023, arXiv 2203.09410.

    Args:
        phi: features [N, h] under the posterior of the labelled points, float64.
        total: C, the sum of phi phi^T over candidates and labelled points [h, h].
    """
    # M = (I + Phi_S^T Phi_S / sigma^2)^-1; of each point variance phi^T M phi, reduction phi^T M C M phi.
    m, mcm = torch.eye(phi.shape[1], dtype=phi.dtype, device=phi.device), total.clone()
    variance, reduction = phi.square().sum(1), ((phi @ total) * phi).sum(1)
    left = torch.ones(len(phi), dtype=torch.bool, device=phi.device)
    picks: list[Tensor] = []
    for _ in range(min(2 * count, len(phi))):
        score = reduction / (variance + sigma**2 + 1e-8)
        pick = torch.where(left, score, -torch.inf).argmax()
        picks.append(pick)
        left[pick] = False
        a, b = m @ phi[pick], mcm @ phi[pick]
        pivot, gain = variance[pick] + sigma**2, reduction[pick].clone()
        m = m - torch.outer(a, a) / pivot
        ab = torch.outer(a, b)
        mcm = mcm - (ab + ab.T) / pivot + gain / pivot**2 * torch.outer(a, a)
        on_a, on_b = phi @ a, phi @ b
        variance = (variance - on_a.square() / pivot).clamp(min=0)
        reduction = (reduction - 2 * on_a * on_b / pivot + gain * (on_a / pivot).square()).clamp(min=0)

    chosen = torch.stack(picks)
    noise = sigma**2 * torch.eye(len(chosen), dtype=phi.dtype, device=phi.device)
    picked = phi[chosen]
    kernel, lowered = picked @ picked.T + noise, picked @ total @ picked.T
    while len(chosen) > count:
        # tr(G^-1 Q) is what the batch lowers; without point i it is less by (G^-1 Q G^-1)_ii / (G^-1)_ii.
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel))
        loss = (inverse @ lowered * inverse).sum(1) / inverse.diagonal()
        # Of losses that are equal within rounding, the one that was picked last.
        least = torch.nonzero(loss <= loss.min() * (1 + 1e-9))[-1]
        keep = torch.arange(len(chosen), device=phi.device) != least
        chosen, kernel, lowered = chosen[keep], kernel[keep][:, keep], lowered[keep][:, keep]
    return chosen
