"""MAE, NLL, CRPS and calibration of a model on a test set. Shapes: N rows, M samples."""

from typing import NamedTuple

import torch
from torch import Tensor

from .models.predictor import SAMPLES, Predictor, most_likely

__all__ = ["PIT_BINS", "Metrics", "calibration_error", "crps", "evaluate"]

#: Equal bins of the PIT histogram; the levels of the calibration error lie between them.
PIT_BINS = 20

#: Rows scored at once. Part of the result: samples are drawn piece by piece.
_PIECE = 2048


class Metrics(NamedTuple):
    """Of the test set, on the scaled target: the first four are better the lower they are.

    Attributes:
        mae, nll, crps: means over the rows.
        calibration: `calibration_error` of the PIT.
        pit: rows in each of 20 equal bins of the probability integral transform u = P(Y <= y | x).
    """

    mae: float
    nll: float
    crps: float
    calibration: float
    pit: list[int]


def calibration_error(pit: Tensor) -> float:
    """Mean over the levels 0.05, 0.10 ... 0.95 of |share of u below the level - level|.

    Kuleshov, Fenner, Ermon, *Accurate Uncertainties for Deep Learning Using Calibrated Regression*,
    2018, arXiv 1807.00263, with the absolute difference (SPEC.md section 4).

    Args:
        pit: counts [20] of the PIT u in 20 equal bins.
    """
    levels = torch.arange(1, PIT_BINS, dtype=torch.float64) / PIT_BINS
    shares = pit.cpu().double().cumsum(0)[:-1] / pit.sum().item()
    return float((shares - levels).abs().mean())


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
def evaluate(predictor: Predictor, x: Tensor, y: Tensor, generator: torch.Generator) -> Metrics:
    """The metrics of a model on rows x [N, d] with targets y [N]; dropout off.

    Args:
        generator: draws the 64 samples of each row behind MAE and CRPS.
    """
    totals = torch.zeros(3, dtype=torch.float64, device=x.device)
    pit = torch.zeros(PIT_BINS, dtype=torch.int64, device=x.device)
    levels = torch.arange(1, PIT_BINS, dtype=torch.float64, device=x.device) / PIT_BINS
    for rows, targets in zip(x.split(_PIECE), y.split(_PIECE), strict=True):
        density = predictor(rows)
        samples, log_prob = density.draw(SAMPLES, generator)
        errors = (most_likely(samples, log_prob) - targets).abs()
        parts = (errors, -density.log_prob(targets), crps(samples, targets))
        totals += torch.stack([part.double().sum() for part in parts])
        bins = torch.bucketize(density.cdf(targets).double(), levels, right=True)
        pit += torch.bincount(bins, minlength=PIT_BINS)
    mae, nll, score = (totals / len(x)).tolist()
    return Metrics(mae, nll, score, calibration_error(pit), pit.tolist())
