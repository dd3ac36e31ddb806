"""Heuristics on one predictive distribution, dropout off; higher is less certain."""

from torch import Tensor

from core.agent import AGENTS
from core.models.densities import Density, GaussDensity
from core.models.predictor import SAMPLES

from .distributions import DistributionAgent
from .shared import scores


@AGENTS.register("nf_conf")
class NFConf(DistributionAgent):
    """Least confidence: minus the highest log-density among samples."""

    folder = "NF_Conf"
    formula = "-max_j log p(y_j) over samples y_j: 64 under `published`, 200 under `corrected`"
    densities = SAMPLES

    def score_density(self, density: Density) -> Tensor:
        _, log_prob = density.draw(self.protocol.heuristic_samples, self.generator)
        return -log_prob.max(0).values


@AGENTS.register("nf_entropy")
class NFEntropy(DistributionAgent):
    """Trapezoid entropy H[p] on a grid of 500 points."""

    folder = "NF_Entropy"
    grid_points = densities = 500

    def score_density(self, density: Density) -> Tensor:
        return scores.entropy(self.log_prob(density), self.spacing)


@AGENTS.register("nf_std")
class NFStd(DistributionAgent):
    """Standard deviation of the log-densities of 64 samples."""

    folder = "NF_Std"
    densities = SAMPLES

    def score_density(self, density: Density) -> Tensor:
        return density.draw(SAMPLES, self.generator)[1].std(0)


@AGENTS.register("nf_sample_std")
class NFSampleStd(DistributionAgent):
    """Standard deviation of samples: 64 under `published`, 200 under `corrected`."""

    folder = "NF_Sample_Std"
    densities = SAMPLES

    def score_density(self, density: Density) -> Tensor:
        return scores.std(self.samples(density, self.protocol.heuristic_samples))


class GaussAgent(DistributionAgent):
    """Scores a Gaussian in closed form."""

    density = GaussDensity
    needs = "density, a Gaussian: variations `gauss`, `gp`"
    densities = 1


@AGENTS.register("gauss_std", "gp_std")
class GaussStd(GaussAgent):
    """The standard deviation σ."""

    folder = "GaussStd"

    def score_density(self, density: GaussDensity) -> Tensor:
        return density.scale


@AGENTS.register("gauss_entropy")
class GaussEntropy(GaussAgent):
    """The differential entropy ½ log(2 π e σ²)."""

    folder = "GaussEntropy"

    def score_density(self, density: Density) -> Tensor:
        return density.entropy()


@AGENTS.register("gauss_lc")
class GaussLC(GaussAgent):
    """Least confidence: 1 - log p(μ)."""

    folder = "GaussLC"

    def score_density(self, density: Density) -> Tensor:
        return 1 - density.log_prob(density.mean)
