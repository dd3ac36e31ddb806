"""Heuristics on one predictive distribution, dropout off; higher is less certain.

Shapes: N candidates, G grid points, M samples.
"""

from torch import Tensor

from core.agent import AGENTS, Agent
from core.models.densities import GaussDensity
from core.models.predictor import SAMPLES, Predictor
from core.state import State

from . import scores
from .distributions import DistributionAgent

ENTROPY_GRID = 500


@AGENTS.register("nf_conf")
class NFConf(DistributionAgent):
    """Least confidence: minus the highest log-density among samples.

    Formula: -max_j log p(y_j) over samples y_j: 64 under `published`, 200 under `corrected`
    Reference: Werner & Schmidt-Thieme 2025, arXiv 2501.01248
    """

    folder = "NF_Conf"
    densities = SAMPLES

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        _, log_prob = predictor(x).draw(self.protocol.heuristic_samples, self.generator)
        return -log_prob.max(0).values


@AGENTS.register("nf_entropy")
class NFEntropy(DistributionAgent):
    """Trapezoid entropy on 500 grid points.

    Formula: H[p] on a grid of 500 points
    Reference: Werner & Schmidt-Thieme 2025, arXiv 2501.01248
    """

    folder = "NF_Entropy"
    densities = ENTROPY_GRID

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        log_p = self.log_prob(predictor(x), ENTROPY_GRID)
        return scores.entropy(log_p, self.spacing(ENTROPY_GRID))


@AGENTS.register("nf_std")
class NFStd(DistributionAgent):
    """Standard deviation of the log-densities of samples.

    Formula: standard deviation of the log-densities of 64 samples
    Reference: Werner & Schmidt-Thieme 2025, arXiv 2501.01248
    """

    folder = "NF_Std"
    densities = SAMPLES

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        return predictor(x).draw(SAMPLES, self.generator)[1].std(0)


@AGENTS.register("nf_sample_std")
class NFSampleStd(DistributionAgent):
    """Standard deviation of samples.

    Formula: standard deviation of samples: 64 under `published`, 200 under `corrected`
    Reference: Werner & Schmidt-Thieme 2025, arXiv 2501.01248
    """

    folder = "NF_Sample_Std"
    densities = SAMPLES

    def score_piece(self, predictor: Predictor, x: Tensor) -> Tensor:
        return scores.std(self.samples(predictor(x), self.protocol.heuristic_samples))


class _GaussAgent(Agent):
    """Scores the Gaussian in closed form.

    Needs: density, a Gaussian: variation `gauss`
    Reference: Werner & Schmidt-Thieme 2025, arXiv 2501.01248
    """

    density = GaussDensity

    @staticmethod
    def score_density(density: GaussDensity) -> Tensor:
        """The scores [N] of densities of batch shape [N]."""
        raise NotImplementedError

    def score(self, state: State, x: Tensor) -> Tensor:
        density = state.classifier(x)
        if not isinstance(density, GaussDensity):
            raise TypeError(f"{type(self).__name__} scores a Gaussian, not a {type(density).__name__}")
        return self.score_density(density)


@AGENTS.register("gauss_std")
class GaussStd(_GaussAgent):
    """The standard deviation.

    Formula: σ
    """

    folder = "GaussStd"

    @staticmethod
    def score_density(density: GaussDensity) -> Tensor:
        return density.scale


@AGENTS.register("gauss_entropy")
class GaussEntropy(_GaussAgent):
    """The differential entropy.

    Formula: ½ log(2 π e σ²)
    """

    folder = "GaussEntropy"

    @staticmethod
    def score_density(density: GaussDensity) -> Tensor:
        return density.entropy()


@AGENTS.register("gauss_lc")
class GaussLC(_GaussAgent):
    """Least confidence: 1 - log p(mean).

    Formula: 1 - log p(μ)
    """

    folder = "GaussLC"

    @staticmethod
    def score_density(density: GaussDensity) -> Tensor:
        return 1 - density.log_prob(density.loc)
