"""A mixture density network (Bishop, *Mixture Density Networks*, 1994): five Gaussians and their weights."""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from .densities import GaussDensity, Mixture
from .networks import MODELS, DensityModel

COMPONENTS = 5


class GaussianMixture(Mixture):
    """Five Gaussians; parameters [*batch, 15]: logits of the weights, means, standard deviations."""

    def __init__(self, parameters: Tensor) -> None:
        logits, means, scales = parameters.chunk(3, -1)
        super().__init__(Categorical(logits=logits), GaussDensity(torch.stack([means, scales], -1)))

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y, _ = self.components.draw(n, generator)  # [n, *batch, 5]
        level = torch.rand((n, *self.batch_shape, 1), generator=generator, device=generator.device)
        below = self.mixture_distribution.probs.cumsum(-1)[..., :-1] < level
        y = y.gather(-1, below.sum(-1, keepdim=True)).squeeze(-1)
        return y, self.log_prob(y)


@MODELS.register("mdn")
class MixtureDensityNetwork(DensityModel):
    """A hidden layer of 64 on the embedding, then weights, means and standard deviations."""

    label, plural = "mixture density network", "mixture density networks"
    density = GaussianMixture

    @staticmethod
    def head_shapes(width: int) -> list[tuple[int, int]]:
        return [(width, 64), (64, 3 * COMPONENTS)]

    @staticmethod
    def constrain(raw: Tensor) -> Tensor:
        logits, means, scales = raw.chunk(3, -1)
        return torch.cat([logits, means, nn.functional.softplus(scales) + 1e-3], -1)
