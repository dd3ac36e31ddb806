"""MAE, NLL and CRPS of a model on a test set. Shapes: N rows, M samples."""

from typing import NamedTuple

import torch
from torch import Tensor

from .classifier import SAMPLES, Classifier, most_likely

__all__ = ["Metrics", "crps", "evaluate"]

#: Rows scored at once. Part of the result: samples are drawn piece by piece.
_PIECE = 2048


class Metrics(NamedTuple):
    """Means over the test set, on the scaled target: lower is better."""

    mae: float
    nll: float
    crps: float


def crps(samples: Tensor, y: Tensor) -> Tensor:
    """Continuous ranked probability score of samples [M, N] at targets [N]; shape [N].

    E|X - y| - E|X - X'| / 2 with both means over all samples (the 1/M^2 form). In sorted samples
    x_1 <= ... <= x_M the second term is sum_i (2i - M - 1) x_i / M^2
    (Jordan, Krueger, Lerch, *Evaluating probabilistic forecasts with scoringRules*, 2019).
    """
    m = len(samples)
    weights = torch.arange(1 - m, m, 2, dtype=samples.dtype, device=samples.device)
    spread = (weights[:, None] * samples.sort(0).values).sum(0) / m**2
    return (samples - y).abs().mean(0) - spread


@torch.no_grad()
def evaluate(classifier: Classifier, x: Tensor, y: Tensor, generator: torch.Generator) -> Metrics:
    """The metrics of a model on rows x [N, d] with targets y [N]; dropout off.

    Args:
        generator: draws the 64 samples of each row behind MAE and CRPS.
    """
    totals = torch.zeros(3, dtype=torch.float64, device=x.device)
    for rows, targets in zip(x.split(_PIECE), y.split(_PIECE), strict=True):
        density = classifier(rows)
        samples, log_prob = density.draw(SAMPLES, generator)
        errors = (most_likely(samples, log_prob) - targets).abs()
        parts = (errors, -density.log_prob(targets), crps(samples, targets))
        totals += torch.stack([part.double().sum() for part in parts])
    return Metrics(*(totals / len(x)).tolist())
