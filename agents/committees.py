"""Agents that score a committee: how far the passes, or an ensemble's members, disagree.

The formulas are in docs/AGENTS.md; both protocols do the same. Shapes: K passes, N candidates, G grid points,
Q targets.
"""

import math

import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.models.densities import GaussDensity
from core.models.predictor import Predictor
from core.state import State

from .distributions import PASSES, PassesAgent
from .features import pass_moments

__all__ = [
    "bhattacharyya_of_gaussians",
    "bhattacharyya_on_grid",
    "expected_information_gain",
    "kl_of_gaussians",
    "kl_on_grid",
    "pairwise_distance_estimate",
]

#: The scaled target lies between 0 and 1; a young model's density reaches beyond.
PAIDE_GRID = torch.linspace(-0.5, 1.5, 400)


@AGENTS.register("qbc")
class QBC(PassesAgent):
    """Query by committee: standard deviation of the mean over the passes.

    Formula: standard deviation of μ_k over the passes
    Reference: Burbidge, Rowland, King 2007
    """

    folder = "QBC"
    label = "QBC"
    densities = PASSES * 400  # evaluated for a mean

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        return self.passes(predictor, x).mean.double().std(0)


def expected_information_gain(means: Tensor, variances: Tensor, candidates: int) -> Tensor:
    """Mutual information of y and y*, as if both were jointly Gaussian, mean over the targets x*; [N].

    -1/2 log(1 - rho^2), rho^2 = Cov_k(mu, mu*)^2 / (Var y Var y*), Var y = E_k sigma^2 + Var_k mu: Bickford
    Smith et al., *Prediction-Oriented Bayesian Active Learning*, 2023, arXiv 2304.08151, by moments.

    Args:
        means, variances: of each pass at the candidates, then at the targets [K, N + Q], float64.
        candidates: their number N.
    """
    deviations = means - means.mean(0)
    variance = variances.mean(0) + deviations.square().mean(0)
    covariance = deviations[:, :candidates].T @ deviations[:, candidates:] / len(means)  # [N, Q]
    rho2 = covariance.square() / (variance[:candidates, None] * variance[candidates:])
    return -0.5 * torch.log1p(-rho2).mean(1)


@AGENTS.register("epig")
class EPIG(Agent):
    """Expected information gain about the targets of 100 points of the pool, by Gaussian moments.

    Formula: mean over 100 targets x* drawn from the pool of -½ log(1 - ρ²), ρ² = Cov_k(μ, μ*)² / (Var
        y Var y*), Var y = mean_k σ_k² + Var_k μ_k
    Needs: shared passes
    Reference: Bickford Smith et al. 2023, arXiv 2304.08151
    """

    folder = "EPIG"
    label = "EPIG"
    dropout = 0.05
    #: Points of the pool whose targets are to become known.
    targets = 100

    def score(self, state: State, x: Tensor) -> Tensor:
        pool = state.x_unlabeled
        drawn = self.rng.choice(len(pool), min(self.targets, len(pool)), replace=False)
        points = torch.cat([x, pool[torch.from_numpy(drawn).to(pool.device)]])
        means, variances = pass_moments(state.classifier, points, self.generator)
        return expected_information_gain(means, variances, len(x))


def pairwise_distance_estimate(distances: Tensor) -> Tensor:
    """-(1/K) sum_i log (1/K) sum_j exp(-D_ij) of distances of the passes [N, K, K]; [N].

    Berry & Meger, *Escaping the Sample Trap: Fast and Accurate Epistemic Uncertainty Estimation with
    Pairwise-Distance Estimators*, 2023, arXiv 2308.13498.
    """
    return math.log(distances.shape[-1]) - (-distances).logsumexp(-1).mean(-1)


def kl_of_gaussians(mean: Tensor, scale: Tensor) -> Tensor:
    """KL(p_i, p_j) of Gaussians with means and standard deviations [K, N]; [N, K, K]."""
    (m, n), (s, t) = _pairs(mean), _pairs(scale)
    return (t / s).log() + (s.square() + (m - n).square()) / (2 * t.square()) - 0.5


def bhattacharyya_of_gaussians(mean: Tensor, scale: Tensor) -> Tensor:
    """-log of the integral of sqrt(p_i p_j), of Gaussians as of `kl_of_gaussians`; [N, K, K]."""
    (m, n), (s, t) = _pairs(mean), _pairs(scale)
    both = s.square() + t.square()
    return (m - n).square() / (4 * both) + 0.5 * (both / (2 * s * t)).log()


def _pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    """[K, N] as [N, K, 1] and [N, 1, K], float64."""
    values = values.T.double()
    return values[:, :, None], values[:, None]


def _normalised(log_p: Tensor) -> Tensor:
    """Log-masses of the cells of an even grid, from log-densities [K, N, G]; [N, K, G], float64."""
    return log_p.double().log_softmax(-1).clamp(min=-1e30).movedim(0, 1)


def kl_on_grid(log_p: Tensor) -> Tensor:
    """KL(p_i, p_j) of the masses of the cells, from log-densities [K, N, G] on an even grid; [N, K, K]."""
    log_p = _normalised(log_p)
    crossed = log_p.exp() @ log_p.mT  # sum_g p_i log p_j
    return crossed.diagonal(dim1=1, dim2=2)[..., None] - crossed


def bhattacharyya_on_grid(log_p: Tensor) -> Tensor:
    """-log of the sum of sqrt(p_i p_j) over the cells, from log-densities as of `kl_on_grid`; [N, K, K]."""
    root = (0.5 * _normalised(log_p)).exp()
    return -(root @ root.mT).log()


@AGENTS.register("paide")
class PaiDE(PassesAgent):
    """Information about the pass from the passes' pairwise KL divergences.

    Formula: -(1/K) Σ_i log (1/K) Σ_j exp(-D_ij), D_ij = KL(p_i, p_j)
    Reference: Berry & Meger 2023, arXiv 2308.13498
    """

    folder = "PaiDE"
    label = "PaiDE"
    densities = PASSES * len(PAIDE_GRID)
    of_gaussians = staticmethod(kl_of_gaussians)
    on_grid = staticmethod(kl_on_grid)

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        density = self.passes(predictor, x)
        if isinstance(density, GaussDensity):
            distances = self.of_gaussians(density.loc, density.scale)
        else:
            distances = self.on_grid(density.log_prob_on(PAIDE_GRID.to(x)))
        return pairwise_distance_estimate(distances)


@AGENTS.register("paide_bhatt")
class PaiDEBhattacharyya(PaiDE):
    """As `paide`, with their Bhattacharyya distances.

    Formula: as `paide`, D_ij = -log ∫ √(p_i p_j)
    Reference: Berry & Meger 2023, arXiv 2308.13498
    """

    folder = "PaiDE_Bhatt"
    label = "PaiDE Bhattacharyya"
    of_gaussians = staticmethod(bhattacharyya_of_gaussians)
    on_grid = staticmethod(bhattacharyya_on_grid)
