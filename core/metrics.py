"""A model's predictions for a test set and how good they are: errors, NLL, CRPS, calibration, sharpness, PIT.

Shapes: N rows, M samples; the rows come in pieces of n.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .models.densities import Density
from .models.predictor import SAMPLES, Predictor, most_likely

#: Equal bins of the PIT histogram; the levels of the calibration error lie between them.
PIT_BINS = 20

#: Rows scored at once. Part of the result: samples are drawn and sums are taken piece by piece.
_PIECE = 2048

#: A larger error, or likelihood, is a damaged number.
_LARGEST = 1e30


@dataclass(frozen=True)
class Evaluation:
    """A model's predictions for the N rows of a test set, on the scaled target.

    Attributes:
        targets, predictions: the right answers and the point predictions [N].
        log_prob: log p(y|x) [N] at the targets.
        pit: the probability integral transform u = P(Y <= y | x) of the targets, float64 [N].
        samples: of each piece of rows, in their order, samples [64, n].
        densities: of each piece of rows, p(y|x), batch shape [n].
    """

    targets: Tensor
    predictions: Tensor
    log_prob: Tensor
    pit: Tensor
    samples: Sequence[Tensor]
    densities: Sequence[Density]

    @cached_property
    def errors(self) -> Tensor:
        """The absolute errors of the point predictions [N], float64."""
        return (self.predictions - self.targets).double().abs()

    @cached_property
    def ordered(self) -> list[Tensor]:
        """The samples of each row in ascending order."""
        return [samples.sort(0).values for samples in self.samples]


@dataclass(frozen=True)
class Metric:
    """A number that is measured after each round; lower is better."""

    name: str
    file: str  # its file in a run's folder
    label: str  # its name for people
    # Of the evaluation of the test set, which it leaves as it is; None if it comes from training.
    function: Callable[[Evaluation], float] | None = None
    in_every_run: bool = False  # a missing file is damage; False for a metric that older runs lack
    signed: bool = False  # it may be below zero

    def is_possible(self, values: np.ndarray) -> np.ndarray:
        """Which of some measured values [n] a model can have had; the targets are scaled to [0, 1]."""
        low = -_LARGEST if self.signed else 0
        return (values >= low) & (values <= _LARGEST)


def _mean(values: Tensor) -> float:
    """Mean of [N] in float64, summed piece by piece."""
    total = sum(part.double().sum() for part in values.split(_PIECE))
    return float(total / len(values))


def _calibration(tested: Evaluation) -> float:
    """Mean over the levels 0.05, 0.10 ... 0.95 of |share of u below the level - level|.

    Kuleshov, Fenner, Ermon, *Accurate Uncertainties for Deep Learning Using Calibrated Regression*,
    2018, arXiv 1807.00263, with the absolute difference.
    """
    levels = torch.arange(1, PIT_BINS, dtype=torch.float64) / PIT_BINS
    shares = pit_histogram(tested.pit).cpu().double().cumsum(0)[:-1] / len(tested.pit)
    return float((shares - levels).abs().mean())


def _crps(tested: Evaluation) -> float:
    pieces = zip(tested.samples, tested.targets.split(_PIECE), tested.ordered, strict=True)
    return _mean(torch.cat([crps(*piece) for piece in pieces]))


def _error_95(tested: Evaluation) -> float:
    return float(np.quantile(tested.errors.cpu().numpy(), 0.95))


def _sharpness(tested: Evaluation) -> float:
    return _mean(torch.cat([interval_width(ordered) for ordered in tested.ordered]))


#: All metrics by name; logger, files, checkpoints and report follow this table.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("mae", "accuracies.csv", "MAE", lambda t: _mean(t.errors), in_every_run=True),
        Metric("nll", "likelihoods.csv", "NLL", lambda t: _mean(-t.log_prob), in_every_run=True, signed=True),
        Metric("crps", "crps.csv", "CRPS", _crps, in_every_run=True),
        Metric("calibration", "calibration.csv", "calibration error", _calibration, in_every_run=True),
        Metric("validation_nll", "losses.csv", "validation NLL", in_every_run=True, signed=True),
        Metric("rmse", "rmse.csv", "RMSE", lambda t: _mean(t.errors.square()) ** 0.5),
        Metric("max_error", "max_error.csv", "largest error", lambda t: float(t.errors.max())),
        Metric("error_95", "error_95.csv", "95 % quantile of errors", _error_95),
        Metric("sharpness", "sharpness.csv", "width of 90 % intervals", _sharpness),
    )
}


def pit_histogram(pit: Tensor) -> Tensor:
    """Counts [20] of the PIT u [N] in 20 equal bins; a bin holds where it begins."""
    levels = torch.arange(1, PIT_BINS, dtype=torch.float64, device=pit.device) / PIT_BINS
    return torch.bincount(torch.bucketize(pit, levels, right=True), minlength=PIT_BINS)


def interval_width(ordered: Tensor) -> Tensor:
    """Width of the central 90 % interval [N] by samples in ascending order [M, N], M of 64 or so.

    Between order statistics as Hyndman & Fan (*Sample Quantiles in Statistical Packages*, 1996) recommend,
    which is about unbiased for any distribution. Exact quantiles of a mixture cost a bisection.
    """
    place = (len(ordered) + 1 / 3) * 0.05 - 2 / 3  # counted from 0
    k, between = int(place), place % 1
    inner, outer = ordered[-2 - k] - ordered[k + 1], ordered[-1 - k] - ordered[k]
    return outer + between * (inner - outer)


def crps(samples: Tensor, y: Tensor, ordered: Tensor | None = None) -> Tensor:
    """Continuous ranked probability score of samples [M, N] at targets [N]; shape [N].

    E|X - y| - E|X - X'| / 2 with both means over all samples (the 1/M^2 form). In sorted samples
    x_1 <= ... <= x_M the second term is sum_i (2i - M - 1) x_i / M^2
    (Jordan, Krueger, Lerch, *Evaluating probabilistic forecasts with scoringRules*, 2019). `ordered` are
    the sorted samples, where they are known.
    """
    ordered = samples.sort(0).values if ordered is None else ordered
    m = len(samples)
    weights = torch.arange(1 - m, m, 2, dtype=samples.dtype, device=samples.device)
    spread = (weights[:, None] * ordered).sum(0) / m**2
    return (samples - y).abs().mean(0) - spread


@torch.no_grad()
def evaluate(predictor: Predictor, x: Tensor, y: Tensor, generator: torch.Generator) -> Evaluation:
    """Predictions for rows x [N, d] with targets y [N], dropout off; draws 64 samples of each row."""
    densities = [predictor(rows) for rows in x.split(_PIECE)]
    draws = [density.draw(SAMPLES, generator) for density in densities]
    pieces = list(zip(densities, y.split(_PIECE), strict=True))
    return Evaluation(
        targets=y,
        predictions=torch.cat([most_likely(samples, log_prob) for samples, log_prob in draws]),
        log_prob=torch.cat([density.log_prob(targets) for density, targets in pieces]),
        pit=torch.cat([density.cdf(targets).double() for density, targets in pieces]),
        samples=[samples for samples, _ in draws],
        densities=densities,
    )


def measure(evaluation: Evaluation) -> dict[str, float]:
    """The metrics of a test set, by name: those of `METRICS` that do not come from training."""
    return {name: metric.function(evaluation) for name, metric in METRICS.items() if metric.function}
