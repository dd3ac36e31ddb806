"""Disagreement of stochastic passes: BALD, BALSA and NFlows-Out.

T stochastic passes, N candidates, G grid points, M samples.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.models.densities import Density
from core.models.predictor import SAMPLES, Predictor, most_likely
from core.state import State

from .shared import scores
from .shared.features import PASSES

GRID = 200
# Candidates are scored in pieces of about this many densities, which bounds the memory.
_PIECE = 1 << 20


class DistributionAgent(Agent):
    """Scores candidates by their predictive densities; a subclass implements `score_density`."""

    reference = "Werner & Schmidt-Thieme 2025, arXiv 2501.01248"
    #: Densities evaluated for each candidate, for the size of a piece; points G of the grid.
    densities = grid_points = GRID

    def predict_density(self, predictor: Predictor, x: Tensor) -> Density:
        """The densities of candidates x [N, d], batch shape [N]."""
        return predictor(x)

    def score_density(self, density: Any) -> Tensor:
        """The scores [N] of densities."""
        raise NotImplementedError

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        """The scores [N] of a piece x [N, d] of the candidates."""
        density = self.predict_density(predictor, x)
        if not isinstance(density, self.density):
            wanted, got = self.density.__name__, type(density).__name__
            raise TypeError(f"{type(self).__name__} scores a {wanted}, not a {got}")
        return self.score_density(density)

    @torch.no_grad()
    def score(self, state: State, x: Tensor) -> Tensor:
        size = max(1, _PIECE // self.densities)
        # One tensor, because many small ones between large ones would fragment the memory.
        result = torch.empty(len(x), dtype=torch.float64, device=x.device)
        for piece, scores_of_piece in zip(x.split(size), result.split(size), strict=True):
            scores_of_piece.copy_(self.score_piece(state.classifier, piece))
        return result

    def log_prob(self, density: Density) -> Tensor:
        """Log-densities on the protocol's grid, [*batch, G]."""
        grid = torch.linspace(*self.protocol.grid, self.grid_points, device=self.generator.device)
        return density.log_prob_on(grid)

    @property
    def spacing(self) -> float:
        """The spacing that trapezoids on the protocol's grid take."""
        first, last = self.protocol.grid
        return (last - first) / (self.grid_points - self.protocol.true_spacing)

    def samples(self, density: Density, count: int = SAMPLES) -> Tensor:
        """Samples of the densities, [*batch, M]."""
        return density.draw(count, self.generator)[0].movedim(0, -1)


class PassesAgent(DistributionAgent):
    """Scores T = 25 stochastic passes, a fresh mask for each pass and candidate."""

    asks = frozenset({"passes"})
    densities = PASSES * GRID
    dropout: ClassVar[float | None] = 0.05
    #: Dual agents raise the dropout rate to this for scoring only.
    scoring_dropout: ClassVar[float | None] = None

    def predict_density(self, predictor: Predictor, x: Tensor) -> Density:
        """The densities of T passes over x [N, d], batch shape [T, N]."""
        rate = self.scoring_dropout and max(self.scoring_dropout, predictor.dropout)
        return predictor.passes(x, PASSES, self.generator, rate)


@AGENTS.register("bald", "bald_point")
class BALDPoint(PassesAgent):
    """BALD of the point prediction: its standard deviation over the passes."""

    folder = "BALD_Point"
    reference = f"Houlsby et al. 2011, arXiv 1112.5745; {PassesAgent.reference}"
    densities = PASSES * SAMPLES

    def score_density(self, density: Density) -> Tensor:
        return most_likely(*density.draw(SAMPLES, self.generator)).std(0)


@AGENTS.register("bald_dist_entropy")
class BALDDistEntropy(PassesAgent):
    """BALD of the distribution's entropy."""

    folder = "BALD_Dist_Entropy"
    formula = "Σ_t (H[q] - H[p_t]), q = p̄ / ∫ p̄"

    def score_density(self, density: Density) -> Tensor:
        return scores.dist_entropy(self.log_prob(density), self.spacing, self.protocol.log_space)


@AGENTS.register("bald_dist_std")
class BALDDistStd(PassesAgent):
    """BALD of the distribution's standard deviation."""

    folder = "BALD_Dist_Std"
    formula = "Σ_{t=2..T} (std(s_t) - std(s_{t-1})), the sum of absolute differences under `corrected`"
    densities = PASSES * SAMPLES

    def score_density(self, density: Density) -> Tensor:
        return scores.dist_std(self.samples(density), self.protocol.absolute_std_differences)


@AGENTS.register("nflows_out")
class NFlowsOut(PassesAgent):
    """NFlows-Out: mutual information of target and mask; as published, rounding noise."""

    folder = "NFlows_Out"
    formula = (
        "`published`: mean_t (mean_t' a_t' - a_t), a_t = mean_g -log p_t. "
        "`corrected`: mean over all T × 64 samples y_tj ~ p_t of log p_t(y_tj) - log p̄(y_tj)"
    )
    reference = "Berry & Meger 2023, arXiv 2302.01312"

    @property
    def densities(self) -> int:  # type: ignore[override]
        return PASSES * (PASSES * SAMPLES if self.protocol.mutual_information else GRID)

    def score_density(self, density: Density) -> Tensor:
        if not self.protocol.mutual_information:
            return scores.nflows_out(self.log_prob(density))
        samples, own = density.draw(SAMPLES, self.generator)  # [M, T, N]
        all_samples = scores.ascending(samples.flatten(0, 1).T)  # [N, MT]: every pass judges those of all
        return scores.mutual_information(own, density.log_prob_on(all_samples))


class BALSA(PassesAgent):
    """Bayesian active learning by distribution disagreement."""

    candidates = 5_000


@AGENTS.register("balsa_kl_grid")
class BALSAKLGrid(BALSA):
    """KL divergence of each pass from the mean of the passes, on a grid."""

    folder = "BALSA_KL_Grid"
    formula = "Σ_t Σ_g p_t log(p_t / p̄): neither a spacing nor a normalisation"

    def score_density(self, density: Density) -> Tensor:
        return scores.kl_grid(self.log_prob(density), self.protocol.log_space)


@AGENTS.register("balsa_kl_grid_norm")
class BALSAKLGridNorm(BALSA):
    """As `balsa_kl_grid`, the mean divided by its area."""

    folder = "BALSA_KL_Grid_Norm"
    formula = "as `balsa_kl_grid`, with p̄ / ∫ p̄ for p̄"

    def score_density(self, density: Density) -> Tensor:
        return scores.kl_grid(self.log_prob(density), self.protocol.log_space, self.spacing)


@AGENTS.register("balsa_kl_pairs")
class BALSAKLPairs(BALSA):
    """KL divergence of each pass from the next, on a grid."""

    folder = "BALSA_KL_Pairs"
    formula = "Σ_{t=1..T-1} Σ_g p_t log(p_t / p_{t+1})"

    def score_density(self, density: Density) -> Tensor:
        return scores.kl_pairs(self.log_prob(density), self.protocol.log_space)


@AGENTS.register("balsa_kl_diff")
class BALSAKLDiff(BALSA):
    """KL divergence from the next pass less that from the mean."""

    folder = "BALSA_KL_Diff"
    formula = "Σ_{t=1..T-1} (KL(p_t, p_{t+1}) - KL(p_t, p̄)), KL(p, q) = Σ_g p log(p / q)"

    def score_density(self, density: Density) -> Tensor:
        return scores.kl_diff(self.log_prob(density), self.protocol.log_space)


@AGENTS.register("balsa_kl_anomaly")
class BALSAKLAnomaly(BALSA):
    """Disagreement about samples drawn under one mask and scored under another."""

    folder = "BALSA_KL_Anomaly"
    formula = (
        "-Σ_t Σ_j log(d_tj / mean_t d_tj): in each pass 64 y_tj are drawn under one mask, "
        "d_tj is their density under a fresh one"
    )
    densities = PASSES * SAMPLES

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        samples = self.predict_density(predictor, x).draw(SAMPLES, self.generator)[0]
        log_d = self.predict_density(predictor, x).log_prob(samples)
        return scores.kl_anomaly(log_d.movedim(0, -1), self.protocol.log_space)


@AGENTS.register("balsa_entropy")
class BALSAEntropy(BALSA):
    """Entropy of each pass less that of the geometric mean of the passes."""

    folder = "BALSA_entropy"
    formula = "Σ_{t=1..T-1} (H[p_t] - H[exp mean_t log p_t])"

    def score_density(self, density: Density) -> Tensor:
        return scores.entropy_difference(self.log_prob(density), self.spacing)


@AGENTS.register("balsa_emd")
class BALSAEMD(BALSA):
    """Earth mover's distance of each pass from the next, by samples."""

    folder = "BALSA_EMD"
    formula = "Σ_{t=1..T-1} W(s_t, s_{t+1})"
    densities = PASSES * SAMPLES

    def score_density(self, density: Density) -> Tensor:
        return scores.emd_pairs(self.samples(density))


@AGENTS.register("balsa_emd_full", "balsa_full")
class BALSAEMDFull(BALSA):
    """Earth mover's distance of each pass from all others, by samples."""

    folder = "BALSA_EMD_full"
    formula = "(1/T) Σ_t Σ_t' W(s_t, s_t')"
    densities = PASSES * SAMPLES

    def score_density(self, density: Density) -> Tensor:
        return scores.emd_full(self.samples(density))


class _KLDual(PassesAgent):
    """Trains with the configured dropout and raises it to 0.05 to score."""

    dropout = None
    scoring_dropout = 0.05

    def score(self, state: State, x: Tensor) -> Tensor:
        result = super().score(state, x)
        if not self.protocol.restore_dropout and state.classifier.members == 1:
            # As published: the raised rate stays in the model and trains it from now on.
            state.classifier.model.dropout = max(self.scoring_dropout, state.classifier.dropout)
        return result


@AGENTS.register("balsa_kl_grid_dual")
class BALSAKLGridDual(_KLDual, BALSAKLGrid):
    """As `balsa_kl_grid`, with more dropout in scoring than in training."""

    folder = "BALSA_KL_Grid_dual"
    formula = "as `balsa_kl_grid`; trains with the configured dropout, scores with max(configured, 0.05)"


@AGENTS.register("balsa_kl_pairs_dual")
class BALSAKLPairsDual(_KLDual, BALSAKLPairs):
    """As `balsa_kl_pairs`, with more dropout in scoring than in training."""

    folder = "BALSA_KL_Pair_dual"
    formula = "as `balsa_kl_pairs`, likewise"


@AGENTS.register("balsa_emd_dual")
class BALSAEMDDual(BALSAEMD):
    """As `balsa_emd`, with more dropout in scoring than in training."""

    folder = "BALSA_EMD_dual"
    formula = "as `balsa_emd`, likewise with max(configured, 0.1)"
    dropout = None
    scoring_dropout = 0.1
