"""Intervals that hold as many values as they say, by rows that the model had not seen.

Cross-conformal with normalised scores: how far a value is from the median, in half widths of the interval on
its side. The factor by which intervals are widened is a quantile of these scores (Vovk, *Cross-conformal
predictors*, 2015; Romano, Patterson, Candès, *Conformalized Quantile Regression*, 2019).

Quantiles and values are on the scale of what is learned. Shapes: n rows that were left out, N others.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

#: Shares of values that the intervals are to hold, and their ends.
INTERVALS = {0.5: ("low_50", "high_50"), 0.9: ("low_90", "high_90")}
#: Half widths are at least this, where the range of the labelled rows is 1.
_NARROWEST = 1e-9


def calibrate(predicted: pd.DataFrame, truth: np.ndarray) -> dict[float, float]:
    """By what half the width of each interval is to be multiplied, by rows [n] that were left out.

    Args:
        predicted: their quantiles.
        truth: their values [n].
    """
    factors = {}
    for share in INTERVALS:
        up, down = _half_widths(predicted, share)
        distance = truth - predicted["median"]
        scores = np.sort(np.maximum(distance / up, -distance / down))
        place = min(math.ceil((len(scores) + 1) * share), len(scores))
        factors[share] = float(scores[place - 1])
    return factors


def calibrated(predicted: pd.DataFrame, factors: Mapping[float, float]) -> pd.DataFrame:
    """Quantiles of rows [N] with calibrated ends; the wider interval holds the narrower."""
    made, median = predicted.copy(), predicted["median"]
    for share, (low, high) in INTERVALS.items():
        up, down = _half_widths(predicted, share)
        made[low], made[high] = median - factors[share] * down, median + factors[share] * up
    made["low_90"] = made.filter(like="low").min(axis=1)
    made["high_90"] = made.filter(like="high").max(axis=1)
    return made


def likely(share: float, rows: int) -> tuple[float, float]:
    """The share of new rows that an interval calibrated by so many rows holds, in 90 of 100 cases: from, to.

    Vovk, *Conditional validity of inductive conformal predictors*, 2012: the share is Beta distributed.
    """
    from scipy.stats import beta

    place = min(math.ceil((rows + 1) * share), rows)
    low, high = beta.ppf((0.05, 0.95), place, rows + 1 - place)
    return float(low), float(high)


def coverage(parts: Sequence[pd.DataFrame], truths: Sequence[np.ndarray]) -> dict[float, int]:
    """How many values each interval holds if each part is calibrated by the others."""
    held = dict.fromkeys(INTERVALS, 0)
    for i, (predicted, truth) in enumerate(zip(parts, truths, strict=True)):
        others = [j for j in range(len(parts)) if j != i]
        known = pd.concat([parts[j] for j in others]), np.concatenate([truths[j] for j in others])
        made = calibrated(predicted, calibrate(*known))
        for share, (low, high) in INTERVALS.items():
            held[share] += int(made[low].le(truth).mul(made[high].ge(truth)).sum())
    return held


def _half_widths(predicted: pd.DataFrame, share: float) -> tuple[pd.Series, pd.Series]:
    """From the median up and down to the ends of an interval, before calibration."""
    low, high = INTERVALS[share]
    up, down = predicted[high] - predicted["median"], predicted["median"] - predicted[low]
    return up.clip(lower=_NARROWEST), down.clip(lower=_NARROWEST)
