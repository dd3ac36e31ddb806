"""Whether the last rounds of runs still helped."""

import numpy as np
import pandas as pd
from scipy import stats

from .load import EXPERIMENT
from .statistics import CONFIDENCE, INTERVAL_RUNS


def last_rounds(curves: pd.DataFrame, rounds: int = 5) -> pd.DataFrame:
    """Whether labelling still helps: the change over the last rounds, run by run, with Student's interval.

    Args:
        curves: of one metric.
        rounds: how many of the last ones; all of them where a run has fewer.

    Returns:
        A row an experiment: number of `runs`, mean change `mean`, `low`, `high` (NaN for fewer than
        `INTERVAL_RUNS` runs), and `seen`: 'gain', 'loss', 'no change seen', or nothing without an interval.
    """
    by = [*EXPERIMENT, "run"]
    ordered = curves.sort_values("labelled").groupby(by, observed=True)["value"]
    change = ordered.last() - ordered.apply(lambda values: values.iloc[-min(rounds + 1, len(values))])
    table = change.groupby(EXPERIMENT, observed=True).agg(["count", "mean", "sem"])
    half = stats.t.ppf((1 + CONFIDENCE) / 2, (table["count"] - 1).clip(lower=1)) * table["sem"]
    half = half.where(table["count"] >= INTERVAL_RUNS)
    low, high = table["mean"] - half, table["mean"] + half
    seen = np.select([high < 0, low > 0, half.notna()], ["gain", "loss", "no change seen"], "")
    return pd.DataFrame(
        {"runs": table["count"], "mean": table["mean"], "low": low, "high": high, "seen": seen}
    )
