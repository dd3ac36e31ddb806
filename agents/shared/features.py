"""Features of points, for agents that choose a batch as a whole, as pure functions of the model.

N points, T passes or members, p sketched features.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from core.models.predictor import Predictor

#: Stochastic passes of every agent that looks at them.
PASSES = 25
#: Width p of a sketch.
SKETCH = 512

# Gradients are taken of so many points at once, for the memory.
_PIECE = 1024


def pass_moments(predictor: Predictor, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean and variance of each pass at rows x [N, d], float64 [T, N]; one mask for all rows of a pass."""
    mean, variance = predictor.passes(x, PASSES, generator, shared=True).moments()
    return mean.double(), variance.double()


def spread(means: Tensor) -> Tensor:
    """phi_nt = (mean of pass t - mean over the passes) / sqrt(T); [T, N] -> [N, T].

    Their inner products are the covariance over the passes (Kirsch, *Black-Box Batch Active Learning for
    Regression*, 2023, arXiv 2302.08981).
    """
    return (means - means.mean(0)).T / math.sqrt(len(means))


def last_layer_gradients(
    predictor: Predictor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Gradients of log p(y|x), y drawn from p(y|x), with respect to the head's last layers, of all members.

    The hypothetical label of BADGE (Ash et al., 2020, arXiv 1906.03671) is here a draw from the distribution.
    Returns their squared norms [N], and a function that maps a position to its inner products [N] with all of
    them; float64. The gradients are outer products a b^T, which are never formed.
    """
    pieces = []
    for rows in x.split(_PIECE):
        layers = predictor.gradients(rows, generator)
        pieces.append([layers[i] for i in predictor.last_layers])
    factors: list[tuple[Tensor, Tensor]] = []
    for layer in zip(*pieces, strict=True):
        a, b = (torch.cat(parts, 1).double() for parts in zip(*layer, strict=True))
        factors += zip(a, b, strict=True)  # of each member

    def inner(i: Tensor) -> Tensor:
        return torch.stack([(a @ a[i]) * (b @ b[i]) for a, b in factors]).sum(0)

    return torch.stack([a.square().sum(1) * b.square().sum(1) for a, b in factors]).sum(0), inner


def sketched_gradients(predictor: Predictor, x: Tensor, generator: torch.Generator) -> Tensor:
    """Sketches [N, p] of the gradients of log p(y|x), y drawn from p(y|x), with respect to all weights.

    sum over layers of sqrt(p) (a A) * (b B), a and b the gradient's factors and A and B drawn from
    N(0, 1) / sqrt(p): inner products of sketches estimate those of gradients (Holzmüller et al., 2023, arXiv
    2203.09410, section 3).
    """

    def draw(width: int) -> Tensor:
        shape = (predictor.members, width, SKETCH)
        return torch.randn(shape, generator=generator, device=generator.device) / math.sqrt(SKETCH)

    projections = [(draw(n_in + 1), draw(n_out)) for n_in, n_out in predictor.shapes]
    sketches = x.new_zeros(len(x), SKETCH)
    for rows, sketch in zip(x.split(_PIECE), sketches.split(_PIECE), strict=True):
        layers = predictor.gradients(rows, generator)
        for (a, b), (project_a, project_b) in zip(layers, projections, strict=True):
            sketch += ((a @ project_a).mul_(b @ project_b)).sum(0)
    return sketches.mul_(math.sqrt(SKETCH))


def posterior(phi: Tensor, labelled: int, sigma: float) -> Tensor:
    """Features whose inner products are the posterior covariance of a Bayesian linear model.

    phi [N + L, h], the L labelled points last, is scaled to a mean squared norm of 1 over these, then becomes
    sigma phi L^-T with L L^T = Phi^T Phi + sigma^2 I (Holzmüller et al., 2023, arXiv 2203.09410, 3.3).
    """
    known = phi[len(phi) - labelled :]
    scale = known.square().sum(1).mean().rsqrt()
    phi, known = phi * scale, known * scale
    noise = sigma**2 * torch.eye(phi.shape[1], dtype=phi.dtype, device=phi.device)
    lower = torch.linalg.cholesky(known.T @ known + noise)
    return sigma * torch.linalg.solve_triangular(lower, phi.T, upper=False).T
