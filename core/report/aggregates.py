"""Agents over several tasks: runs averaged first, interquartile mean, probability of improvement.

Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice*, 2021, arXiv
2108.13264. Intervals are of the percentile bootstrap, stratified: runs are drawn within each task. Their
package, rliable 1.2.0, does not run here: it wants arch < 8, which cannot be imported beside pandas 3; with
arch 8 its bootstrap raises a TypeError; and it draws from numpy's global generator, whatever it is given.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from .analysis import Blocks, blocks
from .reader import TASK

__all__ = [
    "Estimate",
    "beside_reference",
    "common_runs",
    "improvability",
    "interquartile_mean",
    "paired_differences",
    "probability_of_improvement",
    "task_blocks",
]

_RESAMPLES = 2_000
_CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number and its 95 % interval; without one (NaN) if no task has two runs."""

    value: float
    low: float
    high: float


def task_blocks(areas: pd.DataFrame, metric: str) -> Blocks:
    """As `blocks`, but one block a task: of each agent the mean over the runs that all agents have there.

    Runs of one task share its test set, and are no independent blocks; tasks are.
    """
    found = blocks(areas, metric)
    return found._replace(table=found.table.groupby(level=TASK, observed=True).mean())


def common_runs(areas: pd.DataFrame) -> pd.DataFrame:
    """The rows of those runs that every agent of their task has: nobody's are of easier seeds."""
    agents = areas.groupby([*TASK, "metric"], observed=True)["agent"].transform("nunique")
    have = areas.groupby([*TASK, "run", "metric"], observed=True)["agent"].transform("nunique")
    return areas[have == agents]


def beside_reference(
    areas: pd.DataFrame, metric: str, reference: str = "random", *, ratio: bool
) -> pd.DataFrame:
    """Areas divided by the reference's mean in their task; without `ratio`, less it, for what has no zero.

    Tasks without the reference are left out.
    """
    of_metric = areas[areas["metric"] == metric]
    of_reference = of_metric[of_metric["agent"] == reference].groupby(TASK, observed=True)["area"].mean()
    beside = of_metric.merge(of_reference.rename("reference").reset_index(), on=TASK)
    score = beside["area"] / beside["reference"] if ratio else beside["area"] - beside["reference"]
    return beside.drop(columns="reference").assign(area=score)


def paired_differences(
    areas: pd.DataFrame, metric: str, reference: str = "random", *, share: bool
) -> pd.DataFrame:
    """Areas less that of the reference's run of the same id, which has the same data and seed set.

    Args:
        areas: of one task.
        share: divided by the reference's mean.

    Returns:
        As `areas`, without the reference.
    """
    of_metric = areas[areas["metric"] == metric]
    of_reference = of_metric[of_metric["agent"] == reference].set_index("run")["area"]
    others = of_metric[of_metric["agent"] != reference]
    difference = others["area"] - others["run"].map(of_reference)
    return others.assign(area=difference / (of_reference.mean() if share else 1)).dropna()


def interquartile_mean(scores: pd.DataFrame) -> Estimate:
    """Mean of the middle half of all runs of an agent, of all tasks together; a task counts by its runs.

    Args:
        scores: of one agent and metric, as of `beside_reference`.
    """
    rng = np.random.default_rng(1)
    tasks = [of_task.to_numpy() for _, of_task in scores.groupby(TASK, observed=True)["area"]]
    drawn = [of_task[rng.integers(len(of_task), size=(_RESAMPLES, len(of_task)))] for of_task in tasks]
    value = float(stats.trim_mean(np.concatenate(tasks), 0.25))
    return _estimate(value, stats.trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1), tasks)


def probability_of_improvement(areas: pd.DataFrame, agent: str, other: str) -> Estimate:
    """How probably a run of one agent has a lower area than a run of the other: mean over the tasks of both.

    P(X < Y) + P(X = Y) / 2 in each task, of all pairs of runs (Mann and Whitney's U): runs of the same id are
    not paired, as in the source, but only ids that both have count. NaN without any.

    Args:
        areas: of one metric.
    """
    rng = np.random.default_rng(1)
    values, drawn, runs = [], [], []
    pair = common_runs(areas[areas["agent"].isin([agent, other])])
    for _, of_task in pair.groupby(TASK, observed=True):
        if of_task["agent"].nunique() < 2:
            continue
        x, y = (of_task.loc[of_task["agent"] == name, "area"].to_numpy() for name in (agent, other))
        better = (x[:, None] < y) + 0.5 * (x[:, None] == y)
        values.append(better.mean())
        # How often each run is drawn says as much as the draws themselves.
        of_x, of_y = (rng.multinomial(len(z), np.full(len(z), 1 / len(z)), _RESAMPLES) for z in (x, y))
        drawn.append(np.einsum("rx,xy,ry->r", of_x, better, of_y, optimize=True) / better.size)
        runs += [x, y]
    if not values:
        return Estimate(np.nan, np.nan, np.nan)
    return _estimate(float(np.mean(values)), np.mean(drawn, axis=0), runs)


def _estimate(value: float, resampled: np.ndarray, samples: list[np.ndarray]) -> Estimate:
    if max(map(len, samples)) < 2:
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high))


def improvability(table: pd.DataFrame) -> pd.Series:
    """1 - best / own, mean over the tasks: by how much the best agent's area is below one's own.

    For metrics with a zero, MAE and CRPS, not for the NLL.

    Args:
        table: a row a task, as of `task_blocks`.
    """
    return (1 - (1 / table).mul(table.min(axis=1), axis=0)).mean()
