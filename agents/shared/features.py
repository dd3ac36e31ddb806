"""What a candidate is to an agent that chooses a batch: feature maps, as pure functions of the model.

Shapes: N points, h width of the embedding, K passes or members, p sketched features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.models.predictor import Predictor

__all__ = [
    "PASSES",
    "OuterProducts",
    "last_layer",
    "last_layer_gradients",
    "pass_moments",
    "point_predictions",
    "posterior",
    "sketched_gradients",
    "spread",
]

PASSES = 25
#: Width of a sketch.
SKETCH = 512

# Gradients are taken of so many points at once, for the memory.
_PIECE = 1024


def last_layer(predictor: Predictor, x: Tensor) -> Tensor:
    """The embedding of rows x [N, d], and a 1 for the bias of a linear layer on it; float64 [N, h + 1]."""
    return torch.nn.functional.pad(predictor.encode(x).double(), (0, 1), value=1.0)


def point_predictions(predictor: Predictor, x: Tensor) -> Tensor:
    """The mean of p(y|x) of rows x [N, d]; [N]."""
    return predictor(x).mean


def pass_moments(predictor: Predictor, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean and variance of each pass at rows x [N, d], float64 [K, N]; one mask for all rows of a pass."""
    mean, variance = predictor.passes(x, PASSES, generator, shared=True).moments()
    return mean.double(), variance.double()


def spread(means: Tensor) -> Tensor:
    """Prediction features: phi_nk = (mean of pass k - mean over the passes) / sqrt(K); [K, N] -> [N, K].

    Their inner products are the covariance over the passes (Kirsch, *Black-Box Batch Active Learning for
    Regression*, 2023, arXiv 2302.08981).
    """
    return (means - means.mean(0)).T / math.sqrt(len(means))


@dataclass(frozen=True)
class OuterProducts:
    """Features that are the entries of outer products a b^T, side by side; they are never formed.

    Args:
        factors: pairs of a [N, m] and b [N, n].
    """

    factors: Sequence[tuple[Tensor, Tensor]]

    def squared_norms(self) -> Tensor:
        """Of each point; [N]."""
        return torch.stack([a.square().sum(1) * b.square().sum(1) for a, b in self.factors]).sum(0)

    def inner(self, i: Tensor) -> Tensor:
        """The inner products of all points with the one of position i; [N]."""
        return torch.stack([(a @ a[i]) * (b @ b[i]) for a, b in self.factors]).sum(0)


def last_layer_gradients(predictor: Predictor, x: Tensor, generator: torch.Generator) -> OuterProducts:
    """Gradients of log p(y|x), y drawn from p(y|x), with respect to the head's last layers, of all members.

    The hypothetical label of BADGE (Ash et al., 2020, arXiv 1906.03671) is here a draw from the distribution.
    """
    last = predictor.model.last_layers
    pieces = []
    for rows in x.split(_PIECE):
        layers = predictor.gradients(rows, generator)
        pieces.append([layers[i] for i in last])
    factors = []
    for layer in zip(*pieces, strict=True):  # the pieces of one layer
        a, b = (torch.cat(parts, 1).double() for parts in zip(*layer, strict=True))
        factors += list(zip(a, b, strict=True))  # of each member
    return OuterProducts(factors)


def sketched_gradients(predictor: Predictor, x: Tensor, generator: torch.Generator) -> Tensor:
    """Sketches [N, p] of the gradients of log p(y|x), y drawn from p(y|x), with respect to all weights.

    sum over layers of sqrt(p) (a A) * (b B), a and b the gradient's factors and A and B drawn from
    N(0, 1) / sqrt(p): inner products of sketches estimate those of gradients (Holzmueller et al., 2023, arXiv
    2203.09410, section 3).
    """
    p, members = SKETCH, predictor.members

    def draw(width: int) -> Tensor:
        normal = torch.randn((members, width, p), generator=generator, device=generator.device)
        return normal / math.sqrt(p)

    projections = [(draw(n_in + 1), draw(n_out)) for n_in, n_out in predictor.model.shapes]
    result = x.new_zeros(len(x), p)
    for rows, sketch in zip(x.split(_PIECE), result.split(_PIECE), strict=True):
        layers = predictor.gradients(rows, generator)
        for (a, b), (of_a, of_b) in zip(layers, projections, strict=True):
            sketch += ((a @ of_a).mul_(b @ of_b)).sum(0)
    return result.mul_(math.sqrt(p))


def posterior(phi: Tensor, labelled: int, sigma: float) -> Tensor:
    """Features whose inner products are the covariance of a Bayesian linear model that has seen labels.

    Scaled to a mean squared norm of 1 over the labelled points, phi becomes sigma phi L^-T with
    L L^T = Phi^T Phi + sigma^2 I (Holzmueller et al., 2023, arXiv 2203.09410, section 3.3).

    Args:
        phi: features [N + L, h], float64, the labelled points behind the others.
        labelled: their number L.
        sigma: standard deviation of the noise.
    """
    known = phi[len(phi) - labelled :]
    scale = known.square().sum(1).mean().rsqrt()
    phi, known = phi * scale, known * scale
    noise = sigma**2 * torch.eye(phi.shape[1], dtype=phi.dtype, device=phi.device)
    lower = torch.linalg.cholesky(known.T @ known + noise)
    return sigma * torch.linalg.solve_triangular(lower, phi.T, upper=False).T
