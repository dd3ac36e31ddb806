"""Disagreement of a committee: of passes, or of an ensemble's members."""

import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.models.densities import Density, GaussDensity
from core.state import State

from .distributions import PassesAgent
from .shared import scores
from .shared.features import PASSES, pass_moments

#: The scaled target is between 0 and 1; a density early in a run reaches beyond.
PAIDE_GRID = torch.linspace(-0.5, 1.5, 400)


@AGENTS.register("qbc")
class QBC(PassesAgent):
    """Query by committee: standard deviation of the mean μ_k over the passes."""

    folder = "QBC"
    label = "QBC"
    reference = "Burbidge, Rowland, King 2007"
    densities = PASSES * 400  # evaluated for a mean

    def score_density(self, density: Density) -> Tensor:
        return density.mean.double().std(0)


@AGENTS.register("epig")
class EPIG(Agent):
    """Expected information gain about the targets of 100 points of the pool, by Gaussian moments."""

    folder = "EPIG"
    label = "EPIG"
    formula = (
        "mean over 100 targets x* drawn from the pool of -½ log(1 - ρ²), "
        "ρ² = Cov_k(μ, μ*)² / (Var y Var y*), Var y = mean_k σ_k² + Var_k μ_k"
    )
    needs = "shared passes"
    asks = frozenset({"passes"})
    reference = "Bickford Smith et al. 2023, arXiv 2304.08151"
    dropout = 0.05

    def score(self, state: State, x: Tensor) -> Tensor:
        pool = state.x_unlabeled
        targets = self.rng.choice(len(pool), min(100, len(pool)), replace=False)
        points = torch.cat([x, pool[torch.from_numpy(targets).to(pool.device)]])
        means, variances = pass_moments(state.classifier, points, self.generator)
        return scores.expected_information_gain(means, variances, len(x))


@AGENTS.register("paide")
class PaiDE(PassesAgent):
    """Information about the pass from the passes' pairwise KL divergences."""

    folder = "PaiDE"
    label = "PaiDE"
    formula = "-(1/K) Σ_i log (1/K) Σ_j exp(-D_ij), D_ij = KL(p_i, p_j)"
    reference = "Berry & Meger 2023, arXiv 2308.13498"
    densities = PASSES * len(PAIDE_GRID)
    of_gaussians = staticmethod(scores.kl_of_gaussians)
    on_grid = staticmethod(scores.kl_on_grid)

    def score_density(self, density: Density) -> Tensor:
        if isinstance(density, GaussDensity):
            distances = self.of_gaussians(density.loc, density.scale)
        else:
            distances = self.on_grid(density.log_prob_on(PAIDE_GRID.to(self.generator.device)))
        return scores.pairwise_distance_estimate(distances)


@AGENTS.register("paide_bhatt")
class PaiDEBhattacharyya(PaiDE):
    """As `paide`, with their Bhattacharyya distances."""

    folder = "PaiDE_Bhatt"
    label = "PaiDE Bhattacharyya"
    formula = "as `paide`, D_ij = -log ∫ √(p_i p_j)"
    of_gaussians = staticmethod(scores.bhattacharyya_of_gaussians)
    on_grid = staticmethod(scores.bhattacharyya_on_grid)
